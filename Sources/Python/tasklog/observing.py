"""Records what changes no state of a scheduler, and says what went on: requests that end workers,
locks, plugins, the scheduler's own load, and which task submitted a graph.

Like `state_hooks`, each part checks what it needs in the installed version, and one that does not
fit is left out and named in the log. No plugin is called with these events, so that a replay does
not see them.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import pickletools
import time
from collections.abc import Callable
from typing import Any

from tasklog.state_hooks import _guard, _handle, _needs, _put

#: Seconds between two samples of the scheduler's monitor.
MONITOR_SECONDS = 5.0
#: A lock that is acquired sooner has not been waited for.
_WAIT_SECONDS = 0.05
#: The key of the task that submitted the graph which a scheduler adds at the moment.
submitting_task: contextvars.ContextVar[Any] = contextvars.ContextVar(
    "tasklog_submitting_task", default=None
)
#: The size of a graph is recorded from this number of bytes on.
_LARGE_GRAPH = 1_000_000
#: The most workers or keys of an answer that are recorded.
_MOST = 1000


def install(recorder: Any, scheduler: Any) -> list[str]:
    """Installs the parts that the installed version has, and returns the names of the others."""
    missing = []
    for name, part in PARTS.items():
        if name == "monitor" and not recorder._options.heartbeats:
            continue
        try:
            part(recorder, scheduler)
        except Exception:
            missing.append(name)
    return missing


# Requests

#: The handlers of requests that end workers, and the arguments of each that are recorded.
_REQUESTS = {
    "retire_workers": ("workers", "names", "n", "close_workers", "remove"),
    "workers_to_close": ("n", "target", "attribute"),
    "restart": ("client",),
    "restart_workers": ("workers",),
    "terminate": ("reason",),
}


def _requests(recorder: Any, scheduler: Any) -> None:
    for name in _REQUESTS:
        _handle(recorder, scheduler.handlers, name, _request(recorder, scheduler.handlers, name))
    close = scheduler.close

    async def recorded_close(*args: Any, **kwargs: Any) -> Any:
        reason = kwargs.get("reason")
        if scheduler.status.name not in ("closing", "closed"):
            _guard(recorder, "close", recorder._emit, "request", {"op": "close", "reason": reason})
        return await close(*args, **kwargs)

    _put(recorder, scheduler, "close", recorded_close)


def _request(recorder: Any, handlers: dict[str, Any], name: str) -> Callable[..., Any]:
    function = handlers[name]

    def record(kwargs: dict[str, Any]) -> None:
        args = {n: kwargs[n] for n in _REQUESTS[name] if kwargs.get(n) is not None}
        args["op"] = name.replace("_", "-")
        recorder._emit("request", args, stimulus=kwargs.get("stimulus_id"))

    def record_answer(answer: Any) -> None:
        # Only adaptive scaling asks for it from outside.
        workers = list(answer)[:_MOST]
        if workers:
            recorder._emit("request", {"op": "workers-to-close", "workers": workers})

    if name == "workers_to_close":

        @functools.wraps(function)
        def recorded(*args: Any, **kwargs: Any) -> Any:
            answer = function(*args, **kwargs)
            _guard(recorder, "request", record_answer, answer)
            return answer

    else:

        @functools.wraps(function)
        def recorded(*args: Any, **kwargs: Any) -> Any:
            _guard(recorder, "request", record, kwargs)
            return function(*args, **kwargs)

    return recorded


# Locks

#: The handlers by name: the kind, what is done, and whether that may wait.
_LOCKS = {
    "semaphore_acquire": ("semaphore", "acquire", True),
    "semaphore_release": ("semaphore", "release", False),
    "event_wait": ("event", "wait", True),
    "event_set": ("event", "set", False),
    "event_clear": ("event", "clear", False),
    "queue_put": ("queue", "put", True),
    "queue_get": ("queue", "get", True),
    "variable_get": ("variable", "get", True),
    "variable_set": ("variable", "set", True),
}


def _locks(recorder: Any, scheduler: Any) -> None:
    for name in _LOCKS:
        handlers = scheduler.handlers
        _handle(recorder, handlers, name, _lock(recorder, handlers[name], *_LOCKS[name]))


def _lock(
    recorder: Any, function: Callable[..., Any], kind: str, op: str, may_wait: bool
) -> Callable[..., Any]:
    if "name" not in inspect.signature(function).parameters:
        raise TypeError

    def about(kwargs: dict[str, Any], op: str) -> dict[str, Any]:
        # A name may be what is redacted elsewhere.
        name = None if recorder._encoder.patterns else kwargs.get("name")
        args = {"kind": kind, "op": op, "name": name}
        lease = kwargs.get("lease_id")
        if lease is not None:
            args["lease"] = lease
        return args

    def emit(args: dict[str, Any]) -> None:
        recorder._emit("lock", args)

    if not may_wait:

        @functools.wraps(function)
        def recorded(*args: Any, **kwargs: Any) -> Any:
            _guard(recorder, "lock", lambda: emit(about(kwargs, op)))
            return function(*args, **kwargs)

        return recorded

    @functools.wraps(function)
    async def recorded_wait(*args: Any, **kwargs: Any) -> Any:
        begin = time.monotonic()
        waiting = asyncio.get_running_loop().call_later(
            _WAIT_SECONDS,
            lambda: _guard(
                recorder, "lock", lambda: emit(about(kwargs, "wait") | {"for": op})
            ),
        )  # fmt: skip
        answer: Any = False
        error: BaseException | None = None
        try:
            answer = await function(*args, **kwargs)
            return answer
        except BaseException as raised:
            error = raised
            raise
        finally:
            waiting.cancel()
            failed = error is not None or answer is False
            ended = about(kwargs, "timeout" if failed else op)
            if failed:
                ended["for"] = op
            ended["waited"] = round(time.monotonic() - begin, 6)
            _guard(recorder, "lock", lambda: emit(ended))

    return recorded_wait


# Plugins

_TARGETS = ("worker", "nanny")


def plugins(scheduler: Any) -> dict[str, list[dict[str, Any]]]:
    """The plugins when a recorder is attached."""
    found = {
        "scheduler": [_plugin(name, plugin) for name, plugin in scheduler.plugins.items()],
        "worker": [_plugin(n, p) for n, p in getattr(scheduler, "worker_plugins", {}).items()],
        "nanny": [_plugin(n, p) for n, p in getattr(scheduler, "nanny_plugins", {}).items()],
    }
    return {target: listed for target, listed in found.items() if listed}


def _plugin(name: str, plugin: Any) -> dict[str, Any]:
    kind = _pickled_type(plugin) if isinstance(plugin, bytes) else type_name(plugin)
    return {"name": name} if kind is None else {"name": name, "type": kind}


def type_name(plugin: Any) -> str:
    return f"{type(plugin).__module__}.{type(plugin).__qualname__}"


def _pickled_type(data: bytes) -> str | None:
    """The class of a pickled plugin, without unpickling it; None for one that is sent by value."""
    strings: list[str] = []
    try:
        for place, (operation, argument, _) in enumerate(pickletools.genops(data)):
            if operation.name == "GLOBAL":
                found = str(argument).replace(" ", ".")
            elif operation.name == "STACK_GLOBAL" and len(strings) > 1:
                found = ".".join(strings[-2:])
            else:
                if isinstance(argument, str):
                    strings.append(argument)
                if place > 100:
                    return None
                continue
            return None if found.startswith(("cloudpickle.", "copyreg.")) else found
    except Exception:
        pass
    return None


def _is_own(recorder: Any, plugin: Any, name: Any) -> bool:
    own = {recorder._worker_part, recorder._nanny_part} - {None}
    return plugin is recorder or name in own


def _plugins(recorder: Any, scheduler: Any) -> None:
    add, remove = scheduler.add_plugin, scheduler.remove_plugin

    def record_added(plugin: Any, name: Any, idempotent: Any) -> None:
        if not _is_own(recorder, plugin, name):
            name = name or getattr(plugin, "name", None)
            args = {"op": "add", "target": "scheduler", "name": name, "type": type_name(plugin)}
            recorder._emit("plugin", dict(args, idempotent=bool(idempotent)))

    def record_removed(name: Any) -> None:
        recorder._emit("plugin", {"op": "remove", "target": "scheduler", "name": name})

    def add_plugin(plugin: Any, *args: Any, **kwargs: Any) -> Any:
        about = kwargs.get("name"), kwargs.get("idempotent", False)
        _guard(recorder, "plugin", record_added, plugin, *about)
        return add(plugin, *args, **kwargs)

    def remove_plugin(*args: Any, **kwargs: Any) -> Any:
        _guard(recorder, "plugin", record_removed, kwargs.get("name") or next(iter(args), None))
        return remove(*args, **kwargs)

    _put(recorder, scheduler, "add_plugin", add_plugin)
    _put(recorder, scheduler, "remove_plugin", remove_plugin)
    for target in _TARGETS:
        for action in ("register", "unregister"):
            name = f"{action}_{target}_plugin"
            function = _registration(recorder, getattr(scheduler, name), target, action)
            _handle(recorder, scheduler.handlers, name, function)
            _put(recorder, scheduler, name, function)


def _registration(
    recorder: Any, function: Callable[..., Any], target: str, action: str
) -> Callable[..., Any]:
    signature = inspect.signature(function)

    def record(args: Any, kwargs: Any) -> None:
        given = signature.bind(*args, **kwargs).arguments
        name = given["name"]
        if _is_own(recorder, None, name):
            return
        op = "add" if action == "register" else "remove"
        about: dict[str, Any] = {"op": op, "target": target}
        about |= _plugin(name, given.get("plugin", b""))
        if action == "register":
            about["idempotent"] = bool(given.get("idempotent", False))
        recorder._emit("plugin", about)

    @functools.wraps(function)
    async def registered(*args: Any, **kwargs: Any) -> Any:
        _guard(recorder, "plugin", record, args, kwargs)
        return await function(*args, **kwargs)

    return registered


# The scheduler's own load


def _monitor(recorder: Any, scheduler: Any) -> None:
    loop = asyncio.get_running_loop()
    recent = scheduler.monitor.recent
    timer: list[asyncio.TimerHandle] = []

    def record(late: float) -> None:
        interval = getattr(scheduler, "_tick_interval_observed", None)
        args = {name: value for name, value in recent().items() if name != "time"}
        args |= {"event_loop_interval": interval, "late": round(late, 6)}
        recorder._emit("monitor", args)

    def sample(due: float) -> None:
        _guard(recorder, "monitor", record, max(0.0, loop.time() - due))
        schedule()

    def schedule() -> None:
        due = loop.time() + MONITOR_SECONDS
        timer[:] = [loop.call_at(due, sample, due)]

    recent()
    schedule()
    recorder._undo.append(lambda: timer[0].cancel())


# Graphs that tasks submit


def _submissions(recorder: Any, scheduler: Any) -> None:
    """Dask calls the hook for a graph in the task of the handler, which alone gets that key."""
    update = scheduler.stream_handlers["update-graph"]
    _needs(update, "submitting_task")

    def record_size(kwargs: dict[str, Any]) -> None:
        size = _graph_bytes(kwargs)
        if size >= _LARGE_GRAPH:
            args = {"op": "update-graph", "client": kwargs.get("client"), "nbytes": size}
            recorder._emit("request", args)

    async def update_graph(*args: Any, **kwargs: Any) -> Any:
        _guard(recorder, "submissions", record_size, kwargs)
        before = submitting_task.set(kwargs.get("submitting_task"))
        try:
            return await update(*args, **kwargs)
        finally:
            submitting_task.reset(before)

    _handle(recorder, scheduler.stream_handlers, "update-graph", update_graph)


def _graph_bytes(message: dict[str, Any]) -> int:
    """The size of a graph as a client sent it; 0 if this version of Dask sends it otherwise."""
    graph = message.get("expr_ser") or message.get("graph")
    frames = getattr(graph, "frames", None) or message.get("graph_frames") or ()
    return sum(memoryview(frame).nbytes for frame in frames)


PARTS: dict[str, Callable[[Any, Any], None]] = {
    "requests": _requests,
    "locks": _locks,
    "plugins": _plugins,
    "monitor": _monitor,
    "submissions": _submissions,
}
