//===----------------------------------------------------------------------===//
// LogMaintenance: maintenance of logs.
//
// What it does: checks a log, salvages a damaged one, prunes, merges, removes; and resolves the names
// of logs to files and runs (`LogSet`), which merges what belongs together.
//
// What it may import: LogAnalysis, BrokerMessages, EventLog and what is below them. Nothing from
// Foundation.
//
// What it promises: a log is never left partially changed: every write is part of a transaction or
// goes to a temporary file that is renamed.
//===----------------------------------------------------------------------===//
