"""What a scheduler was set to, and what it had gathered when its recorder was attached."""

from __future__ import annotations

import collections
from typing import Any

import dask
from distributed.scheduler import Scheduler

from tasklog.history import LIMITED, SETTINGS, SUMS
from tasklog.replay.stimuli import Stimuli, computation


def take_settings(s: Any, settings: dict[str, Any]) -> None:
    for name in SETTINGS:
        if name in settings and hasattr(s, name):
            setattr(s, name, settings[name])
    for name in LIMITED:
        if name in settings["lengths"] and hasattr(s, name):
            kept = collections.deque(getattr(s, name), maxlen=settings["lengths"][name])
            setattr(s, name, kept)
    # Prefixes look it up when they are made.
    dask.config.set({"distributed.scheduler.default-task-durations": settings["durations"]})


def take_history(state: Stimuli, found: dict[str, Any]) -> None:
    """What does not belong to single tasks; these are there already."""
    s = state.scheduler
    for about in found.get("computations", ()):
        made = computation(about["id"], about["start"])
        made.groups.update(s.task_groups[n] for n in about["groups"] if n in s.task_groups)
        s.computations.append(made)
    state.names_computations = "computations" in found
    for name, about in found.get("hosts", {}).items():
        if name in s.host_info:
            s.host_info[name].update(about)
    for name, pairs in found.get("sums", {}).items():
        if name in SUMS and hasattr(s, name):
            getattr(s, name).update((tuple(k) if isinstance(k, list) else k, v) for k, v in pairs)
    s.task_metadata.update(found.get("taskMetadata", {}))
    for name in found.get("resources", ()):
        s.resources.setdefault(name, {})
    if "threads" in found:
        s.total_nthreads_history[:] = [tuple(entry) for entry in found["threads"]]
    for name, about in found.get("topics", {}).items():
        topic = s._broker._topics[name]
        topic.count = about["count"]
        topic.events = collections.deque(map(tuple, about["events"]), maxlen=about["length"])
    for facts in found["workers"]:
        _take_worker(s, facts)
    for name, addresses in found.get("loads", {}).items():
        _put_loads(getattr(s, name), [s.workers[a] for a in addresses if a in s.workers])
    for name, facts in found["groups"].items():
        last = s.workers.get(facts.get("lastWorker"))
        if last is not None and name in s.task_groups:
            s.task_groups[name].last_worker = last


def _put_loads(kept: Any, workers: list[Any]) -> None:
    kept.clear()
    kept.update({ws.address: ws for ws in workers} if hasattr(kept, "keys") else workers)


def _take_worker(s: Scheduler, facts: dict[str, Any]) -> None:
    ws = s.workers[facts["address"]]
    ws.actors.update(s.tasks[key] for key in facts.get("actors", ()) if key in s.tasks)
    ws.time_delay = facts.get("timeDelay", 0)
    executing = facts.get("executing", {})
    ws.executing = {s.tasks[k]: seconds for k, seconds in executing.items() if k in s.tasks}
    ws.used_resources.update(facts.get("usedResources", {}))
    if "memoryUnmanagedHistory" in facts:
        ws._memory_unmanaged_old = facts["memoryUnmanagedOld"]
        ws._memory_unmanaged_history.extend(map(tuple, facts["memoryUnmanagedHistory"]))
