"""Records which workers are idle or saturated, as work stealing changes that without an event."""

from __future__ import annotations

from typing import Any


class Loads:
    """Records what a replay cannot derive from the other events.

    While it balances, stealing includes tasks that are on their way to a worker. After a task that
    it moves is scheduled again, it classifies both workers once more.
    """

    def __init__(self, recorder: Any, scheduler: Any) -> None:
        self._recorder = recorder
        self._scheduler = scheduler
        self._before: tuple[set[Any], set[Any]] | None = None
        self._rescheduled: list[str] = []
        #: The number of tasks of each prefix whose unknown duration stealing has requested.
        self._unknown: dict[str, int] = {}

    def begin(self) -> None:
        self._before, self._unknown = self._now(), self._unknown_durations()

    def record_changes(self) -> None:
        """Records the workers that have become idle or saturated, or no longer are."""
        if self._before is None:
            return
        (idle, saturated), now = self._before, self._now()
        self._before = now
        addresses = idle ^ now[0]
        addresses.update(ws.address for ws in saturated ^ now[1])
        for address in sorted(addresses):
            self._record(address)
        unknown = self._unknown_durations()
        if unknown != self._unknown:
            changed = [name for name in unknown if unknown[name] != self._unknown.get(name)]
            self._unknown = unknown
            durations = self._scheduler.unknown_durations
            for name in changed:
                args = {"op": "unknown-durations", "keys": [ts.key for ts in durations[name]]}
                self._recorder._emit("stimulus", args)

    def finish(self) -> None:
        self.record_changes()
        self._before = None

    def before_log(self, message: Any) -> None:
        """Called before stealing logs a message."""
        self.record_changes()
        if isinstance(message, tuple) and message[:1] == ("reschedule",):
            _, _, _, _, victim, thief, _ = message
            self._rescheduled = [thief, victim]

    def finish_confirmation(self) -> None:
        for address in self._rescheduled:
            self._record(address)
        self._rescheduled = []

    def _now(self) -> tuple[set[Any], set[Any]]:
        return set(self._scheduler.idle), set(self._scheduler.saturated)

    def _unknown_durations(self) -> dict[str, int]:
        """Newer versions of Dask keep them in the stealing extension."""
        durations = getattr(self._scheduler, "unknown_durations", {})
        return {name: len(tasks) for name, tasks in durations.items()}

    def _record(self, address: str) -> None:
        s = self._scheduler
        ws = s.workers.get(address)
        if ws is not None:
            args = {
                "op": "check-idle-saturated", "idle": address in s.idle,
                "saturated": ws in s.saturated,
            }  # fmt: skip
            self._recorder._emit("stimulus", args, worker=address)
