"""The side of a replay that is in its own process: `tasklog replay` loads `plugin` from here.

The folder that `FOLDER` names in the environment has the class of the plugin, by cloudpickle; the
plugins are left there in the end.
"""

from __future__ import annotations

import io
import os
import pickle
import sys
from typing import Any

FOLDER = "_TASKLOG_REPLAY_FOLDER"
#: The name of the socket to which state is served, if it is wanted.
SOCKET = "_TASKLOG_REPLAY_SOCKET"
#: The number of the last event to apply.
LAST_SEQ = "_TASKLOG_REPLAY_LAST_SEQ"
#: The name of the folder that is searched last for modules.
LAST_FOLDER = "_TASKLOG_REPLAY_LAST_FOLDER"
PLUGIN, KEPT, PROBLEM = "plugin.pickle", "kept.pickle", "problem.txt"
#: As the command is given the plugin.
NAME = f"{__name__}:plugin"

#: The classes of the rebuilt state, all of which refer to all of it.
_STATE = {
    "distributed.scheduler": (
        "Scheduler", "SchedulerState", "TaskState", "WorkerState", "ClientState",
    ),
    "distributed.worker": ("Worker",),
    "distributed.worker_state_machine": ("BaseWorker", "WorkerState", "TaskState"),
}  # fmt: skip


#: As the command is given what keeps the scheduler.
STATE = f"{__name__}:Keeper"


class Keeper:
    """A plugin that only keeps the scheduler."""

    def __init__(self) -> None:
        self.scheduler: Any = None

    def start(self, scheduler: Any) -> None:
        self.scheduler = scheduler


def last_seq() -> int | None:
    """The number of the last event to apply; None for all."""
    named = os.environ.get(LAST_SEQ)
    return None if named is None else int(named)


def path(name: str) -> str:
    return os.path.join(os.environ[FOLDER], name)


def __getattr__(name: str) -> Any:
    # The command looks for it as it does for every plugin.
    if name != "plugin" or FOLDER not in os.environ:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    folder = os.environ.get(LAST_FOLDER)
    if folder is not None and folder not in sys.path:
        sys.path.append(folder)
    with open(path(PLUGIN), "rb") as file:
        return pickle.load(file)


def keep(plugins: list[tuple[str | None, Any]]) -> None:
    """Leaves the plugins behind, with the workers that they were on, or what is in the way."""
    if SOCKET in os.environ:
        from multiprocessing.connection import Client

        from tasklog.reading.remote import Server

        (found,) = (plugin for _, plugin in plugins if isinstance(plugin, Keeper))
        with Client(os.environ[SOCKET], "AF_UNIX") as connection:
            Server(connection, found.scheduler).run()
        return
    try:
        content = dumps(plugins)
    except Exception as error:
        with open(path(PROBLEM), "w") as file:
            file.write(_problem(plugins, error))
        return
    with open(path(KEPT), "wb") as binary:
        binary.write(content)


def dumps(value: Any) -> bytes:
    """A pickle of a value in which rebuilt state is only named."""
    import cloudpickle

    class Pickler(cloudpickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            name = _state_name(type(value))
            return None if name is None else (name, _shown(value))

    buffer = io.BytesIO()
    Pickler(buffer).dump(value)
    return buffer.getvalue()


def _state_name(kind: type) -> str | None:
    """The name of Dask's class; None for all others."""
    for base in kind.__mro__:
        if base.__name__ in _STATE.get(base.__module__, ()):
            return base.__name__
    return None


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _problem(plugins: list[tuple[str | None, Any]], error: Exception) -> str:
    """The first attribute that cannot be pickled, and why."""
    for _, plugin in plugins:
        for name, value in vars(plugin).items() if hasattr(plugin, "__dict__") else ():
            try:
                dumps(value)
            except Exception as found:
                return f"{name}\n{type(found).__name__}: {found}"
    return f"\n{type(error).__name__}: {error}"
