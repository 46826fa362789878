"""Tells when a plugin looks at a field that is not replayed; see `fields`."""

from __future__ import annotations

import inspect
from typing import Any

from tasklog.replay.fields import NOT_REPLAYED

#: Looked at by nearly every plugin that is registered, or by Dask's own functions all the time, or
#: a way to act, which is counted elsewhere; `unrunnable` is replayed, but for its times.
_LEFT_OUT = {
    "batched_stream", "client_comms", "data", "handlers", "io_loop", "loop", "periodic_callbacks",
    "plugins", "rpc", "scheduler", "stream_comms", "stream_handlers", "unrunnable", "validate",
}  # fmt: skip


class _NotReplayed:
    """In the place of a field of a class."""

    def __init__(self, label: str, name: str, original: Any) -> None:
        self._label = label
        self._name = name
        self._original = original

    def __get__(self, server: Any, owner: Any = None) -> Any:
        if server is None:
            return self
        host = server.__dict__.get("_replay_host")
        if host is not None and host.calling is not None and not host.drives:
            host.looked_at[self._label] += 1
        if hasattr(type(self._original), "__get__"):
            return self._original.__get__(server, owner)
        try:
            return server.__dict__[self._name]
        except KeyError:
            if self._original is not None:
                return self._original
            raise AttributeError(
                f"{self._label} is not replayed", name=self._name, obj=server
            ) from None

    def __set__(self, server: Any, value: Any) -> None:
        if hasattr(type(self._original), "__set__"):
            self._original.__set__(server, value)
        else:
            server.__dict__[self._name] = value

    def __delete__(self, server: Any) -> None:
        if hasattr(type(self._original), "__delete__"):
            self._original.__delete__(server)
        else:
            server.__dict__.pop(self._name, None)


def watch_fields(kind: type, label: str) -> None:
    """Watches the fields of a class that stands for Dask's class of a name."""
    for names in NOT_REPLAYED[label].values():
        for name in names:
            if name not in _LEFT_OUT:
                original = inspect.getattr_static(kind, name, None)
                setattr(kind, name, _NotReplayed(f"{label}.{name}", name, original))
