//===----------------------------------------------------------------------===//
// Reporting: a log as a page for people, or as files for other tools.
//
// What it does: `Page` writes one HTML file with a run's task stream, charts and tables;
// `Exports` writes a run in the formats of other tools.
//
// What it may import: TaskLogPlugin, EventLog, Querying, and the C targets with the page's assets
// and zlib. No SQL: that stays in EventLog.
//
// What it promises: a file is either complete or absent (written under a temporary name and
// renamed), and has the contents of the log: whatever is shortened or left out is counted and
// reported in it. Text from a log is never interpreted as markup. Memory grows with tasks, not with
// events.
//===----------------------------------------------------------------------===//
