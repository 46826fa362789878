// The rows of the view `tasks` from one scan of the events of a run.
//
// The view groups events by key, for which SQLite sorts all of them, and then looks up the last event of
// each task and its outcome: 20 µs for each of a million tasks. Here tasks are in an array by the number
// of their key, and what the args say is read as they pass by. What a value is that does not look as a
// recorder writes it, SQLite is asked, so that the rows are those of the view.
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "creading.h"

#define TEXT_SLOTS 4096

/// What the scan finds out about a task.
struct task {
  int64_t first_seen;
  int64_t last_seen;
  /// The number of the text of its last state; 0 for none.
  int64_t state;
  int64_t outcome_seq;
  int64_t nbytes;
  int32_t transitions;
  int32_t dispatch_count;
  int32_t done;
  int32_t failures;
  /// Indexes of names; -1 for none.
  int32_t worker;
  int32_t typename;
  bool has_nbytes;
  bool is_erred;
  /// Whether SQLite is to read the args of its outcome.
  bool is_odd;
};

/// A text that repeats: an address of a worker, a name of a type.
struct name {
  char *text;
  int32_t length;
  /// Of a worker: how many lives its address has, from which event on the only one is, and its number.
  int64_t life_count;
  int64_t first_seq;
  int64_t life;
};

struct names {
  struct name *all;
  int32_t count;
  int32_t capacity;
  /// Indexes by hash; -1 for a free slot.
  int32_t *slots;
  int32_t slot_count;
};

struct table {
  sqlite3_vtab base;
  sqlite3 *connection;
};

struct slot {
  int64_t id;
  char *text;
};

struct cursor {
  sqlite3_vtab_cursor base;
  int64_t run;
  /// The tasks by the number of their key, from `lowest` on.
  struct task *tasks;
  int64_t lowest;
  int64_t count;
  struct names workers;
  struct names types;
  struct slot texts[TEXT_SLOTS];
  sqlite3_stmt *keys;
  sqlite3_stmt *text;
  sqlite3_stmt *exception;
  sqlite3_stmt *outcome;
  /// Of the current row.
  struct task *task;
  bool is_over;
};

static sqlite3 *connection_of(const struct cursor *cursor) {
  return ((struct table *)cursor->base.pVtab)->connection;
}

// MARK: - Names

static uint32_t hash(const char *text, int32_t length) {
  uint32_t value = 2166136261u;
  for (int32_t i = 0; i < length; i++) value = (value ^ (uint8_t)text[i]) * 16777619u;
  return value;
}

static bool grow(struct names *names) {
  int32_t count = names->slot_count == 0 ? 64 : names->slot_count * 2;
  int32_t *slots = malloc((size_t)count * sizeof *slots);
  struct name *all = realloc(names->all, (size_t)count * sizeof *all);
  if (all != NULL) names->all = all;
  if (slots == NULL || all == NULL) {
    free(slots);
    return false;
  }
  memset(slots, 0xFF, (size_t)count * sizeof *slots);
  for (int32_t i = 0; i < names->count; i++) {
    uint32_t slot = hash(all[i].text, all[i].length) & (uint32_t)(count - 1);
    while (slots[slot] >= 0) slot = (slot + 1) & (uint32_t)(count - 1);
    slots[slot] = i;
  }
  free(names->slots);
  names->slots = slots;
  names->slot_count = count;
  return true;
}

/// The index of a name, which is added if it is new; -1 without memory.
static int32_t intern(struct names *names, const char *text, int32_t length) {
  if (names->count * 2 >= names->slot_count && !grow(names)) return -1;
  uint32_t mask = (uint32_t)(names->slot_count - 1), slot = hash(text, length) & mask;
  for (; names->slots[slot] >= 0; slot = (slot + 1) & mask) {
    struct name *name = &names->all[names->slots[slot]];
    if (name->length == length && memcmp(name->text, text, (size_t)length) == 0)
      return names->slots[slot];
  }
  char *copy = malloc((size_t)length + 1);
  if (copy == NULL) return -1;
  memcpy(copy, text, (size_t)length);
  copy[length] = 0;
  names->all[names->count] = (struct name){.text = copy, .length = length, .life_count = -1};
  names->slots[slot] = names->count;
  return names->count++;
}

static void free_names(struct names *names) {
  for (int32_t i = 0; i < names->count; i++) free(names->all[i].text);
  free(names->all);
  free(names->slots);
  *names = (struct names){0};
}

// MARK: - Args

struct span {
  const char *start;
  int32_t length;
};

/// The end of a string of JSON, behind its quotation mark; NULL if it has none.
static const char *string_end(const char *text) {
  for (; *text != '"'; text++) {
    if (*text == '\\') text++;
    if (*text == 0) return NULL;
  }
  return text + 1;
}

/// The end of a value of JSON; NULL if it has none.
static const char *value_end(const char *text) {
  int64_t depth = 0;
  while (true) {
    switch (*text) {
      case 0: return NULL;
      case '"':
        text = string_end(text + 1);
        if (text == NULL) return NULL;
        if (depth == 0) return text;
        continue;
      case '{':
      case '[': depth++; break;
      case '}':
      case ']':
        if (depth == 0) return text;
        if (--depth == 0) return text + 1;
        break;
      case ',':
        if (depth == 0) return text;
        break;
      default: break;
    }
    text++;
  }
}

static bool is_named(struct span name, const char *expected) {
  return strlen(expected) == (size_t)name.length &&
         memcmp(name.start, expected, (size_t)name.length) == 0;
}

/// A text without escapes, or null, into the index of a name; false for all else.
static bool read_name(struct span value, struct names *names, int32_t *index) {
  if (is_named(value, "null")) return true;
  if (value.length < 2 || value.start[0] != '"') return false;
  if (memchr(value.start, '\\', (size_t)value.length) != NULL) return false;
  *index = intern(names, value.start + 1, value.length - 2);
  return *index >= 0;
}

/// An integer, or null; false for all else.
static bool read_integer(struct span value, int64_t *number, bool *is_there) {
  if (is_named(value, "null")) return true;
  if (value.length < 1 || value.length > 18) return false;
  int64_t read = 0;
  for (int32_t i = 0; i < value.length; i++) {
    if (value.start[i] < '0' || value.start[i] > '9') return false;
    read = read * 10 + (value.start[i] - '0');
  }
  *number = read;
  *is_there = true;
  return true;
}

/// Reads what the args of an outcome say; false if SQLite has to.
static bool read_args(struct cursor *cursor, struct task *task, const char *text) {
  if (text[0] != '{') return false;
  bool has_worker = false, has_size = false, has_type = false;
  text++;
  while (*text != '}') {
    if (*text != '"') return false;
    const char *end = string_end(text + 1);
    if (end == NULL || *end != ':') return false;
    struct span name = {text + 1, (int32_t)(end - text) - 2};
    if (memchr(name.start, '\\', (size_t)name.length) != NULL) return false;
    const char *value = end + 1;
    if (*value == ' ') return false;
    end = value_end(value);
    if (end == NULL) return false;
    struct span content = {value, (int32_t)(end - value)};
    // Of several with one name SQLite takes the first.
    if (is_named(name, "worker") && !has_worker) {
      has_worker = true;
      if (!read_name(content, &cursor->workers, &task->worker)) return false;
    } else if (is_named(name, "nbytes") && !has_size) {
      has_size = true;
      if (!read_integer(content, &task->nbytes, &task->has_nbytes)) return false;
    } else if (is_named(name, "typename") && !has_type) {
      has_type = true;
      if (!read_name(content, &cursor->types, &task->typename)) return false;
    }
    if (has_worker && has_size && has_type) return true;
    text = end;
    if (*text == ',') text++;
    else if (*text != '}') return false;
  }
  return true;
}

// MARK: - The scan

static int prepare(struct cursor *cursor, sqlite3_stmt **statement, const char *sql) {
  return sqlite3_prepare_v2(connection_of(cursor), sql, -1, statement, NULL);
}

/// The integers of the first row.
static int read_row(struct cursor *cursor, const char *sql, int64_t *numbers, int count) {
  sqlite3_stmt *statement;
  int code = prepare(cursor, &statement, sql);
  if (code != SQLITE_OK) return code;
  sqlite3_bind_int64(statement, 1, cursor->run);
  code = sqlite3_step(statement);
  for (int i = 0; i < count; i++)
    numbers[i] = code == SQLITE_ROW ? sqlite3_column_int64(statement, i) : 0;
  sqlite3_finalize(statement);
  return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static void take(
    struct cursor *cursor, struct task *task, sqlite3_stmt *event, int64_t processing, int64_t memory,
    int64_t erred) {
  int64_t time = sqlite3_column_int64(event, 1);
  int64_t start = sqlite3_column_int64(event, 3), finish = sqlite3_column_int64(event, 4);
  if (task->transitions++ == 0) {
    task->first_seen = task->last_seen = time;
    task->worker = task->typename = -1;
  }
  if (time < task->first_seen) task->first_seen = time;
  if (time > task->last_seen) task->last_seen = time;
  task->state = finish;
  if (start != finish) {
    task->dispatch_count += finish == processing;
    task->done += finish == memory;
    task->failures += finish == erred;
  }
  if (start != processing || (finish != memory && finish != erred)) return;
  task->outcome_seq = sqlite3_column_int64(event, 0);
  task->is_erred = finish == erred;
  task->worker = task->typename = -1;
  task->has_nbytes = false;
  const char *args = (const char *)sqlite3_column_text(event, 5);
  task->is_odd = args != NULL && !read_args(cursor, task, args);
}

static int scan(struct cursor *cursor) {
  int64_t ids[4], keys[2], seqs[2];
  int code = read_row(
      cursor,
      "SELECT (SELECT id FROM text WHERE text = 'transition'),"
      " (SELECT id FROM text WHERE text = 'processing'),"
      " (SELECT id FROM text WHERE text = 'memory'), (SELECT id FROM text WHERE text = 'erred')"
      " WHERE ?1 IS NOT NULL",
      ids, 4);
  if (code == SQLITE_OK)
    code = read_row(
        cursor,
        "SELECT (SELECT min(id) FROM key), (SELECT max(id) FROM key) WHERE ?1 IS NOT NULL", keys, 2);
  if (code == SQLITE_OK)
    code = read_row(cursor, "SELECT first_seq, last_seq FROM run WHERE id = ?1", seqs, 2);
  if (code != SQLITE_OK) return code;
  // A state that the log does not know is none that an event has.
  for (int i = 0; i < 4; i++)
    if (ids[i] == 0) ids[i] = -1;
  cursor->lowest = keys[0];
  if (keys[1] < keys[0] || keys[0] < 1 || keys[1] - keys[0] > INT32_MAX) return SQLITE_CORRUPT;
  cursor->count = keys[1] - keys[0] + 1;
  cursor->tasks = calloc((size_t)cursor->count, sizeof *cursor->tasks);
  if (cursor->tasks == NULL) return SQLITE_NOMEM;
  sqlite3_stmt *events;
  code = prepare(
      cursor, &events,
      "SELECT seq, time, key, start, finish,"
      " CASE WHEN start = ?1 AND finish IN (?2, ?3) THEN args END FROM event NOT INDEXED"
      " WHERE seq BETWEEN ?4 AND ?5 AND hook = ?6 AND key IS NOT NULL"
      " AND source IN (SELECT id FROM source WHERE run = ?7 AND kind = 'scheduler')"
      " ORDER BY seq");
  if (code != SQLITE_OK) return code;
  const int64_t bound[] = {ids[1], ids[2], ids[3], seqs[0], seqs[1], ids[0], cursor->run};
  for (int i = 0; i < 7; i++) sqlite3_bind_int64(events, i + 1, bound[i]);
  while ((code = sqlite3_step(events)) == SQLITE_ROW) {
    int64_t index = sqlite3_column_int64(events, 2) - cursor->lowest;
    // A key that is not in its table has no row in the view.
    if (index < 0 || index >= cursor->count) continue;
    take(cursor, &cursor->tasks[index], events, ids[1], ids[2], ids[3]);
  }
  sqlite3_finalize(events);
  return code == SQLITE_DONE ? SQLITE_OK : code;
}

// MARK: - Columns

enum column {
  column_run, column_key, column_state, column_first_seen, column_last_seen, column_transitions,
  column_worker, column_nbytes, column_typename, column_exception, column_prefix, column_key_group,
  column_dispatch_count, column_done, column_failures, column_life, column_wanted,
};

static const char declaration[] =
    "CREATE TABLE x(run, key, state, first_seen, last_seen, transitions, worker, nbytes, typename,"
    " exception, prefix, key_group, dispatch_count, done, failures, life, wanted HIDDEN)";

/// The text with a number, from a few that have been used lately.
static int result_text(struct cursor *cursor, sqlite3_context *context, int64_t id) {
  struct slot *slot = &cursor->texts[(uint64_t)id % TEXT_SLOTS];
  if (slot->text == NULL || slot->id != id) {
    free(slot->text);
    slot->text = NULL;
    sqlite3_bind_int64(cursor->text, 1, id);
    int code = sqlite3_step(cursor->text);
    if (code == SQLITE_ROW) {
      const char *text = (const char *)sqlite3_column_text(cursor->text, 0);
      slot->text = text == NULL ? NULL : strdup(text);
      slot->id = id;
    }
    sqlite3_reset(cursor->text);
    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
  }
  if (slot->text != NULL) sqlite3_result_text(context, slot->text, -1, SQLITE_TRANSIENT);
  return SQLITE_OK;
}

/// A value of a statement about the current task, of which its outcome is the parameter.
static int result_of(sqlite3_stmt *statement, sqlite3_context *context, int column, int64_t seq) {
  sqlite3_bind_int64(statement, 1, seq);
  int code = sqlite3_step(statement);
  if (code == SQLITE_ROW) sqlite3_result_value(context, sqlite3_column_value(statement, column));
  sqlite3_reset(statement);
  return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static int read_lives(struct cursor *cursor, struct name *worker) {
  sqlite3_stmt *statement;
  int code = prepare(
      cursor, &statement,
      "SELECT count(*), min(first_seq), min(life) FROM worker_life WHERE run = ?1 AND worker = ?2");
  if (code != SQLITE_OK) return code;
  sqlite3_bind_int64(statement, 1, cursor->run);
  sqlite3_bind_text(statement, 2, worker->text, worker->length, SQLITE_STATIC);
  code = sqlite3_step(statement);
  if (code == SQLITE_ROW) {
    worker->life_count = sqlite3_column_int64(statement, 0);
    worker->first_seq = sqlite3_column_int64(statement, 1);
    worker->life = sqlite3_column_int64(statement, 2);
  }
  sqlite3_finalize(statement);
  return code == SQLITE_ROW ? SQLITE_OK : code;
}

static int result_life(struct cursor *cursor, sqlite3_context *context) {
  struct task *task = cursor->task;
  if (task->is_odd) return result_of(cursor->outcome, context, 3, task->outcome_seq);
  if (task->worker < 0) return SQLITE_OK;
  struct name *worker = &cursor->workers.all[task->worker];
  if (worker->life_count < 0) {
    int code = read_lives(cursor, worker);
    if (code != SQLITE_OK) return code;
  }
  if (worker->life_count > 1) return result_of(cursor->outcome, context, 3, task->outcome_seq);
  bool is_known = worker->life_count == 1 && worker->first_seq <= task->outcome_seq;
  sqlite3_result_int64(context, is_known ? worker->life : 1);
  return SQLITE_OK;
}

static void result_name(sqlite3_context *context, const struct names *names, int32_t index) {
  if (index < 0) return;
  sqlite3_result_text(context, names->all[index].text, names->all[index].length, SQLITE_TRANSIENT);
}

static int column(sqlite3_vtab_cursor *base, sqlite3_context *context, int number) {
  struct cursor *cursor = (struct cursor *)base;
  struct task *task = cursor->task;
  switch (number) {
    case column_run:
    case column_wanted: sqlite3_result_int64(context, cursor->run); break;
    case column_key:
      sqlite3_result_value(context, sqlite3_column_value(cursor->keys, 1));
      break;
    case column_state:
      return task->state == 0 ? SQLITE_OK : result_text(cursor, context, task->state);
    case column_first_seen: sqlite3_result_int64(context, task->first_seen); break;
    case column_last_seen: sqlite3_result_int64(context, task->last_seen); break;
    case column_transitions: sqlite3_result_int64(context, task->transitions); break;
    case column_worker:
      if (task->is_odd) return result_of(cursor->outcome, context, 0, task->outcome_seq);
      result_name(context, &cursor->workers, task->worker);
      break;
    case column_nbytes:
      if (task->is_odd) return result_of(cursor->outcome, context, 1, task->outcome_seq);
      if (task->has_nbytes) sqlite3_result_int64(context, task->nbytes);
      break;
    case column_typename:
      if (task->is_odd) return result_of(cursor->outcome, context, 2, task->outcome_seq);
      result_name(context, &cursor->types, task->typename);
      break;
    case column_exception:
      return task->is_erred ? result_of(cursor->exception, context, 0, task->outcome_seq) : SQLITE_OK;
    case column_prefix:
    case column_key_group: {
      int index = number == column_prefix ? 2 : 3;
      if (sqlite3_column_type(cursor->keys, index) == SQLITE_NULL) break;
      return result_text(cursor, context, sqlite3_column_int64(cursor->keys, index));
    }
    case column_dispatch_count: sqlite3_result_int64(context, task->dispatch_count); break;
    case column_done: sqlite3_result_int64(context, task->done); break;
    case column_failures: sqlite3_result_int64(context, task->failures); break;
    case column_life: return result_life(cursor, context);
    default: break;
  }
  return SQLITE_OK;
}

// MARK: - The table

static int connect(
    sqlite3 *connection, void *context, int count, const char *const *arguments,
    sqlite3_vtab **result, char **error) {
  (void)context, (void)count, (void)arguments, (void)error;
  int code = sqlite3_declare_vtab(connection, declaration);
  if (code != SQLITE_OK) return code;
  struct table *table = calloc(1, sizeof *table);
  if (table == NULL) return SQLITE_NOMEM;
  table->connection = connection;
  *result = &table->base;
  return SQLITE_OK;
}

static int disconnect(sqlite3_vtab *base) {
  free(base);
  return SQLITE_OK;
}

static int plan(sqlite3_vtab *base, sqlite3_index_info *info) {
  (void)base;
  for (int i = 0; i < info->nConstraint; i++) {
    if (info->aConstraint[i].iColumn != column_wanted) continue;
    if (info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ) continue;
    if (!info->aConstraint[i].usable) return SQLITE_CONSTRAINT;
    info->aConstraintUsage[i].argvIndex = 1;
    info->aConstraintUsage[i].omit = 1;
    info->estimatedCost = 1e6;
    return SQLITE_OK;
  }
  return SQLITE_CONSTRAINT;
}

static int open_cursor(sqlite3_vtab *base, sqlite3_vtab_cursor **result) {
  (void)base;
  struct cursor *cursor = calloc(1, sizeof *cursor);
  if (cursor == NULL) return SQLITE_NOMEM;
  *result = &cursor->base;
  return SQLITE_OK;
}

static void clear(struct cursor *cursor) {
  sqlite3_stmt **statements[] = {
      &cursor->keys, &cursor->text, &cursor->exception, &cursor->outcome};
  for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
    sqlite3_finalize(*statements[i]);
    *statements[i] = NULL;
  }
  free(cursor->tasks);
  cursor->tasks = NULL;
  free_names(&cursor->workers);
  free_names(&cursor->types);
  for (int i = 0; i < TEXT_SLOTS; i++) {
    free(cursor->texts[i].text);
    cursor->texts[i] = (struct slot){0};
  }
}

static int close_cursor(sqlite3_vtab_cursor *base) {
  clear((struct cursor *)base);
  free(base);
  return SQLITE_OK;
}

static int advance(sqlite3_vtab_cursor *base) {
  struct cursor *cursor = (struct cursor *)base;
  int code;
  while ((code = sqlite3_step(cursor->keys)) == SQLITE_ROW) {
    int64_t index = sqlite3_column_int64(cursor->keys, 0) - cursor->lowest;
    if (index < 0 || index >= cursor->count) continue;
    cursor->task = &cursor->tasks[index];
    if (cursor->task->transitions > 0) return SQLITE_OK;
  }
  cursor->is_over = true;
  return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int filter(
    sqlite3_vtab_cursor *base, int number, const char *name, int count, sqlite3_value **values) {
  (void)number, (void)name;
  struct cursor *cursor = (struct cursor *)base;
  clear(cursor);
  cursor->is_over = false;
  cursor->run = count > 0 ? sqlite3_value_int64(values[0]) : 0;
  int64_t keys;
  int code = read_row(cursor, "SELECT ?1 > 0 AND EXISTS (SELECT 1 FROM key)", &keys, 1);
  if (code != SQLITE_OK) return code;
  if (keys == 0) {
    cursor->is_over = true;
    return SQLITE_OK;
  }
  code = scan(cursor);
  if (code == SQLITE_OK)
    code = prepare(cursor, &cursor->keys, "SELECT id, text, prefix, key_group FROM key ORDER BY id");
  if (code == SQLITE_OK)
    code = prepare(cursor, &cursor->text, "SELECT text FROM text WHERE id = ?1");
  if (code == SQLITE_OK)
    code = prepare(
        cursor, &cursor->exception, "SELECT exception FROM failure_texts WHERE seq = ?1");
  if (code == SQLITE_OK)
    code = prepare(
        cursor, &cursor->outcome,
        "SELECT args ->> '$.worker', args ->> '$.nbytes', args ->> '$.typename',"
        " CASE WHEN args ->> '$.worker' IS NOT NULL THEN coalesce((SELECT life FROM worker_life"
        " WHERE worker_life.run = ?2 AND worker_life.worker = event.args ->> '$.worker'"
        " AND first_seq <= event.seq ORDER BY first_seq DESC LIMIT 1), 1) END"
        " FROM event WHERE seq = ?1");
  if (code != SQLITE_OK) return code;
  sqlite3_bind_int64(cursor->outcome, 2, cursor->run);
  return advance(base);
}

static int is_at_end(sqlite3_vtab_cursor *base) { return ((struct cursor *)base)->is_over; }

static int row_id(sqlite3_vtab_cursor *base, sqlite3_int64 *id) {
  *id = sqlite3_column_int64(((struct cursor *)base)->keys, 0);
  return SQLITE_OK;
}

/// Without xCreate it is there without being created: https://sqlite.org/vtab.html#eponymous_virtual_tables
static const sqlite3_module module = {
    .iVersion = 1,
    .xConnect = connect,
    .xBestIndex = plan,
    .xDisconnect = disconnect,
    .xOpen = open_cursor,
    .xClose = close_cursor,
    .xFilter = filter,
    .xNext = advance,
    .xEof = is_at_end,
    .xColumn = column,
    .xRowid = row_id,
};

int32_t tl_register_tasks(sqlite3 *connection) {
  return sqlite3_create_module_v2(connection, "tasklog_tasks", &module, NULL, NULL);
}
