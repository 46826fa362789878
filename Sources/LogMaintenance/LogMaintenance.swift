//===----------------------------------------------------------------------===//
// LogMaintenance: keeping logs in order.
//
// What it does: Checks a log, salvages a damaged one, prunes, merges, removes.
//
// What it may import: LogAnalysis, BrokerMessages, EventLog and what is below them. Nothing from
// Foundation.
//
// What it promises: A log is never left half changed: what is written is written in a
// transaction or to a temporary file that is renamed.
//===----------------------------------------------------------------------===//
