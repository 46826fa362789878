"""The flight recorder of task schedulers, for Dask.

Turned on with ``dask scheduler --preload tasklog``, with
``DASK_DISTRIBUTED__SCHEDULER__PRELOAD=tasklog`` in the environment, or in the middle of a run with
``client.register_plugin(tasklog.Recorder("run.db"))``.
"""

from __future__ import annotations

from typing import Any

from tasklog.recorder import Recorder

__all__ = ["Recorder", "dask_setup"]
__version__ = "0.1.0"


async def dask_setup(scheduler: Any) -> None:
    """Called by Dask for a preload."""
    await Recorder().attach(scheduler)
