// Results of SQL as Arrow record batches, and views of several databases as one table.
#ifndef TASKLOG_CREADING_H
#define TASKLOG_CREADING_H

#include <stdint.h>

#include "csqlite.h"

// MARK: - Arrow

// The structs of https://arrow.apache.org/docs/format/CDataInterface.html and
// https://arrow.apache.org/docs/format/CStreamInterface.html

struct ArrowSchema {
  const char *format;
  const char *name;
  const char *metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema **children;
  struct ArrowSchema *dictionary;
  void (*release)(struct ArrowSchema *);
  void *private_data;
};

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void **buffers;
  struct ArrowArray **children;
  struct ArrowArray *dictionary;
  void (*release)(struct ArrowArray *);
  void *private_data;
};

struct ArrowArrayStream {
  int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
  int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
  const char *(*get_last_error)(struct ArrowArrayStream *);
  void (*release)(struct ArrowArrayStream *);
  void *private_data;
};

/// The type of a column. SQLite has one for each value; a column gets that of its first values,
/// unless it is given.
typedef enum {
  tl_unknown = 0,
  tl_integer,
  tl_real,
  tl_text,
  tl_bytes,
  /// Nanoseconds since 1970 UTC, from integers of that.
  tl_time_ns,
  /// The same from seconds as floating-point numbers, which are exact to a microsecond.
  tl_time_seconds,
  /// The same from text such as `2026-01-31T12:00:00.123456Z`.
  tl_time_text,
} tl_column_type;

/// Whether a column of unknown type holds times, and what its integers are.
typedef enum { tl_no_time = 0, tl_nanoseconds, tl_seconds } tl_time_unit;

/// What a stream needs from its owner.
struct tl_stream_owner {
  void *context;
  /// Says in words why a statement failed, as a text from `malloc`.
  char *(*explain)(void *context, int32_t code);
  /// Called once, when the stream is released: the statement is not used after that.
  void (*release)(void *context);
};

/// Makes a stream of the rows of a statement.
///
/// - Parameters:
///   - types: a `tl_column_type` for each column; `tl_unknown` is found out.
///   - is_time: a `tl_time_unit` for each column.
///   - batch_rows: the number of rows of a batch, the last one excepted.
/// - Returns: false if there is no memory. The owner is then not released.
bool tl_stream(
    sqlite3_stmt *statement, const uint8_t *types, const uint8_t *is_time,
    int64_t batch_rows, struct tl_stream_owner owner, struct ArrowArrayStream *stream);

/// The number of bytes up to the first that are not UTF-8; sets `invalid`, if it is not NULL, to the
/// number of bytes there that stand for one unreadable character, 0 if all are UTF-8.
int64_t tl_valid_utf8(const uint8_t *text, int64_t count, int64_t *invalid);

/// The context of the owner of a stream of `tl_stream`; NULL if it has been released.
void *tl_stream_context(const struct ArrowArrayStream *stream);

/// Moves a struct to newly allocated memory, for a capsule of Python:
/// https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html
///
/// The destructor is in C, since Python calls it also while it raises an exception, when no code in
/// Python may run.
///
/// - Parameters:
///   - kind: 0 for `ArrowSchema`, 1 for `ArrowArray`, 2 for `ArrowArrayStream`.
///   - get_pointer: the address of `PyCapsule_GetPointer`; the library is not linked with Python.
///   - destructor: set to that of the capsule.
/// - Returns: NULL if there is no memory.
void *tl_box(int32_t kind, void *from, void *get_pointer, void **destructor);

// MARK: - Unions

/// The databases whose views are read as one. All functions get the context.
struct tl_union {
  void *context;
  int32_t count;
  /// A connection to a database, to be given back with `done`. NULL if it cannot be opened.
  sqlite3 *(*open)(void *context, int32_t index);
  void (*done)(void *context, int32_t index);
  /// Says in words why a database cannot be opened or read, as a text from `malloc`.
  char *(*explain)(void *context, int32_t index, int32_t code);
  /// The numbers of the selected runs of a database, separated by commas; empty if there are none.
  /// The text stays valid.
  const char *(*runs)(void *context, int32_t index);
  /// Whether a database has a run, by its id.
  bool (*has_run)(void *context, int32_t index, const char *run);
  void (*release)(void *context);
};

/// Registers the module `tasklog_union`. A virtual table of it has the rows of the view of its name in
/// all databases, one after the other: `CREATE VIRTUAL TABLE tasks USING tasklog_union(run, key)`. In
/// the columns `run`, `run1` and `run2` the number of a run is replaced by its id.
///
/// - Returns: a result code of SQLite. The context is released in any case, when it is not needed.
int32_t tl_register_union(sqlite3 *connection, struct tl_union databases);

// MARK: - Tasks

/// Registers the table-valued function `tasklog_tasks(run)`: the rows that the view `tasks` has of a
/// run, by its number, from one scan of its events.
///
/// - Returns: a result code of SQLite.
int32_t tl_register_tasks(sqlite3 *connection);

#endif
