"""Keeps each transition that it is called with, as the witness does; for a replay."""

from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin


class OnScheduler(SchedulerPlugin):
    def __init__(self) -> None:
        self.seen: list[list[str]] = []

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        self.seen.append([str(key), start, finish])


class OnWorkers(WorkerPlugin):
    def __init__(self) -> None:
        self.seen: list[list[str]] = []

    def transition(self, key: Any, start: str, finish: str, **kwargs: Any) -> None:
        self.seen.append([str(key), start, finish])
