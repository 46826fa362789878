"""The side of a replay that is in a process of its own: `tasklog replay` loads `plugin` from here.

The folder that `FOLDER` names in the environment has the class of the plugin, by cloudpickle; the
plugins are left there in the end.
"""

from __future__ import annotations

import io
import os
import pickle
from typing import Any

FOLDER = "_TASKLOG_REPLAY_FOLDER"
PLUGIN, KEPT, PROBLEM = "plugin.pickle", "kept.pickle", "problem.txt"
#: As the command is given the plugin.
NAME = f"{__name__}:plugin"

#: The classes of the rebuilt state, all of which refer to all of it.
_STATE = {
    "distributed.scheduler": ("SchedulerState", "TaskState", "WorkerState", "ClientState"),
    "distributed.worker": ("Worker",),
    "distributed.worker_state_machine": ("BaseWorker", "WorkerState", "TaskState"),
}


def path(name: str) -> str:
    return os.path.join(os.environ[FOLDER], name)


def __getattr__(name: str) -> Any:
    # The command looks for it as it does for every plugin.
    if name != "plugin" or FOLDER not in os.environ:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with open(path(PLUGIN), "rb") as file:
        return pickle.load(file)


def keep(plugins: list[tuple[str | None, Any]]) -> None:
    """Leaves the plugins behind, with the workers that they were on, or what is in the way."""
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

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def persistent_id(self, value: Any) -> Any:
            return (type(value).__name__, _shown(value)) if _is_state(type(value)) else None

    buffer = io.BytesIO()
    Pickler(buffer).dump(value)
    return buffer.getvalue()


def _is_state(kind: type) -> bool:
    return any(base.__name__ in _STATE.get(base.__module__, ()) for base in kind.__mro__)


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
