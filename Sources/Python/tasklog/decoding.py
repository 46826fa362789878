"""From the log's JSON back to the objects that the live hooks were called with.

Nothing is executed: a pickle is only loaded where `unpickle` is set, which a log from a stranger
should not be read with.
"""

from __future__ import annotations

import base64
import collections
import datetime
import decimal
import json
import uuid
from dataclasses import dataclass
from typing import Any, Callable


@dataclass(frozen=True)
class Opaque:
    """A value that was not kept, and why."""

    reason: str


@dataclass(frozen=True)
class PythonObject:
    """An object that only Python could rebuild, and that was not rebuilt."""

    type: str
    repr: str
    state: Any = None
    pickle: bytes | None = None

    def __hash__(self) -> int:
        return hash((self.type, self.repr))


class Decoder:
    """Decodes the JSON of args and snapshots.

    blob:
        Gives the bytes that were interned elsewhere in the log, by their hash.
    reference:
        Gives the object that a reference to a worker, task or client stands for, by the name of its
        type and its address or key.
    unpickle:
        Whether to load pickles.
    """

    def __init__(
        self,
        blob: Callable[[str], bytes] | None = None,
        reference: Callable[[str, Any], Any] | None = None,
        unpickle: bool = False,
    ) -> None:
        self.blob = blob
        self.reference = reference
        self.unpickle = unpickle

    def args(self, text: str | None) -> tuple[tuple, dict[str, Any]]:
        """The positional and the named arguments."""
        if text is None:
            return (), {}
        loaded = json.loads(text)
        positional: list = []
        named: dict[str, Any] = {}
        for name, value in loaded.items():
            if name == "$args":
                positional = [self.value(item) for item in value]
            elif name == "$kwargs":
                named.update({key: self.value(item) for key, item in value.items()})
            else:
                named[name] = self.value(value)
        return tuple(positional), named

    def loads(self, text: str) -> Any:
        return self.value(json.loads(text))

    def key(self, text: str, typed: str) -> Any:
        """A key of its two columns."""
        return self.loads(typed) if typed else text

    def value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, content),) = value.items()
            if name.startswith("$"):
                return self._tagged(name, content)
        return {key: self.value(item) for key, item in value.items()}

    def _tagged(self, name: str, content: Any) -> Any:
        plain = _PLAIN.get(name)
        if plain is not None:
            return plain(content)
        if name == "$blob":
            return self.blob(content) if self.blob else Opaque("blob")
        if name == "$bytearray":
            return bytearray(
                self.value(content) if isinstance(content, dict) else base64.b64decode(content)
            )
        if name in _SEQUENCES:
            return _SEQUENCES[name](self.value(item) for item in content)
        if name == "$map":
            return {self.value(key): self.value(item) for key, item in content}
        if name == "$serialized":
            return self._serialized(self.value(content))
        if name == "$python":
            return self._python(self.value(content))
        if name == "$opaque":
            return Opaque(self.value(content))
        return Opaque(f"{name}: unknown")

    def _serialized(self, content: Any) -> Any:
        from distributed.protocol.serialize import Serialize, Serialized

        if "data" in content:
            return Serialize(content["data"])
        return Serialized(content["header"], content["frames"])

    def _python(self, content: dict) -> Any:
        name, state, pickled = content["type"], content.get("state"), content.get("pickle")
        if name in _REFERENCES and self.reference is not None:
            return self.reference(name, state)
        if "state" in content:
            rebuild = _REBUILD.get(name)
            if rebuild is not None:
                return rebuild(state)
            if name.startswith("numpy."):
                return _numpy(state)
        if pickled is not None and self.unpickle:
            import pickle

            return pickle.loads(pickled)
        return PythonObject(name, content["repr"], state, pickled)


def _numpy(state: list) -> Any:
    import numpy

    dtype, content = state
    return numpy.frombuffer(content, dtype=dtype)[0]


def _defaultdict(state: list) -> collections.defaultdict:
    factories = {kind.__name__: kind for kind in (dict, list, set, int, float, str, tuple)}
    made: collections.defaultdict = collections.defaultdict(factories.get(state[0]))
    made.update(state[1])
    return made


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "$bytes": base64.b64decode,
    "$wtf8": lambda content: base64.b64decode(content).decode("utf-8", "surrogatepass"),
    "$float": float,
    "$int": int,
}

_SEQUENCES: dict[str, Callable[[Any], Any]] = {
    "$tuple": tuple,
    "$set": set,
    "$frozenset": frozenset,
}

_REFERENCES = {
    "distributed.scheduler.WorkerState",
    "distributed.scheduler.TaskState",
    "distributed.scheduler.ClientState",
}

_REBUILD: dict[str, Callable[[Any], Any]] = {
    "builtins.memoryview": memoryview,
    "builtins.complex": lambda state: complex(*state),
    "builtins.range": lambda state: range(*state),
    "collections.defaultdict": _defaultdict,
    "collections.OrderedDict": collections.OrderedDict,
    "collections.Counter": collections.Counter,
    "collections.deque": lambda state: collections.deque(state[0], state[1]),
    "datetime.datetime": datetime.datetime.fromisoformat,
    "datetime.date": datetime.date.fromisoformat,
    "datetime.time": datetime.time.fromisoformat,
    "datetime.timedelta": lambda state: datetime.timedelta(*state),
    "uuid.UUID": lambda state: uuid.UUID(hex=state),
    "decimal.Decimal": decimal.Decimal,
}
