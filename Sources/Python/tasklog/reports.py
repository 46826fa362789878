"""Records reports of live plugins, which `tasklog replay --verify` compares with.

Each verified plugin runs next to the recorder. The mark ``report`` has its state after all earlier
events of its source: ``plugin``, the name of its class, and ``report``; or the hook that
``failed``.

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


class PluginReports:
    """Records the state of a plugin after every N calls, and at the end."""

    def __init__(self, plugin: Any, every: int, put: Callable[[dict[str, Any]], None]) -> None:
        self.plugin = plugin
        self._every = every
        self._put = put
        self._calls = 0
        self._is_new = True

    def call(self, hook: str, *args: Any, **kwargs: Any) -> Any:
        """Calls a hook of the plugin and returns its result."""
        function = getattr(self.plugin, hook, None)
        answer = None
        if function is not None:
            try:
                answer = function(*args, **kwargs)
            except Exception as error:
                self._report_failure(hook, error)
        self._calls += 1
        self._is_new = True
        if self._every > 0 and self._calls % self._every == 0:
            self.record()
        return answer

    async def awaited(self, hook: str, *args: Any, **kwargs: Any) -> None:
        answer = self.call(hook, *args, **kwargs)
        if inspect.isawaitable(answer):
            await self.finish(hook, answer)

    async def finish(self, hook: str, answer: Any) -> None:
        """Awaits the result of a hook."""
        try:
            await answer
        except Exception as error:
            self._report_failure(hook, error)
        self._is_new = True

    def _report_failure(self, hook: str, error: Exception) -> None:
        """Logs a failure as Dask does, and records it for a replay, which fails as well."""
        logger.info("Plugin failed with exception", exc_info=True)
        try:
            self._put(failure(self.plugin, hook, error))
        except Exception as own:
            logger.warning("tasklog: a failure is not recorded: %r", own)

    def record(self) -> None:
        self._is_new = False
        try:
            report = full(self.plugin)
            self._put({"plugin": type(self.plugin).__name__, "report": report})
        except Exception as error:
            logger.warning("tasklog: a report is not recorded: %r", error)

    def end(self) -> None:
        """Records the last state."""
        if self._is_new:
            self.record()


class VerifiedPlugin(SchedulerPlugin):
    """Forwards the hooks of a scheduler to a plugin that is verified."""

    def __init__(self, reports: PluginReports) -> None:
        self.reports = reports
        self.name = f"{type(reports.plugin).__name__} (verified)"
        self._has_started = False

    async def start(self, scheduler: Any) -> None:
        if not self._has_started:
            self._has_started = True
            await self.reports.awaited("start", scheduler)

    async def before_close(self) -> None:
        await self.reports.awaited("before_close")

    async def close(self) -> None:
        await self.reports.awaited("close")

    def valid_workers_downscaling(self, scheduler: Any, workers: list[Any]) -> list[Any]:
        # A verified plugin decides nothing.
        self.reports.call("valid_workers_downscaling", scheduler, list(workers))
        return workers


def _forwarding(hook: str) -> Callable[..., Any]:
    def forward(self: VerifiedPlugin, *args: Any, **kwargs: Any) -> Any:
        answer = self.reports.call(hook, *args, **kwargs)
        return self.reports.finish(hook, answer) if inspect.isawaitable(answer) else answer

    forward.__name__ = hook
    return forward


for _hook in _SYNCHRONOUS:
    setattr(VerifiedPlugin, _hook, _forwarding(_hook))


def instantiate(kinds: list[Any], on_worker: bool, scheduler: Any = None) -> list[Any]:
    """An instance of each class for schedulers, or of each class for workers."""
    instances = []
    for kind in kinds:
        if is_for_workers(kind) == on_worker:
            takes = not on_worker and "scheduler" in inspect.signature(kind).parameters
            instances.append(kind(scheduler=scheduler) if takes else kind())
    return instances


def is_for_workers(kind: type) -> bool:
    return any(base.__name__ == "WorkerPlugin" for base in getattr(kind, "__mro__", ()))
