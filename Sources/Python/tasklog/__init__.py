"""The flight recorder of task schedulers, for Dask.

Turned on with ``dask scheduler --preload tasklog``, with
``DASK_DISTRIBUTED__SCHEDULER__PRELOAD=tasklog`` in the environment, or in the middle of a run with
``client.register_plugin(tasklog.Recorder("run.db"))``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from tasklog.binary import find_binary

if TYPE_CHECKING:
    from tasklog.recorder import Recorder, RecordingError

__all__ = ["Recorder", "RecordingError", "dask_setup", "find_binary"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # A replay needs neither the recorder nor, for some plugins, Dask.
    if name in ("Recorder", "RecordingError"):
        from tasklog import recorder

        return getattr(recorder, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


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
