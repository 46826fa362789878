// Views of several databases as one virtual table: https://sqlite.org/vtab.html
//
// ATTACH has a limit of some ten databases, and views of the attached ones would have to be written
// again for each. Here every database has its own connection, and answers with the statement
// `SELECT columns FROM view WHERE conditions`: columns that are not used are not computed, and
// comparisons with a column are made there, where there are indexes. SQLite then does the rest over
// all rows. SQLite cannot index a virtual table by itself: a view that is scanned for each row
// of a join, and has no index for that, is copied into a table that has one.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "creading.h"

/// The number of databases whose statements are kept for the next scan, as an inner loop has it.
#define KEPT_STATEMENTS 64
/// A scan of so many steps of SQLite's machine has not used an index.
#define SLOW_SCAN 20000
/// After so many slow scans of a database with one plan its rows are copied.
#define SLOW_SCANS 2

/// The rows of a database, for a plan whose scans of it use no index.
struct copy {
  /// The columns that are used, with an index; NULL if there is no copy.
  sqlite3 *rows;
  /// The number of scans without an index.
  int slow_scans;
};

/// The copies for a plan. All cursors of a table use them: a subquery opens a cursor for each row.
struct copies {
  char *plan;
  struct copies *next;
  struct copy by_database[];
};

struct table {
  sqlite3_vtab base;
  const struct tl_union *databases;
  char *name;
  int column_count;
  char **columns;
  struct copies *copies;
};

/// A cursor's statement for one database; NULL if there is none yet.
struct part {
  sqlite3_stmt *statement;
  bool reads_copy;
};

struct cursor {
  sqlite3_vtab_cursor base;
  /// The plan of the current scan, and its values.
  const char *plan;
  struct copy *copies;
  int value_count;
  sqlite3_value **values;
  /// The index of the value that is the id of a run; -1 for none.
  int run_value;
  /// For each database.
  struct part *parts;
  int index;
  sqlite3_stmt *current;
  int64_t row;
};

// MARK: - Tables

static void free_copies(struct table *table) {
  while (table->copies != NULL) {
    struct copies *copies = table->copies;
    table->copies = copies->next;
    for (int i = 0; i < table->databases->count; i++) sqlite3_close(copies->by_database[i].rows);
    free(copies->plan);
    free(copies);
  }
}

/// The copies for a plan, which may all be missing yet; NULL without memory.
static struct copies *copies_for(struct table *table, const char *plan) {
  for (struct copies *copies = table->copies; copies != NULL; copies = copies->next)
    if (strcmp(copies->plan, plan) == 0) return copies;
  size_t count = (size_t)table->databases->count;
  struct copies *copies = calloc(1, sizeof *copies + count * sizeof(struct copy));
  if (copies == NULL) return NULL;
  copies->plan = strdup(plan);
  if (copies->plan == NULL) {
    free(copies);
    return NULL;
  }
  copies->next = table->copies;
  table->copies = copies;
  return copies;
}

static void free_table(struct table *table) {
  free_copies(table);
  for (int i = 0; table->columns != NULL && i < table->column_count; i++) free(table->columns[i]);
  free(table->columns);
  free(table->name);
  free(table);
}

static int disconnect(sqlite3_vtab *base) {
  free_table((struct table *)base);
  return SQLITE_OK;
}

static int connect(
    sqlite3 *connection, void *databases, int count, const char *const *arguments,
    sqlite3_vtab **result, char **error) {
  struct table *table = calloc(1, sizeof *table);
  if (table == NULL) return SQLITE_NOMEM;
  table->databases = databases;
  table->name = strdup(arguments[2]);
  table->columns = calloc((size_t)count, sizeof *table->columns);
  sqlite3_str *declaration = sqlite3_str_new(connection);
  for (int i = 3; i < count && table->columns != NULL; i++) {
    table->columns[table->column_count++] = strdup(arguments[i]);
    sqlite3_str_appendf(declaration, "%s\"%w\"", i == 3 ? "CREATE TABLE x(" : ", ", arguments[i]);
  }
  sqlite3_str_appendall(declaration, ")");
  char *sql = sqlite3_str_finish(declaration);
  int code = table->name == NULL || table->columns == NULL || sql == NULL
                 ? SQLITE_NOMEM
                 : sqlite3_declare_vtab(connection, sql);
  sqlite3_free(sql);
  if (code != SQLITE_OK) {
    if (error != NULL) *error = sqlite3_mprintf("%s", sqlite3_errmsg(connection));
    free_table(table);
    return code;
  }
  *result = &table->base;
  return SQLITE_OK;
}

// MARK: - Plans

static bool is_run(const char *column) {
  return strcmp(column, "run") == 0 || strcmp(column, "run1") == 0 || strcmp(column, "run2") == 0;
}

static bool is_used(const sqlite3_index_info *info, int column) {
  return (info->colUsed >> (column < 63 ? column : 63) & 1) != 0;
}

static const char *operator(unsigned char code) {
  switch (code) {
    case SQLITE_INDEX_CONSTRAINT_EQ: return "=";
    case SQLITE_INDEX_CONSTRAINT_GT: return ">";
    case SQLITE_INDEX_CONSTRAINT_GE: return ">=";
    case SQLITE_INDEX_CONSTRAINT_LT: return "<";
    case SQLITE_INDEX_CONSTRAINT_LE: return "<=";
    default: return NULL;
  }
}

/// A plan is these statements, a line each.
enum {
  /// Reads the view of a database, but for the list of its runs that is appended.
  PLAN_READ,
  /// Reads the copy.
  PLAN_READ_COPY,
  /// Makes the index of the copy; empty if no column is compared for equality.
  PLAN_INDEX,
  /// Reads all rows for the copy.
  PLAN_COPY,
  PLAN_LINES
};

/// Appends a comparison to the statements of a plan, if there it means the same. What is left out
/// here is compared by SQLite.
static bool append_condition(
    sqlite3_str *lines[PLAN_LINES], const struct table *table, int column, unsigned char code) {
  const char *compares = operator(code);
  if (compares == NULL || column < 0) return false;
  const char *name = table->columns[column];
  bool is_equal = code == SQLITE_INDEX_CONSTRAINT_EQ;
  if (!is_run(name)) {
    sqlite3_str_appendf(lines[PLAN_READ], " AND v.\"%w\" %s ?", name, compares);
  } else if (is_equal) {
    sqlite3_str_appendf(
        lines[PLAN_READ], " AND v.\"%w\" = (SELECT id FROM run WHERE uuid = ?)", name);
  } else {
    return false;
  }
  sqlite3_str_appendf(lines[PLAN_READ_COPY], " AND v.\"%w\" %s ?", name, compares);
  if (is_equal) {
    bool is_first = sqlite3_str_length(lines[PLAN_INDEX]) == 0;
    sqlite3_str_appendall(lines[PLAN_INDEX], is_first ? "CREATE INDEX i ON copy (" : ", ");
    sqlite3_str_appendf(lines[PLAN_INDEX], "\"%w\"", name);
  }
  return true;
}

/// Appends the columns that are used; the runs of a database as their ids.
static void append_columns(
    sqlite3_str *text, const struct table *table, const sqlite3_index_info *info, bool is_copy) {
  for (int i = 0; i < table->column_count; i++) {
    const char *name = table->columns[i];
    sqlite3_str_appendall(text, i == 0 ? "SELECT " : ", ");
    if (!is_used(info, i)) {
      sqlite3_str_appendall(text, "NULL");
    } else if (is_run(name) && !is_copy) {
      sqlite3_str_appendf(text, "(SELECT uuid FROM run WHERE id = v.\"%w\")", name);
    } else {
      sqlite3_str_appendf(text, "v.\"%w\"", name);
    }
  }
  sqlite3_str_appendf(text, " FROM \"%w\" AS v WHERE TRUE", is_copy ? "copy" : table->name);
}

static char *joined(sqlite3_str *lines[PLAN_LINES]) {
  sqlite3_str *all = sqlite3_str_new(NULL);
  for (int i = 0; i < PLAN_LINES; i++) {
    if (i > 0) sqlite3_str_appendall(all, "\n");
    char *line = sqlite3_str_finish(lines[i]);
    if (line != NULL) sqlite3_str_appendall(all, line);
    sqlite3_free(line);
  }
  return sqlite3_str_finish(all);
}

/// A line of a plan, to be freed; NULL without memory.
static char *line(const char *plan, int index) {
  for (; index > 0; index--) plan = strchr(plan, '\n') + 1;
  return strndup(plan, strcspn(plan, "\n"));
}

static int plan(sqlite3_vtab *base, sqlite3_index_info *info) {
  struct table *table = (struct table *)base;
  sqlite3_str *lines[PLAN_LINES];
  for (int i = 0; i < PLAN_LINES; i++) lines[i] = sqlite3_str_new(NULL);
  append_columns(lines[PLAN_READ], table, info, false);
  append_columns(lines[PLAN_READ_COPY], table, info, true);
  append_columns(lines[PLAN_COPY], table, info, false);
  int arguments = 0;
  bool is_equal = false, is_less = false;
  for (int i = 0; i < info->nConstraint; i++) {
    if (!info->aConstraint[i].usable) continue;
    unsigned char code = info->aConstraint[i].op;
    if (!append_condition(lines, table, info->aConstraint[i].iColumn, code)) continue;
    info->aConstraintUsage[i].argvIndex = ++arguments;
    // Databases without this run need not be opened.
    if (is_run(table->columns[info->aConstraint[i].iColumn])) info->idxNum = arguments;
    is_equal = is_equal || code == SQLITE_INDEX_CONSTRAINT_EQ;
    is_less = true;
  }
  if (is_equal) sqlite3_str_appendall(lines[PLAN_INDEX], ")");
  info->idxStr = joined(lines);
  if (info->idxStr == NULL) return SQLITE_NOMEM;
  info->needToFreeIdxStr = 1;
  info->estimatedCost = is_equal ? 1e4 : is_less ? 1e6 : 4e6;
  info->estimatedRows = is_equal ? 100 : is_less ? 250000 : 1000000;
  return SQLITE_OK;
}

// MARK: - Cursors

static int open_cursor(sqlite3_vtab *base, sqlite3_vtab_cursor **result) {
  struct cursor *cursor = calloc(1, sizeof *cursor);
  if (cursor == NULL) return SQLITE_NOMEM;
  int count = ((struct table *)base)->databases->count;
  cursor->parts = calloc((size_t)(count > 0 ? count : 1), sizeof *cursor->parts);
  if (cursor->parts == NULL) {
    free(cursor);
    return SQLITE_NOMEM;
  }
  *result = &cursor->base;
  return SQLITE_OK;
}

static const struct tl_union *databases_of(const struct cursor *cursor) {
  return ((struct table *)cursor->base.pVtab)->databases;
}

static void drop(struct cursor *cursor, int index) {
  struct part *part = &cursor->parts[index];
  if (part->statement == NULL) return;
  sqlite3_finalize(part->statement);
  part->statement = NULL;
  if (!part->reads_copy) databases_of(cursor)->done(databases_of(cursor)->context, index);
}

/// Ends the scan of the current database, and counts it if it was slow.
static void reset(struct cursor *cursor) {
  if (cursor->current == NULL) return;
  int steps = sqlite3_stmt_status(cursor->current, SQLITE_STMTSTATUS_VM_STEP, 1);
  if (steps >= SLOW_SCAN) cursor->copies[cursor->index].slow_scans++;
  sqlite3_reset(cursor->current);
  cursor->current = NULL;
}

static void drop_all(struct cursor *cursor) {
  // A scan need not have been read to its end.
  reset(cursor);
  for (int i = 0; i < databases_of(cursor)->count; i++) drop(cursor, i);
}

static void drop_values(struct cursor *cursor) {
  for (int i = 0; i < cursor->value_count; i++) sqlite3_value_free(cursor->values[i]);
  free(cursor->values);
  cursor->values = NULL;
  cursor->value_count = 0;
}

static int close_cursor(sqlite3_vtab_cursor *base) {
  struct cursor *cursor = (struct cursor *)base;
  drop_all(cursor);
  drop_values(cursor);
  free(cursor->parts);
  free(cursor);
  return SQLITE_OK;
}

static int fail(struct cursor *cursor, int code) {
  const struct tl_union *databases = databases_of(cursor);
  char *words = databases->explain(databases->context, cursor->index, code);
  sqlite3_free(cursor->base.pVtab->zErrMsg);
  cursor->base.pVtab->zErrMsg = words == NULL ? NULL : sqlite3_mprintf("%s", words);
  free(words);
  return code;
}

static const char *run_condition(const struct table *table) {
  for (int i = 0; i < table->column_count; i++) {
    if (strcmp(table->columns[i], "run") == 0) return " AND v.\"run\" IN (%s)";
    if (strcmp(table->columns[i], "run1") == 0)
      return " AND v.\"run1\" IN (%s) AND v.\"run2\" IN (%s)";
  }
  return "";
}

/// Prepares a line of the plan for the view of the current database, which is open then.
static int prepare(struct cursor *cursor, int index, const char *runs, sqlite3_stmt **statement) {
  const struct tl_union *databases = databases_of(cursor);
  sqlite3 *connection = databases->open(databases->context, cursor->index);
  if (connection == NULL) return fail(cursor, SQLITE_CANTOPEN);
  char *condition = NULL, *sql = NULL, *statements = line(cursor->plan, index);
  int code = SQLITE_NOMEM;
  if (asprintf(&condition, run_condition((struct table *)cursor->base.pVtab), runs, runs) < 0)
    condition = NULL;
  if (statements != NULL && condition != NULL && asprintf(&sql, "%s%s", statements, condition) < 0)
    sql = NULL;
  if (sql != NULL) code = sqlite3_prepare_v2(connection, sql, -1, statement, NULL);
  free(statements);
  free(condition);
  free(sql);
  if (code != SQLITE_OK) {
    fail(cursor, code);
    databases->done(databases->context, cursor->index);
  }
  return code;
}

/// Prepares a line of the plan for a copy.
static int prepare_copy(
    const struct cursor *cursor, sqlite3 *copy, int index, sqlite3_stmt **statement) {
  char *sql = line(cursor->plan, index);
  int code = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(copy, sql, -1, statement, NULL);
  free(sql);
  return code;
}

static int create_copy(const struct table *table, sqlite3 *copy, sqlite3_stmt **inserting) {
  sqlite3_str *table_text = sqlite3_str_new(NULL), *insert_text = sqlite3_str_new(NULL);
  for (int i = 0; i < table->column_count; i++) {
    const char *name = table->columns[i];
    sqlite3_str_appendf(table_text, "%s\"%w\"", i == 0 ? "CREATE TABLE copy (" : ", ", name);
    sqlite3_str_appendall(insert_text, i == 0 ? "INSERT INTO copy VALUES (?" : ", ?");
  }
  // The copy is a temporary file that only this cursor sees.
  sqlite3_str_appendall(table_text, "); PRAGMA journal_mode = OFF; BEGIN");
  sqlite3_str_appendall(insert_text, ")");
  char *creating = sqlite3_str_finish(table_text), *text = sqlite3_str_finish(insert_text);
  int code = creating == NULL || text == NULL ? SQLITE_NOMEM
                                              : sqlite3_exec(copy, creating, NULL, NULL, NULL);
  if (code == SQLITE_OK) code = sqlite3_prepare_v2(copy, text, -1, inserting, NULL);
  sqlite3_free(creating);
  sqlite3_free(text);
  return code;
}

static int index_copy(const struct cursor *cursor, sqlite3 *copy) {
  sqlite3_stmt *indexing = NULL;
  int code = prepare_copy(cursor, copy, PLAN_INDEX, &indexing);
  if (code == SQLITE_OK && indexing != NULL) {
    code = sqlite3_step(indexing);
    if (code == SQLITE_DONE) code = SQLITE_OK;
  }
  sqlite3_finalize(indexing);
  return code == SQLITE_OK ? sqlite3_exec(copy, "COMMIT", NULL, NULL, NULL) : code;
}

/// Copies the rows of the current database.
static int make_copy(struct cursor *cursor, const char *runs) {
  const struct table *table = (struct table *)cursor->base.pVtab;
  const struct tl_union *databases = databases_of(cursor);
  sqlite3_stmt *reading = NULL, *inserting = NULL;
  int code = prepare(cursor, PLAN_COPY, runs, &reading);
  if (code != SQLITE_OK) return code;
  sqlite3 *copy = NULL;
  code = sqlite3_open("", &copy);
  if (code == SQLITE_OK) code = create_copy(table, copy, &inserting);
  while (code == SQLITE_OK && (code = sqlite3_step(reading)) == SQLITE_ROW) {
    for (int i = 0; i < table->column_count; i++)
      sqlite3_bind_value(inserting, i + 1, sqlite3_column_value(reading, i));
    code = sqlite3_step(inserting) == SQLITE_DONE ? SQLITE_OK : sqlite3_errcode(copy);
    sqlite3_reset(inserting);
  }
  sqlite3_finalize(inserting);
  if (code == SQLITE_DONE) code = index_copy(cursor, copy);
  if (code != SQLITE_OK) fail(cursor, code);
  sqlite3_finalize(reading);
  databases->done(databases->context, cursor->index);
  if (code != SQLITE_OK) {
    sqlite3_close(copy);
    return code;
  }
  cursor->copies[cursor->index].rows = copy;
  return SQLITE_OK;
}

/// Begins to read the current database. Its statement may be there from the scan before.
static int begin(struct cursor *cursor) {
  const struct tl_union *databases = databases_of(cursor);
  const char *runs = databases->runs(databases->context, cursor->index);
  if (runs[0] == 0) return SQLITE_DONE;
  if (cursor->run_value >= 0) {
    const char *run = (const char *)sqlite3_value_text(cursor->values[cursor->run_value]);
    if (run == NULL || !databases->has_run(databases->context, cursor->index, run))
      return SQLITE_DONE;
  }
  struct part *part = &cursor->parts[cursor->index];
  struct copy *copy = &cursor->copies[cursor->index];
  if (copy->rows == NULL && copy->slow_scans >= SLOW_SCANS) {
    int code = make_copy(cursor, runs);
    if (code != SQLITE_OK) return code;
  }
  if (copy->rows != NULL && !part->reads_copy) drop(cursor, cursor->index);
  if (part->statement == NULL) {
    part->reads_copy = copy->rows != NULL;
    int code = part->reads_copy ? prepare_copy(cursor, copy->rows, PLAN_READ_COPY, &part->statement)
                                : prepare(cursor, PLAN_READ, runs, &part->statement);
    if (code != SQLITE_OK) return code;
  }
  for (int i = 0; i < cursor->value_count; i++) {
    int code = sqlite3_bind_value(part->statement, i + 1, cursor->values[i]);
    if (code != SQLITE_OK) return fail(cursor, code);
  }
  cursor->current = part->statement;
  return SQLITE_OK;
}

/// Ends to read the current database.
static void end(struct cursor *cursor) {
  reset(cursor);
  if (databases_of(cursor)->count > KEPT_STATEMENTS) drop(cursor, cursor->index);
  cursor->index++;
}

/// Goes to the next row, in this database or one after it.
static int advance(sqlite3_vtab_cursor *base) {
  struct cursor *cursor = (struct cursor *)base;
  cursor->row++;
  while (cursor->index < databases_of(cursor)->count) {
    int code = cursor->current == NULL ? begin(cursor) : SQLITE_OK;
    if (code != SQLITE_OK && code != SQLITE_DONE) return code;
    if (code == SQLITE_OK) code = sqlite3_step(cursor->current);
    if (code == SQLITE_ROW) return SQLITE_OK;
    if (code != SQLITE_DONE) return fail(cursor, code);
    end(cursor);
  }
  return SQLITE_OK;
}

static int filter(
    sqlite3_vtab_cursor *base, int number, const char *plan, int count, sqlite3_value **values) {
  struct cursor *cursor = (struct cursor *)base;
  reset(cursor);
  cursor->run_value = number - 1;
  if (cursor->plan == NULL || strcmp(cursor->plan, plan) != 0) {
    drop_all(cursor);
    struct copies *copies = copies_for((struct table *)base->pVtab, plan);
    if (copies == NULL) return SQLITE_NOMEM;
    cursor->plan = copies->plan;
    cursor->copies = copies->by_database;
  }
  drop_values(cursor);
  cursor->values = calloc((size_t)(count > 0 ? count : 1), sizeof *cursor->values);
  if (cursor->values == NULL) return SQLITE_NOMEM;
  for (; cursor->value_count < count; cursor->value_count++) {
    sqlite3_value *copy = sqlite3_value_dup(values[cursor->value_count]);
    if (copy == NULL) return SQLITE_NOMEM;
    cursor->values[cursor->value_count] = copy;
  }
  cursor->index = 0;
  cursor->row = 0;
  return advance(base);
}

static int is_at_end(sqlite3_vtab_cursor *base) {
  struct cursor *cursor = (struct cursor *)base;
  return cursor->index >= databases_of(cursor)->count;
}

static int column(sqlite3_vtab_cursor *base, sqlite3_context *context, int index) {
  sqlite3_result_value(context, sqlite3_column_value(((struct cursor *)base)->current, index));
  return SQLITE_OK;
}

static int row_id(sqlite3_vtab_cursor *base, sqlite3_int64 *id) {
  *id = ((struct cursor *)base)->row;
  return SQLITE_OK;
}

static const sqlite3_module module = {
    .iVersion = 1,
    .xCreate = connect,
    .xConnect = connect,
    .xBestIndex = plan,
    .xDisconnect = disconnect,
    .xDestroy = disconnect,
    .xOpen = open_cursor,
    .xClose = close_cursor,
    .xFilter = filter,
    .xNext = advance,
    .xEof = is_at_end,
    .xColumn = column,
    .xRowid = row_id,
};

static void forget(void *pointer) {
  struct tl_union *databases = pointer;
  databases->release(databases->context);
  free(databases);
}

int32_t tl_register_union(sqlite3 *connection, struct tl_union databases) {
  struct tl_union *copy = malloc(sizeof *copy);
  if (copy == NULL) {
    databases.release(databases.context);
    return SQLITE_NOMEM;
  }
  *copy = databases;
  return sqlite3_create_module_v2(connection, "tasklog_union", &module, copy, forget);
}
