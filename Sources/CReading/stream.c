// The rows of a statement as Arrow record batches.
//
// A batch is built column by column in buffers that its consumer then owns, so that nothing is copied.
// SQLite has a type for each value, Arrow one for each column: the values of the first batch decide it.
// When a later one does not fit, the first batch begins again with a wider type. In a later batch it is
// too late for that, and the stream fails with a message that says what to do.
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "creading.h"

/// A batch ends when the text of a column is longer than this; offsets are 32 bits wide.
#define MAXIMUM_TEXT_BYTES (256 << 20)
#define FLAG_NULLABLE 2

/// The buffers of a column of the batch that is being built.
struct column {
  uint8_t *validity;
  /// Integers, floating-point numbers and times.
  int64_t *values;
  int32_t *offsets;
  uint8_t *bytes;
  int64_t byte_count;
  int64_t byte_capacity;
  int64_t null_count;
};

struct stream {
  sqlite3_stmt *statement;
  struct tl_stream_owner owner;
  int32_t column_count;
  int64_t batch_rows;
  uint8_t *types;
  uint8_t *is_time;
  struct column *columns;
  /// The first batch, which has been built to know the types.
  struct ArrowArray first;
  bool has_first;
  bool is_over;
  int error;
  char *message;
};

enum { built = 0, failed = -1, restart = -2 };

static int fail(struct stream *stream, int error, char *message) {
  free(stream->message);
  stream->message = message;
  stream->error = error;
  return failed;
}

static int fail_for_memory(struct stream *stream) {
  return fail(stream, ENOMEM, strdup("out of memory"));
}

// MARK: - Buffers

static void clear(struct column *column) {
  free(column->validity);
  free(column->values);
  free(column->offsets);
  free(column->bytes);
  *column = (struct column){0};
}

static bool has_bytes(uint8_t type) { return type == tl_text || type == tl_bytes; }

/// Makes the buffers for the values of a column, of which the first `count` are null.
static bool begin(struct column *column, uint8_t type, int64_t rows, int64_t count) {
  if (has_bytes(type)) {
    column->offsets = malloc((size_t)(rows + 1) * sizeof *column->offsets);
    if (column->offsets == NULL) return false;
    memset(column->offsets, 0, (size_t)(count + 1) * sizeof *column->offsets);
  } else {
    column->values = malloc((size_t)rows * sizeof *column->values);
    if (column->values == NULL) return false;
    memset(column->values, 0, (size_t)count * sizeof *column->values);
  }
  return true;
}

/// Appends bytes to a column.
static bool append(struct column *column, int64_t row, const void *bytes, int64_t count) {
  if (column->byte_count + count > column->byte_capacity) {
    int64_t capacity = column->byte_capacity * 2 + count + 1024;
    uint8_t *more = realloc(column->bytes, (size_t)capacity);
    if (more == NULL) return false;
    column->bytes = more;
    column->byte_capacity = capacity;
  }
  if (count > 0) memcpy(column->bytes + column->byte_count, bytes, (size_t)count);
  column->byte_count += count;
  column->offsets[row + 1] = (int32_t)column->byte_count;
  return true;
}

// MARK: - Times

/// Days since 1970-01-01 of a date of the Gregorian calendar:
/// https://howardhinnant.github.io/date_algorithms.html#days_from_civil
static int64_t days(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2;
  int64_t era = (year >= 0 ? year : year - 399) / 400;
  int64_t year_of_era = year - era * 400;
  int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

/// Reads `digits` digits.
static bool read_number(const char **text, int digits, int64_t *number) {
  *number = 0;
  for (int i = 0; i < digits; i++, (*text)++) {
    if (**text < '0' || **text > '9') return false;
    *number = *number * 10 + (**text - '0');
  }
  return true;
}

static bool read_character(const char **text, char character) {
  if (**text != character) return false;
  (*text)++;
  return true;
}

/// Reads a time as the views write it: `2026-01-31T12:00:00.123456Z`.
static bool read_time(const char *text, int64_t *nanoseconds) {
  int64_t year, month, day, hour, minute, second, fraction = 0;
  if (!read_number(&text, 4, &year) || !read_character(&text, '-')) return false;
  if (!read_number(&text, 2, &month) || !read_character(&text, '-')) return false;
  if (!read_number(&text, 2, &day) || !read_character(&text, 'T')) return false;
  if (!read_number(&text, 2, &hour) || !read_character(&text, ':')) return false;
  if (!read_number(&text, 2, &minute) || !read_character(&text, ':')) return false;
  if (!read_number(&text, 2, &second)) return false;
  if (year < 1678 || year > 2261 || month < 1 || month > 12 || day < 1 || day > 31) return false;
  if (hour > 23 || minute > 59 || second > 60) return false;
  if (read_character(&text, '.') && !read_number(&text, 6, &fraction)) return false;
  if (strcmp(text, "Z") != 0) return false;
  int64_t seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
  *nanoseconds = (seconds * 1000000 + fraction) * 1000;
  return true;
}

/// Seconds since 1970 as nanoseconds.
static bool nanoseconds_of(double seconds, int64_t *nanoseconds) {
  if (!(fabs(seconds) < 9.2e9)) return false;
  *nanoseconds = llround(seconds * 1e6) * 1000;
  return true;
}

// MARK: - Types

static const char *words(uint8_t type) {
  switch (type) {
    case tl_integer: return "integers";
    case tl_real: return "floats";
    case tl_text: return "text";
    case tl_bytes: return "bytes";
    case tl_unknown: return "only NULL";
    case tl_time_ns: return "times in nanoseconds";
    case tl_time_seconds: return "times in seconds";
    default: return "times as text";
  }
}

/// The type of the value that a statement has in a column.
static uint8_t type_of_value(struct stream *stream, int column) {
  bool is_time = stream->is_time[column];
  int64_t time;
  switch (sqlite3_column_type(stream->statement, column)) {
    case SQLITE_INTEGER:
      if (stream->is_time[column] == tl_seconds) return tl_time_seconds;
      return is_time ? tl_time_ns : tl_integer;
    case SQLITE_FLOAT:
      return is_time && nanoseconds_of(sqlite3_column_double(stream->statement, column), &time)
                 ? tl_time_seconds
                 : tl_real;
    case SQLITE_TEXT:
      return is_time &&
                     read_time((const char *)sqlite3_column_text(stream->statement, column), &time)
                 ? tl_time_text
                 : tl_text;
    default: return tl_bytes;
  }
}

/// The narrowest type that holds both.
static uint8_t wider(uint8_t one, uint8_t other) {
  if (one == tl_unknown || one == other) return other;
  if (one == tl_bytes || other == tl_bytes) return tl_bytes;
  if (one == tl_text || other == tl_text) return tl_text;
  return tl_real;
}

/// A value that does not fit into its column.
static int widen(struct stream *stream, int column) {
  uint8_t type = type_of_value(stream, column), old = stream->types[column];
  if (!stream->has_first) {
    if (old >= tl_time_ns || type >= tl_time_ns) {
      // Not times after all.
      stream->is_time[column] = 0;
      stream->types[column] = tl_unknown;
    } else {
      stream->types[column] = wider(old, type);
    }
    return restart;
  }
  const char *name = sqlite3_column_name(stream->statement, column);
  char *message = NULL;
  if (asprintf(
          &message,
          "column %d '%s' has %s after %s; convert it in the SQL, as in CAST(%s AS TEXT)",
          column, name == NULL ? "" : name, words(type), words(old), name == NULL ? "x" : name) < 0)
    return fail_for_memory(stream);
  return fail(stream, EINVAL, message);
}

/// Appends text, with U+FFFD in place of what is not UTF-8, as `bytes.decode("utf-8", "replace")`.
static bool append_text(struct column *column, int64_t row, const uint8_t *text, int64_t count) {
  int64_t valid = tl_valid_utf8(text, count, NULL);
  if (valid == count) return append(column, row, text, count);
  int64_t place = 0;
  bool is_done = true;
  while (is_done && place < count) {
    int64_t invalid = 0;
    valid = tl_valid_utf8(text + place, count - place, &invalid);
    is_done = append(column, row, text + place, valid);
    place += valid + invalid;
    if (is_done && invalid > 0) is_done = append(column, row, "\xEF\xBF\xBD", 3);
  }
  return is_done;
}

/// Adds the value of a column; `restart` if it does not fit into one.
static int add(struct stream *stream, int index, int64_t row) {
  sqlite3_stmt *statement = stream->statement;
  struct column *column = &stream->columns[index];
  int kind = sqlite3_column_type(statement, index);
  uint8_t type = stream->types[index];
  if (kind == SQLITE_NULL) {
    column->null_count++;
    if (column->offsets != NULL) column->offsets[row + 1] = (int32_t)column->byte_count;
    if (column->values != NULL) column->values[row] = 0;
    return built;
  }
  if (type == tl_unknown) {
    if (stream->has_first) return widen(stream, index);
    type = stream->types[index] = type_of_value(stream, index);
    if (!begin(column, type, stream->batch_rows, row)) return fail_for_memory(stream);
  }
  switch (type) {
    case tl_integer:
    case tl_time_ns:
      if (kind != SQLITE_INTEGER) return widen(stream, index);
      column->values[row] = sqlite3_column_int64(statement, index);
      break;
    case tl_real: {
      if (kind != SQLITE_FLOAT && kind != SQLITE_INTEGER) return widen(stream, index);
      double value = sqlite3_column_double(statement, index);
      memcpy(&column->values[row], &value, sizeof value);
      break;
    }
    case tl_time_seconds:
      if ((kind != SQLITE_FLOAT && kind != SQLITE_INTEGER) ||
          !nanoseconds_of(sqlite3_column_double(statement, index), &column->values[row]))
        return widen(stream, index);
      break;
    case tl_time_text:
      if (kind != SQLITE_TEXT ||
          !read_time((const char *)sqlite3_column_text(statement, index), &column->values[row]))
        return widen(stream, index);
      break;
    case tl_text: {
      if (kind == SQLITE_BLOB) return widen(stream, index);
      // Before the number of bytes: numbers become text.
      const void *text = sqlite3_column_text(statement, index);
      if (!append_text(column, row, text, sqlite3_column_bytes(statement, index)))
        return fail_for_memory(stream);
      break;
    }
    default: {
      const void *bytes = sqlite3_column_blob(statement, index);
      if (!append(column, row, bytes, sqlite3_column_bytes(statement, index)))
        return fail_for_memory(stream);
    }
  }
  column->validity[row >> 3] |= (uint8_t)(1 << (row & 7));
  return built;
}

// MARK: - Batches

/// What a column of a batch owns.
struct owned {
  const void *buffers[3];
};

static void release_child(struct ArrowArray *array) {
  struct owned *owned = array->private_data;
  for (int i = 0; i < 3; i++) free((void *)owned->buffers[i]);
  free(owned);
  array->release = NULL;
}

static void release_batch(struct ArrowArray *array) {
  for (int64_t i = 0; i < array->n_children; i++) {
    struct ArrowArray *child = array->children[i];
    if (child == NULL) continue;
    if (child->release != NULL) child->release(child);
    free(child);
  }
  free(array->children);
  free(array->buffers);
  array->release = NULL;
}

/// Hands the buffers of a column over to an array.
static bool hand_over(struct column *column, uint8_t type, int64_t rows, struct ArrowArray *array) {
  struct owned *owned = calloc(1, sizeof *owned);
  if (owned == NULL) return false;
  *array = (struct ArrowArray){
      .length = rows,
      .null_count = column->null_count,
      .buffers = owned->buffers,
      .release = release_child,
      .private_data = owned};
  if (type == tl_unknown) return true;  // The null type has no buffers.
  if (column->null_count > 0) {
    owned->buffers[0] = column->validity;
    column->validity = NULL;
  }
  if (has_bytes(type)) {
    array->n_buffers = 3;
    owned->buffers[1] = column->offsets;
    // Some consumers want a buffer of no bytes, too.
    owned->buffers[2] = column->bytes != NULL ? column->bytes : calloc(1, 1);
    column->offsets = NULL;
    column->bytes = NULL;
  } else {
    array->n_buffers = 2;
    owned->buffers[1] = column->values;
    column->values = NULL;
  }
  return true;
}

static bool finish(struct stream *stream, int64_t rows, struct ArrowArray *batch) {
  int32_t count = stream->column_count;
  *batch = (struct ArrowArray){.length = rows, .n_buffers = 1, .release = release_batch};
  batch->buffers = calloc(1, sizeof *batch->buffers);
  batch->children = calloc((size_t)(count > 0 ? count : 1), sizeof *batch->children);
  if (batch->buffers == NULL || batch->children == NULL) return false;
  batch->n_children = count;
  for (int i = 0; i < count; i++) {
    struct ArrowArray *child = calloc(1, sizeof *child);
    if (child == NULL) return false;
    batch->children[i] = child;
    if (!hand_over(&stream->columns[i], stream->types[i], rows, child)) return false;
  }
  return true;
}

static bool begin_batch(struct stream *stream) {
  for (int i = 0; i < stream->column_count; i++) {
    struct column *column = &stream->columns[i];
    clear(column);
    column->validity = calloc((size_t)(stream->batch_rows + 7) / 8, 1);
    if (column->validity == NULL) return false;
    if (stream->types[i] != tl_unknown && !begin(column, stream->types[i], stream->batch_rows, 0))
      return false;
  }
  return true;
}

static int explain(struct stream *stream, int code) {
  return fail(stream, EIO, stream->owner.explain(stream->owner.context, code));
}

/// Fills the columns; the number of rows, or `failed`, or `restart`.
static int64_t fill(struct stream *stream) {
  if (!begin_batch(stream)) return fail_for_memory(stream);
  int64_t row = 0;
  bool is_full = false;
  while (row < stream->batch_rows && !is_full) {
    int code = sqlite3_step(stream->statement);
    if (code == SQLITE_DONE) {
      stream->is_over = true;
      break;
    }
    if (code != SQLITE_ROW) return explain(stream, code);
    for (int i = 0; i < stream->column_count; i++) {
      int result = add(stream, i, row);
      if (result != built) return result;
      is_full = is_full || stream->columns[i].byte_count > MAXIMUM_TEXT_BYTES;
    }
    row++;
  }
  return row;
}

/// Builds the next batch; one without a release function after the last.
static int next(struct stream *stream, struct ArrowArray *batch) {
  *batch = (struct ArrowArray){0};
  if (stream->error != 0) return failed;
  if (stream->is_over) return built;
  int64_t rows = fill(stream);
  while (rows == restart) {
    sqlite3_reset(stream->statement);
    stream->is_over = false;
    rows = fill(stream);
  }
  if (rows < 0) return failed;
  // Types are known after the first batch, of no rows if need be.
  if (rows == 0 && stream->has_first) return built;
  if (finish(stream, rows, batch)) return built;
  if (batch->release != NULL) batch->release(batch);
  *batch = (struct ArrowArray){0};
  return fail_for_memory(stream);
}

static int build_first(struct stream *stream) {
  if (stream->has_first) return stream->error;
  if (next(stream, &stream->first) != built) return stream->error;
  stream->has_first = true;
  return 0;
}

// MARK: - The stream

static const char *format(uint8_t type) {
  switch (type) {
    case tl_integer: return "l";
    case tl_real: return "g";
    case tl_text: return "u";
    case tl_bytes: return "z";
    case tl_unknown: return "n";
    default: return "tsn:UTC";
  }
}

static void release_schema_child(struct ArrowSchema *schema) {
  free((void *)schema->name);
  schema->release = NULL;
}

static void release_schema(struct ArrowSchema *schema) {
  for (int64_t i = 0; i < schema->n_children; i++) {
    struct ArrowSchema *child = schema->children[i];
    if (child == NULL) continue;
    if (child->release != NULL) child->release(child);
    free(child);
  }
  free(schema->children);
  schema->release = NULL;
}

static int get_schema(struct ArrowArrayStream *arrow, struct ArrowSchema *schema) {
  struct stream *stream = arrow->private_data;
  *schema = (struct ArrowSchema){0};
  int error = build_first(stream);
  if (error != 0) return error;
  *schema = (struct ArrowSchema){.format = "+s", .name = "", .release = release_schema};
  int32_t count = stream->column_count;
  schema->children = calloc((size_t)(count > 0 ? count : 1), sizeof *schema->children);
  if (schema->children == NULL) return ENOMEM;
  schema->n_children = count;
  for (int i = 0; i < count; i++) {
    struct ArrowSchema *child = calloc(1, sizeof *child);
    schema->children[i] = child;
    const char *name = sqlite3_column_name(stream->statement, i);
    char *copy = child == NULL ? NULL : strdup(name == NULL ? "" : name);
    if (copy == NULL) {
      schema->release(schema);
      return ENOMEM;
    }
    *child = (struct ArrowSchema){
        .format = format(stream->types[i]),
        .name = copy,
        .flags = FLAG_NULLABLE,
        .release = release_schema_child};
  }
  return 0;
}

static int get_next(struct ArrowArrayStream *arrow, struct ArrowArray *batch) {
  struct stream *stream = arrow->private_data;
  *batch = (struct ArrowArray){0};
  int error = build_first(stream);
  if (error != 0) return error;
  if (stream->first.release != NULL) {
    *batch = stream->first;
    stream->first = (struct ArrowArray){0};
    if (batch->length > 0) return 0;
    batch->release(batch);
    *batch = (struct ArrowArray){0};
    return 0;
  }
  return next(stream, batch) == built ? 0 : stream->error;
}

static const char *get_last_error(struct ArrowArrayStream *arrow) {
  struct stream *stream = arrow->private_data;
  return stream->message;
}

static void destroy(struct stream *stream) {
  if (stream->first.release != NULL) stream->first.release(&stream->first);
  for (int i = 0; stream->columns != NULL && i < stream->column_count; i++)
    clear(&stream->columns[i]);
  free(stream->columns);
  free(stream->types);
  free(stream->is_time);
  free(stream->message);
  free(stream);
}

static void release(struct ArrowArrayStream *arrow) {
  struct stream *stream = arrow->private_data;
  struct tl_stream_owner owner = stream->owner;
  destroy(stream);
  owner.release(owner.context);
  *arrow = (struct ArrowArrayStream){0};
}

void *tl_stream_context(const struct ArrowArrayStream *arrow) {
  const struct stream *stream = arrow->private_data;
  return arrow->release != release || stream == NULL ? NULL : stream->owner.context;
}

bool tl_stream(
    sqlite3_stmt *statement, const uint8_t *types, const uint8_t *is_time, int64_t batch_rows,
    struct tl_stream_owner owner, struct ArrowArrayStream *arrow) {
  int32_t count = sqlite3_column_count(statement);
  struct stream *stream = calloc(1, sizeof *stream);
  if (stream == NULL) return false;
  stream->statement = statement;
  stream->owner = owner;
  stream->column_count = count;
  stream->batch_rows = batch_rows;
  size_t size = (size_t)(count > 0 ? count : 1);
  stream->types = malloc(size);
  stream->is_time = malloc(size);
  stream->columns = calloc(size, sizeof *stream->columns);
  if (stream->types == NULL || stream->is_time == NULL || stream->columns == NULL) {
    destroy(stream);
    return false;
  }
  memcpy(stream->types, types, (size_t)count);
  memcpy(stream->is_time, is_time, (size_t)count);
  *arrow = (struct ArrowArrayStream){get_schema, get_next, get_last_error, release, stream};
  return true;
}
