//===----------------------------------------------------------------------===//
// Reporting: a log as something to look at, or for other tools to open.
//
// What it does: `Page` writes one HTML file with a run's task stream, charts and tables;
// `Exports` writes a run in the formats of other tools.
//
// What it may import: TaskLogPlugin, EventLog, Querying, and the C targets with the page's assets
// and zlib. No SQL: that stays in EventLog.
//
// What it promises: a file is there whole or not at all (written beside its place and renamed), and
// holds what the log holds: what is shortened or left out is counted and said in it. Text from a log
// stays text wherever it is shown. Memory grows with tasks, not with events.
//===----------------------------------------------------------------------===//
