"""SQL over logs with Python's own SQLite.

Of one log the views of its file are read. Of several, and of one that lacks views, the rows that
the SQL needs are first copied from each into tables of a temporary database: Python has no virtual
tables, and SQLite attaches ten databases at most.
"""

from __future__ import annotations

import base64
import contextlib
import math
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tasklog.reading.errors import LogError
from tasklog.reading.interrupting import interruptible
from tasklog.reading.pure import files, schema
from tasklog.reading.pure.expressions import Functions
from tasklog.reading.pure.rows import PureBatches

if TYPE_CHECKING:
    from tasklog.reading.pure.log import Part

_WRITES = (
    "SQL: only reading is allowed: one SELECT, no ATTACH, no extensions, no PRAGMA that changes "
    "anything"
)
#: PRAGMAs that only describe the schema.
_READING_PRAGMAS = {
    "table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo",
    "database_list", "function_list", "collation_list", "compile_options",
}  # fmt: skip
#: PRAGMAs that only read a setting if they have no argument.
_SETTING_PRAGMAS = {
    "user_version", "application_id", "page_count", "page_size", "freelist_count", "journal_mode",
    "encoding", "auto_vacuum", "schema_version", "data_version",
}  # fmt: skip
#: Steps of SQLite's virtual machine between two looks at the clock.
_STEPS = 10_000
#: A year, in seconds.
_LONGEST = 365 * 86_400.0
#: SQLite's limits of statements, by their numbers, which Python has names for from 3.11 on: the
#: length of SQL, the depth of expressions, compound SELECTs, operations, ATTACH, patterns of LIKE.
_LIMITS = {1: 1_000_000, 3: 200, 4: 100, 5: 250_000, 7: 0, 8: 1_000}


class _Limit:
    """Stops statements that take too long, and those that are interrupted."""

    def __init__(self, seconds: Any) -> None:
        self.seconds = seconds
        if seconds is not None and not 0 <= seconds <= _LONGEST:
            raise LogError("the timeout is no number of seconds from 0 to a year")
        self._end = math.inf if seconds is None else time.monotonic() + seconds
        self._is_stopped = False

    def watch(self, connection: sqlite3.Connection) -> None:
        connection.set_progress_handler(self._look, _STEPS)

    def _look(self) -> int:
        return 1 if self._is_stopped or time.monotonic() >= self._end else 0

    def stop(self) -> None:
        """Stops the statement, from another thread."""
        self._is_stopped = True


class _Parameters(dict[str, Any]):
    """Values by name, which remembers what SQL has used."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__({name: _value(value) for name, value in given.items()})
        self.used: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        if name.isdigit():
            raise LogError(_UNNAMED)
        if name not in self:
            raise LogError(
                f"SQL: :{name} has no value; give it by keyword, as sql(…, {name}=value)"
            )
        self.used.add(name)
        return super().__getitem__(name)

    def check(self) -> None:
        """Raises `LogError` if the SQL has not used a value."""
        for name in self:
            if name not in self.used:
                raise LogError(f"SQL: {name}=…: there is no :{name} in it")


_UNNAMED = "SQL: a parameter needs a name, as :key; give it by keyword, as sql(…, key=value)"


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return base64.b64decode(value["$bytes"])
    return value


class Query:
    """A statement, and what it reads from."""

    def __init__(self, parts: Sequence[Part], request: dict[str, Any]) -> None:
        self._parts = parts
        self._request = request
        self._sql: str = request["sql"]
        runs = request.get("runs")
        self._runs = None if runs is None else set(runs)
        self._limit = _Limit(request.get("timeout"))
        self._functions = Functions()
        self._parameters = _Parameters(request.get("parameters", {}))
        self._path = parts[0].path if len(parts) == 1 else f"{len(parts)} logs"
        self._version: int | None = None

    def batches(self) -> PureBatches:
        """Runs it.

        Raises
        ------
        LogError
        """
        return interruptible(self._batches, self._limit.stop)

    def _batches(self) -> PureBatches:
        if not _has_statement(self._sql):
            raise LogError("SQL: there is no statement in it")
        connection = self._connection()
        try:
            cursor = self._execute(connection, self._sql)
            self._parameters.check()
            names = [column[0] for column in cursor.description]
        except BaseException:
            connection.close()
            raise
        return PureBatches(
            names, self._rows(cursor), self._request, connection.close, self._limit.stop
        )

    # What it reads from

    def _connection(self) -> sqlite3.Connection:
        index = self._request.get("part")
        if index is None and len(self._parts) != 1:
            return self._copied()
        part = self._parts[index or 0]
        self._path = part.path
        connection, has_temporary_views = files.open_for_reading(part.path)
        self._version = files.version_of(connection)
        try:
            if index is None:
                if has_temporary_views:
                    connection.close()
                    return self._copied()
                schema.show_runs(connection, part.selected(self._runs))
            self._prepare(connection)
        except sqlite3.Error as error:
            connection.close()
            raise files.error(error, part.path) from None
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Adds functions, and allows only reading."""
        self._functions.add(connection)
        # SQLite creates these tables on first use, which the authorizer must not forbid.
        for table in ("json_each('[]')", "json_tree('[]')", "pragma_table_info('')"):
            with contextlib.suppress(sqlite3.Error):
                connection.execute(f"SELECT 1 FROM {table}").fetchall()
        self._limit.watch(connection)
        if hasattr(connection, "setlimit"):
            for limit, value in _LIMITS.items():
                connection.setlimit(limit, value)
        connection.set_authorizer(_authorize)

    def _copied(self) -> sqlite3.Connection:
        """A temporary database with what the SQL needs of all logs."""
        # A file, so that memory does not grow with it.
        connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        files.use_text(connection)
        try:
            for view, columns in schema.views().items():
                names = ", ".join(f'"{column}"' for column in columns)
                connection.execute(f"CREATE TABLE {view} ({names})")
            used = self._used(connection)
            for part in self._parts:
                self._copy(part, used, connection)
            self._prepare(connection)
            return connection
        except BaseException:
            connection.close()
            raise

    def _used(self, connection: sqlite3.Connection) -> dict[str, list[str]]:
        """The columns of each view that the SQL reads."""
        read: dict[str, set[str]] = {}

        def note(action: int, first: Any, second: Any, *rest: Any) -> int:
            if action == sqlite3.SQLITE_READ and first in schema.views():
                read.setdefault(first, set()).add(second)
            return _authorize(action, first, second, *rest)

        self._prepare(connection)
        connection.set_authorizer(note)
        # Only its plan: nothing is read.
        is_plan = re.match(r"\s*EXPLAIN\b", self._sql, re.I) is not None
        self._execute(connection, self._sql if is_plan else f"EXPLAIN {self._sql}").close()
        connection.set_authorizer(None)
        # SQLite does not tell the columns by which USING and NATURAL join.
        has_all = re.search(r"\b(USING|NATURAL)\b", self._sql, re.I) is not None
        for view in schema.views() if has_all else ():
            if re.search(rf"\b{view}\b", self._sql, re.I):
                read.setdefault(view, set())
        return {
            view: [name for name in schema.views()[view] if has_all or name in columns]
            for view, columns in read.items()
        }

    def _copy(self, part: Part, used: dict[str, list[str]], connection: sqlite3.Connection) -> None:
        numbers = part.selected(self._runs)
        if not numbers or not used:
            return
        source, _ = files.open_for_reading(part.path)
        with contextlib.closing(source):
            version = files.version_of(source)
            self._limit.watch(source)
            for view, columns in used.items():
                marks = ", ".join("?" * len(columns))
                into = ", ".join(f'"{column}"' for column in columns)
                insert = f"INSERT INTO {view} ({into}) VALUES ({marks})"
                if not columns:
                    insert = f"INSERT INTO {view} ({schema.views()[view][0]}) VALUES (?)"
                try:
                    rows = source.execute(schema.run_rows(view, columns, numbers))
                    connection.execute("BEGIN")
                    connection.executemany(insert, rows)
                    connection.execute("COMMIT")
                except sqlite3.Error as error:
                    self._raise_if_stopped(error)
                    raise files.error(error, part.path, version) from None

    # Running it

    def _execute(self, connection: sqlite3.Connection, sql: str) -> sqlite3.Cursor:
        try:
            cursor = connection.execute(sql, self._parameters)
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise self._explained(error) from None
        if cursor.description is None:
            raise LogError(_WRITES)
        return cursor

    def _rows(self, cursor: sqlite3.Cursor) -> Iterator[tuple[Any, ...]]:
        try:
            yield from cursor
        except sqlite3.Error as error:
            raise self._explained(error) from None

    def _raise_if_stopped(self, error: Exception) -> None:
        if "interrupted" in str(error):
            seconds = self._limit.seconds
            if seconds is None:
                raise LogError("SQL: stopped before its end") from None
            shown = int(seconds) if float(seconds).is_integer() else seconds
            raise LogError(
                f"SQL: stopped after {shown} seconds; a larger timeout gives it longer, None any "
                "time"
            ) from None

    def _explained(self, error: Exception) -> LogError:
        self._raise_if_stopped(error)
        words = str(error)
        if self._functions.problem is not None:
            return LogError(f"SQL: {self._functions.problem}")
        if "one statement at a time" in words:
            return LogError("SQL: more than one statement")
        if "has no name" in words:
            return LogError(_UNNAMED)
        if any(text in words for text in ("not authorized", "prohibited", "authorization denied")):
            return LogError(_WRITES)
        if words.endswith("may not be modified") or words.startswith("cannot modify "):
            return LogError(_WRITES)
        if "readonly database" in words:
            return LogError(_WRITES)
        if isinstance(error, sqlite3.Error) and files.is_of_file(error):
            return files.error(error, self._path, self._version)
        is_own = self._request.get("part") is not None
        if is_own and self._version is not None and self._version > schema.newest_version():
            return files.error(sqlite3.Error(words), self._path, self._version)
        return LogError(f"SQL: {words}")


def _authorize(action: int, first: Any, second: Any, *_: Any) -> int:
    """Allows only reading: https://sqlite.org/c3ref/set_authorizer.html"""
    if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE):
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION:
        name = (second or "").lower()
        return sqlite3.SQLITE_DENY if name == "load_extension" else sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA:
        name = (first or "").lower()
        if name in _READING_PRAGMAS or (name in _SETTING_PRAGMAS and second is None):
            return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


_COMMENT = re.compile(r"--[^\n]*|/\*.*?(\*/|$)", re.S)


def _has_statement(sql: str) -> bool:
    return bool(_COMMENT.sub("", sql).strip(" \t\r\n\f;"))
