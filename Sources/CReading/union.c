// Views of several databases as one virtual table: https://sqlite.org/vtab.html
//
// ATTACH has a limit of some ten databases, and views of the attached ones would have to be written
// again for each. Here every database has its own connection, and answers with the statement
// `SELECT columns FROM view WHERE conditions`: columns that are not used are not computed, and comparisons
// with a column are made there, where there are indexes. SQLite then does the rest over all rows.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "creading.h"

/// A database keeps its statement for the next scan, as an inner loop of a join has it, up to so many.
#define KEPT_STATEMENTS 64

struct table {
  sqlite3_vtab base;
  const struct tl_union *databases;
  char *name;
  int column_count;
  char **columns;
};

struct cursor {
  sqlite3_vtab_cursor base;
  /// The plan of the current scan, and its values.
  char *plan;
  int value_count;
  sqlite3_value **values;
  /// The index of the value that is the id of a run; -1 for none.
  int run_value;
  /// The statement of each database for the plan; NULL if there is none yet.
  sqlite3_stmt **statements;
  int index;
  sqlite3_stmt *current;
  int64_t row;
};

// MARK: - Tables

static void free_table(struct table *table) {
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

/// Appends a comparison, if there it means the same. What is left out here is compared by SQLite.
static bool append_condition(
    sqlite3_str *plan, const struct table *table, int column, unsigned char code) {
  const char *compares = operator(code);
  if (compares == NULL || column < 0) return false;
  const char *name = table->columns[column];
  if (!is_run(name)) {
    sqlite3_str_appendf(plan, " AND v.\"%w\" %s ?", name, compares);
    return true;
  }
  if (code != SQLITE_INDEX_CONSTRAINT_EQ) return false;
  sqlite3_str_appendf(plan, " AND v.\"%w\" = (SELECT id FROM run WHERE uuid = ?)", name);
  return true;
}

/// The plan is the statement but for the runs of a database, which come in place of `%s`.
static int plan(sqlite3_vtab *base, sqlite3_index_info *info) {
  struct table *table = (struct table *)base;
  sqlite3_str *text = sqlite3_str_new(NULL);
  for (int i = 0; i < table->column_count; i++) {
    sqlite3_str_appendall(text, i == 0 ? "SELECT " : ", ");
    if (!is_used(info, i)) {
      sqlite3_str_appendall(text, "NULL");
    } else if (is_run(table->columns[i])) {
      sqlite3_str_appendf(text, "(SELECT uuid FROM run WHERE id = v.\"%w\")", table->columns[i]);
    } else {
      sqlite3_str_appendf(text, "v.\"%w\"", table->columns[i]);
    }
  }
  sqlite3_str_appendf(text, " FROM \"%w\" AS v WHERE TRUE", table->name);
  int arguments = 0;
  bool is_equal = false, is_less = false;
  for (int i = 0; i < info->nConstraint; i++) {
    if (!info->aConstraint[i].usable) continue;
    unsigned char code = info->aConstraint[i].op;
    if (!append_condition(text, table, info->aConstraint[i].iColumn, code)) continue;
    info->aConstraintUsage[i].argvIndex = ++arguments;
    // Databases without this run need not be opened.
    if (is_run(table->columns[info->aConstraint[i].iColumn])) info->idxNum = arguments;
    is_equal = is_equal || code == SQLITE_INDEX_CONSTRAINT_EQ;
    is_less = true;
  }
  info->idxStr = sqlite3_str_finish(text);
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
  cursor->statements = calloc((size_t)(count > 0 ? count : 1), sizeof *cursor->statements);
  if (cursor->statements == NULL) {
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
  if (cursor->statements[index] == NULL) return;
  sqlite3_finalize(cursor->statements[index]);
  cursor->statements[index] = NULL;
  databases_of(cursor)->done(databases_of(cursor)->context, index);
}

static void drop_all(struct cursor *cursor) {
  for (int i = 0; i < databases_of(cursor)->count; i++) drop(cursor, i);
  cursor->current = NULL;
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
  free(cursor->statements);
  free(cursor->plan);
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

/// Begins to read the current database. Its statement may be there from the scan before.
static int begin(struct cursor *cursor) {
  const struct tl_union *databases = databases_of(cursor);
  struct table *table = (struct table *)cursor->base.pVtab;
  const char *runs = databases->runs(databases->context, cursor->index);
  if (runs[0] == 0) return SQLITE_DONE;
  if (cursor->run_value >= 0) {
    const char *run = (const char *)sqlite3_value_text(cursor->values[cursor->run_value]);
    if (run == NULL || !databases->has_run(databases->context, cursor->index, run))
      return SQLITE_DONE;
  }
  sqlite3_stmt **statement = &cursor->statements[cursor->index];
  if (*statement == NULL) {
    sqlite3 *connection = databases->open(databases->context, cursor->index);
    if (connection == NULL) return fail(cursor, SQLITE_CANTOPEN);
    char *condition = NULL, *sql = NULL;
    int code = SQLITE_NOMEM;
    if (asprintf(&condition, run_condition(table), runs, runs) < 0) condition = NULL;
    if (condition != NULL && asprintf(&sql, "%s%s", cursor->plan, condition) < 0) sql = NULL;
    if (sql != NULL) code = sqlite3_prepare_v2(connection, sql, -1, statement, NULL);
    free(condition);
    free(sql);
    if (code != SQLITE_OK) {
      fail(cursor, code);
      databases->done(databases->context, cursor->index);
      return code;
    }
  }
  sqlite3_reset(*statement);
  for (int i = 0; i < cursor->value_count; i++) {
    int code = sqlite3_bind_value(*statement, i + 1, cursor->values[i]);
    if (code != SQLITE_OK) return fail(cursor, code);
  }
  cursor->current = *statement;
  return SQLITE_OK;
}

/// Ends to read the current database.
static void end(struct cursor *cursor) {
  if (cursor->current != NULL) sqlite3_reset(cursor->current);
  cursor->current = NULL;
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
  cursor->run_value = number - 1;
  if (cursor->plan == NULL || strcmp(cursor->plan, plan) != 0) {
    drop_all(cursor);
    free(cursor->plan);
    cursor->plan = strdup(plan);
    if (cursor->plan == NULL) return SQLITE_NOMEM;
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
  cursor->current = NULL;
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
