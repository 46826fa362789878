//===----------------------------------------------------------------------===//
// Querying: queries of a log and their output.
//
// What it does: filter options as conditions on events, queries that count, follow and resume
// (`EventQuery`), columns of events and runs, and rows written as a table, JSON, JSON lines, CSV, TSV or
// Markdown.
//
// What it may import: LogMaintenance, LogAnalysis, BrokerMessages, EventLog and what is below them.
// Nothing from Foundation.
//
// What it promises: machine-readable output has the same bytes for the same log. No text in a log
// can control a terminal.
//===----------------------------------------------------------------------===//
