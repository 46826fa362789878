"""The beginning of a `repr`, without making all of it: what tasks are annotated with may be large.

This module is sent to workers by value: it imports nothing of this package.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable
from typing import Any


def safe_repr(value: Any, limit: int = 2000) -> str:
    """The beginning of the `repr` of anything, whatever it does."""
    try:
        try:
            text = _Repr(limit + 1).of(value)
        except RecursionError:
            text = repr(value)
    except Exception as error:
        return f"<no repr: {type(error).__name__}>"
    return text if len(text) <= limit else text[:limit] + "…"


class _Enough(Exception):
    """There is as much text as is wanted."""


class _Repr:
    """The beginning of a `repr`: of text and of containers no more is made than that."""

    def __init__(self, limit: int) -> None:
        self._limit = self._left = limit
        self._parts: list[str] = []
        self._path: set[int] = set()

    def of(self, value: Any) -> str:
        try:
            self._show(value)
        except _Enough:
            pass
        return "".join(self._parts)

    def _put(self, text: str) -> None:
        self._parts.append(text)
        self._left -= len(text)
        if self._left <= 0:
            raise _Enough

    def _show(self, value: Any) -> None:
        method = type(value).__repr__
        show = _SHOWN.get(method)
        if (
            show is None
            and dataclasses.is_dataclass(value)
            and method is vars(type(value)).get("__repr__")
        ):
            # As `dataclass` has made it, and nobody else.
            made = getattr(method, "__wrapped__", None)
            if made is not None and made.__qualname__.startswith("__create_fn__"):
                show = _Repr._dataclass
        if show is None:
            self._put(repr(value))
        elif show is _Repr._text:
            self._text(value)
        elif id(value) in self._path:
            self._put(_again(value, show))
        else:
            self._path.add(id(value))
            show(self, value)
            self._path.discard(id(value))

    def _text(self, value: Any) -> None:
        """Text or bytes; what quotes there are around it depends on all of it."""
        if len(value) <= 4 * self._limit:
            return self._put(repr(value))
        one: Any
        one, two = ("'", '"') if isinstance(value, str) else (b"'", b'"')
        more = value[:0] if one not in value else one if two not in value else one + two
        self._put(repr(value[: self._limit] + more))

    def _items(self, items: Any, start: str, end: str) -> None:
        self._put(start)
        for place, item in enumerate(items):
            if place:
                self._put(", ")
            self._show(item)
        self._put(end)

    def _list(self, value: Any) -> None:
        self._items(list.__iter__(value), "[", "]")

    def _tuple(self, value: Any) -> None:
        self._items(tuple.__iter__(value), "(", ",)" if len(value) == 1 else ")")

    def _set(self, value: Any) -> None:
        name = type(value).__name__
        if not len(value):
            self._put(f"{name}()")
        elif type(value) is set:
            self._items(set.__iter__(value), "{", "}")
        else:
            self._items(iter(value), name + "({", "})")

    def _dict(self, value: Any) -> None:
        self._put("{")
        for place, (key, item) in enumerate(dict.items(value)):
            if place:
                self._put(", ")
            self._show(key)
            self._put(": ")
            self._show(item)
        self._put("}")

    def _fields(self, name: str, fields: Any) -> None:
        self._put(name + "(")
        for place, (field, item) in enumerate(fields):
            self._put(f"{', ' if place else ''}{field}=")
            self._show(item)
        self._put(")")

    def _namespace(self, value: Any) -> None:
        self._fields(_namespace_name(value), vars(value).items())

    def _dataclass(self, value: Any) -> None:
        fields = [field.name for field in dataclasses.fields(value) if field.repr]
        self._fields(type(value).__qualname__, ((name, getattr(value, name)) for name in fields))


#: What is made of containers, by the function that makes all of it.
_SHOWN: dict[Any, Callable[[_Repr, Any], None]] = {
    str.__repr__: _Repr._text,
    bytes.__repr__: _Repr._text,
    list.__repr__: _Repr._list,
    tuple.__repr__: _Repr._tuple,
    set.__repr__: _Repr._set,
    frozenset.__repr__: _Repr._set,
    dict.__repr__: _Repr._dict,
    types.SimpleNamespace.__repr__: _Repr._namespace,
}


def _namespace_name(value: Any) -> str:
    kind = type(value)
    return "namespace" if kind is types.SimpleNamespace else kind.__name__


def _again(value: Any, show: Any) -> str:
    """What stands for a container within itself."""
    if show is _Repr._namespace:
        return _namespace_name(value) + "(...)"
    if show is _Repr._set:
        return type(value).__name__ + "(...)"
    return {_Repr._list: "[...]", _Repr._tuple: "(...)", _Repr._dict: "{...}"}.get(show, "...")
