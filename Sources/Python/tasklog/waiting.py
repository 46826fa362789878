"""Records how long the tasks of a worker wait for Dask's locks, semaphores, events, queues and
variables.

The scheduler sees who holds a lock, but not which task waits for it. Here the methods that wait are
wrapped, once for all workers of a process: what a thread calls while it works on a task is of that
task. Tasks that are coroutines have no thread.

This module is sent to workers by value: it imports nothing of this package.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable
from typing import Any

from distributed import Event, Lock, Queue, Semaphore, Variable
from distributed import worker as dask_worker

#: A wait that lasts longer is recorded when it has begun, too: its worker may be killed.
BEGIN_SECONDS = 0.05
#: A shorter wait is not recorded: the scheduler answers no request sooner.
LEAST_SECONDS = 0.001

#: The methods that wait: the class, the method, and the kind.
_METHODS = (
    (Semaphore, "acquire", "semaphore"),
    (Event, "wait", "event"),
    (Queue, "put", "queue"),
    (Queue, "get", "queue"),
    (Variable, "get", "variable"),
    (Variable, "set", "variable"),
)
#: The attribute of a wrapper with what is called, by worker. Copies of this module share it.
_WATCHES = "_tasklog_watches"


class _Wait:
    def __init__(self, key: Any, about: dict[str, Any]) -> None:
        self.key = key
        self.about = about
        self.has_begun = False
        self.timer: asyncio.TimerHandle | None = None


class LockWaits:
    """The waits of one worker's tasks.

    put:
        Records one: the task's key and the args of the event. Called in the thread of the loop.
    """

    def __init__(self, worker: Any, put: Callable[[Any, dict[str, Any]], None]) -> None:
        self._worker = worker
        self._put = put
        self._loop = asyncio.get_running_loop()

    def install(self) -> None:
        for owner, name, kind in _METHODS:
            method = vars(owner).get(name)
            if method is None:
                continue
            watches = getattr(method, _WATCHES, None)
            if watches is None:
                method, watches = _wrapper(method, kind, name)
                setattr(owner, name, method)
            watches[id(self._worker)] = self

    def remove(self) -> None:
        for owner, name, _ in _METHODS:
            method = vars(owner).get(name)
            watches = getattr(method, _WATCHES, None)
            if watches is None:
                continue
            if watches.get(id(self._worker)) is self:
                del watches[id(self._worker)]
            if not watches:
                setattr(owner, name, method.__wrapped__)  # type: ignore[union-attr]

    def begin(self, key: Any, kind: str, op: str, name: Any) -> _Wait:
        """A thread begins to wait."""
        wait = _Wait(key, {"kind": kind, "for": op, "name": name, "start": time.time()})
        self._call(self._begin, wait)
        return wait

    def end(self, wait: _Wait, has_failed: bool) -> None:
        wait.about["stop"] = time.time()
        if has_failed:
            wait.about["failed"] = True
        self._call(self._end, wait)

    def _call(self, function: Callable[[_Wait], None], wait: _Wait) -> None:
        try:
            self._loop.call_soon_threadsafe(function, wait)
        except RuntimeError:
            # The loop has ended.
            pass

    def _begin(self, wait: _Wait) -> None:
        wait.timer = self._loop.call_later(BEGIN_SECONDS, self._record_begin, wait)

    def _record_begin(self, wait: _Wait) -> None:
        wait.has_begun = True
        self._put(wait.key, {"op": "begin", **wait.about})

    def _end(self, wait: _Wait) -> None:
        if wait.timer is not None:
            wait.timer.cancel()
        if wait.has_begun or wait.about["stop"] - wait.about["start"] >= LEAST_SECONDS:
            self._put(wait.key, {"op": "end", **wait.about})


def _wrapper(method: Callable[..., Any], kind: str, op: str) -> tuple[Any, dict[int, LockWaits]]:
    watches: dict[int, LockWaits] = {}

    @functools.wraps(method)
    def recorded(self: Any, *args: Any, **kwargs: Any) -> Any:
        state = dask_worker.thread_state
        key = getattr(state, "key", None)
        execution = getattr(state, "execution_state", None)
        if key is None or not execution:
            return method(self, *args, **kwargs)
        watch = watches.get(id(execution.get("worker")))
        if watch is None:
            return method(self, *args, **kwargs)
        shown = "lock" if isinstance(self, Lock) else kind
        wait = watch.begin(key, shown, op, getattr(self, "name", None))
        has_failed = True
        try:
            answer = method(self, *args, **kwargs)
            has_failed = answer is False
            return answer
        finally:
            watch.end(wait, has_failed)

    setattr(recorded, _WATCHES, watches)
    return recorded, watches
