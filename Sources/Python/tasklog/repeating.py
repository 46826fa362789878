"""Finds metadata that is set again to the same value: a `LocalCluster` does so every second."""

from __future__ import annotations

import time
from typing import Any

#: Seconds after which a repeated value is recorded again: the log may have lost the first.
PATIENCE = 60.0
#: More values than this, and longer ones, are not remembered.
LIMIT = 64
LONGEST = 4096
#: Types whose `repr` is exact.
_PLAIN = frozenset((type(None), bool, int, float, str, bytes))


class Repeated:
    """The values that were recorded last, by their path of names."""

    def __init__(self) -> None:
        self._recorded: dict[tuple[Any, ...], tuple[str, float]] = {}

    def is_again(self, path: tuple[Any, ...], value: Any) -> bool:
        """Whether this value was recorded last, and no other since above or below its path."""
        text, now = exact(value), time.monotonic()
        before = self._recorded.get(path)
        if before is not None and before[0] == text and now - before[1] < PATIENCE:
            return True
        for other in list(self._recorded):
            shorter = min(len(other), len(path))
            if other[:shorter] == path[:shorter]:
                del self._recorded[other]
        if text is not None and len(self._recorded) < LIMIT:
            self._recorded[path] = text, now
        return False


def exact(value: Any) -> str | None:
    """Text that no other value has, including types and order; None if that would take long."""
    left = LIMIT

    def is_plain(value: Any) -> bool:
        nonlocal left
        left -= 1
        kind = type(value)
        if left < 0:
            return False
        if kind in _PLAIN:
            return (kind is not str and kind is not bytes) or len(value) <= LONGEST
        if kind is dict:
            return all(is_plain(name) and is_plain(item) for name, item in value.items())
        return (kind is list or kind is tuple) and all(map(is_plain, value))

    if not is_plain(value):
        return None
    text = repr(value)
    return text if len(text) <= LONGEST else None
