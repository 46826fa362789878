"""The flight recorder of task schedulers, for Dask.

A log is read with `tasklog.open`. Recording is turned on with ``dask scheduler --preload tasklog``,
with ``DASK_DISTRIBUTED__SCHEDULER__PRELOAD=tasklog`` in the environment, or in the middle of a run
with ``client.register_plugin(tasklog.Recorder("run.db"))``.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasklog.binary import find_binary
    from tasklog.jobs import job
    from tasklog.reading import (
        Args,
        Errors,
        Log,
        LogError,
        LogWarning,
        RebuiltObject,
        RebuiltScheduler,
        RemoteObject,
        Replayed,
        Report,
        Run,
        RunInfo,
        Runs,
        Table,
        open,
    )
    from tasklog.recorder import Recorder, RecordingError
    from tasklog.recording import AsyncRecording, Recording, RecordingWarning, Status, record

__all__ = [
    "Args", "AsyncRecording", "Errors", "Log", "LogError", "LogWarning", "RebuiltObject",
    "RebuiltScheduler", "Recorder", "Recording", "RecordingError", "RecordingWarning",
    "RemoteObject", "Replayed", "Report", "Run", "RunInfo", "Runs", "Status", "Table", "dask_setup",
    "find_binary", "job", "load_ipython_extension", "open", "record",
]  # fmt: skip
__version__ = "0.1.0"

#: The modules of the public names. A module is imported when a name of it is used: reading needs no
#: Dask, and a replay needs neither the recorder nor, for some plugins, Dask.
_MODULES = {
    "Recorder": "tasklog.recorder",
    "RecordingError": "tasklog.recorder",
    **dict.fromkeys(
        (
            "Args", "Errors", "Log", "LogError", "LogWarning", "RebuiltObject", "RebuiltScheduler",
            "RemoteObject", "Replayed", "Report", "Run", "RunInfo", "Runs", "Table",
        ),
        "tasklog.reading",
    ),
    "find_binary": "tasklog.binary",
    "job": "tasklog.jobs",
    "open": "tasklog.reading",
    **dict.fromkeys(
        ("AsyncRecording", "Recording", "RecordingWarning", "Status", "record"),
        "tasklog.recording",
    ),
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: Any) -> None:
    """Called by ``%load_ext tasklog``: adds the magic ``%%tasklog``."""
    from tasklog.notebook.magics import register

    register(shell)


async def dask_setup(server: Any) -> None:
    """Called by Dask for a preload."""
    if not hasattr(server, "worker_plugins"):
        what = type(server).__name__.lower()
        logging.getLogger("tasklog").warning(
            "tasklog: the preload does nothing on a %s: the recorder of the scheduler records "
            "the workers",
            what,
        )
        return
    from tasklog.recorder import Recorder

    await Recorder().attach(server)
