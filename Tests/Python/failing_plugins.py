"""Plugins that fail, live and in replays."""

from __future__ import annotations

from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin


class Always(SchedulerPlugin):
    """Fails in each transition into memory, live and in a replay."""

    name = "always"

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        if finish == "memory":
            raise ValueError(f"no {key}")

    async def add_worker(self, scheduler: Any, worker: str) -> None:
        raise RuntimeError("later")


class OnWorkers(WorkerPlugin):
    """Fails when it is set up, and in each transition into memory."""

    name = "on-workers"

    def setup(self, worker: Any) -> None:
        self.worker = worker
        raise LookupError("no setup")

    def transition(self, key: Any, start: str, finish: str, **kwargs: Any) -> None:
        if finish == "memory":
            raise ValueError(f"no {key}")


class Cannot(SchedulerPlugin):
    """Cannot even be called."""

    name = "cannot"

    def transition(self, key: Any) -> None:
        pass


class InReplays(SchedulerPlugin):
    """Fails only in a replay."""

    name = "in-replays"

    def __init__(self, fails: bool = True) -> None:
        self.fails = fails

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        if self.fails and finish == "memory":
            raise ValueError("only here")


class Lively(InReplays):
    """Fails only live."""

    name = "lively"


class Missing(WorkerPlugin):
    """Uses an attribute that Dask's worker does not have."""

    def setup(self, worker: Any) -> None:
        self.worker = worker

    def transition(self, key: Any, start: str, finish: str, **kwargs: Any) -> None:
        self.worker.no_such_thing_at_all()


class Mistaken(Missing):
    """Uses an attribute that a live worker has."""

    def transition(self, key: Any, start: str, finish: str, **kwargs: Any) -> None:
        self.worker.workspace.no_such_thing_at_all()
