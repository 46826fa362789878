"""Puts events in causal order, as ``CausalOrder`` of the Swift side does, all of them in memory."""

from __future__ import annotations

import collections
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass
class Item:
    """An event with what it causes and what it may have to wait for."""

    seq: int
    source: int
    #: The cause that it is for others: its kind, the key, and a number.
    given: tuple[str, int, Any] | None
    #: The cause that it may have to wait for.
    cause: tuple[str, int, Any] | None
    value: Any


def ordered(items: Iterable[Item]) -> list[Item]:
    """The events, given in the order of arrival, with causes before effects."""
    order = _Order(list(items))
    order.run()
    return order.output


class _Order:
    """See ``CausalOrder.swift``, which explains it."""

    def __init__(self, items: list[Item]) -> None:
        self._items = items
        self._position = -(2**63)
        #: The last seq of each cause.
        self._last: dict[Hashable, int] = {}
        for item in items:
            if item.given is not None:
                self._last[item.given] = item.seq
        self._done: dict[int, Any] = {}
        self._sent: dict[int, int] = {}
        #: The buffered events of each blocked source, and the cause that blocks its first one.
        self._waiting: dict[int, collections.deque[Item]] = {}
        self._cause_of: dict[int, Any] = {}
        self._waiting_causes: dict[Hashable, list[int]] = {}
        self._blocked: dict[Hashable, list[int]] = {}
        self.output: list[Item] = []

    def run(self) -> None:
        for item in self._items:
            self._position = item.seq
            if item.source in self._waiting:
                self._waiting[item.source].append(item)
                self._has_queued(item)
                continue
            cause = self._pending(item)
            if cause is None:
                self._emit(item)
                continue
            self._waiting[item.source] = collections.deque([item])
            self._block(item.source, cause)
            self._has_queued(item)
        self._position = 2**63 - 1
        self._last = {}
        while any(self._waiting.values()):
            self._force(list(self._waiting))

    def _block(self, source: int, cause: Any) -> None:
        self._cause_of[source] = cause
        self._blocked.setdefault(cause, []).append(source)

    def _has_queued(self, item: Item) -> None:
        if item.given is not None:
            self._waiting_causes.setdefault(item.given, []).append(item.source)
        self._break_cycle(item.source)
        if item.given is not None:
            for source in list(self._blocked.get(item.given, ())):
                self._break_cycle(source)

    def _break_cycle(self, source: int) -> None:
        path = [source]
        while True:
            cause = self._cause_of.get(path[-1]) if path[-1] in self._waiting else None
            holders = self._waiting_causes.get(cause) if cause is not None else None
            if not holders or any(holder != holders[0] for holder in holders):
                return
            if holders[0] in path:
                self._force(path[path.index(holders[0]) :])
                return
            path.append(holders[0])

    def _force(self, sources: list[int]) -> None:
        """Emits the event that arrived first among those that block sources."""
        heads = [(self._waiting[s][0].seq, s) for s in sources if self._waiting.get(s)]
        if not heads:
            return
        _, source = min(heads)
        cause = self._cause_of.get(source)
        if cause is None:
            return
        self._blocked[cause].remove(source)
        if not self._blocked[cause]:
            del self._blocked[cause]
        self._emit(self._take(source), source)

    def _take(self, source: int) -> Item:
        item = self._waiting[source].popleft()
        if item.given is not None:
            sources = self._waiting_causes[item.given]
            sources.remove(source)
            if not sources:
                del self._waiting_causes[item.given]
        return item

    def _emit(self, item: Item, then_resume: int | None = None) -> None:
        """Emits an event, and after it everything that waited for it."""
        ready = self._emit_one(item)
        if then_resume is not None:
            ready.insert(0, then_resume)
        place = 0
        while place < len(ready):
            ready += self._resume(ready[place])
            place += 1

    def _emit_one(self, item: Item) -> list[int]:
        self.output.append(item)
        if item.given is None:
            return []
        kind, key, number = item.given
        if kind == "done":
            self._done[key] = number
        else:
            self._sent[key] = max(self._sent.get(key, number), number)
        sources = self._blocked.pop(item.given, [])
        for source in sources:
            self._cause_of[source] = None
        return sorted(sources, key=lambda source: self._waiting[source][0].seq)

    def _resume(self, source: int) -> list[int]:
        """Emits the buffered events of a source up to the next one that has to wait."""
        woken: list[int] = []
        while self._waiting.get(source):
            cause = self._pending(self._waiting[source][0])
            if cause is not None:
                self._block(source, cause)
                self._break_cycle(source)
                return woken
            woken += self._emit_one(self._take(source))
        self._waiting.pop(source, None)
        self._cause_of.pop(source, None)
        return woken

    def _pending(self, item: Item) -> Any:
        """The cause of an event that has not been emitted yet."""
        if item.cause is None:
            return None
        kind, key, number = item.cause
        if kind == "done":
            if self._done.get(key) == number:
                return None
        elif self._sent.get(key, -1) >= number:
            return None
        is_to_come = (
            item.cause in self._waiting_causes
            or self._last.get(item.cause, -(2**63)) > self._position
        )
        return item.cause if is_to_come else None
