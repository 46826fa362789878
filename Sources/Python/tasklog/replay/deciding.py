"""What choosing a worker for a task changes in addition to the task.

Whom Dask has chosen is recorded; how it chose is not done again.
"""

from __future__ import annotations

import math
from typing import Any

from distributed.core import Status


def note_choice(s: Any, ts: Any, ws: Any) -> None:
    """A worker was looked for: `ws`, or none was found."""
    if not s.is_rootish(ts):
        # It enters the names of resources that no worker has.
        s.valid_workers(ts)
    elif math.isinf(s.WORKER_SATURATION) or not getattr(ts, "_queueable", True):
        if ws is not None:
            _note_last(s, ts.group, ws)


def _note_last(s: Any, group: Any, ws: Any) -> None:
    """As `SchedulerState.decide_worker_rootish_queuing_disabled`, which keeps siblings together."""
    last = group.last_worker
    goes_on = (
        last is not None
        and group.last_worker_tasks_left
        and last.status == Status.running
        and s.workers.get(last.address) is last
    )
    if not goes_on:
        share = len(group) / s.total_nthreads * ws.nthreads
        group.last_worker_tasks_left = math.floor(share)
    waiting = group.states["released"] + group.states["waiting"]
    group.last_worker = ws if waiting > 1 else None
    group.last_worker_tasks_left -= 1
