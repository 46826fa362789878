"""Opens log files with Python's SQLite, for reading only."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from tasklog.reading.errors import LogError
from tasklog.reading.interrupting import is_stopped
from tasklog.reading.pure import derived, schema

#: The views need the operator `->>`, and the tables are STRICT.
_OLDEST_SQLITE = (3, 38)
_BUSY_SECONDS = 5.0
#: The instructions of SQLite between two looks whether to stop.
_STEPS = 100_000


def check_sqlite() -> None:
    """Raises `LogError` if Python's SQLite is too old."""
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise LogError(
            f"{sys.executable} has SQLite {sqlite3.sqlite_version}; reading logs without the "
            "native part of tasklog needs 3.38 or later: use a newer Python"
        )


def open_for_reading(path: str) -> tuple[sqlite3.Connection, bool]:
    """Opens a log; also returns whether it has temporary views instead of its own."""
    check_sqlite()
    _check_readable(path)
    try:
        return _open_log(path)
    except UnicodeDecodeError:
        # That of the message of an error: Python's SQLite expects UTF-8 in it.
        raise LogError(f"{path}: is damaged: its schema is not text") from None


def _open_log(path: str) -> tuple[sqlite3.Connection, bool]:
    connection = _connect(path)
    try:
        version = _check_is_log(connection, path)
        found = schema.look(connection, version)
        if found.has_unknown_sql and version > schema.newest_version():
            raise LogError(_too_new(path, version))
        if found.objections:
            raise LogError(_foreign(path, found.objections))
        connection.execute("PRAGMA temp_store = MEMORY")
        if not schema.has_tables(found):
            schema.add_tables(connection)
            with naming_damage(connection, path):
                derived.fill(connection)
        return connection, schema.add_views(connection, found)
    except sqlite3.Error as problem:
        connection.close()
        raise error(problem, path) from None
    except BaseException:
        connection.close()
        raise


def _foreign(path: str, objections: list[str]) -> str:
    """As the native reader says it."""
    more = len(objections) - 1
    return (
        f"{path}: is not used, as it may run SQL of others: {objections[0]}"
        + (f", and {more} more; 'tasklog check' lists them" if more else "")
        + "; 'tasklog recover --into NEW' saves its events"
    )


def _too_new(path: str, version: int) -> str:
    return (
        f"{path}: is of format version {version}, this tasklog knows up to "
        f"{schema.newest_version()}; use a newer tasklog"
    )


def _check_readable(path: str) -> None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise LogError(
            f"{path}: there is no such log; check the path, or name a folder or a pattern"
        ) from None
    except (OSError, ValueError) as problem:
        words = getattr(problem, "strerror", None) or problem
        raise LogError(f"{path}: cannot be read: {words}") from None
    if stat.S_ISDIR(found.st_mode):
        raise LogError(f"{path}: is a folder, not a log; name a file")
    if not stat.S_ISREG(found.st_mode):
        raise LogError(f"{path}: is not a SQLite database, so not a tasklog log")
    if not os.access(path, os.R_OK):
        raise LogError(f"{path}: cannot be read: Permission denied")
    if found.st_size == 0 and wal_size(path) == 0:
        raise LogError(f"{path}: is empty; nothing has been recorded into it yet")


def wal_size(path: str) -> int:
    """The size of the write-ahead log of a file; 0 if there is none."""
    try:
        return os.stat(f"{path}-wal").st_size
    except OSError:
        return 0


def uri(path: str, mode: str) -> str:
    """The name of a file for SQLite: https://sqlite.org/uri.html"""
    named = Path(os.path.abspath(path)).as_uri()
    # A share of Windows is no authority to SQLite.
    if not named.startswith("file:///"):
        named = f"file:////{named.removeprefix('file://')}"
    return f"{named}?{mode}"


def _connect(path: str) -> sqlite3.Connection:
    """A file in WAL mode needs `-wal` and `-shm` next to it. If they cannot be created and there is
    nothing in a WAL, the file is complete and is read as it is."""
    connection = _open(uri(path, "mode=ro"))
    try:
        connection.execute("PRAGMA schema_version").fetchone()
        return connection
    except sqlite3.OperationalError as problem:
        connection.close()
        words = str(problem)
        if ("unable to open" in words or "readonly" in words) and wal_size(path) == 0:
            return _open(uri(path, "immutable=1"))
        raise error(problem, path) from None
    except sqlite3.Error as problem:
        connection.close()
        raise error(problem, path) from None


def _open(name: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        name, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    use_text(connection)
    stop_when_asked(connection)
    with contextlib.suppress(sqlite3.Error):
        # A file may be untrusted or damaged: https://sqlite.org/security.html
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA mmap_size = 0")
    return connection


def stop_when_asked(connection: sqlite3.Connection) -> None:
    """Lets the statements of a connection end after Ctrl-C; a query has its own way."""
    connection.set_progress_handler(is_stopped, _STEPS)


class InvalidText(str):
    """Text that is not UTF-8, with U+FFFD in place of what is not."""

    raw: bytes


def use_text(connection: sqlite3.Connection) -> None:
    """Reads also text that is not UTF-8."""
    connection.text_factory = _decoded


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        invalid = InvalidText(text.decode("utf-8", "replace"))
        invalid.raw = text
        return invalid


def _check_is_log(connection: sqlite3.Connection, path: str) -> int:
    """The version of the format."""
    ((application,),) = connection.execute("PRAGMA application_id").fetchall()
    ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    if application == schema.APPLICATION_ID:
        return int(version)
    ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    if application or version or tables:
        raise LogError(f"{path}: is a SQLite database, but not a tasklog log")
    if wal_size(path) == 0 and _is_in_wal_mode(path):
        name = os.path.basename(path)
        raise LogError(
            f"{path}: is empty; if it is a copy, {name}-wal is missing, which has what was "
            "recorded last: copy that to the same folder, too"
        )
    raise LogError(f"{path}: is empty; nothing has been recorded into it yet")


def _is_in_wal_mode(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(20)[18:20] == b"\2\2"


def error(problem: sqlite3.Error, path: str, version: int | None = None) -> LogError:
    """The meaning of an error of SQLite while it reads a log."""
    words = str(problem)
    if "not a database" in words:
        return LogError(f"{path}: is not a SQLite database, so not a tasklog log")
    if "locked" in words or "busy" in words:
        return LogError(f"{path}: another process keeps it locked; try again")
    if version is not None and version > schema.newest_version():
        return LogError(_too_new(path, version))
    if "unable to open" in words or "disk I/O" in words:
        return LogError(f"{path}: cannot be read: {words}")
    return LogError(f"{path}: is damaged: {words}")


@contextlib.contextmanager
def naming_damage(connection: sqlite3.Connection, path: str) -> Iterator[None]:
    """Raises `LogError` where a file cannot be read, or has values that its tables do not allow.

    Code that reads a log relies on the types of its columns, which are STRICT: only a damaged file
    has others.
    """
    try:
        yield
    except sqlite3.Error as problem:
        raise error(problem, path, version_of(connection)) from None
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as problem:
        damage = _damage(connection)
        if damage is None:
            raise
        raise LogError(f"{path}: is damaged: {damage}; 'tasklog check' says more") from problem


def _damage(connection: sqlite3.Connection) -> str | None:
    """What SQLite finds first, also a value of a wrong type; None if nothing is wrong."""
    try:
        ((found,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
    except sqlite3.Error as problem:
        return str(problem)
    return None if found == "ok" else str(found)


def is_of_file(problem: sqlite3.Error) -> bool:
    """Whether an error is about a file and not about SQL."""
    words = str(problem)
    return any(
        text in words
        for text in ("malformed", "not a database", "disk I/O", "unable to open", "is locked")
    )


def version_of(connection: sqlite3.Connection) -> int:
    """The version of the format."""
    try:
        ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    except sqlite3.Error:
        return 0
    return int(version)
