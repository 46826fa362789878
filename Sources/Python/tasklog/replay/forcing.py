"""A task's state set to what the recording says, where Dask's own function cannot be executed."""

from __future__ import annotations

from typing import Any

from tasklog.replay.events import Event


def force(scheduler: Any, ts: Any, state: str, event: Event, kwargs: dict[str, Any]) -> None:
    """Puts a task into a state, with what the event says of it."""
    s = scheduler
    s.queued.discard(ts)
    s.unrunnable.pop(ts, None)
    if state != "processing" and ts.processing_on:
        _leave(ts)
    if state != "memory" and ts.who_has:
        s.remove_all_replicas(ts)
    _STATES.get(state, _nothing)(s, ts, event, kwargs)
    if state == "forgotten":
        for dependent in ts.dependents:
            dependent.dependencies.discard(ts)
            dependent.has_lost_dependencies = True
        for dependency in ts.dependencies:
            dependency.dependents.discard(ts)
        for client in ts.who_wants or ():
            client.wants_what.discard(ts)
    ts.state = state


def _leave(ts: Any) -> None:
    ws, ts.processing_on = ts.processing_on, None
    if ts in ws.processing:
        ws.remove_from_processing(ts)


def _processing(s: Any, ts: Any, event: Event, kwargs: dict[str, Any]) -> None:
    ws = s.workers.get(event.worker)
    if ws is not None and not ts.processing_on:
        ts.processing_on = ws
        ws.add_to_processing(ts)
    if event.run is not None:
        ts.run_id = event.run


def _memory(s: Any, ts: Any, event: Event, kwargs: dict[str, Any]) -> None:
    for span in kwargs.get("startstops") or ():
        ts.group.add_duration(stop=span["stop"], start=span["start"], action=span["action"])
    if "nbytes" in kwargs:
        ts.set_nbytes(kwargs["nbytes"])
    if "typename" in kwargs:
        ts.type = kwargs["typename"]
        ts.group.add_type(ts.type)
    ws = s.workers.get(kwargs.get("worker"))
    if ws is not None and ws not in (ts.who_has or ()):
        s.add_replica(ts, ws)
    for dependent in ts.dependents:
        if dependent.waiting_on:
            dependent.waiting_on.discard(ts)


def _erred(s: Any, ts: Any, event: Event, kwargs: dict[str, Any]) -> None:
    if kwargs.get("worker"):
        ts.erred_on = (ts.erred_on or set()) | {kwargs["worker"]}
    for name in ("exception", "traceback"):
        if kwargs.get(name) is not None:
            setattr(ts, name, kwargs[name])
            setattr(ts, f"{name}_text", kwargs.get(f"{name}_text"))
    if kwargs.get("cause") is not None:
        ts.exception_blame = s.tasks.get(kwargs["cause"])
    for dependent in ts.dependents:
        dependent.exception_blame = ts.exception_blame


def _released(s: Any, ts: Any, event: Event, kwargs: dict[str, Any]) -> None:
    if ts.state == "erred":
        ts.exception = ts.exception_blame = ts.traceback = ts.erred_on = None


def _waiting(s: Any, ts: Any, event: Event, kwargs: dict[str, Any]) -> None:
    ts.waiting_on = {dts for dts in ts.dependencies if dts.state != "memory"}


def _queued(s: Any, ts: Any, event: Event, kwargs: dict[str, Any]) -> None:
    s.queued.add(ts)


def _no_worker(s: Any, ts: Any, event: Event, kwargs: dict[str, Any]) -> None:
    s.unrunnable[ts] = event.time


def _nothing(s: Any, ts: Any, event: Event, kwargs: dict[str, Any]) -> None: ...


_STATES = {
    "processing": _processing,
    "memory": _memory,
    "erred": _erred,
    "released": _released,
    "waiting": _waiting,
    "queued": _queued,
    "no-worker": _no_worker,
}
