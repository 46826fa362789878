"""The clock that plugins read during a replay: it shows the time of the present event.

Bound are `time.time`, `time.time_ns` and `distributed.metrics.time`, and each name in a module
that stands for one of them. Not bound are clocks that measure (`time.monotonic`,
`time.perf_counter`), timers of the event loop, and what C code asks the system for, as
`datetime.datetime.now()` does.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

#: Their own clocks are needed as they are.
_LEFT_ALONE = ("asyncio", "tornado", "concurrent", "threading", "logging", "tasklog")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self._undo: list[tuple[Any, str, Any]] = []

    def bind(self) -> None:
        """Puts this clock in the place of those that can be bound, in all modules so far."""
        bound: dict[int, Callable[..., Any]] = {
            id(time.time): self.time,
            id(time.time_ns): self.time_ns,
        }
        metrics = sys.modules.get("distributed.metrics")
        if metrics is not None:
            bound[id(metrics.time)] = self.time
        # A function that has been bound before is no clock of the system any more.
        bound.pop(id(self.time), None)
        for module in list(sys.modules.values()):
            name = getattr(module, "__name__", None)
            if not isinstance(name, str) or name.split(".")[0] in _LEFT_ALONE:
                continue
            for attribute, value in list(getattr(module, "__dict__", {}).items()):
                replacement = bound.get(id(value))
                if replacement is not None:
                    setattr(module, attribute, replacement)
                    self._undo.append((module, attribute, value))

    def release(self) -> None:
        """Gives the modules their clocks back."""
        for module, attribute, value in reversed(self._undo):
            setattr(module, attribute, value)
        self._undo.clear()

    def time(self) -> float:
        return self.now

    def time_ns(self) -> int:
        return round(self.now * 1e9)
