"""Who reads the files: the native library, or Python's own SQLite where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasklog import library

if TYPE_CHECKING:
    from tasklog.reading.native import NativeLog
    from tasklog.reading.pure.log import PureLog


def open_reader(paths: Sequence[str]) -> NativeLog | PureLog:
    """Opens logs.

    Raises
    ------
    LogError
    """
    if library.is_there():
        from tasklog.reading.native import NativeLog

        return NativeLog(paths)
    from tasklog.reading.pure.log import PureLog

    return PureLog(paths)
