"""Rows of Python's SQLite as batches of typed columns.

SQLite has a type for each value, a data frame one for each column. The rules are those of
`Sources/CReading/stream.c`, whose batches these look like: the values of the first batch decide,
and one that does not fit into a later batch is an error that names both types.
"""

from __future__ import annotations

import array
import datetime
import functools
import itertools
import math
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tasklog.reading import arrow
from tasklog.reading.columns import (
    BYTES,
    FLOATS,
    INTEGERS,
    TEXT,
    TIME_NS,
    TIME_SECONDS,
    TIME_TEXT,
    UNKNOWN,
)
from tasklog.reading.errors import LogError
from tasklog.reading.interrupting import interruptible
from tasklog.reading.pure.files import InvalidText

#: The number of rows of a batch, the last one excepted.
BATCH_ROWS = 65_536

_FORMATS = {
    UNKNOWN: arrow.NOTHING, INTEGERS: arrow.INTEGER, FLOATS: arrow.REAL, TEXT: arrow.TEXT,
    BYTES: arrow.BYTES, TIME_NS: arrow.TIME, TIME_SECONDS: arrow.TIME, TIME_TEXT: arrow.TIME,
}  # fmt: skip
_WORDS = {
    UNKNOWN: "only NULL", INTEGERS: "integers", FLOATS: "floats", TEXT: "text", BYTES: "bytes",
    TIME_NS: "times in nanoseconds", TIME_SECONDS: "times in seconds", TIME_TEXT: "times as text",
}  # fmt: skip
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{6}))?Z", re.ASCII)


class _MisfitError(Exception):
    """A value that does not fit into its column."""


def _time_of_text(text: str) -> int | None:
    """Nanoseconds of a time as the views write it: ``2026-01-31T12:00:00.123456Z``."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(match[index]) for index in range(1, 7))
    if not (1678 <= year <= 2261 and 1 <= month <= 12 and 1 <= day <= 31):
        return None
    if hour > 23 or minute > 59 or second > 60:
        return None
    days = datetime.date(year, month, 1).toordinal() - 719_163 + day - 1
    seconds = ((days * 24 + hour) * 60 + minute) * 60 + second
    return (seconds * 1_000_000 + int(match[7] or 0)) * 1000


def _time_of_seconds(seconds: float) -> int | None:
    if not abs(seconds) < 9.2e9:
        return None
    micro = abs(float(seconds)) * 1e6
    whole = math.floor(micro)
    # Halves away from zero, as C rounds.
    whole += micro - whole >= 0.5
    return (whole if seconds >= 0 else -whole) * 1000


def _kind(value: Any, unit: int) -> int:
    """The type of a value in a column whose times, if it has any, are in a unit."""
    if isinstance(value, int):
        if unit == _SECONDS:
            return TIME_SECONDS
        return TIME_NS if unit else INTEGERS
    if isinstance(value, float):
        return TIME_SECONDS if unit and _time_of_seconds(value) is not None else FLOATS
    if isinstance(value, str):
        return TIME_TEXT if unit and _time_of_text(value) is not None else TEXT
    return BYTES


_NO_TIME, _NANOSECONDS, _SECONDS = 0, 1, 2


@functools.cache
def _caster() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", check_same_thread=False)


@functools.lru_cache(maxsize=65_536)
def _text_of_number(number: float) -> str:
    """A number as text, as SQLite writes it."""
    if isinstance(number, int):
        return str(number)
    ((text,),) = _caster().execute("SELECT CAST(? AS TEXT)", (number,))
    return str(text)


def _as_integer(value: Any) -> Any:
    if isinstance(value, int):
        return value
    raise _MisfitError


def _as_real(value: Any) -> Any:
    if isinstance(value, (int, float)):
        return float(value)
    raise _MisfitError


def _as_time_of_seconds(value: Any) -> Any:
    time = _time_of_seconds(value) if isinstance(value, (int, float)) else None
    if time is None:
        raise _MisfitError
    return time


def _as_time_of_text(value: Any) -> Any:
    time = _time_of_text(value) if isinstance(value, str) else None
    if time is None:
        raise _MisfitError
    return time


def _as_text(value: Any) -> Any:
    if isinstance(value, str):
        return value if type(value) is str else str(value)
    if isinstance(value, bytes):
        raise _MisfitError
    return _text_of_number(value)


def _as_bytes(value: Any) -> Any:
    if isinstance(value, bytes):
        return value
    if isinstance(value, InvalidText):
        return value.raw
    return _as_text(value).encode("utf-8", "surrogatepass")


_CONVERT: dict[int, Callable[[Any], Any]] = {
    INTEGERS: _as_integer, TIME_NS: _as_integer, FLOATS: _as_real, TEXT: _as_text,
    BYTES: _as_bytes, TIME_SECONDS: _as_time_of_seconds, TIME_TEXT: _as_time_of_text,
}  # fmt: skip


def _wider(one: int, other: int) -> int:
    """The narrowest type that holds both."""
    if one in (UNKNOWN, other):
        return other
    if BYTES in (one, other):
        return BYTES
    return TEXT if TEXT in (one, other) else FLOATS


class _Column:
    """The type of a column, and the conversion to it."""

    def __init__(self, index: int, name: str, type: int, unit: int) -> None:
        self.index = index
        self.name = name
        self.type = type
        self._unit = unit

    def first(self, values: Sequence[Any]) -> list[Any]:
        """The values of the first batch, which decide the type."""
        while True:
            for value in values:
                if value is None:
                    continue
                if self.type == UNKNOWN:
                    self.type = _kind(value, self._unit)
                try:
                    _CONVERT[self.type](value)
                except _MisfitError:
                    self._widen(_kind(value, self._unit))
                    break
            else:
                return self._converted(values)

    def _widen(self, other: int) -> None:
        if self.type >= TIME_NS or other >= TIME_NS:
            # Not times after all.
            self._unit, self.type = _NO_TIME, UNKNOWN
        else:
            self.type = _wider(self.type, other)

    def later(self, values: Sequence[Any]) -> list[Any]:
        """The values of a later batch."""
        if self.type == UNKNOWN:
            for value in values:
                if value is not None:
                    raise self._misfit(value)
            return list(values)
        return self._converted(values)

    def _converted(self, values: Sequence[Any]) -> list[Any]:
        if self.type == UNKNOWN:
            return list(values)
        convert = _CONVERT[self.type]
        value: Any = None
        try:
            converted = []
            for value in values:
                converted.append(None if value is None else convert(value))
            return converted
        except _MisfitError:
            raise self._misfit(value) from None

    def _misfit(self, value: Any) -> LogError:
        words = _WORDS[_kind(value, self._unit)]
        return LogError(
            f"column {self.index} '{self.name}' has {words} after {_WORDS[self.type]}; convert it "
            f"in the SQL, as in CAST({self.name} AS TEXT)"
        )


class PureBatch:
    """Some rows of a result, as `tasklog.reading.arrow.Batch` has them."""

    def __init__(self, values: list[list[Any]], count: int, formats: list[str]) -> None:
        self._values = values
        self._count = count
        self.formats = formats

    def __len__(self) -> int:
        return self._count

    def column(self, index: int) -> list[Any]:
        """The values of a column: int, float, str, bytes, datetime (UTC) or None."""
        values = self._values[index]
        return arrow.times(values) if self.formats[index] == arrow.TIME else values

    def valid(self, index: int) -> bytes | None:
        """The bitmap of the values that are not null; None if none are."""
        values = self._values[index]
        if self.formats[index] == arrow.NOTHING or None not in values:
            return None
        bits = bytearray((len(values) + 7) // 8)
        for row, value in enumerate(values):
            if value is not None:
                bits[row >> 3] |= 1 << (row & 7)
        return bytes(bits)

    def fixed(self, index: int) -> bytes:
        """The bytes of a column of numbers or times, eight for each."""
        kind = "d" if self.formats[index] == arrow.REAL else "q"
        return array.array(kind, [value or 0 for value in self._values[index]]).tobytes()

    def to_arrow(self, pyarrow: Any, schema: Any) -> Any:
        """The batch for pyarrow."""
        columns = [
            pyarrow.array(values, type=field.type)
            for values, field in zip(self._values, schema, strict=True)
        ]
        return pyarrow.record_batch(columns, schema=schema)

    def to_polars(self, polars: Any, schema: list[tuple[str, Any]]) -> Any:
        """The batch for polars."""
        return polars.DataFrame(
            [
                polars.Series(name, values, dtype=polars.Int64).cast(kind)
                if format == arrow.TIME
                else polars.Series(name, values, dtype=kind)
                for (name, kind), values, format in zip(
                    schema, self._values, self.formats, strict=True
                )
            ]
        )


class PureBatches:
    """The batches of a result, one after the other."""

    def __init__(
        self,
        names: list[str],
        rows: Iterator[tuple[Any, ...]],
        request: dict[str, Any],
        close: Callable[[], None],
        stop: Callable[[], None],
    ) -> None:
        self._rows = rows
        self._close = close
        self._stop = stop
        given = dict(request.get("types", []))
        self.columns = names
        self._columns = [
            _Column(index, name, given.get(index, UNKNOWN), _unit(name, request))
            for index, name in enumerate(names)
        ]
        try:
            self._first: PureBatch | None = self._next(lambda column: column.first)
        except BaseException:
            close()
            raise

    @property
    def formats(self) -> list[str]:
        """Arrow's formats of the columns."""
        return [_FORMATS[column.type] for column in self._columns]

    def _next(self, convert: Callable[[_Column], Callable[[Any], list[Any]]]) -> PureBatch:
        rows = interruptible(lambda: list(itertools.islice(self._rows, BATCH_ROWS)), self._stop)
        columns = zip(*rows, strict=True) if rows else [()] * len(self._columns)
        values = [
            convert(column)(values) for column, values in zip(self._columns, columns, strict=True)
        ]
        return PureBatch(values, len(rows), self.formats)

    def __iter__(self) -> Iterator[PureBatch]:
        batch, self._first = self._first, None
        if batch is None:
            batch = self._next(lambda column: column.later)
        while len(batch) > 0:
            yield batch
            batch = self._next(lambda column: column.later)

    def close(self) -> None:
        """Closes what it reads from."""
        self._rows = iter(())
        self._close()

    def __enter__(self) -> PureBatches:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def _unit(name: str, request: dict[str, Any]) -> int:
    if name in request.get("second_times", ()):
        return _SECONDS
    return _NANOSECONDS if name in request.get("times", ()) else _NO_TIME
