"""The views of a log: those of its file, and those that it lacks.

The SQL is that of `Migrations` of the Swift side, which the package comes with.
"""

from __future__ import annotations

import functools
import re
import sqlite3
from pathlib import Path

from tasklog.reading.errors import LogError
from tasklog.reading.pure import survey

#: "tlog": https://sqlite.org/pragma.html#pragma_application_id
APPLICATION_ID = 0x746C6F67
#: The columns that hold the number of a run.
RUN_COLUMNS = ("run", "run1", "run2")
#: Where the SQL is in an installed package, and in a checkout.
_FOLDERS = (
    Path(__file__).resolve().parent / "migrations",
    Path(__file__).resolve().parents[5] / "Migrations",
)


@functools.cache
def _migrations() -> list[str]:
    """The SQL of all versions, the oldest first."""
    for folder in _FOLDERS:
        files = sorted(folder.glob("v*.sql"))
        if files:
            return [file.read_text(encoding="utf-8") for file in files]
    raise LogError(f"there is no SQL of the views in {_FOLDERS[0]}; install the package with pip")


def newest_version() -> int:
    """The newest version of the format that this package knows."""
    return len(_migrations())


def _section(sql: str, name: str) -> str:
    """A part of a migration, which begins with ``-- == NAME``."""
    parts = re.split(r"(?m)^-- == (.*)$", sql)
    return dict(zip(parts[1::2], parts[2::2], strict=True)).get(name, "")


@functools.cache
def _newest_views() -> dict[str, str]:
    """The statements that create the views of the newest version, by name, in their order."""
    parts = ("\n" + _section(_migrations()[-1], "views")).split("\nCREATE VIEW ")[1:]
    return {re.split(r"[ \n]", part, maxsplit=1)[0]: f"CREATE VIEW {part}" for part in parts}


@functools.cache
def views() -> dict[str, list[str]]:
    """The columns of all views by their names."""
    connection = sqlite3.connect(":memory:")
    try:
        for sql in _migrations():
            connection.executescript(sql)
        names = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY name"
        ).fetchall()
        found = {}
        for (name,) in names:
            cursor = connection.execute(f"SELECT * FROM {name}")
            found[name] = [column[0] for column in cursor.description]
        return found
    finally:
        connection.close()


@functools.cache
def _known() -> survey.Schema:
    for folder in _FOLDERS:
        file = folder / "reader_views.sql"
        if file.exists():
            return survey.Schema(tuple(_migrations()), file.read_text(encoding="utf-8"))
    return survey.Schema(tuple(_migrations()), "")


def look(connection: sqlite3.Connection, version: int) -> survey.Survey:
    """What a log has in the place of the tables, indexes and views of any version."""
    return _known().survey(connection, version > newest_version())


def has_tables(found: survey.Survey) -> bool:
    """Whether a log has the tables that the views of the newest version need."""
    needed = re.findall(r"(?m)^CREATE TABLE (\w+)", _section(_migrations()[-1], "tables"))
    return set(needed) <= found.tables


def create(connection: sqlite3.Connection) -> None:
    """Makes a blank database a log of the newest version."""
    for sql in _migrations():
        connection.executescript(sql)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {newest_version()}")


def add_tables(connection: sqlite3.Connection) -> None:
    """Creates the tables that the newest version has added, for one connection; they are empty."""
    tables = re.sub(
        r"(?m)^CREATE TABLE ", "CREATE TEMP TABLE ", _section(_migrations()[-1], "tables")
    )
    connection.executescript(tables)


def add_views(connection: sqlite3.Connection, found: survey.Survey) -> bool:
    """Creates all views for one connection, unless the log has each with its SQL; whether it did.

    A view of the file with other SQL is never run, nor is one that refers to it.
    """
    if found.has_newest_views:
        return False
    for sql in _newest_views().values():
        connection.execute(sql.replace("CREATE VIEW", "CREATE TEMP VIEW", 1))
    return True


def show_runs(connection: sqlite3.Connection, numbers: str) -> None:
    """Hides each view of the file behind one that shows some runs, by their ids."""
    for name, columns in views().items():
        shown = ", ".join(
            f"(SELECT uuid FROM main.run WHERE id = v.{column}) AS {column}"
            if column in RUN_COLUMNS
            else f'v."{column}"'
            for column in columns
        )
        conditions = [f"v.{each} IN ({numbers})" for each in columns if each in RUN_COLUMNS]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        connection.execute(
            f"CREATE TEMP VIEW {name} AS SELECT {shown} FROM main.{name} AS v{where}"
        )


def run_rows(view: str, columns: list[str], numbers: str) -> str:
    """The SQL for some columns of a view and some runs, by their ids."""
    shown = ", ".join(
        f"(SELECT uuid FROM run WHERE id = v.{column})"
        if column in RUN_COLUMNS
        else f'v."{column}"'
        for column in columns
    )
    conditions = [f"v.{each} IN ({numbers})" for each in views()[view] if each in RUN_COLUMNS]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT {shown or 'NULL'} FROM {view} AS v{where}"
