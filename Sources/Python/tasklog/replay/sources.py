"""The plugins on one source, the scheduler or a worker, and the state that they see."""

from __future__ import annotations

from typing import Any

from tasklog.replay.calls import Caller, call_scheduler
from tasklog.replay.events import MARKS, OBSERVATIONS, Event, Source
from tasklog.replay.loading import Target
from tasklog.replay.verifying import Verifier


class NotRebuilt:
    """Stands in for a scheduler or worker where its state is not rebuilt."""

    def __init__(self, what: str, why: str) -> None:
        self.plugins: dict[str, Any] = {}
        self._what = what
        self._why = why

    def add_plugin(self, plugin: Any, *args: Any, name: str | None = None, **kwargs: Any) -> None:
        self.plugins[name or name_of(plugin)] = plugin

    def remove_plugin(self, name: str | None = None, plugin: Any = None) -> None:
        self.plugins.pop(name or name_of(plugin), None)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(f"the {self._what} is not rebuilt ({self._why}): no {name}")


def name_of(plugin: Any) -> str:
    """As Dask names a plugin that is registered without a name."""
    name = getattr(plugin, "name", None)
    return name if isinstance(name, str) else f"{type(plugin).__name__}-{id(plugin):x}"


class SourceReplay:
    """Common to schedulers and workers.

    server:
        What hooks are called with: the scheduler or the worker.
    """

    def __init__(self, host: Any, source: Source, targets: list[Target]) -> None:
        self.host = host
        self.source = source
        self.targets = targets
        self.has_begun = False
        #: Whether plugins were to be called, and nothing has come yet to call them with.
        self.is_chosen = False
        self.instances: list[tuple[Target, Any]] = []
        self.server: Any = None
        self.verifiers: list[Verifier] = []
        self.caller: Caller

    def _mount(self, server: Any) -> None:
        """Makes the plugins, and registers those that have not done so on their own."""
        self.server = server
        for target in self.targets:
            plugin = self.host.instance(target, server)
            self.host.names[id(plugin)] = target.given
            self.instances.append((target, plugin))
            if self.host.verifies:
                self.verifiers.append(Verifier(plugin, self.caller.worker))
            if all(other is not plugin for other in server.plugins.values()):
                name = name_of(plugin)
                if name in server.plugins:
                    name = f"{name}-{id(plugin):x}"
                server.plugins[name] = plugin

    def verify(self, event: Event) -> None:
        """Compares with the report of the live plugin, or counts the events before it."""
        if event.hook == "report" and "failed" in event.kwargs:
            self.caller.failures.match(event.kwargs)
            return
        for verifier in self.verifiers:
            if event.hook != "report":
                verifier.take(event)
            elif event.kwargs.get("plugin") == verifier.name:
                verifier.compare(event)

    def take(self, event: Event) -> bool:
        """Applies an event, unless something may have to be awaited for it: then false."""
        raise NotImplementedError

    async def take_awaiting(self, event: Event) -> None:
        """Applies an event that `take` has refused."""
        raise NotImplementedError

    async def begin(self) -> None:
        """Registers the plugins, and calls them as they are called first."""

    async def complete(self, may_continue: bool = False) -> None:
        """Ends the events so far, which may be complete."""


class SchedulerReplay(SourceReplay):
    def __init__(self, host: Any, source: Source, targets: list[Target]) -> None:
        super().__init__(host, source, targets)
        self.state: Any = None
        if host.rebuilds:
            from tasklog.replay.scheduler_state import SchedulerStateHost

            self.state = SchedulerStateHost(host, host.is_forced, host.is_dask)
            host.decoder.reference = self.state.reference
            scheduler: Any = self.state.scheduler
            scheduler.id, scheduler._address = source.id, source.address
        else:
            scheduler = NotRebuilt("scheduler's state", host.why_not)
        self.scheduler = scheduler
        self.caller = Caller(scheduler.plugins, host, lambda: host.present)

    async def begin(self) -> None:
        self.has_begun = True
        self.host.bind_clock()
        self._mount(self.scheduler)
        await self.caller.awaited("start", self.scheduler)

    def take(self, event: Event) -> bool:
        """Applies a transition, unless a hook may have to be awaited before it."""
        if event.hook in OBSERVATIONS:
            return True
        if event.hook != "transition" or not (self.has_begun or not event.is_selected):
            return False
        host, state = self.host, self.state
        host.present = event
        host.clock.now = event.nanoseconds / 10**9
        if state is not None:
            state.apply(event)
        if event.is_selected and self.has_begun:
            self.caller.transition(event)
        if state is not None:
            state.finish(event)
        if self.verifiers:
            self.verify(event)
        return True

    async def take_awaiting(self, event: Event) -> None:
        host, state = self.host, self.state
        host.present = event
        host.clock.now = event.time
        # With what is found at its beginning a recording only says what was there before.
        if event.hook == "attach":
            self.is_chosen = self.is_chosen or event.is_selected
        elif event.is_selected and not self.has_begun:
            await self._begin_at(event)
        if event.hook == "transition":
            self.take(event)
            return
        if state is not None:
            state.apply(event)
        if event.is_selected and event.hook not in MARKS:
            await call_scheduler(self.caller, self.scheduler, event)
        if state is not None:
            state.finish(event)
        if self.verifiers or event.hook == "report":
            self.verify(event)

    async def _begin_at(self, event: Event) -> None:
        self.host.present = None
        await self.begin()
        self.host.present = event


class WorkerReplay(SourceReplay):
    def __init__(self, host: Any, source: Source, targets: list[Target]) -> None:
        super().__init__(host, source, targets)
        self.state: Any = None
        self._rebuilds = host.rebuilds_workers

    def _make(self, facts: dict[str, Any] | None) -> None:
        """The worker as it says of itself in its first event."""
        source, host = self.source, self.host
        if self._rebuilds:
            from tasklog.replay.worker_state import WorkerStateHost

            about = facts or {
                "address": source.address, "serverID": source.id, "name": source.name,
                "nthreads": 1,
            }  # fmt: skip
            forced = host.is_forced or not host.is_dask or not host.has_stimuli
            self.state = WorkerStateHost(host, about, self._call, self.verify, forced)
            self.server = self.state.worker
        else:
            self.server = NotRebuilt("worker's state", host.why_not)
        self.caller = Caller(self.server.plugins, host, lambda: host.present, worker=source.address)

    async def begin(self) -> None:
        self.has_begun = True
        self.host.bind_clock()
        self._mount(self.server)
        present, self.host.present = self.host.present, None
        await self.caller.awaited("setup", worker=self.server)
        self.host.present = present

    def take(self, event: Event) -> bool:
        host = self.host
        if event.hook in OBSERVATIONS:
            return True
        if self.server is None or event.hook in ("setup", "teardown"):
            return False
        if event.hook == "report":
            if self.state is not None:
                self.state.take_report(event)
            else:
                self.verify(event)
            return True
        if event.is_selected and not self.has_begun:
            return False
        host.present = event
        host.clock.now = event.nanoseconds / 10**9
        if self.state is not None:
            self.state.take(event)
        elif event.is_selected and event.hook == "transition":
            self.caller.transition(event)
        if self.verifiers and self.state is None:
            self.verify(event)
        return True

    def _call(self, event: Event) -> None:
        """A transition that the state machine has made."""
        if self.has_begun:
            present, self.host.present = self.host.present, event
            self.caller.transition(event)
            self.host.present = present
            if self.verifiers:
                self.verify(event)

    async def take_awaiting(self, event: Event) -> None:
        host = self.host
        host.present = event
        host.clock.now = event.time
        if self.server is None:
            facts = (event.snapshot or {}).get("worker") if event.hook == "setup" else None
            self._make(facts)
        await self.complete()
        if event.is_selected and not self.has_begun:
            await self.begin()
        if event.hook == "teardown":
            if self.has_begun and event.is_selected:
                await self.caller.awaited("teardown", worker=self.server)
        elif event.hook != "setup":
            self.take(event)
            return
        if self.verifiers:
            self.verify(event)

    async def complete(self, may_continue: bool = False) -> None:
        if self.state is not None:
            self.state.complete(may_continue)
