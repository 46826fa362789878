"""Tables: results that are computed when they are looked at."""

from __future__ import annotations

import collections
import functools
import importlib
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from tasklog.reading import columns, frames
from tasklog.reading.args import Args
from tasklog.reading.errors import LogError, missing_package

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from tasklog.reading.native import NativeLog
    from tasklog.reading.pure.log import PureLog

_Result = TypeVar("_Result")

#: The names of columns that hold times: nanoseconds since 1970, or text.
TIMES = [
    "time", "time_ns", "raw_time", "raw_time_ns", "start_ns", "stop_ns", "joined", "joined_ns",
    "left", "left_ns", "first_seen", "last_seen", "started", "stopped", "ended", "since",
]  # fmt: skip
#: Those whose numbers are seconds since 1970.
SECOND_TIMES = ["start", "stop"]

#: What the library says of a value that does not fit into its column.
_MISFIT = re.compile(r"column (\d+) '.*' has (.+) after (.+); convert it", re.S)
#: The number of a column's type by its name in that message; see `tl_column_type`.
_TYPES = {
    "integers": columns.INTEGERS, "floats": columns.FLOATS, "text": columns.TEXT,
    "bytes": columns.BYTES, "times in nanoseconds": columns.TIME_NS,
    "times in seconds": columns.TIME_SECONDS, "times as text": columns.TIME_TEXT,
}  # fmt: skip


class Table:
    """Rows of a log, which are read when they are needed.

    A table knows the query and not the rows: each use reads the log again, so that a log that is
    being recorded shows its newest rows. To keep the rows, keep what `df`, `pl` or `arrow` returns.

    Times are UTC, with nanoseconds in data frames and microseconds in rows; durations are seconds,
    and sizes bytes. The column ``run`` has the id of a run.

    Iteration yields named tuples, without any other package. Times are `datetime.datetime`, and
    args are `Args`, which are decoded when they are looked at; in data frames they are JSON.
    """

    def __init__(
        self,
        reader: NativeLog | PureLog,
        request: dict[str, Any],
        decoder: Callable[[], Any] | None = None,
    ) -> None:
        self._reader = reader
        self._request = {"times": TIMES, "second_times": SECOND_TIMES, **request}
        self._decoder = decoder

    def _arguments(self) -> tuple[Any, ...]:
        return self._reader, self._request, self._decoder

    def _batches(self) -> frames.AnyBatches:
        return self._reader.batches(self._request)

    def __reduce__(self) -> Any:
        raise TypeError(
            "a table of a log cannot be pickled, as it has no rows: send the log or the run, or "
            "rows such as table.arrow() or list(table)"
        )

    @functools.cached_property
    def columns(self) -> list[str]:
        """The names of the columns."""
        with self._batches() as batches:
            return batches.columns

    def __len__(self) -> int:
        """The number of rows, for which the log is read."""
        return self._collected(lambda batches: sum(len(batch) for batch in batches))

    def __bool__(self) -> bool:
        """Whether there are rows."""
        return self._collected(lambda batches: any(len(batch) for batch in batches))

    def __iter__(self) -> Iterator[Any]:
        """The rows as named tuples.

        Names that are none in Python, such as ``count(*)``, are ``_1`` and so on. The log is read
        while it is iterated: a long pause keeps its recorder from making the file smaller.
        """
        given = 0
        while True:
            try:
                for row in self._rows(given):
                    given += 1
                    yield row
                return
            except LogError as error:
                # The rows so far are the same again.
                if not self._widen(str(error)):
                    raise

    def _rows(self, first: int) -> Iterator[Any]:
        """The rows from an index on."""
        with self._batches() as batches:
            row: Any = collections.namedtuple("Row", batches.columns, rename=True)  # type: ignore[misc]
            is_args = [name == "args" and self._decoder is not None for name in batches.columns]
            decoder = functools.cache(self._decoder) if self._decoder is not None else None
            for batch in batches:
                if len(batch) <= first:
                    first -= len(batch)
                    continue
                values = [batch.column(index)[first:] for index in range(len(batches.columns))]
                first = 0
                for index, is_wrapped in enumerate(is_args):
                    if is_wrapped and decoder is not None:
                        values[index] = [
                            text if text is None else Args(text, decoder) for text in values[index]
                        ]
                yield from map(row._make, zip(*values, strict=True))

    def df(self) -> pandas.DataFrame:
        """The rows as a data frame of pandas.

        Returns
        -------
        pandas.DataFrame
            Times are ``datetime64[ns, UTC]``; integers with missing values are ``Int64``.

        Raises
        ------
        LogError
            If pandas is not installed, or the log cannot be read.
        """
        pandas = _optional("pandas", "Table.df()")
        try:
            importlib.import_module("pyarrow")
        except ImportError:
            return self._collected(lambda batches: frames.from_buffers(pandas, batches))
        return frames.from_arrow(pandas, self.arrow())

    def pl(self) -> polars.DataFrame:
        """The rows as a data frame of polars.

        Returns
        -------
        polars.DataFrame
            Times are ``Datetime("ns", "UTC")``.

        Raises
        ------
        LogError
            If polars is not installed, or the log cannot be read.
        """
        polars = _optional("polars", "Table.pl()")
        return self._collected(lambda batches: frames.to_polars(polars, batches))

    def arrow(self) -> pyarrow.Table:
        """The rows as a table of pyarrow, whose memory is that of the result.

        Returns
        -------
        pyarrow.Table
            Times are ``timestamp[ns, tz=UTC]``.

        Raises
        ------
        LogError
            If pyarrow is not installed, or the log cannot be read.
        """
        pyarrow = _optional("pyarrow", "Table.arrow()")
        return self._collected(lambda batches: frames.to_arrow(pyarrow, batches))

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """A stream of the rows for any library that takes Arrow, in batches of 65,536."""
        return self._reader.capsule(self._request)

    def show(self, rows: int = 20) -> None:
        """Print the first rows.

        Parameters
        ----------
        rows
            The number of rows.
        """
        print(self._text(rows))

    def __repr__(self) -> str:
        return self._text(10)

    def _repr_html_(self) -> str:
        from tasklog.notebook import displays

        return displays.rows(self)

    def _text(self, count: int) -> str:
        with self._batches() as batches:
            shown: list[tuple[Any, ...]] = []
            is_cut = False
            for batch in batches:
                values = [batch.column(index)[: count + 1] for index in range(len(batches.columns))]
                shown += zip(*values, strict=True)
                if len(shown) > count:
                    is_cut = True
                    break
            return frames.text(batches.columns, shown[:count], is_cut)

    def _collected(self, collect: Callable[[frames.AnyBatches], _Result]) -> _Result:
        """Collects all rows. A value that does not fit into its column makes it begin again."""
        while True:
            try:
                with self._batches() as batches:
                    return collect(batches)
            except LogError as error:
                if not self._widen(str(error)):
                    raise

    def _widen(self, message: str) -> bool:
        """Gives a column a type into which the value fits that a message is about."""
        misfit = _MISFIT.search(message)
        if misfit is None:
            return False
        index, type = int(misfit[1]), _wider(misfit[3], misfit[2])
        types = dict(self._request.get("types", []))
        if types.get(index) == type:
            return False
        types[index] = type
        self._request["types"] = sorted(types.items())
        return True


def _wider(one: str, other: str) -> int:
    """The number of the type for the values of both."""
    if one == "only NULL":
        return _TYPES[other]
    if "bytes" in (one, other):
        return columns.BYTES
    numbers = ("integers", "floats", "times in nanoseconds", "times in seconds")
    return columns.FLOATS if one in numbers and other in numbers else columns.TEXT


def _optional(name: str, what: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise missing_package(name, what) from None
