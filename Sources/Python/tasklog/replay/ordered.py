"""A set whose order does not depend on hashes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


class OrderedSet(set[Any]):
    """A `set` that iterates in the order of insertion.

    The order of a live set depends on the hash seed of its process; where the recording has it, it
    is the order in which a replay fills this one.
    """

    __slots__ = ("_order",)

    def __init__(self, items: Iterable[Any] = ()) -> None:
        self._order = dict.fromkeys(items)
        set.__init__(self, self._order)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._order)

    def __reversed__(self) -> Iterator[Any]:
        return reversed(self._order)

    def __repr__(self) -> str:
        return f"{{{', '.join(map(repr, self._order))}}}" if self._order else "set()"

    def __reduce__(self) -> Any:
        return set, (list(self._order),)

    def add(self, item: Any) -> None:
        set.add(self, item)
        self._order[item] = None

    def discard(self, item: Any) -> None:
        set.discard(self, item)
        self._order.pop(item, None)

    def remove(self, item: Any) -> None:
        set.remove(self, item)
        self._order.pop(item, None)

    def pop(self) -> Any:
        if not self._order:
            raise KeyError("pop from an empty set")
        item = next(iter(self._order))
        self.remove(item)
        return item

    def clear(self) -> None:
        set.clear(self)
        self._order.clear()

    def copy(self) -> OrderedSet:
        return OrderedSet(self._order)

    def update(self, *others: Iterable[Any]) -> None:
        for other in others:
            for item in other:
                self.add(item)

    def difference_update(self, *others: Iterable[Any]) -> None:
        for other in others:
            for item in list(other):
                self.discard(item)

    def intersection_update(self, *others: Iterable[Any]) -> None:
        kept = set(self).intersection(*others)
        for item in [item for item in self._order if item not in kept]:
            self.discard(item)

    # Mypy wants `|=` to take what `|` takes; Dask's sets are only joined with sets.
    def __ior__(self, other: Any) -> OrderedSet:  # type: ignore[misc]
        self.update(other)
        return self

    def __isub__(self, other: Any) -> OrderedSet:  # type: ignore[misc]
        self.difference_update(other)
        return self

    def __iand__(self, other: Any) -> OrderedSet:  # type: ignore[misc]
        self.intersection_update(other)
        return self
