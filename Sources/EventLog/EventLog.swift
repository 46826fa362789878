//===----------------------------------------------------------------------===//
// EventLog: the log file.
//
// What it does: the SQLite file of events, its schema and migrations, the one writer and the one
// reader. The only module that knows SQL tables.
//
// What it may import: TaskLogPlugin, the Migrations, SQLite and the system's C library. Nothing
// from Foundation.
//
// What it promises: any SQLite tool can open the file. A reader never writes, understands every
// older version, and pages in short transactions so that the WAL can be checkpointed. A writer
// holds the lock for one transaction at a time. Whatever is in a file, nothing here traps.
//===----------------------------------------------------------------------===//
