"""What ``_native.c`` defines."""

from collections.abc import Callable
from typing import Any

from tasklog.encoding import Packed

def bind(address: int | None, packed: type[Packed]) -> None: ...
def put(
    handle: int,
    source: int,
    fields: list[Any],
    longest: int,
    patterns: tuple[bytes, ...],
) -> int: ...

class Scheduler:
    counter: int
    workers: int
    def __init__(
        self,
        handle: int,
        source: int,
        longest: int,
        scheduler: Any,
        slow: Callable[..., None],
        states: dict[str, int],
        known: set[Any],
        keys: dict[Any, Any],
        spans: dict[str, Any],
        limits: dict[Any, Any],
        transition_hook: int,
        graph_hook: int,
    ) -> None: ...
    def transition(
        self, key: Any, start: str, finish: str, *args: Any, stimulus_id: str, **kwargs: Any
    ) -> None: ...
    def mark(
        self,
        hook: str | int,
        time: float,
        key: Any,
        stimulus: str | None,
        worker: str | None,
        args: dict[str, Any],
    ) -> bool: ...
    def graph(
        self,
        time: float,
        stimulus: str | None,
        args: dict[str, Any],
        tasks: Any,
        priority: dict[Any, Any],
    ) -> bool: ...
