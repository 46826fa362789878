"""Decodes the log's JSON to the objects that the live hooks were called with.

Nothing is executed: a pickle is only loaded if `unpickle` is set, which must not be done for a log
from a stranger.
"""

from __future__ import annotations

import base64
import collections
import datetime
import decimal
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

#: From a text and a position to the value that begins there, and its end.
_Scanner = Callable[[str, int], tuple[Any, int]]


def _scanner(object_hook: Callable[[dict[str, Any]], Any] | None = None) -> _Scanner:
    """What `json.loads` calls after its checks."""
    # Typeshed leaves it out.
    return json.JSONDecoder(object_hook=object_hook).scan_once  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Opaque:
    """A value that was not recorded, and why.

    Of one that was too long, it has the beginning and the number of bytes.
    """

    reason: str
    bytes: int | None = field(default=None, compare=False)
    head: Any = field(default=None, compare=False)


@dataclass(frozen=True)
class PythonObject:
    """An object that could not be rebuilt from the log."""

    type: str
    repr: str
    state: Any = None
    pickle: bytes | None = None

    def __hash__(self) -> int:
        return hash((self.type, self.repr))


class Decoder:
    """Decodes the JSON of args and snapshots.

    blob:
        Returns bytes that are interned in the log, by their hash.
    reference:
        Returns the worker, task or client that a reference stands for, by the name of its type and
        its address or key.
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
        #: The shared values of the event that is being decoded, by their number.
        self._shared: dict[int, Any] | None = None
        #: The number of objects of each type that were not rebuilt.
        self.stand_ins: collections.Counter[Any] = collections.Counter()
        #: The number of values that were not recorded, by the reason.
        self.opaque: collections.Counter[Any] = collections.Counter()
        self._scan = _scanner(self._object)

    def args(
        self, text: str | None, shared: dict[int, Any] | None = None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The positional and the named arguments."""
        if text is None:
            return (), {}
        named = self.loads(text, shared)
        positional = named.pop("$args", ())
        if "$kwargs" in named:
            named.update(named.pop("$kwargs"))
        return tuple(positional), named

    def loads(self, text: str, shared: dict[int, Any] | None = None) -> Any:
        """
        shared:
            Values that args and snapshot of an event share, by their number: the same object in
            both.
        """
        if '"$' not in text:
            return _SCAN(text, 0)[0]
        before, self._shared = self._shared, {} if shared is None else shared
        try:
            return self._scan(text, 0)[0]
        finally:
            self._shared = before

    def key(self, text: str, typed: str | None) -> Any:
        """A key from its two columns."""
        return self.loads(typed) if typed else text

    def _object(self, value: dict[str, Any]) -> Any:
        """Converts an object whose content is decoded; a tagged value has one name."""
        if len(value) != 1:
            if "exception" in value or "traceback" in value:
                _put_texts(value)
            return value
        ((name, content),) = value.items()
        if not name.startswith("$") or name in _ARGUMENTS:
            return value
        decode = _PLAIN.get(name)
        if decode is not None:
            return decode(content)
        if name == "$blob":
            return self.blob(content) if self.blob else Opaque("blob")
        if name == "$json":
            return _Json(content) if type(content) is bytes else content
        if name == "$shared" and type(content) is list and len(content) == 2:
            return self._same(*content)
        if name == "$serialized":
            return _serialized(content)
        if name == "$python":
            return self._python(content)
        if name == "$capped" and isinstance(content, dict):
            self.opaque["capped"] += 1
            return Opaque("capped", content.get("bytes"), content.get("head"))
        reason = str(content) if name == "$opaque" else f"{name}: unknown"
        self.opaque[reason] += 1
        return Opaque(reason)

    def _same(self, number: int, value: Any) -> Any:
        """The object with this number; `value` is that object at its first use."""
        shared = self._shared
        if shared is None:
            shared = {}
        if number not in shared:
            if type(value) is _Json:
                value = self._scan(value.text.decode(), 0)[0]
            shared[number] = value
        return shared[number]

    def _python(self, content: dict[str, Any]) -> Any:
        name, state, pickled = content["type"], content.get("state"), content.get("pickle")
        if name in _REFERENCES and self.reference is not None:
            return self.reference(name, state)
        if "state" in content:
            rebuild = _REBUILD.get(name)
            if rebuild is None and name.startswith("numpy."):
                rebuild = _numpy
            if rebuild is not None:
                try:
                    return rebuild(state)
                except ImportError:
                    pass
        if pickled is not None and self.unpickle:
            import pickle

            return pickle.loads(pickled)
        if name not in _REFERENCES:
            self.stand_ins[name] += 1
        return PythonObject(name, content["repr"], state, pickled)


class _Json:
    """JSON that is decoded when it is used."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text


_SCAN = _scanner()

#: The names of the arguments of a call; not tags.
_ARGUMENTS = {"$args", "$kwargs"}


@dataclass
class SerializedData:
    """Replaces Dask's `Serialize` or `Serialized` if Dask is not installed."""

    header: Any = None
    frames: Any = None
    data: Any = None


def _serialized(content: dict[str, Any]) -> Any:
    try:
        from distributed.protocol.serialize import Serialize, Serialized
    except ImportError:
        return SerializedData(**content)
    if "data" in content:
        return Serialize(content["data"])
    return Serialized(content["header"], content["frames"])


def _put_texts(value: dict[str, Any]) -> None:
    """Adds their texts to pickled exceptions, to be shown."""
    for name in ("exception", "traceback"):
        text = value.get(f"{name}_text", value.get(f"{name}Text"))
        if isinstance(text, str) and type(value.get(name)).__name__ in _SERIALIZED:
            value[name].recorded_text = text


_SERIALIZED = ("Serialize", "Serialized", "SerializedData")


def _numpy(state: list[Any]) -> Any:
    import numpy

    dtype, content = state
    return numpy.frombuffer(content, dtype=dtype)[0]


def _defaultdict(state: list[Any]) -> collections.defaultdict[Any, Any]:
    factories = {kind.__name__: kind for kind in (dict, list, set, int, float, str, tuple)}
    made: collections.defaultdict[Any, Any] = collections.defaultdict(factories.get(state[0]))
    made.update(state[1])
    return made


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "$bytes": base64.b64decode,
    "$wtf8": lambda content: base64.b64decode(content).decode("utf-8", "surrogatepass"),
    "$float": float,
    "$int": int,
    "$tuple": tuple,
    "$set": set,
    "$frozenset": frozenset,
    "$map": dict,
    "$bytearray": lambda content: bytearray(
        base64.b64decode(content) if isinstance(content, str) else content
    ),
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
