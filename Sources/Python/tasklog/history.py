"""The settings of a scheduler, and what it collected before a recorder was attached.

Only what plugins can look up and no hook is called with. What the installed version does not have
is left out.
"""

from __future__ import annotations

import logging
from itertools import islice
from typing import Any

import dask

logger = logging.getLogger("tasklog")

#: Attributes of a scheduler that are set when it is made.
SETTINGS = (
    "UNKNOWN_TASK_DURATION", "MEMORY_RECENT_TO_OLD_TIME", "MEMORY_REBALANCE_MEASURE",
    "MEMORY_REBALANCE_SENDER_MIN", "MEMORY_REBALANCE_RECIPIENT_MAX", "MEMORY_REBALANCE_HALF_GAP",
    "WORKER_SATURATION", "rootish_tg_threshold", "rootish_tg_dependencies_threshold",
    "idle_timeout", "no_workers_timeout", "worker_ttl", "time_started",
)  # fmt: skip
#: Collections that forget their oldest entries; how many they hold is a setting.
LIMITED = ("computations", "erred_tasks", "transition_log")
#: The number of the newest entries that are recorded of a collection that grows.
KEPT = 1000
#: Sums that heartbeats add to, as pairs: their keys are not text.
SUMS = ("bandwidth_workers", "bandwidth_types", "cumulative_worker_metrics")


def found(scheduler: Any) -> dict[str, Any]:
    """The settings and the history of a scheduler; a part that fails is left out and logged."""
    history: dict[str, Any] = {}
    for name, part in _PARTS.items():
        try:
            history[name] = part(scheduler)
        except Exception as error:
            logger.warning("tasklog: %s of the scheduler is not recorded: %r", name, error)
    return history


def _settings(s: Any) -> dict[str, Any]:
    history = {name: getattr(s, name) for name in SETTINGS if hasattr(s, name)}
    history["lengths"] = {n: getattr(s, n).maxlen for n in LIMITED if hasattr(s, n)}
    history["durations"] = dict(dask.config.get("distributed.scheduler.default-task-durations", {}))
    return history


def _computations(s: Any) -> list[dict[str, Any]]:
    return [
        {"id": str(c.id), "start": c.start, "groups": [group.name for group in c.groups]}
        for c in getattr(s, "computations", ())
    ]


def _topics(s: Any) -> dict[str, Any]:
    topics = s._broker._topics
    return {
        name: {
            "count": t.count,
            "length": t.events.maxlen,
            "events": [list(event) for event in _last(t.events)],
        }
        for name, t in topics.items()
    }


def _last(entries: Any) -> list[Any]:
    """The newest entries, read at once, between two events of the scheduler."""
    return list(islice(reversed(entries), KEPT))[::-1]


def _hosts(s: Any) -> dict[str, Any]:
    return {
        name: {n: v for n, v in about.items() if n not in ("addresses", "nthreads")}
        for name, about in s.host_info.items()
    }


def _sums(s: Any) -> dict[str, Any]:
    return {n: [list(pair) for pair in getattr(s, n).items()] for n in SUMS if hasattr(s, n)}


def _loads(s: Any) -> dict[str, list[str]]:
    return {
        "idle": list(s.idle),
        "idle_task_count": [ws.address for ws in s.idle_task_count],
        "saturated": [ws.address for ws in s.saturated],
    }


_PARTS = {
    "settings": _settings,
    "computations": _computations,
    "topics": _topics,
    "hosts": _hosts,
    "sums": _sums,
    "loads": _loads,
    "taskMetadata": lambda s: dict(s.task_metadata),
    "resources": lambda s: list(s.resources),
    "threads": lambda s: [list(entry) for entry in _last(s.total_nthreads_history)],
}
