"""Metadata that is set again as it is: a `LocalCluster` does so every second."""

from __future__ import annotations

import time
from typing import Any

#: What is said again is told again after so many seconds: a log may have lost its beginning.
PATIENCE = 60.0
#: More values than this, and longer ones, are not remembered.
LIMIT = 64
LONGEST = 4096
#: Their `repr` tells all of them.
_PLAIN = frozenset((type(None), bool, int, float, str, bytes))


class Repeated:
    """What was told last under each path of names."""

    def __init__(self) -> None:
        self._told: dict[tuple[Any, ...], tuple[str, float]] = {}

    def is_again(self, path: tuple[Any, ...], value: Any) -> bool:
        """Whether just this was told before, and nothing else since above or below it."""
        text, now = exact(value), time.monotonic()
        before = self._told.get(path)
        if before is not None and before[0] == text and now - before[1] < PATIENCE:
            return True
        for other in list(self._told):
            shorter = min(len(other), len(path))
            if other[:shorter] == path[:shorter]:
                del self._told[other]
        if text is not None and len(self._told) < LIMIT:
            self._told[path] = text, now
        return False


def exact(value: Any) -> str | None:
    """Text that no other value has, types and order included; `None` if that is not so easy."""
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
