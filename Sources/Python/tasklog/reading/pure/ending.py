"""How a run ended of which the log does not say it: by its recorder's lock, as `RecorderLock` does.

The folder `LOG.spool/RUN` has a file that a recorder keeps locked as long as it lives.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:
    # Windows: no recorder runs there.
    fcntl = None

_RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def has_spool(path: str) -> bool:
    """Whether a dead recorder has left events that are not in the log."""
    try:
        runs = os.listdir(f"{path}.spool")
    except OSError:
        return False
    return any(
        not _is_recording(path, run) and set(os.listdir(f"{path}.spool/{run}")) - {"lock"}
        for run in runs
        if _RUN_ID.fullmatch(run) and os.path.isdir(f"{path}.spool/{run}")
    )


def of_run(
    path: str, run: str, last: int | None, copied: int | None
) -> tuple[str, int | None, int | None]:
    """The end of a run without one, its time, and the time when the log was copied from there."""
    if _is_recording(path, run):
        return "running", None, None
    closed = _closed(path, run)
    if closed is not None:
        return "closed", closed, None
    if copied is not None:
        return "running", None, copied
    return "died", last, None


def _is_recording(path: str, run: str) -> bool:
    """Whether the recorder of a run is alive. One that cannot be asked counts as alive: a run that
    is recorded must never be reported as dead."""
    if not _RUN_ID.fullmatch(run):
        return False
    lock = f"{path}.spool/{run}/lock"
    if fcntl is None:
        return os.path.exists(lock)
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except PermissionError:
        return True
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _closed(path: str, run: str) -> int | None:
    """When a run was closed whose end could not be written to the log."""
    if not _RUN_ID.fullmatch(run):
        return None
    with contextlib.suppress(OSError, ValueError), open(f"{path}.spool/{run}/closed") as file:
        text = file.read(32)
        if text.endswith("\n"):
            return int(text)
    return None
