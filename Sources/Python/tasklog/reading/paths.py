"""What the user named, as paths of logs."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from typing import TypeAlias

from tasklog.reading.errors import LogError

#: A log, a folder, a pattern, or a template such as ``logs/{run}.db``.
LogPath: TypeAlias = "str | os.PathLike[str]"

_TEMPLATE = "{run}"
#: The header of a SQLite file, and the application id of a log in it:
#: https://sqlite.org/fileformat2.html#the_database_header
_MAGIC, _ID, _ID_OFFSET = b"SQLite format 3\0", b"tlog", 68
#: What a log has next to it.
_PARTS = ("-wal", "-shm", "-journal")


def resolve(given: LogPath | Iterable[LogPath]) -> list[str]:
    """The paths and templates that the user named, without patterns and folders.

    Raises
    ------
    LogError
        If nothing is there.
    """
    try:
        names = [given] if isinstance(given, (str, bytes, os.PathLike)) else list(given)
    except TypeError:
        raise LogError(f"{given!r} is no path of a log") from None
    if not names:
        raise LogError("there is no log in an empty list; name one, a folder or a pattern")
    paths = [path for name in names for path in _resolve(_path(name))]
    return list(dict.fromkeys(paths))


def _path(name: LogPath) -> str:
    path = os.fspath(name) if isinstance(name, (str, os.PathLike)) else None
    if not isinstance(path, str) or not path or "\0" in path:
        raise LogError(f"{name!r} is no path of a log")
    return os.path.expanduser(path)


def _resolve(name: str) -> list[str]:
    if _TEMPLATE in name:
        return [name]
    if os.path.isdir(name):
        return _logs(name, _files(name), "log in it")
    if not os.path.exists(name) and glob.has_magic(name):
        return _logs(name, sorted(glob.glob(name, recursive=True)), "file")
    return [name]


def _logs(name: str, found: list[str], what: str) -> list[str]:
    logs = [path for path in found if not path.endswith(_PARTS) and _may_be_log(path)]
    if logs:
        return logs
    if found:
        raise LogError(f"{name}: none of {len(found)} files is a tasklog log: {found[0]}, …")
    raise LogError(f"{name}: there is no {what}; check the path")


def _files(folder: str) -> list[str]:
    """All files in a folder and its subfolders, but for hidden ones and links to folders."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise LogError(f"{folder}: cannot be read: {error.strerror}") from error
    found: list[str] = []
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            found += _files(entry.path)
        elif entry.is_file():
            found.append(entry.path)
    return found


def _may_be_log(path: str) -> bool:
    """Whether a file is a log by its header; one that cannot be read is, so that it is reported."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            header = file.read(100)
    except OSError:
        return True
    if not header:
        # What was recorded last may still be in its write-ahead log.
        return os.path.exists(f"{path}-wal") and os.path.getsize(f"{path}-wal") > 0
    return header.startswith(_MAGIC) and header[_ID_OFFSET : _ID_OFFSET + 4] == _ID
