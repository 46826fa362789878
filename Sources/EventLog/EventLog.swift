//===----------------------------------------------------------------------===//
// EventLog: the log file.
//
// What it does: The one writer and the one reader: runs, sources, events, cursors, causal order,
// filters, workers and their clocks.
//
// What it may import: LogFormat and what is below it. Nothing from Foundation.
//
// What it promises: Any SQLite tool can open the file. A reader never writes, understands every
// older version, and pages in short transactions so that the WAL can be checkpointed. A writer
// holds the lock for one transaction at a time. Nothing here traps, whatever is in a file.
//===----------------------------------------------------------------------===//
