"""What plugins are live, noted among the events, for `tasklog replay --verify` to compare with.

Each plugin that is to be verified runs next to the recorder. The mark ``report`` says what it was
after all events of its source before it: its ``plugin``, which is the name of its class, and its
``report``; or which of its hooks has ``failed``.

This module is sent to workers by value with `tasklog.replay.results`.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin

from tasklog.failing import failure
from tasklog.replay.results import full

logger = logging.getLogger("tasklog")

_AWAITED = ("start", "before_close", "close")
_SYNCHRONOUS = (
    "update_graph", "transition", "restart", "add_worker", "remove_worker", "add_client",
    "remove_client", "log_event",
)  # fmt: skip


class Notes:
    """Notes a plugin after every so many calls, and at the end."""

    def __init__(self, plugin: Any, every: int, put: Callable[[dict[str, Any]], None]) -> None:
        self.plugin = plugin
        self._every = every
        self._put = put
        self._calls = 0
        self._is_new = True

    def call(self, hook: str, *args: Any, **kwargs: Any) -> Any:
        """Calls a hook as it is called on any plugin, and gives what it answers."""
        function = getattr(self.plugin, hook, None)
        answer = None
        if function is not None:
            try:
                answer = function(*args, **kwargs)
            except Exception as error:
                self._tell(hook, error)
        self._calls += 1
        self._is_new = True
        if self._every > 0 and self._calls % self._every == 0:
            self.note()
        return answer

    async def awaited(self, hook: str, *args: Any, **kwargs: Any) -> None:
        answer = self.call(hook, *args, **kwargs)
        if inspect.isawaitable(answer):
            await self.finish(hook, answer)

    async def finish(self, hook: str, answer: Any) -> None:
        """Awaits what a hook has answered."""
        try:
            await answer
        except Exception as error:
            self._tell(hook, error)
        self._is_new = True

    def _tell(self, hook: str, error: Exception) -> None:
        """As Dask tells of it, and for a replay that fails as well."""
        logger.info("Plugin failed with exception", exc_info=True)
        try:
            self._put(failure(self.plugin, hook, error))
        except Exception as own:
            logger.warning("tasklog: a failure is not noted: %r", own)

    def note(self) -> None:
        self._is_new = False
        try:
            report = full(self.plugin)
            self._put({"plugin": type(self.plugin).__name__, "report": report})
        except Exception as error:
            logger.warning("tasklog: a result is not noted: %r", error)

    def end(self) -> None:
        """Nothing more comes."""
        if self._is_new:
            self.note()


class NotingPlugin(SchedulerPlugin):
    """Stands for a plugin on a scheduler."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self.name = f"{type(notes.plugin).__name__} (verified)"
        self._has_started = False

    async def start(self, scheduler: Any) -> None:
        if not self._has_started:
            self._has_started = True
            await self.notes.awaited("start", scheduler)

    async def before_close(self) -> None:
        await self.notes.awaited("before_close")

    async def close(self) -> None:
        await self.notes.awaited("close")

    def valid_workers_downscaling(self, scheduler: Any, workers: list[Any]) -> list[Any]:
        # It watches only.
        self.notes.call("valid_workers_downscaling", scheduler, list(workers))
        return workers


def _forwarding(hook: str) -> Callable[..., Any]:
    def forward(self: NotingPlugin, *args: Any, **kwargs: Any) -> Any:
        answer = self.notes.call(hook, *args, **kwargs)
        return self.notes.finish(hook, answer) if inspect.isawaitable(answer) else answer

    forward.__name__ = hook
    return forward


for _hook in _SYNCHRONOUS:
    setattr(NotingPlugin, _hook, _forwarding(_hook))


def made(kinds: list[Any], on_worker: bool, scheduler: Any = None) -> list[Any]:
    """An instance of each class that is for schedulers, or of each that is for workers."""
    instances = []
    for kind in kinds:
        if is_for_workers(kind) == on_worker:
            takes = not on_worker and "scheduler" in inspect.signature(kind).parameters
            instances.append(kind(scheduler=scheduler) if takes else kind())
    return instances


def is_for_workers(kind: type) -> bool:
    return any(base.__name__ == "WorkerPlugin" for base in getattr(kind, "__mro__", ()))
