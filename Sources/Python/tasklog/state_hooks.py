"""Wraps the functions that change the state of a scheduler without calling a hook.

Each part checks what it needs in the installed version. A part that does not fit is left out, and
named in the log. The wrapped functions are called with their arguments, whatever fails here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from tasklog import snapshots
from tasklog.repeating import Repeated, exact
from tasklog.stealing import Loads


def install(recorder: Any, scheduler: Any) -> list[str]:
    """Wraps the parts that the installed version has, and returns the names of the others."""
    missing = []
    for name, part in PARTS.items():
        if name.startswith("heartbeat") and not recorder._options.heartbeats:
            continue
        try:
            part(recorder, scheduler)
        except Exception:
            missing.append(name)
    return missing


def _needs(function: Callable[..., Any], *names: str) -> None:
    """Raises a KeyError if a function does not have these parameters."""
    parameters = inspect.signature(function).parameters
    for name in names:
        parameters[name]


def _put(recorder: Any, scheduler: Any, name: str, function: Callable[..., Any]) -> None:
    """Replaces a method by a function until the recorder is detached."""
    setattr(scheduler, name, function)
    recorder._undo.append(lambda: restore(scheduler, name, function))


def restore(scheduler: Any, name: str, function: Callable[..., Any]) -> None:
    """Restores the method, unless another function has replaced it since."""
    if vars(scheduler).get(name) is function:
        delattr(scheduler, name)


def _handle(
    recorder: Any, handlers: dict[str, Any], name: str, function: Callable[..., Any]
) -> None:
    """Replaces a handler by a function until the recorder is detached."""
    before = handlers[name]

    def undo() -> None:
        if handlers.get(name) is function:
            handlers[name] = before

    handlers[name] = function
    recorder._undo.append(undo)


def _guard(recorder: Any, what: str, body: Callable[..., Any], *args: Any) -> None:
    if recorder._native is None:
        return
    try:
        body(*args)
    except Exception as error:
        recorder._fail(what, error)


def _replicas(recorder: Any, scheduler: Any) -> None:
    add, remove = scheduler.add_replica, scheduler.remove_replica
    _needs(add, "ts", "ws")
    _needs(remove, "ts", "ws")

    def record_added(ts: Any, ws: Any) -> None:
        if ts.key not in recorder._known:
            recorder._announce(ts)
        recorder._emit("addReplica", {"nbytes": ts.nbytes}, key=ts.key, worker=ws.address)

    def record_removed(ts: Any, ws: Any) -> None:
        recorder._emit("removeReplica", key=ts.key, worker=ws.address)

    def add_replica(ts: Any, ws: Any) -> Any:
        # The first replica of a result comes with the transition to memory.
        if ts.state == "memory":
            _guard(recorder, "addReplica", record_added, ts, ws)
        return add(ts, ws)

    def remove_replica(ts: Any, ws: Any) -> Any:
        _guard(recorder, "removeReplica", record_removed, ts, ws)
        return remove(ts, ws)

    _put(recorder, scheduler, "add_replica", add_replica)
    _put(recorder, scheduler, "remove_replica", remove_replica)


def _desires(recorder: Any, scheduler: Any) -> None:
    desires, releases = scheduler.client_desires_keys, scheduler.client_releases_keys
    _needs(desires, "keys", "client")
    _needs(releases, "keys", "client", "stimulus_id")

    def record(hook: str, keys: list[Any], client: str, stimulus: str | None) -> None:
        if hook == "clientDesiresKeys":
            # New tasks of a graph are announced with it.
            keys = [key for key in keys if key in recorder._known]
        if len(keys) == 1:
            # Most come one by one, and the field for the key takes less space.
            recorder._emit(hook, {"client": client}, key=keys[0], stimulus=stimulus)
        elif keys:
            recorder._emit(hook, {"client": client, "keys": keys}, stimulus=stimulus)

    def client_desires_keys(keys: Any, client: str) -> Any:
        keys = list(keys)
        _guard(recorder, "clientDesiresKeys", record, "clientDesiresKeys", keys, client, None)
        return desires(keys=keys, client=client)

    def client_releases_keys(keys: Any, client: str, stimulus_id: str | None = None) -> Any:
        keys = list(keys)
        _guard(
            recorder, "clientReleasesKeys", record, "clientReleasesKeys", keys, client, stimulus_id
        )
        return releases(keys=keys, client=client, stimulus_id=stimulus_id)

    _put(recorder, scheduler, "client_desires_keys", client_desires_keys)
    _put(recorder, scheduler, "client_releases_keys", client_releases_keys)
    handlers = scheduler.stream_handlers
    _handle(recorder, handlers, "client-desires-keys", client_desires_keys)
    _handle(recorder, handlers, "client-releases-keys", client_releases_keys)


def _long_running(recorder: Any, scheduler: Any) -> None:
    handle = scheduler.handle_long_running
    _needs(handle, "key", "worker", "compute_duration", "stimulus_id")

    def record(
        key: Any, worker: str, compute_duration: Any, stimulus_id: str, rest: dict[str, Any]
    ) -> None:
        ts = scheduler.tasks.get(key)
        ws = ts.processing_on if ts is not None else None
        if ws is None or ws.address != worker or worker not in scheduler.workers:
            return
        if "run_id" in rest and rest["run_id"] != ts.run_id:
            return
        recorder._emit(
            "stimulus",
            {"op": "long-running", "compute_duration": compute_duration},
            key=key,
            stimulus=stimulus_id,
            worker=worker,
            run=rest.get("run_id"),
        )

    def handle_long_running(
        key: Any, worker: str, compute_duration: Any, stimulus_id: str, **rest: Any
    ) -> Any:
        _guard(recorder, "long-running", record, key, worker, compute_duration, stimulus_id, rest)
        return handle(
            key=key,
            worker=worker,
            compute_duration=compute_duration,
            stimulus_id=stimulus_id,
            **rest,
        )

    _handle(recorder, scheduler.stream_handlers, "long-running", handle_long_running)
    _put(recorder, scheduler, "handle_long_running", handle_long_running)


def _restrictions(recorder: Any, scheduler: Any) -> None:
    restrict = scheduler.set_restrictions
    _needs(restrict, "worker")

    def record(keys: Any) -> None:
        for key in keys:
            ts = scheduler.tasks.get(key)
            if ts is None:
                continue
            recorder._emit("stimulus", snapshots.restrictions(ts), key=key)
            recorder._limits.pop(key, None)
            recorder._remember_limits(ts)

    def set_restrictions(worker: Any) -> Any:
        answer = restrict(worker)
        _guard(recorder, "set-restrictions", record, worker)
        return answer

    _put(recorder, scheduler, "set_restrictions", set_restrictions)
    if "set_restrictions" in scheduler.handlers:
        _handle(recorder, scheduler.handlers, "set_restrictions", set_restrictions)


def _heartbeats(recorder: Any, scheduler: Any) -> None:
    beat = scheduler.handlers["heartbeat_worker"]
    _needs(beat, "address", "metrics", "executing")

    def record(address: str, executing: Any, extensions: Any) -> None:
        ws = scheduler.workers.get(address)
        if ws is None:
            return
        # All values: the drainer finds those that equal the previous ones.
        args = {
            "executing": {k: d for k, d in (executing or {}).items() if k in scheduler.tasks},
            "metrics": ws.metrics,
            "lastSeen": ws.last_seen,
            "timeDelay": ws.time_delay,
            "bandwidth": scheduler.bandwidth,
        }
        if extensions:
            args["extensions"] = extensions
        recorder._emit("heartbeat", args, worker=ws.address)

    def heartbeat_worker(*args: Any, **kwargs: Any) -> Any:
        answer = beat(*args, **kwargs)
        _guard(
            recorder,
            "heartbeat-worker",
            record,
            kwargs["address"],
            kwargs.get("executing"),
            {n: v for n, v in (kwargs.get("extensions") or {}).items() if v},
        )
        return answer

    _handle(recorder, scheduler.handlers, "heartbeat_worker", heartbeat_worker)


def _client_heartbeats(recorder: Any, scheduler: Any) -> None:
    beat = scheduler.stream_handlers["heartbeat-client"]
    _needs(beat, "client")

    def record(client: str) -> None:
        args = {"op": "heartbeat-client", "client": client}
        recorder._emit("stimulus", dict(args, lastSeen=scheduler.clients[client].last_seen))

    def client_heartbeat(client: str) -> Any:
        answer = beat(client=client)
        _guard(recorder, "heartbeat-client", record, client)
        return answer

    _handle(recorder, scheduler.stream_handlers, "heartbeat-client", client_heartbeat)


def _metadata(recorder: Any, scheduler: Any) -> None:
    put = scheduler.set_metadata
    _needs(put, "keys", "value")
    known = Repeated()

    def held(keys: Any) -> str | None:
        try:
            value: Any = scheduler.task_metadata
            for key in keys:
                value = value[key]
            return exact(value)
        except Exception:
            return None

    def record(keys: Any, value: Any, before: str | None) -> None:
        # A restart and a forgotten task remove metadata.
        is_held = before is not None and before == exact(value)
        if known.is_again(tuple(keys), value) and is_held:
            return
        # Under its names, so that they can be redacted.
        for key in reversed(list(keys)):
            value = {key: value}
        args = {"op": "set-metadata", "depth": len(keys), "metadata": value}
        recorder._emit("stimulus", args)

    def set_metadata(keys: Any, value: Any = None) -> Any:
        before = held(keys)
        answer = put(keys=keys, value=value)
        _guard(recorder, "set-metadata", record, keys, value, before)
        return answer

    _put(recorder, scheduler, "set_metadata", set_metadata)
    _handle(recorder, scheduler.handlers, "set_metadata", set_metadata)


def _resources(recorder: Any, scheduler: Any) -> None:
    add = scheduler.handlers["set_resources"]
    _needs(add, "worker", "resources")

    def record(worker: str, resources: Any) -> None:
        args = {"op": "set-resources", "resources": dict(resources or {})}
        recorder._emit("stimulus", args, worker=worker)

    def set_resources(worker: str, resources: Any = None) -> Any:
        answer = add(worker=worker, resources=resources)
        _guard(recorder, "set-resources", record, worker, resources)
        return answer

    _handle(recorder, scheduler.handlers, "set_resources", set_resources)


def _known_data(recorder: Any, scheduler: Any) -> None:
    """Scattering data under a known key moves its task to memory without a transition."""
    update = scheduler.update_data
    _needs(update, "who_has", "nbytes", "client")

    def record(who_has: dict[str, Any], nbytes: dict[str, Any]) -> None:
        for key in who_has:
            if key in recorder._known and key in scheduler.tasks:
                size = {key: nbytes[key]} if key in nbytes else {}
                args = {"op": "update-data", "who_has": {key: []}, "nbytes": size}
                recorder._emit("stimulus", args, key=key)

    def update_data(*, who_has: Any, nbytes: Any, client: str | None = None) -> Any:
        _guard(recorder, "update-data", record, who_has, nbytes)
        return update(who_has=who_has, nbytes=nbytes, client=client)

    _put(recorder, scheduler, "update_data", update_data)
    _handle(recorder, scheduler.handlers, "update_data", update_data)
    _handle(recorder, scheduler.stream_handlers, "update-data", update_data)


def _stealing(recorder: Any, scheduler: Any) -> None:
    steal = scheduler.extensions.get("stealing")
    if steal is None:
        return
    balance, confirm = steal.balance, scheduler.stream_handlers["steal-response"]
    _needs(confirm, "key", "state", "stimulus_id")
    loads = recorder._loads = Loads(recorder, scheduler)

    def recorded_balance() -> Any:
        _guard(recorder, "stealing", loads.begin)
        try:
            return balance()
        finally:
            _guard(recorder, "stealing", loads.finish)

    def recorded_confirm(**kwargs: Any) -> Any:
        try:
            return confirm(**kwargs)
        finally:
            _guard(recorder, "stealing", loads.finish_confirmation)

    def replace_callback(before: Any, after: Any) -> None:
        callback = scheduler.periodic_callbacks.get("stealing")
        if callback is not None and callback.callback == before:
            callback.callback = after

    _put(recorder, steal, "balance", recorded_balance)
    replace_callback(balance, recorded_balance)
    recorder._undo.append(lambda: replace_callback(recorded_balance, balance))
    _handle(recorder, scheduler.stream_handlers, "steal-response", recorded_confirm)


PARTS: dict[str, Callable[[Any, Any], None]] = {
    "replicas": _replicas,
    "desires": _desires,
    "long_running": _long_running,
    "set_restrictions": _restrictions,
    "heartbeat_worker": _heartbeats,
    "heartbeat_client": _client_heartbeats,
    "set_metadata": _metadata,
    "set_resources": _resources,
    "update_data": _known_data,
    "stealing": _stealing,
}
