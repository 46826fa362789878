// ===----------------------------------------------------------------------===// LogMaintenance:
// maintenance of logs.
//
// What it does: Checks a log, salvages a damaged one, prunes, merges, removes.
//
// What it may import: LogAnalysis, BrokerMessages, EventLog and what is below them. Nothing from
// Foundation.
//
// What it promises: A log is never left partially changed: every write is part of a transaction or
// goes to a temporary file that is renamed.
// ===----------------------------------------------------------------------===//
