"""Compares the reports of a live plugin with the same plugin in the replay."""

from __future__ import annotations

import json
from typing import Any

from tasklog.decoding import Opaque
from tasklog.replay import results
from tasklog.replay.events import Event


class Verifier:
    """Compares one plugin on one source."""

    def __init__(self, plugin: Any, worker: str | None) -> None:
        self._plugin = plugin
        self.name = type(plugin).__name__
        self._worker = worker
        self._reported = 0
        self._differing = 0
        self._equal_seq: int | None = None
        self._first: list[Any] | None = None
        self._events = 0
        self._last: Event | None = None

    def take(self, event: Event) -> None:
        """An event of the source that the plugin has been called with."""
        self._events += 1
        self._last = event

    def compare(self, event: Event) -> None:
        """Compares with the report of the live plugin after all events before this one."""
        self._reported += 1
        live = event.kwargs.get("report")
        replayed = json.loads(results.text(results.full(self._plugin)))
        parting = _parting(live, replayed, [])
        if parting is None:
            if self._first is None:
                self._equal_seq = event.seq
        else:
            self._differing += 1
            if self._first is None:
                place, ours, theirs = parting
                last = self._last
                self._first = [
                    self._equal_seq, event.seq, self._events,
                    last.in_words() if last else None, last.seq if last else None,
                    ".".join(place), _shown(ours), _shown(theirs),
                ]  # fmt: skip
        self._events, self._last = 0, None

    @property
    def row(self) -> list[Any] | None:
        """The result for the command; None if there was no report."""
        if self._reported == 0:
            return None
        return [self.name, self._worker, self._reported, self._differing, self._first]


def _shown(value: Any) -> str:
    text = results.text(value)
    return text if len(text) <= 200 else text[:200] + "…"


def _parting(live: Any, replayed: Any, place: list[str]) -> tuple[Any, ...] | None:
    """Where two results first differ. What was not kept differs from nothing."""
    if isinstance(live, Opaque):
        return None
    if isinstance(live, dict) and isinstance(replayed, dict):
        for name in [*live, *(name for name in replayed if name not in live)]:
            if name not in live or name not in replayed:
                return [*place, str(name)], live.get(name), replayed.get(name)
            parting = _parting(live[name], replayed[name], [*place, str(name)])
            if parting:
                return parting
        return None
    if isinstance(live, (list, tuple)) and isinstance(replayed, list):
        for number, (ours, theirs) in enumerate(zip(live, replayed, strict=False)):
            parting = _parting(ours, theirs, [*place, str(number)])
            if parting:
                return parting
        if len(live) != len(replayed):
            number = min(len(live), len(replayed))
            rest = [list(each[number : number + 1]) for each in (live, replayed)]
            return [*place, str(number)], *rest
        return None
    # By text, so that 1 is not 1.0.
    return None if results.text(live) == results.text(replayed) else (place, live, replayed)
