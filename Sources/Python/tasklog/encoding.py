"""Encodes the arguments of Dask's hooks as MessagePack, without loss.

Types that MessagePack lacks are extensions, the same as `MessagePackExtension` of the Swift side:
tuples, sets, bytearrays, big integers, and tagged values for everything else. A tagged value
is a name and a value:

- ``$serialized``: Dask's `Serialized` (``header``, ``frames``) and `Serialize` (``data``);
- ``$python``: an object that only Python can rebuild: its ``type``, its ``repr``, and its ``state``
  (types that are known here and safe to rebuild) or its ``pickle`` (if the option is set);
- ``$opaque``: a value that was not recorded, and why;
- ``$shared``: a number within the event and, at its first use, a value: annotations, which all
  tasks of a graph may share. Equal numbers stand for the same object;
- ``$json``, within ``$shared``: the JSON of a large text, which the log stores once;
- ``$same``, within ``$shared``: the SHA-256 of such JSON that an earlier event had.

This module is sent to workers by value, with `filtering` and `reprs`.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import hashlib
import json
import uuid
from collections.abc import Callable
from typing import Any

import msgpack

from tasklog.filtering import Patterns
from tasklog.reprs import safe_repr

TUPLE, SET, FROZENSET, BYTEARRAY, BIG_INT, _WTF8, TAGGED = range(1, 8)

#: A hook is its index in this list: Swift's `Hook.known`. New hooks are added at its end.
HOOKS = {
    name: place
    for place, name in enumerate(
        [
            "start", "beforeClose", "close", "restart", "updateGraph", "addWorker",
            "removeWorker", "addClient", "removeClient", "validWorkersDownscaling", "logEvent",
            "setup", "teardown", "transition", "attach", "detach", "stimulus",
            "clientDesiresKeys", "clientReleasesKeys", "addReplica", "removeReplica", "report",
            "excluded", "heartbeat", "nanny", "message", "request", "lock", "plugin", "monitor",
            "profile", "submission",
        ]
    )
}  # fmt: skip

#: A state is its place in this list: Swift's `State.known`. It only ever grows at its end.
STATES = {
    name: place
    for place, name in enumerate(
        [
            "released", "waiting", "no-worker", "queued", "processing", "memory", "erred",
            "forgotten", "ready", "constrained", "executing", "long-running", "fetch", "flight",
            "missing", "cancelled", "resumed", "rescheduled", "error",
        ]
    )
}  # fmt: skip

TRANSITION = HOOKS["transition"]

#: Deeper nesting than this is not kept.
MAXIMUM_DEPTH = 100
#: So much is kept of the beginning of text and bytes that are too long.
HEAD_LENGTH = 1024
#: More values than this in one argument are not kept.
MAXIMUM_VALUES = 5_000_000
#: Text and bytes up to this length are written wherever they are among annotations.
SHORT = 256
#: Text of at least this length among annotations is sent once a batch.
LARGE = 4096


class Packed(msgpack.ExtType):
    """An extension that this module has packed; one that a hook was called with is not of this
    type."""

    __slots__ = ()


class Shared:
    """Annotations, which tasks have in common.

    levels:
        How many dicts deep the annotations are: one within a task, two by name and key.
    """

    __slots__ = ("value", "levels")

    def __init__(self, value: Any, levels: int = 1) -> None:
        self.value = value
        self.levels = levels


class SentTexts:
    """Large texts that events of the current batch hold, by the text: the SHA-256 of their JSON."""

    #: More texts, or characters, than this are not remembered.
    MAXIMUM_COUNT = 64
    MAXIMUM_LENGTH = 32 << 20

    def __init__(self) -> None:
        self._hashes: dict[str, str] = {}
        self._length = 0

    def forget(self) -> None:
        """The next event is of another batch, or one with a text was lost."""
        self._hashes.clear()
        self._length = 0

    def add(self, text: str) -> tuple[str, str | None]:
        """The SHA-256 of the text's JSON, and the JSON unless an event has brought it already."""
        known = self._hashes.get(text)
        if known is not None:
            return known, None
        content = json.dumps(text, ensure_ascii=False)
        # Raises for what is no Unicode.
        hashed = hashlib.sha256(content.encode()).hexdigest()
        self._length += len(text)
        if len(self._hashes) == self.MAXIMUM_COUNT or self._length > self.MAXIMUM_LENGTH:
            self.forget()
            self._length = len(text)
        self._hashes[text] = hashed
        return hashed, content


class Encoder:
    """Encodes events. Not for several threads at once."""

    def __init__(
        self, max_value_bytes: int = 1 << 20, pickle: bool = False, redact: tuple[str, ...] = ()
    ) -> None:
        self.max_value_bytes = max_value_bytes
        self.pickle = pickle
        #: Names whose values are redacted, as bytes in lower case.
        self.patterns = tuple(name.encode("utf-8", "surrogatepass").lower() for name in redact)
        self._hidden = Patterns(redact, ignores_case=True).matches if redact else None
        self._hides: dict[str, bool] = {}
        self._hidden_count = 0
        self._packers: list[msgpack.Packer] = []
        self._depth = 0
        self._budget = 0
        self._path: set[int] = set()
        #: Of the event that is being encoded: the numbers of what is shared, objects as they are
        #: packed, and both, so that their ids stay theirs.
        self._numbers: dict[int, int] = {}
        self._objects: dict[int, tuple[Packed, bool]] = {}
        self._held: list[Any] = []
        #: Where events are sent in batches: the large texts of the current one.
        self.sent: SentTexts | None = None
        #: Keys that are not just text, as they are packed.
        self._keys: dict[Any, Any] = {}
        #: The fast way, for values of only None, bool, int, float, str, bytes, and lists, tuples
        #: and dicts of them.
        self.pack: Callable[[Any], bytes] = self._packer(0).pack

    def _packer(self, depth: int) -> msgpack.Packer:
        while len(self._packers) <= depth:
            self._packers.append(
                msgpack.Packer(
                    default=self._default, strict_types=True, unicode_errors="surrogatepass"
                )
            )
        return self._packers[depth]

    def _nested(self, values: list[Any]) -> bytes:
        """Packs the content of an extension, while another packer is in use."""
        self._depth += 1
        try:
            return self._packer(self._depth).pack(values)
        finally:
            self._depth -= 1

    def _default(self, value: Any) -> Any:
        """Converts what the packer cannot pack, also on the fast way."""
        kind = type(value)
        if kind is Packed:
            return msgpack.ExtType(value.code, value.data)
        if kind is tuple:
            return msgpack.ExtType(TUPLE, self._nested(list(value)))
        self._budget = MAXIMUM_VALUES
        self._path.clear()
        packed = self._special(value, kind, 0)
        return msgpack.ExtType(packed.code, packed.data) if type(packed) is Packed else packed

    # Keys

    def key(self, key: Any) -> Any:
        """A key for the field of an event: text as it is, anything else packed."""
        if type(key) is str:
            return key
        # 1 and 1.0 are equal, and packed differently: only unambiguous keys are remembered.
        if type(key) is not tuple or not _REMEMBERED.issuperset(map(type, key)):
            return self.value(key)
        packed = self._keys.get(key)
        if packed is None:
            if len(self._keys) > 500_000:
                self._keys.clear()
            packed = self._keys[key] = self.value(key)
        return packed

    def forget(self, key: Any) -> None:
        """Forgets a key that is no longer needed."""
        if type(key) is not str:
            self._keys.pop(key, None)

    # Events

    def end_event(self) -> None:
        """Ends an event: values are shared only within one."""
        if self._held:
            self._numbers.clear()
            self._objects.clear()
            self._held.clear()

    def _annotations(self, value: Any, levels: int, depth: int) -> Any:
        if type(value) is not dict or levels == 0:
            return self._share(value, depth)
        pairs = [
            (
                self._prepare(name, depth),
                _REDACTED if self.hides(name)
                else self._annotations(item, levels - 1, depth + 1),
            )
            for name, item in value.items()
        ]  # fmt: skip
        return _Pairs.of(pairs, self)

    def _share(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if value is None or kind in _SCALARS:
            return self._prepare(value, depth)
        if (kind is str or kind is bytes) and len(value) <= SHORT:
            return value
        number = self._numbers.get(id(value))
        if number is not None:
            return self._tagged("$shared", [number])
        number = self._numbers[id(value)] = len(self._numbers)
        self._held.append(value)
        return self._tagged("$shared", [number, self._sent_once(value, depth)])

    def _sent_once(self, value: Any, depth: int) -> Any:
        if (
            self.sent is not None
            and type(value) is str
            and LARGE <= len(value) <= self.max_value_bytes
        ):
            try:
                hashed, content = self.sent.add(value)
            except UnicodeEncodeError:
                pass
            else:
                if content is None:
                    return self._tagged("$same", hashed)
                return self._tagged("$json", content)
        return self._prepare(value, depth)

    # Anything

    def named(self, args: dict[str, Any]) -> dict[str, Any]:
        """Named arguments, prepared for packing and redacted."""
        return {name: self.argument(name, value) for name, value in args.items()}

    def argument(self, name: str, value: Any) -> Any:
        return _REDACTED if self.hides(name) else self.value(value)

    def hides(self, name: Any) -> bool:
        """Whether the value of this name, an argument or an item of a dict, is redacted."""
        if self._hidden is None or type(name) is not str:
            return False
        hides = self._hides.get(name)
        if hides is None:
            if len(self._hides) > 10_000:
                self._hides.clear()
            hides = self._hides[name] = self._hidden(name)
        self._hidden_count += hides
        return hides

    def value(self, value: Any) -> Any:
        """Any value, prepared for packing: the packer packs the result as it is."""
        self._budget = MAXIMUM_VALUES
        self._path.clear()
        return self._prepare(value, 0)

    def opaque(self, reason: str) -> Packed:
        return self._tagged("$opaque", reason)

    def _capped(self, value: str | bytes) -> Packed:
        """The beginning of a value that is too long, and its length."""
        encoded = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
        length = len(encoded)
        return self._tagged("$capped", {"bytes": length, "head": value[:HEAD_LENGTH]})

    def _tagged(self, name: str, prepared: Any) -> Packed:
        return Packed(TAGGED, self._nested([name, prepared]))

    def _prepare(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if value is None or kind is bool or kind is float:
            return value
        if kind is int:
            return value if -(1 << 63) <= value < 1 << 63 else self._big(value)
        if kind is str or kind is bytes:
            return value if len(value) <= self.max_value_bytes else self._capped(value)
        if kind is Packed:
            return value
        if kind is Shared:
            levels = value.levels if type(value.value) is dict else 0
            return self._annotations(value.value, levels, depth)
        self._budget -= 1
        if self._budget < 0:
            return self.opaque("capped")
        if depth >= MAXIMUM_DEPTH:
            return self.opaque("too deep")
        if kind in _CONTAINERS:
            if id(value) in self._path:
                return self.opaque("circular")
            self._path.add(id(value))
            try:
                return self._container(value, kind, depth + 1)
            finally:
                self._path.discard(id(value))
        return self._special(value, kind, depth)

    def _container(self, value: Any, kind: type, depth: int) -> Any:
        if kind is dict:
            prepare = self._prepare
            items = value.items()
            if self._hidden is None:
                pairs = [(prepare(key, depth), prepare(item, depth)) for key, item in items]
            else:
                pairs = [
                    (prepare(k, depth), _REDACTED if self.hides(k) else prepare(item, depth))
                    for k, item in items
                ]
            return _Pairs.of(pairs, self)
        items = [self._prepare(item, depth) for item in value]
        if kind is list:
            return items
        return Packed(_CONTAINERS[kind], self._nested(items))

    def _big(self, value: int) -> Packed:
        try:
            return Packed(BIG_INT, str(value).encode())
        except ValueError:
            # More digits than Python prints.
            return self.opaque("capped")

    def _special(self, value: Any, kind: type, depth: int) -> Any:
        if kind in _CONTAINERS or kind is Shared:
            return self._prepare(value, depth)
        if kind is int:
            return self._big(value)
        if kind is bytearray:
            if len(value) > self.max_value_bytes:
                return self._capped(bytes(value))
            return Packed(BYTEARRAY, bytes(value))
        try:
            tagged = self._dask(value, kind, depth + 1)
            if tagged is not None:
                return tagged
            return self._python(value, kind, depth + 1)
        except Exception as error:
            return self.opaque(f"{type_name(kind)} could not be encoded: {type(error).__name__}")

    def _dask(self, value: Any, kind: type, depth: int) -> Any:
        """Dask's wrappers around bytes."""
        if not kind.__module__.startswith("distributed.protocol"):
            return None
        if kind.__name__ == "Serialized":
            frames = [
                self._prepare(frame if type(frame) is bytes else bytes(frame), depth)
                for frame in value.frames
            ]
            header = self._prepare(value.header, depth)
            return self._tagged("$serialized", {"header": header, "frames": frames})
        if kind.__name__ == "Serialize":
            return self._tagged("$serialized", {"data": self._prepare(value.data, depth)})
        return None

    def _python(self, value: Any, kind: type, depth: int) -> Packed:
        """An object; encoded once for each event, because its `repr` may be slow."""
        known = self._objects.get(id(value))
        if known is None:
            hidden_before = self._hidden_count
            packed = self._described(value, kind, depth)
            known = self._objects[id(value)] = packed, self._hidden_count > hidden_before
            self._held.append(value)
        else:
            # Its container must not show it, either.
            self._hidden_count += known[1]
        return known[0]

    def _described(self, value: Any, kind: type, depth: int) -> Packed:
        described: dict[str, Any] = {"type": type_name(kind), "repr": safe_repr(value)}
        state, hidden_before = plain_state(value, kind), self._hidden_count
        if state is not None:
            described["state"] = self._prepare(state[0], depth)
        if self._hidden is not None and (
            self._hidden_count > hidden_before or self._has_hidden(value)
        ):
            # Its text or its pickle would contain the redacted value.
            described["repr"] = _REDACTED
        elif state is None and self.pickle:
            import cloudpickle

            try:
                described["pickle"] = self._prepare(cloudpickle.dumps(value), depth)
            except Exception:
                pass
        return self._tagged("$python", described)

    def _has_hidden(self, value: Any) -> bool:
        """Whether an object has an attribute that is redacted."""
        names = [*getattr(value, "__dict__", ()), *getattr(type(value), "__slots__", ())]
        return any(self.hides(name) for name in names)


class _Pairs:
    """Makes a dict for the packer from prepared pairs."""

    @staticmethod
    def of(pairs: list[tuple[Any, Any]], encoder: Encoder) -> Any:
        try:
            packable = dict(pairs)
            if len(packable) == len(pairs):
                return packable
        except TypeError:
            pass
        # A prepared key is not hashable, or equals another one.
        return encoder._tagged("$map", [[key, value] for key, value in pairs])


#: A redacted value, packed.
_REDACTED = Packed(TAGGED, msgpack.packb(["$opaque", "redacted"]))
_REMEMBERED = {str, int}
_SCALARS = {bool, int, float}
_CONTAINERS: dict[type, int] = {list: 0, dict: 0, tuple: TUPLE, set: SET, frozenset: FROZENSET}


def type_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def plain_state(value: Any, kind: type) -> tuple[Any] | None:
    """The state that a value of a known and safe type is rebuilt from; None for other types."""
    name = type_name(kind)
    if kind is memoryview:
        return (value.tobytes(),)
    if kind is collections.defaultdict:
        factory = value.default_factory
        return ([getattr(factory, "__name__", None), dict(value)],)
    if kind in (collections.OrderedDict, collections.Counter):
        return (dict(value),)
    if kind is collections.deque:
        return ([list(value), value.maxlen],)
    if kind is complex:
        return ([value.real, value.imag],)
    if kind is range:
        return ([value.start, value.stop, value.step],)
    if kind in (datetime.datetime, datetime.date, datetime.time):
        # Other time zones are objects.
        zone = getattr(value, "tzinfo", None)
        if zone is None or type(zone) is datetime.timezone:
            return (value.isoformat(),)
        return None
    if kind is datetime.timedelta:
        return ([value.days, value.seconds, value.microseconds],)
    if kind is uuid.UUID:
        return (value.hex,)
    if kind is decimal.Decimal:
        return (str(value),)
    if kind.__module__ == "numpy" and getattr(value, "shape", None) == ():
        dtype = value.dtype
        if kind.__name__ != "ndarray" and not dtype.hasobject and dtype.names is None:
            return ([dtype.str, value.tobytes()],)
        return None
    if name == "distributed.scheduler.WorkerState":
        return (value.address,)
    if name == "distributed.scheduler.TaskState":
        return (value.key,)
    if name == "distributed.scheduler.ClientState":
        return (value.client_key,)
    return None
