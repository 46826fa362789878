"""Calls plugins as Dask calls them; a failure is recorded and does not reach other plugins."""

from __future__ import annotations

import asyncio
import functools
import inspect
import traceback
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from tasklog.replay.events import Event
from tasklog.replay.failures import Failure, Failures
from tasklog.replay.needs import function_of, needs_arguments


class Caller:
    """Calls the plugins of one scheduler or worker.

    plugins:
        By name, in the order of their registration; the scheduler's or worker's own, to which
        plugins may add others, or from which they may remove themselves.
    present:
        Gives the event that is being replayed.
    """

    def __init__(
        self,
        plugins: dict[str, Any],
        host: Any,
        present: Callable[[], Event | None],
        worker: str | None = None,
    ) -> None:
        self.plugins = plugins
        self.worker = worker
        self._host = host
        self._present = present
        self.failures = Failures(host)
        self._needs: dict[int, tuple[Any, bool]] = {}
        self._overridden: dict[tuple[type, str], bool] = {}

    def hook(self, plugin: Any, hook: str) -> Any:
        """A hook of a plugin; None if it only has that of Dask's base class, which does nothing."""
        known = plugin if hook in getattr(plugin, "__dict__", ()) else type(plugin)
        if known is not plugin:
            try:
                is_there = self._overridden[known, hook]
            except KeyError:
                is_there = function_of(known, hook) is not None
                self._overridden[known, hook] = is_there
            if not is_there:
                return None
        return getattr(plugin, hook, None)

    def has(self, hook: str) -> bool:
        """Whether a plugin is to be called with a hook."""
        return any(self.hook(plugin, hook) is not None for plugin in self.plugins.values())

    def call(self, hook: str, *args: Any, **kwargs: Any) -> list[tuple[str, Any]]:
        """Calls a hook of all plugins, and gives what can be awaited, by plugin."""
        host = self._host
        awaitables: list[tuple[str, Any]] = []
        if self._is_over():
            return awaitables
        for name, plugin in list(self.plugins.items()):
            function = self.hook(plugin, hook)
            if function is None:
                continue
            host.call_count += 1
            host.calling = plugin
            try:
                answer = function(*args, **kwargs)
            except Exception as error:
                self.fail(name, plugin, hook, error)
            else:
                if answer is not None and inspect.isawaitable(answer):
                    awaitables.append((name, answer))
            host.calling = None
        return awaitables

    def _is_over(self) -> bool:
        """Whether what failed in the event before has ended the replay."""
        if self.failures.is_waiting:
            self.failures.settle()
        return self._host.is_done

    def transition(self, event: Event) -> None:
        """Calls `transition`; arguments are only decoded if a plugin uses them."""
        host = self._host
        if self._is_over():
            return
        for name, plugin in list(self.plugins.items()):
            function = getattr(plugin, "transition", None)
            if function is None:
                continue
            known = self._needs.get(id(plugin))
            if known is None:
                # The plugin is kept with it: its number may else become that of another one.
                known = self._needs[id(plugin)] = plugin, needs_arguments(plugin)
            args, kwargs = event.arguments if known[1] else _NOTHING
            host.call_count += 1
            host.calling = plugin
            try:
                if self.worker is None:
                    function(
                        event.key, event.start, event.finish, *args,
                        stimulus_id=event.stimulus, **kwargs,
                    )  # fmt: skip
                else:
                    function(event.key, event.start, event.finish, *args, **kwargs)
            except Exception as error:
                self.fail(name, plugin, "transition", error)
            host.calling = None

    async def awaited(self, hook: str, *args: Any, **kwargs: Any) -> None:
        """Calls a hook that Dask awaits before it continues."""
        for name, awaitable in self.call(hook, *args, **kwargs):
            await self._await(name, hook, awaitable)

    async def _await(self, name: str, hook: str, awaitable: Any) -> None:
        try:
            await awaitable
        except Exception as error:
            self.fail(name, self.plugins.get(name), hook, error)

    async def spawned(self, hook: str, *args: Any, **kwargs: Any) -> None:
        """Calls a hook whose coroutine Dask does not await before it continues."""
        started = [
            asyncio.ensure_future(self._await(name, hook, awaitable))
            for name, awaitable in self.call(hook, *args, **kwargs)
        ]
        if started:
            self._host.unfinished.update(started)
            for task in started:
                task.add_done_callback(self._host.unfinished.discard)
            # Those that wait for nothing are done with this.
            await asyncio.sleep(0)

    def chained(self, hook: str, scheduler: Any, workers: list[Any]) -> None:
        """Calls a hook whose answer is what the next plugin is called with."""
        for name, plugin in list(self.plugins.items()):
            function = self.hook(plugin, hook)
            if function is None:
                continue
            try:
                workers = function(scheduler, workers)
            except Exception as error:
                self.fail(name, plugin, hook, error)

    def fail(self, name: str, plugin: Any, hook: str, error: BaseException) -> None:
        host, event = self._host, self._present()
        if isinstance(error, MemoryError) and host.memory.limit:
            # All further calls would fail, too.
            where = "its end" if event is None else f"the event seq {event.seq}"
            raise host.memory.exceeded(where) from None
        frames = traceback.extract_tb(error.__traceback__)[1:]
        place = f" ({frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno})" if frames else ""
        failure = Failure(
            host.names.get(id(plugin), name),
            self.worker,
            event.seq if event is not None else None,
            hook,
            event.in_words() if event is not None else None,
            f"{type(error).__name__}: {error}{place}",
            "".join(traceback.format_exception(error)),
        )
        self.failures.add(plugin, failure, error)


_NOTHING: tuple[Any, ...] = ((), {})


@functools.cache
def _wants_dependencies() -> bool:
    """Whether plugins of the installed version are given the dependencies of a graph."""
    try:
        from distributed.diagnostics.plugin import SchedulerPlugin
    except ImportError:
        return False
    return "dependencies" in inspect.signature(SchedulerPlugin.update_graph).parameters


_METHODS = {
    "logEvent": "log_event",
    "updateGraph": "update_graph",
    "addWorker": "add_worker",
    "removeWorker": "remove_worker",
    "addClient": "add_client",
    "removeClient": "remove_client",
    "restart": "restart",
    "validWorkersDownscaling": "valid_workers_downscaling",
    "beforeClose": "before_close",
    "close": "close",
}


async def call_scheduler(caller: Caller, scheduler: Any, event: Event) -> None:
    """Calls the plugins of a scheduler with one of its events, other than a transition."""
    hook = event.hook
    if not caller.has(_METHODS.get(hook, "")):
        return
    if hook == "logEvent":
        kwargs = event.kwargs
        caller.call("log_event", kwargs["topic"], kwargs["message"])
    elif hook == "updateGraph":
        kwargs = dict(event.kwargs)
        kwargs["annotations"] = dict(kwargs.get("annotations") or {})
        if not _wants_dependencies():
            # As live since plugins are not given those any more: asking for annotations of another
            # kind gives none.
            kwargs["annotations"] = defaultdict(dict, kwargs["annotations"])
        if event.stimulus is not None:
            kwargs["stimulus_id"] = event.stimulus
        if _wants_dependencies() and "dependencies" not in kwargs:
            graph = (event.snapshot or {}).get("graph", ())
            kwargs["dependencies"] = {
                facts.get("key", key): set(facts.get("dependencies", ()))
                for key, facts in zip(kwargs["tasks"], graph, strict=False)
            }
        caller.call("update_graph", scheduler, **kwargs)
    elif hook == "addWorker":
        await caller.spawned("add_worker", scheduler=scheduler, worker=event.worker)
    elif hook == "removeWorker":
        kwargs = dict(event.kwargs)
        if event.stimulus is not None:
            kwargs["stimulus_id"] = event.stimulus
        await caller.spawned("remove_worker", scheduler=scheduler, worker=event.worker, **kwargs)
    elif hook == "addClient":
        caller.call("add_client", scheduler=scheduler, client=event.kwargs["client"])
    elif hook == "removeClient":
        caller.call("remove_client", scheduler=scheduler, client=event.kwargs["client"])
    elif hook == "restart":
        caller.call("restart", scheduler)
    elif hook == "validWorkersDownscaling":
        workers = getattr(scheduler, "workers", {})
        known = [workers[a] for a in event.kwargs["workers"] if a in workers]
        caller.chained("valid_workers_downscaling", scheduler, known)
    elif hook == "beforeClose":
        await caller.awaited("before_close")
    elif hook == "close":
        await caller.awaited("close")
