"""What a plugin ends with, as JSON that is the same for the same state: sets are sorted, and the
names of objects are in order."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import enum
import json
import math
from collections import deque
from typing import Any

from tasklog.encoding import type_name

_SCALARS = (bool, int, float, str, bytes)
_COLLECTIONS = (list, tuple, deque, set, frozenset, dict)
#: The number of entries of a collection that a report made of attributes shows.
_SHOWN = 20
_MAXIMUM_DEPTH = 60


def text(value: Any) -> str:
    """A value as canonical JSON."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def plain(value: Any, depth: int = 0) -> Any:
    """A value as JSON; types that JSON lacks are tagged by a name with a `$`."""
    if value is None or isinstance(value, (bool, str)):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": str(float(value))}
    if depth > _MAXIMUM_DEPTH:
        return {"$opaque": "too deep"}
    depth += 1
    if isinstance(value, (list, tuple, deque)):
        return [plain(item, depth) for item in value]
    if isinstance(value, (set, frozenset)):
        return _in_order([plain(item, depth) for item in value])
    if isinstance(value, dict):
        return _object(value, depth)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"$bytes": base64.b64encode(bytes(value)).decode()}
    return _other(value, depth)


def _in_order(items: list[Any]) -> list[Any]:
    try:
        return sorted(items)
    except TypeError:
        return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))


def _object(value: dict[str, Any], depth: int) -> Any:
    named = {
        name if isinstance(name, str) else _name(name): plain(item, depth)
        for name, item in value.items()
    }
    if len(named) == len(value):
        return named
    # Two keys of the same text.
    return {"$map": _in_order([[plain(k, depth), plain(v, depth)] for k, v in value.items()])}


def _name(key: Any) -> str:
    if isinstance(key, (int, float, tuple)) or key is None:
        return str(key)
    shown = plain(key)
    return shown if isinstance(shown, str) else json.dumps(shown, sort_keys=True)


def _other(value: Any, depth: int) -> Any:
    kind = type(value)
    name = type_name(kind)
    if kind.__module__ == "numpy" and hasattr(value, "tolist"):
        return plain(value.tolist(), depth)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, BaseException):
        return f"{kind.__name__}: {value}"
    if isinstance(value, type):
        return type_name(value)
    if name.startswith("distributed."):
        for attribute in ("key", "address", "client_key", "name"):
            if isinstance(getattr(value, attribute, None), (str, int, tuple)):
                return plain(getattr(value, attribute), depth)
        if hasattr(value, "frames"):
            return {"$serialized": [plain(bytes(frame)) for frame in value.frames]}
        if hasattr(value, "data"):
            return {"$serialized": plain(value.data, depth)}
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name), depth) for f in dataclasses.fields(value)}
    shown = repr(value)
    # The address of an object is another one each time.
    return {"$python": {"type": name} | ({} if " at 0x" in shown else {"repr": shown})}


def readable(value: Any) -> Any:
    """A value for people: exceptions by their texts, not by their pickles."""
    if type(value).__name__ in _SERIALIZED:
        found = getattr(value, "recorded_text", None)
        return found if isinstance(found, str) else f"<{type(value).__name__}>"
    if isinstance(value, (bytes, bytearray)) and value[:1] == b"\x80" and value[-1:] == b".":
        return f"<pickle of {len(value)} bytes>"
    if isinstance(value, dict):
        return {name: readable(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, deque)):
        return [readable(item) for item in value]
    return value


_SERIALIZED = ("Serialize", "Serialized", "SerializedData")


def report(plugin: Any) -> Any:
    """What a plugin has to say: its own words, or what its attributes hold."""
    own = getattr(plugin, "tasklog_report", None)
    if callable(own):
        return plain(own())
    shown = {}
    for name, value in attributes(plugin).items():
        if name.startswith("_"):
            continue
        short = _short(value)
        if short is not None:
            shown[name] = short[0]
    return shown


def full(plugin: Any) -> Any:
    """All of what a plugin is: its own words, or those of its attributes that are data."""
    own = getattr(plugin, "tasklog_report", None)
    if callable(own):
        return plain(own())
    return {
        name: plain(value)
        for name, value in attributes(plugin).items()
        if not name.startswith("_")
        and (value is None or isinstance(value, (*_SCALARS, *_COLLECTIONS)))
    }


def attributes(plugin: Any) -> dict[str, Any]:
    found = dict(getattr(plugin, "__dict__", {}))
    for kind in type(plugin).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(plugin, name):
                found.setdefault(name, getattr(plugin, name))
    return found


def _short(value: Any) -> tuple[Any] | None:
    """A value as far as it fits into a report; None if it is not data."""
    if value is None or isinstance(value, _SCALARS) or type(value).__name__ in _SERIALIZED:
        return (plain(readable(value)),)
    if isinstance(value, _COLLECTIONS):
        if len(value) > _SHOWN:
            return (f"{type(value).__name__} of {len(value)}",)
        made = plain(readable(value))
        if len(json.dumps(made)) > 1000 or "$python" in json.dumps(made):
            return (f"{type(value).__name__} of {len(value)}",)
        return (made,)
    return None
