"""Snapshots of tasks, workers and the cluster: state that plugins can look up.

Only state that the args of the hooks do not determine, and that differs from its default. The names
are those of the Swift side, for state that it has.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from distributed.protocol.serialize import Serialized, deserialize

from tasklog import history
from tasklog.encoding import Shared


def keys(tasks: Any) -> list[Any]:
    return [task.key for task in tasks]


def order(keys: list[Any]) -> list[int]:
    """The order of known keys: the index of each in their sorted list."""
    place = {key: number for number, key in enumerate(sorted(keys, key=repr))}
    return [place[key] for key in keys]


def limits(ts: Any) -> tuple[Any, ...] | None:
    """The restrictions of a task and its annotations; None if it has none.

    A plugin can change them without a hook.
    """
    if not (
        ts.annotations or ts.worker_restrictions or ts.host_restrictions or ts.resource_restrictions
    ):
        return None
    return (
        frozenset(ts.worker_restrictions or ()),
        frozenset(ts.host_restrictions or ()),
        dict(ts.resource_restrictions or {}),
        bool(ts.loose_restrictions),
        dict(ts.annotations or {}),
    )


def restrictions(ts: Any) -> dict[str, Any]:
    """The args of the mark that records the restrictions of a task."""
    return {
        "op": "set-restrictions",
        "workerRestrictions": ts.worker_restrictions,
        "hostRestrictions": ts.host_restrictions,
        "resourceRestrictions": ts.resource_restrictions,
        "looseRestrictions": ts.loose_restrictions,
        "annotations": Shared(ts.annotations),
    }


def have_limits_changed(before: tuple[Any, ...] | None, now: tuple[Any, ...] | None) -> bool:
    if before is None or now is None:
        return before is not now
    ours, theirs = before[-1], now[-1]
    # Annotations can be any objects: they are compared by identity.
    return before[:-1] != now[:-1] or (
        ours.keys() != theirs.keys() or any(ours[name] is not theirs[name] for name in ours)
    )


def graph_task(ts: Any, span: bool) -> dict[str, Any]:
    """A task as it enters the scheduler.

    span:
        Whether to include the span of its group.
    """
    facts: dict[str, Any] = {"key": ts.key}
    if ts.dependencies:
        facts["dependencies"] = keys(ts.dependencies)
    if ts.priority is not None:
        facts["priority"] = ts.priority
    if ts.annotations is None or ts.annotations:
        facts["annotations"] = Shared(ts.annotations)
    if ts.retries:
        facts["retries"] = ts.retries
    if ts.worker_restrictions:
        facts["workerRestrictions"] = list(ts.worker_restrictions)
    if ts.loose_restrictions:
        facts["looseRestrictions"] = True
    if ts.host_restrictions:
        facts["hostRestrictions"] = ts.host_restrictions
    if ts.resource_restrictions:
        facts["resourceRestrictions"] = ts.resource_restrictions
    if ts.actor:
        facts["actor"] = ts.actor
    if ts.run_spec is None:
        facts["hasRunSpec"] = False
    elif getattr(ts.run_spec, "data_producer", False):
        facts["dataProducer"] = True
    if not getattr(ts, "_queueable", True):
        facts["queueable"] = False
    if ts.exception_blame is not None:
        facts["blame"] = ts.exception_blame.key
    if ts.has_lost_dependencies:
        facts["hasLostDependencies"] = True
    if ts.state != "released":
        facts["state"] = ts.state
    if span:
        facts["span"] = ts.group.span_id
    return facts


def present_task(ts: Any) -> dict[str, Any]:
    """A task when a recorder is attached, or sees it for the first time."""
    facts = graph_task(ts, span=True)
    optional = {
        "nbytes": ts.nbytes if ts.nbytes >= 0 else None,
        "whoHas": [ws.address for ws in ts.who_has or ()],
        "processingOn": ts.processing_on.address if ts.processing_on else None,
        "whoWants": [cs.client_key for cs in ts.who_wants or ()],
        "exception": ts.exception,
        "traceback": ts.traceback,
        "exceptionText": ts.exception_text,
        "tracebackText": ts.traceback_text,
        "erredOn": ts.erred_on,
        "suspicious": ts.suspicious,
        "typeName": ts.type,
        "metadata": ts.metadata,
        "taskRunID": ts.run_id,
    }
    facts.update({name: value for name, value in optional.items() if value not in (None, [], 0)})
    if ts.run_id == 0:
        facts["taskRunID"] = 0
    if ts.waiting_on is not None:
        facts["waitingOn"] = keys(ts.waiting_on)
    if ts.waiters is not None:
        facts["waiters"] = keys(ts.waiters)
    return facts


def exception_text(exception: Any) -> str | None:
    """The text of an exception that the scheduler itself made (such as `KilledWorker`).

    As the `repr` of one with a message; None if it is unknown.

    exception:
        Bytes that the scheduler has just pickled, or its `Serialized`. An exception from a worker
        comes with its text and is not unpickled.
    """
    try:
        if isinstance(exception, bytes):
            exception = pickle.loads(exception)
        elif isinstance(exception, Serialized):
            exception = deserialize(exception.header, exception.frames)
        if not isinstance(exception, BaseException):
            return None
        return f"{type(exception).__name__}({str(exception)!r})"
    except Exception:
        return None


def worker(ws: Any) -> dict[str, Any]:
    """A worker's identity as it joins."""
    return {
        "address": ws.address,
        "name": ws.name,
        "serverID": ws.server_id,
        "nthreads": ws.nthreads,
        "memoryLimit": ws.memory_limit or 0,
        "pid": ws.pid,
        "host": ws.host,
        "status": ws.status.name,
        "nanny": ws.nanny,
        "localDirectory": ws.local_directory,
        "services": dict(ws.services or {}),
        "versions": ws.versions,
        "extra": ws.extra,
        "resources": dict(ws.resources),
        "metrics": ws.metrics,
        "lastSeen": ws.last_seen,
        "timeDelay": ws.time_delay,
    }


def present_worker(ws: Any) -> dict[str, Any]:
    """A worker when a recorder is attached."""
    return dict(
        worker(ws),
        hasWhat=keys(ws.has_what),
        nbytes=ws.nbytes,
        longRunning=keys(ws.long_running),
        actors=keys(ws.actors),
        executing={ts.key: duration for ts, duration in ws.executing.items()},
        usedResources=dict(ws.used_resources),
        memoryUnmanagedOld=getattr(ws, "_memory_unmanaged_old", 0),
        memoryUnmanagedHistory=[list(one) for one in getattr(ws, "_memory_unmanaged_history", ())],
    )


def cluster(scheduler: Any, argument: Callable[[str, Any], Any]) -> dict[str, Any]:
    """The whole state when a recorder is attached.

    argument:
        Redacts and prepares a value by its name, for lists without names.
    """
    s = scheduler
    return {
        "workers": [present_worker(ws) for ws in s.workers.values()],
        "clients": {
            name: {"versions": client.versions, "lastSeen": client.last_seen}
            for name, client in s.clients.items()
        },
        "tasks": [present_task(ts) for ts in s.tasks.values()],
        "prefixes": {name: prefix(tp) for name, tp in s.task_prefixes.items()},
        "groups": {name: group(tg) for name, tg in s.task_groups.items()},
        "erredTasks": [
            [
                e.key,
                e.timestamp,
                e.erred_on,
                argument("exception_text", e.exception_text),
                argument("traceback_text", e.traceback_text),
            ]
            for e in s.erred_tasks
        ],
        "unknownDurations": {k: keys(v) for k, v in getattr(s, "unknown_durations", {}).items()},
        **history.found(s),
    }


def _totals(bundle: Any) -> dict[str, Any]:
    """The totals of a prefix or a group, by the names of their attributes."""
    names = ("_duration_us", "_all_durations_us", "_types", "nbytes_total", "states", "_size")
    return {name: _plain(getattr(bundle, name)) for name in names if hasattr(bundle, name)}


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, dict) else value


def prefix(tp: Any) -> dict[str, Any]:
    names = ("state_counts", "duration_average", "max_exec_time", "suspicious")
    return _totals(tp) | {name: _plain(getattr(tp, name)) for name in names if hasattr(tp, name)}


def group(tg: Any) -> dict[str, Any]:
    names = ("start", "stop", "span_id", "last_worker_tasks_left")
    facts = _totals(tg) | {name: getattr(tg, name) for name in names if hasattr(tg, name)}
    if tg.last_worker is not None:
        facts["lastWorker"] = tg.last_worker.address
    facts["prefix"] = tg.prefix.name
    facts["dependencies"] = [dependency.name for dependency in tg.dependencies]
    return facts
