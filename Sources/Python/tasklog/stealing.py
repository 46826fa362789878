"""Which workers are idle or saturated, where work stealing changes that without an event."""

from __future__ import annotations

from typing import Any


class Loads:
    """Tells what a replay cannot work out from the other events.

    While it balances, stealing weighs workers by what is on its way to them, too. After a task that
    it moves is scheduled again, it weighs both workers once more.
    """

    def __init__(self, recorder: Any, scheduler: Any) -> None:
        self._recorder = recorder
        self._scheduler = scheduler
        self._before: tuple[set[Any], set[Any]] | None = None
        self._rescheduled: list[str] = []

    def keep(self) -> None:
        self._before = self._now()

    def tell(self) -> None:
        """Tells of the workers that are idle or saturated now and were not, and the reverse."""
        if self._before is None:
            return
        (idle, saturated), now = self._before, self._now()
        self._before = now
        addresses = idle ^ now[0]
        addresses.update(ws.address for ws in saturated ^ now[1])
        for address in sorted(addresses):
            self._tell(address)

    def finish(self) -> None:
        self.tell()
        self._before = None

    def note(self, message: Any) -> None:
        """What stealing is about to log."""
        self.tell()
        if isinstance(message, tuple) and message[:1] == ("reschedule",):
            _, _, _, _, victim, thief, _ = message
            self._rescheduled = [thief, victim]

    def finish_confirmation(self) -> None:
        for address in self._rescheduled:
            self._tell(address)
        self._rescheduled = []

    def _now(self) -> tuple[set[Any], set[Any]]:
        return set(self._scheduler.idle), set(self._scheduler.saturated)

    def _tell(self, address: str) -> None:
        s = self._scheduler
        ws = s.workers.get(address)
        if ws is not None:
            args = {
                "op": "check-idle-saturated", "idle": address in s.idle,
                "saturated": ws in s.saturated,
            }  # fmt: skip
            self._recorder._emit("stimulus", args, worker=address)
