"""Objects of a child process, to be looked at from here.

What is plain (numbers, text, bytes, collections of these) is copied. Everything else is a
`RemoteObject`, which asks the child for its attributes.
"""

from __future__ import annotations

import builtins
import threading
from multiprocessing.connection import Connection
from typing import Any

from tasklog.reading.errors import LogError

_SCALARS = (bool, int, float, complex, str, bytes, type(None))
#: A larger collection is not copied.
_COPIED = 10_000


class _Reference:
    """Stands for an object of the child in a message."""

    def __init__(self, number: int, type: str, shown: str) -> None:
        self.number = number
        self.type = type
        self.shown = shown


class _Failure:
    def __init__(self, type: str, text: str) -> None:
        self.type = type
        self.text = text


# The child


class Server:
    """Answers questions about objects of this process, until the connection ends."""

    def __init__(self, connection: Connection, root: Any) -> None:
        self._connection = connection
        self._objects: dict[int, Any] = {}
        self._root = root

    def run(self) -> None:
        self._connection.send(self._packed(self._root))
        while True:
            try:
                question, number, arguments, keywords = self._connection.recv()
            except (EOFError, OSError):
                return
            try:
                answer = self._packed(
                    _QUESTIONS[question](
                        self._objects[number],
                        *map(self._unpacked, arguments),
                        **{name: self._unpacked(value) for name, value in keywords.items()},
                    )
                )
            except Exception as error:
                answer = _Failure(type(error).__name__, str(error))
            try:
                self._connection.send(answer)
            except (EOFError, OSError):
                return

    def _unpacked(self, value: Any) -> Any:
        return self._objects[value.number] if isinstance(value, _Reference) else value

    def _packed(self, value: Any) -> Any:
        if type(value) is list and not _is_plain(value):
            return [self._packed(item) for item in value]
        if _is_plain(value):
            return value
        # Kept, so that no other object gets its number.
        self._objects[id(value)] = value
        return _Reference(id(value), type(value).__name__, _shown(value))


def _is_plain(value: Any, depth: int = 0) -> bool:
    kind = type(value)
    if kind in _SCALARS:
        return True
    if kind not in (list, tuple, set, frozenset, dict) or depth > 5 or len(value) > _COPIED:
        return False
    items = [*value, *value.values()] if kind is dict else value
    return all(_is_plain(item, depth + 1) for item in items)


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _call(function: Any, *arguments: Any, **keywords: Any) -> Any:
    return function(*arguments, **keywords)


_QUESTIONS: dict[str, Any] = {
    "attribute": getattr,
    "item": lambda value, key: value[key],
    "call": _call,
    "items": lambda value: list(value),
    "length": len,
    "contains": lambda value, item: item in value,
    "is true": bool,
    "names": dir,
    "repr": repr,
}


# The parent


class Channel:
    """The connection to a child."""

    def __init__(self, connection: Connection, process: Any) -> None:
        self._connection = connection
        self._process = process
        self._lock = threading.Lock()

    def receive(self) -> Any:
        return self._unpacked(self._connection.recv())

    def ask(self, question: str, number: int, *arguments: Any, **keywords: Any) -> Any:
        packed = [self._packed(argument) for argument in arguments]
        named = {name: self._packed(value) for name, value in keywords.items()}
        with self._lock:
            try:
                self._connection.send((question, number, packed, named))
                answer = self._connection.recv()
            except (EOFError, OSError) as error:
                raise LogError(
                    "the process with the rebuilt state has ended; call Run.state_at again"
                ) from error
        return self._unpacked(answer)

    def close(self) -> None:
        self._connection.close()
        self._process.wait()

    def __del__(self) -> None:
        # When the last object of the child is gone. It ends when its connection does.
        try:
            self.close()
        except (AttributeError, OSError):
            pass

    def _packed(self, value: Any) -> Any:
        if isinstance(value, RemoteObject):
            return _Reference(value._number, "", "")
        return value

    def _unpacked(self, answer: Any) -> Any:
        if isinstance(answer, _Failure):
            kind = getattr(builtins, answer.type, None)
            if isinstance(kind, type) and issubclass(kind, Exception):
                raise kind(answer.text)
            raise LogError(f"{answer.type}: {answer.text}")
        if isinstance(answer, _Reference):
            return RemoteObject(self, answer.number, answer.shown)
        if type(answer) is list:
            return [self._unpacked(item) for item in answer]
        return answer


class RemoteObject:
    """An object of the process that has the rebuilt state."""

    def __init__(self, channel: Channel, number: int, shown: str) -> None:
        self._channel = channel
        self._number = number
        self._shown = shown

    def _ask(self, question: str, *arguments: Any, **keywords: Any) -> Any:
        return self._channel.ask(question, self._number, *arguments, **keywords)

    def __getattr__(self, name: str) -> Any:
        # Names such as `_repr_html_` and `__array__` are looked up by programs that display it.
        if name.startswith("__") or (name.startswith("_repr_") or name.startswith("_ipython_")):
            raise AttributeError(name)
        return self._ask("attribute", name)

    def __getitem__(self, key: Any) -> Any:
        return self._ask("item", key)

    def __iter__(self) -> Any:
        return iter(self._ask("items"))

    def __len__(self) -> int:
        length: int = self._ask("length")
        return length

    def __contains__(self, item: Any) -> bool:
        return bool(self._ask("contains", item))

    def __bool__(self) -> bool:
        return bool(self._ask("is true"))

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self._ask("call", *arguments, **keywords)

    def __dir__(self) -> list[str]:
        names: list[str] = self._ask("names")
        return names

    def __repr__(self) -> str:
        return self._shown

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RemoteObject):
            return False
        return self._channel is other._channel and self._number == other._number

    def __hash__(self) -> int:
        return hash(self._number)


class RebuiltScheduler(RemoteObject):
    """A scheduler of Dask as it was at a point of the run, in a child process.

    Its attributes are those of ``distributed.Scheduler``: ``tasks``, ``workers``, …. They are read
    from the child, which ends with the last object of it, with `close`, or with a ``with``
    statement.
    """

    def close(self) -> None:
        """End the child process."""
        self._channel.close()

    def __enter__(self) -> RebuiltScheduler:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
