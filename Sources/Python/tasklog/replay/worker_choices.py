"""What a worker's state machine chose live and cannot choose again: read off the next events."""

from __future__ import annotations

from collections import deque
from typing import Any

from tasklog.replay.events import Event


class Choices:
    """What a `ReplayedWorkerState` asks for."""

    worker: Any
    #: The events of the present stimulus that are still to come, as far as they are there.
    _expected: deque[Event]
    #: Whether all of them are there.
    _is_complete: bool

    @property
    def next_key(self) -> Any:
        """The task whose transition is next, when all is there that it needs."""
        event = self._expected[0] if self._expected else None
        if event is None:
            return None
        if not self._is_complete and _could_not_be_stored(event) and not self._failure(event):
            return None
        return event.key

    def recorded_fetches(self) -> dict[str, list[Any]]:
        """The tasks that are fetched next, by the worker that they come from.

        In the order in which Dask chose them; empty if that is not recorded.
        """
        fetches: dict[str, list[Any]] = {}
        # Dask takes the last one first.
        for event in reversed(self._expected):
            if (event.start, event.finish) != ("fetch", "flight"):
                continue
            worker = task_facts(event).get("comingFrom")
            ts = self.worker.state.tasks.get(event.key)
            if worker is None:
                return {}
            # Any other does not fit, and will be set.
            if ts is not None and ts.state == "fetch" and worker in ts.who_has:
                fetches.setdefault(worker, []).append(ts)
        return fetches

    def recorded_failure(self, ts: Any) -> tuple[Any, ...] | None:
        """The recorded failure to store the value of a task; None if it could be stored.

        A value that must be written to disk at once may not be picklable. The next transition of
        its task is to ``error``.
        """
        event = self._expected[0] if self._expected else None
        if event is None or event.key != ts.key or not _could_not_be_stored(event):
            return None
        facts = task_facts(self._failure(event) or event)
        return (
            facts.get("exception"), facts.get("traceback"),
            facts.get("exceptionText") or "", facts.get("tracebackText") or "",
        )  # fmt: skip

    def _failure(self, event: Event) -> Event | None:
        """The transition to ``error`` of the same task."""
        return next((e for e in self._expected if e.key == event.key and e.finish == "error"), None)


def task_facts(event: Event) -> dict[str, Any]:
    snapshot = event.snapshot
    return snapshot.get("task", {}) if snapshot else {}


def _could_not_be_stored(event: Event) -> bool:
    return event.finish == "memory" and task_facts(event).get("state", "memory") != "memory"
