"""Rows as data frames of pandas, polars and pyarrow, and as text."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from tasklog.reading import arrow

if TYPE_CHECKING:
    from tasklog.reading.native import Batches, NativeBatch
    from tasklog.reading.pure.rows import PureBatch, PureBatches

#: Of the native library, or of Python's own SQLite.
AnyBatches: TypeAlias = "Batches | PureBatches"

_WIDTH = 40


def arrow_schema(pyarrow: Any, batches: AnyBatches) -> Any:
    """The schema of the columns for pyarrow."""
    kinds = {
        arrow.INTEGER: pyarrow.int64(), arrow.REAL: pyarrow.float64(), arrow.TEXT: pyarrow.string(),
        arrow.BYTES: pyarrow.binary(), arrow.TIME: pyarrow.timestamp("ns", "UTC"),
        arrow.NOTHING: pyarrow.null(),
    }  # fmt: skip
    return pyarrow.schema(
        [
            (name, kinds[format])
            for name, format in zip(batches.columns, batches.formats, strict=True)
        ]
    )


def to_arrow(pyarrow: Any, batches: AnyBatches) -> Any:
    """The batches as they are."""
    schema = arrow_schema(pyarrow, batches)
    return pyarrow.Table.from_batches(
        [batch.to_arrow(pyarrow, schema) for batch in batches], schema=schema
    )


def to_polars(polars: Any, batches: AnyBatches) -> Any:
    """The batches as they are; none is a frame without rows."""
    kinds = {
        arrow.INTEGER: polars.Int64, arrow.REAL: polars.Float64, arrow.TEXT: polars.String,
        arrow.BYTES: polars.Binary, arrow.TIME: polars.Datetime("ns", "UTC"),
        arrow.NOTHING: polars.Null,
    }  # fmt: skip
    names = _unique(batches.columns)
    schema = [(name, kinds[format]) for name, format in zip(names, batches.formats, strict=True)]
    parts = [batch.to_polars(polars, schema) for batch in batches]
    return polars.concat(parts, rechunk=False) if parts else polars.DataFrame(schema=schema)


def _unique(names: Sequence[str]) -> list[str]:
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return unique


def from_arrow(pandas: Any, table: Any) -> Any:
    """A data frame of a table of pyarrow."""
    import pyarrow

    frame = table.to_pandas()
    for index, field in enumerate(table.schema):
        column = table.column(index)
        if field.type == pyarrow.int64() and column.null_count:
            integers = column.to_pandas(types_mapper={field.type: pandas.Int64Dtype()}.get)
            frame.isetitem(index, integers)
    return frame


def from_buffers(pandas: Any, batches: AnyBatches) -> Any:
    """A data frame without pyarrow."""
    import numpy

    parts: list[list[Any]] = [[] for _ in batches.columns]
    for batch in batches:
        for index, format in enumerate(batch.formats):
            parts[index].append(_array(numpy, pandas, batch, index, format))
    columns = {
        index: _joined(numpy, pandas, arrays, format)
        for index, (arrays, format) in enumerate(zip(parts, batches.formats, strict=True))
    }
    frame = pandas.DataFrame(columns)
    frame.columns = batches.columns
    return frame


def _array(numpy: Any, pandas: Any, batch: NativeBatch | PureBatch, index: int, format: str) -> Any:
    if format not in (arrow.INTEGER, arrow.REAL, arrow.TIME):
        return batch.column(index)
    bits = batch.valid(index)
    values = numpy.frombuffer(batch.fixed(index), "f8" if format == arrow.REAL else "i8")
    if bits is None:
        return values, None
    valid = numpy.unpackbits(numpy.frombuffer(bits, "u1"), bitorder="little")[: len(batch)]
    return values, valid == 0


def _joined(numpy: Any, pandas: Any, arrays: list[Any], format: str) -> Any:
    if format not in (arrow.INTEGER, arrow.REAL, arrow.TIME):
        values = [value for array in arrays for value in array]
        return pandas.Series(values, dtype=None if values else object)
    empty = numpy.empty(0, "f8" if format == arrow.REAL else "i8")
    values = numpy.concatenate([values for values, _ in arrays] or [empty])
    missing = numpy.concatenate(
        [numpy.zeros(len(v), bool) if m is None else m for v, m in arrays] or [empty.astype(bool)]
    )
    if format == arrow.REAL:
        values[missing] = numpy.nan
        return pandas.Series(values)
    if format == arrow.TIME:
        # The smallest integer stands for "not a time".
        values[missing] = numpy.iinfo("i8").min
        return pandas.Series(values.view("M8[ns]")).dt.tz_localize("UTC")
    if missing.any():
        return pandas.Series(pandas.arrays.IntegerArray(values, missing))
    return pandas.Series(values)


# MARK: - Text


def text(columns: Sequence[str], rows: Sequence[Sequence[Any]], is_cut: bool) -> str:
    """A table as text, with long values cut."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [
        max([len(name), *(len(row[index]) for row in cells)]) for index, name in enumerate(columns)
    ]
    numeric = [
        all(isinstance(row[index], (int, float)) for row in rows if row[index] is not None)
        for index in range(len(columns))
    ]

    def line(values: Sequence[str]) -> str:
        padded = [
            value.rjust(width) if is_number else value.ljust(width)
            for value, width, is_number in zip(values, widths, numeric, strict=True)
        ]
        return "  ".join(padded).rstrip()

    lines = [line(columns), line(["-" * width for width in widths]), *map(line, cells)]
    if is_cut:
        lines.append("…")
    elif not rows:
        lines.append("(no rows)")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.%f")
    shown = value if isinstance(value, str) else repr(value)
    # Text in a log must not control the terminal.
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)
    return shown if len(shown) <= _WIDTH else shown[: _WIDTH - 1] + "…"
