"""Args of an event, which are decoded when they are looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

_SHOWN = 200


class Args(Mapping[str, Any]):
    """The args of an event: a mapping of those that were given by name.

    Nothing is executed: an object that only Python can rebuild is a
    `tasklog.decoding.PythonObject`.
    """

    __slots__ = ("_decoded", "_decoder", "json")

    def __init__(self, json: str, decoder: Callable[[], Any]) -> None:
        #: As the log has them.
        self.json = json
        self._decoder = decoder
        self._decoded: tuple[tuple[Any, ...], dict[str, Any]] | None = None

    def _both(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if self._decoded is None:
            self._decoded = self._decoder().args(self.json)
        return self._decoded

    @property
    def positional(self) -> tuple[Any, ...]:
        """The args without a name."""
        return self._both()[0]

    def __getitem__(self, name: str) -> Any:
        return self._both()[1][name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._both()[1])

    def __len__(self) -> int:
        return len(self._both()[1])

    def __repr__(self) -> str:
        rest = len(self.json) - _SHOWN
        return self.json if rest <= 0 else f"{self.json[:_SHOWN]}… ({rest} more characters)"
