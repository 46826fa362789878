"""What a plugin can look up in a scheduler at one moment, as plain values.

The same function reads the live scheduler and one that a recording is fed to.
"""

from __future__ import annotations

from typing import Any

TASK = [
    "state", "priority", "nbytes", "type", "retries", "suspicious", "actor", "run_id",
    "has_lost_dependencies", "exception_text", "traceback_text", "annotations", "metadata",
    "loose_restrictions", "host_restrictions", "worker_restrictions", "resource_restrictions",
    "erred_on", "_queueable",
]  # fmt: skip
TASK_SETS = ["dependencies", "dependents", "waiting_on", "waiters"]
TASK_SERVERS = {"who_has": "address", "who_wants": "client_key"}
PREFIX = [
    "duration_average", "suspicious", "nbytes_total", "states", "state_counts", "max_exec_time",
    "_all_durations_us", "_duration_us", "_types",
]  # fmt: skip
GROUP = [
    "states", "nbytes_total", "start", "stop", "_all_durations_us", "_duration_us", "_types",
    "span_id",
]  # fmt: skip
WORKER = ["nbytes", "nthreads", "memory_limit", "name", "pid", "nanny", "status", "server_id"]
SCHEDULER = [
    "total_nthreads", "total_memory", "transition_counter", "bandwidth", "n_tasks",
]  # fmt: skip


def plain(value: Any) -> Any:
    """A copy that does not change, in an order that does not depend on hashes."""
    if isinstance(value, dict):
        return sorted(((plain(k), plain(v)) for k, v in value.items()), key=repr)
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=repr)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    return str(value)


def _keys(tasks: Any) -> Any:
    return None if tasks is None else sorted(repr(ts.key) for ts in tasks)


def _fields(thing: Any, names: list[str], label: str, told: dict[str, Any]) -> None:
    for name in names:
        if hasattr(thing, name):
            told[f"{label}.{name}"] = plain(getattr(thing, name))


def look(s: Any, key: Any) -> dict[str, Any]:
    told: dict[str, Any] = {}
    _fields(s, SCHEDULER, "scheduler", told)
    told["workers"] = sorted(s.workers)
    told["clients"] = sorted(s.clients)
    told["tasks"] = len(s.tasks)
    told["groups"] = sorted(s.task_groups)
    told["prefixes"] = sorted(s.task_prefixes)
    told["unrunnable"] = _keys(s.unrunnable)
    told["queued"] = _keys(s.queued)
    told["running"] = sorted(ws.address for ws in s.running)
    told["aliases"] = plain(s.aliases)
    told["transition_log"] = len(s.transition_log)
    if s.transition_log:
        told["last transition"] = plain(list(s.transition_log[-1]))
    told["erred_tasks"] = [
        [repr(e.key), plain(e.erred_on), e.exception_text] for e in s.erred_tasks
    ]
    for address, ws in s.workers.items():
        _fields(ws, WORKER, f"worker {address}", told)
        told[f"worker {address}.has_what"] = _keys(ws.has_what)
        told[f"worker {address}.processing"] = _keys(ws.processing)
        told[f"worker {address}.long_running"] = _keys(ws.long_running)
        told[f"worker {address}.actors"] = _keys(ws.actors)
    ts = s.tasks.get(key) if key is not None else None
    if ts is not None:
        _task(ts, told)
    return told


def _task(ts: Any, told: dict[str, Any]) -> None:
    _fields(ts, TASK, "task", told)
    for name in TASK_SETS:
        told[f"task.{name}"] = _keys(getattr(ts, name))
    for name, label in TASK_SERVERS.items():
        servers = getattr(ts, name)
        told[f"task.{name}"] = sorted(getattr(server, label) for server in servers or ())
    told["task.processing_on"] = ts.processing_on.address if ts.processing_on else None
    told["task.exception_blame"] = repr(ts.exception_blame.key) if ts.exception_blame else None
    told["task.has_run_spec"] = ts.run_spec is not None
    for name in ("exception", "traceback"):
        told[f"task.{name}"] = type(getattr(ts, name)).__name__
    _fields(ts.prefix, PREFIX, "prefix", told)
    _fields(ts.group, GROUP, "group", told)
    told["prefix.name"], told["group.name"] = ts.prefix.name, ts.group.name
    told["group.dependencies"] = sorted(group.name for group in ts.group.dependencies)


def look_worker(state: Any, key: Any) -> dict[str, Any]:
    """The same for a worker's task."""
    told: dict[str, Any] = {"tasks": sorted(repr(k) for k in state.tasks)}
    ts = state.tasks.get(key)
    if ts is None:
        return told
    for name in ("state", "previous", "priority", "nbytes", "coming_from", "exception_text"):
        told[name] = plain(getattr(ts, name))
    told["run_id"] = max(0, ts.run_id)
    told["annotations"] = plain(ts.annotations)
    told["resource_restrictions"] = plain(ts.resource_restrictions)
    for name in ("dependencies", "dependents", "waiting_for_data", "waiters"):
        told[name] = _keys(getattr(ts, name))
    told["who_has"] = sorted(ts.who_has)
    told["startstops"] = [dict(span) for span in ts.startstops]
    return told
