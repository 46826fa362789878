"""Arrow's C data interface: https://arrow.apache.org/docs/format/CDataInterface.html

Batches are decoded here to Python objects, or handed over to pyarrow and polars without a copy.
"""

from __future__ import annotations

import ctypes
import datetime
from collections.abc import Callable
from typing import Any

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)

#: Arrow's formats of the types that columns can have.
INTEGER, REAL, TEXT, BYTES, TIME, NOTHING = "l", "g", "u", "z", "tsn:UTC", "n"


class _Released(ctypes.Structure):
    """A struct with a function that releases what it owns."""

    def free(self) -> None:
        """Releases what has not been moved elsewhere."""
        if self.release:
            self.release(ctypes.byref(self))


class ArrowSchema(_Released):
    """The columns of a stream."""

    def names(self) -> list[str]:
        return [self._child(i).name.decode() for i in range(self.n_children)]

    def formats(self) -> list[str]:
        return [self._child(i).format.decode() for i in range(self.n_children)]

    def _child(self, index: int) -> Any:
        return self.children[index].contents


ArrowSchema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_char_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(ArrowSchema))),
    ("dictionary", ctypes.POINTER(ArrowSchema)),
    ("release", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
    ("private_data", ctypes.c_void_p),
]


class ArrowArray(_Released):
    """A batch, or a column of one."""


ArrowArray._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(ArrowArray))),
    ("dictionary", ctypes.POINTER(ArrowArray)),
    ("release", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
    ("private_data", ctypes.c_void_p),
]


class ArrowStream(_Released):
    """The batches of a result."""

    _fields_ = [
        ("get_schema", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)),
        ("get_next", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)),
        ("get_last_error", ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p)),
        ("release", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
        ("private_data", ctypes.c_void_p),
    ]


# MARK: - Batches


def times(values: list[Any]) -> list[Any]:
    """Nanoseconds since 1970 as `datetime.datetime` in UTC."""
    return [
        None if value is None else _EPOCH + datetime.timedelta(microseconds=value // 1000)
        for value in values
    ]


class Batch:
    """Some rows of a result.

    Parameters
    ----------
    array
        The rows, which this object owns.
    columns, formats
        Names and Arrow formats of the columns.
    """

    def __init__(self, array: ArrowArray, columns: list[str], formats: list[str]) -> None:
        self.array = array
        self.columns = columns
        self.formats = formats

    def __del__(self) -> None:
        self.array.free()

    def __len__(self) -> int:
        length: int = self.array.length
        return length

    def column(self, index: int) -> list[Any]:
        """The values of a column: int, float, str, bytes, datetime (UTC) or None."""
        return _DECODERS[self.formats[index]](self, index)

    def valid(self, index: int) -> bytes | None:
        """The bitmap of the values that are not null; None if none are."""
        column = self._column(index)
        if column.null_count == 0 or self.formats[index] == NOTHING:
            return None
        return ctypes.string_at(column.buffers[0], (len(self) + 7) // 8)

    def fixed(self, index: int) -> bytes:
        """The bytes of a column of numbers or times, eight for each."""
        return ctypes.string_at(self._column(index).buffers[1], len(self) * 8)

    def _column(self, index: int) -> Any:
        return self.array.children[index].contents

    def _integers(self, index: int) -> list[Any]:
        return self._with_nulls(index, memoryview(self.fixed(index)).cast("q").tolist())

    def _reals(self, index: int) -> list[Any]:
        return self._with_nulls(index, memoryview(self.fixed(index)).cast("d").tolist())

    def _with_nulls(self, index: int, values: list[Any]) -> list[Any]:
        valid = self.valid(index)
        if valid is None:
            return values
        return [
            value if valid[row >> 3] >> (row & 7) & 1 else None for row, value in enumerate(values)
        ]

    def _times(self, index: int) -> list[Any]:
        return times(self._integers(index))

    def _pieces(self, index: int, convert: Callable[[bytes], Any]) -> list[Any]:
        buffers = self._column(index).buffers
        offsets = memoryview(ctypes.string_at(buffers[1], (len(self) + 1) * 4)).cast("i").tolist()
        content = ctypes.string_at(buffers[2], offsets[-1]) if offsets[-1] else b""
        pieces = [convert(content[a:b]) for a, b in zip(offsets, offsets[1:], strict=False)]
        return self._with_nulls(index, pieces)

    def _texts(self, index: int) -> list[Any]:
        return self._pieces(index, lambda piece: piece.decode("utf-8", "replace"))


_DECODERS: dict[str, Callable[[Batch, int], list[Any]]] = {
    INTEGER: lambda batch, index: batch._integers(index),
    REAL: lambda batch, index: batch._reals(index),
    TIME: lambda batch, index: batch._times(index),
    TEXT: lambda batch, index: batch._texts(index),
    BYTES: lambda batch, index: batch._pieces(index, bytes),
    NOTHING: lambda batch, index: [None] * len(batch),
}
