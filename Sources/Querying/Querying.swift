//===----------------------------------------------------------------------===//
// Querying: asking a log.
//
// What it does: columns of events and runs, and rows written as a table, JSON, JSON lines or CSV.
//
// What it may import: TaskLogPlugin, EventLog, Filters. Nothing from Foundation.
//
// What it promises: machine formats are the same bytes for the same log. Whatever text is in a log,
// it cannot steer a terminal.
//===----------------------------------------------------------------------===//
