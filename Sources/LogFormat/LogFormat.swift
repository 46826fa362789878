//===----------------------------------------------------------------------===//
// LogFormat: what a log is made of.
//
// What it does: SQLite, the schema, names and locations of log files, locks, the codecs
// (MessagePack of the spool, JSON, packed heartbeats), the keys of a run's metadata, hashes of
// keys.
//
// What it may import: TaskLogPlugin, the Migrations, SQLite and the system's C library. Nothing
// from Foundation.
//
// What it promises: Whatever is in a file, nothing here traps.
//===----------------------------------------------------------------------===//
