"""Plugins that read annotations and the state of workers, live and in a replay."""

from __future__ import annotations

from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin


def text(value: Any) -> str:
    """What is known of a value both live and in a replay, where objects are stand-ins."""
    shown = value.repr if type(value).__name__ == "PythonObject" else repr(value)
    return f"{len(shown) if len(shown) < 2000 else 'long'} {shown[:500]}"


class Annotated(SchedulerPlugin):
    """Compares annotations, records which of them are the same object, and changes them."""

    def __init__(self) -> None:
        self.seen: list = []

    async def start(self, scheduler: Any) -> None:
        self.scheduler = scheduler

    def update_graph(self, scheduler: Any, *, annotations: dict, **kwargs: Any) -> None:
        numbers: dict[int, int] = {}
        for name, values in sorted(annotations.items()):
            for key, value in sorted(values.items()):
                own = scheduler.tasks[key].annotations[name]
                same = None
                if not isinstance(value, (str, bytes, int, float, type(None))):
                    same = [numbers.setdefault(id(value), len(numbers)), own is value]
                self.seen.append([name, key, text(value), text(own), same])
        for key in sorted(annotations.get("custom", ())):
            value = scheduler.tasks[key].annotations["custom"]
            if isinstance(value, list):
                value.append(key)
            elif isinstance(value, dict):
                value[key] = len(value)

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        ts = self.scheduler.tasks.get(key)
        if finish in ("processing", "memory") and ts is not None:
            named = sorted((ts.annotations or {}).items())
            resources = ts.resource_restrictions
            is_same = resources is None or resources is ts.annotations.get("resources")
            self.seen.append([key, finish, [[n, text(v)] for n, v in named], is_same])


class Metrics(SchedulerPlugin):
    """Reads the metrics of all workers whenever it is called."""

    def __init__(self) -> None:
        self.seen: list = []

    async def start(self, scheduler: Any) -> None:
        self.scheduler = scheduler

    def _look(self) -> None:
        for ws in self.scheduler.workers.values():
            self.seen.append([ws.address, repr(ws.metrics), ws.last_seen, self.scheduler.bandwidth])

    def transition(self, key: Any, *args: Any, **kwargs: Any) -> None:
        self._look()

    def log_event(self, topic: str, msg: Any) -> None:
        self._look()
