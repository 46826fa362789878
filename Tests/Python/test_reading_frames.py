"""Rows as data frames of pandas, polars and pyarrow, which all have the same values."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pandas
import polars
import pyarrow
import pytest

import tasklog
from tasklog.reading import frames
from test_reading import SAMPLE

#: Every type of a column, with and without missing values, in more than one batch.
EVERYTHING = """
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150000)
    SELECT i, CASE WHEN i % 3 THEN i END AS holes, i / 4.0 AS real,
      CASE WHEN i % 5 THEN i / 4.0 END AS real_holes, 'é-' || i AS text,
      CASE WHEN i % 7 THEN 't' || i END AS text_holes, CAST(i AS BLOB) AS bytes,
      1769860800123456789 + i AS time_ns,
      CASE WHEN i % 2 THEN 1769860800.25 + i END AS start,
      CASE WHEN i % 2 THEN '2026-01-31T12:00:00.000001Z' END AS time, NULL AS empty
    FROM n
"""


@pytest.fixture(scope="module")
def table() -> tasklog.Table:
    return tasklog.open(SAMPLE).run("#1").sql(EVERYTHING)


def test_a_frame_of_pandas_has_units(table: tasklog.Table) -> None:
    frame = table.df()
    assert len(frame) == 150_000 == len(table)
    utc = "datetime64[ns, UTC]"
    assert [str(kind) for kind in frame.dtypes] == [
        "int64", "Int64", "float64", "float64", "str", "str", "object", utc, utc, utc, "object",
    ]  # fmt: skip
    assert frame.time_ns.iloc[0].value == 1769860800123456790
    assert frame.start.iloc[0] == pandas.Timestamp("2026-01-31T12:00:01.25Z")
    assert frame.holes.isna().sum() == 50_000 and frame.holes.iloc[0] == 1


def test_a_frame_is_the_same_without_pyarrow(table: tasklog.Table) -> None:
    with table._batches() as batches:
        plain = frames.from_buffers(pandas, batches)
    pandas.testing.assert_frame_equal(plain, table.df(), check_dtype=True)


def test_pandas_alone_is_enough() -> None:
    code = """
        import sys
        sys.modules["pyarrow"] = None
        import tasklog
        run = tasklog.open(sys.argv[1]).run("#1")
        frame = run.tasks().df()
        assert len(frame) == 7 and str(frame.nbytes.dtype) == "Int64", frame.dtypes
        assert str(frame.first_seen.dtype) == "datetime64[ns, UTC]", frame.dtypes
        assert len(run.gaps.df()) == 0 and list(run.gaps.df().columns) == run.gaps.columns
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), SAMPLE], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_polars_and_pyarrow_have_the_rows(table: tasklog.Table) -> None:
    arrow, other = table.arrow(), table.pl()
    assert arrow.schema.field("time_ns").type == pyarrow.timestamp("ns", "UTC")
    assert other.schema["start"] == polars.Datetime("ns", "UTC")
    assert arrow.num_rows == other.height == 150_000
    assert arrow.to_pylist()[77_000:77_003] == [
        {**row, "time_ns": arrow["time_ns"][77_000 + i].as_py()}
        for i, row in enumerate(other.slice(77_000, 3).to_dicts())
    ]
    assert arrow.validate(full=True) is None


def test_rows_have_the_values_of_frames(table: tasklog.Table) -> None:
    rows = [row for number, row in enumerate(table) if number in (0, 70_000, 149_999)]
    for row in rows:
        expected = table.arrow().slice(row.i - 1, 1).drop(["time_ns"]).to_pylist()[0]
        assert {name: getattr(row, name) for name in expected} == expected


def test_libraries_take_a_table_as_a_stream(table: tasklog.Table) -> None:
    reader = pyarrow.RecordBatchReader.from_stream(table)
    assert [batch.num_rows for batch in reader] == [65_536, 65_536, 18_928]
    assert polars.DataFrame(table).height == 150_000


def test_an_empty_result_has_its_columns() -> None:
    empty = tasklog.open(SAMPLE).run("#1").gaps
    for frame in (empty.df(), empty.pl()):
        assert list(frame.columns) == empty.columns and len(frame) == 0
    assert empty.arrow().column_names == empty.columns and empty.arrow().num_rows == 0


def test_columns_may_have_the_same_name() -> None:
    run = tasklog.open(SAMPLE).run("#1")
    twice = run.sql("SELECT a.key, b.key FROM tasks AS a JOIN tasks AS b USING (key) ORDER BY 1")
    assert list(twice.df().columns) == ["key", "key"] == twice.arrow().column_names
    assert twice.pl().columns == ["key", "key_2"]
    assert [tuple(row)[0] for row in twice] == [tuple(row)[1] for row in twice]


@pytest.mark.native
def test_columns_without_values_have_their_types() -> None:
    run = tasklog.open(SAMPLE).run(1)
    none = run.transitions("no such key").df()
    assert str(none.time.dtype) == "datetime64[ns, UTC]"
    assert len(none.time.dt.year) == 0
    affected = run.errors().at_workers.df()
    assert str(affected.time.dtype) == "datetime64[ns, UTC]"
    workers = run.workers().df()
    assert str((workers.left - workers.joined).dtype) == "timedelta64[ns]"


#: A value that does not fit comes after the first batch.
LATE = """
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 70000)
    SELECT i, CASE WHEN i < 66000 THEN i ELSE 'late' END AS x FROM n
"""


def test_an_error_in_the_middle_of_a_stream_reaches_its_consumer() -> None:
    late = tasklog.open(SAMPLE).sql(LATE)
    words = r"column 1 'x' has text after integers; convert it in the SQL"
    for _ in range(3):
        reader = pyarrow.RecordBatchReader.from_stream(late)
        assert reader.read_next_batch().num_rows == 65_536
        with pytest.raises(pyarrow.ArrowInvalid, match=words):
            reader.read_next_batch()
        with pytest.raises(pyarrow.ArrowInvalid, match=words):
            pyarrow.table(late)
        with pytest.raises(polars.exceptions.ComputeError, match=words):
            polars.DataFrame(late)


def test_text_that_is_no_utf8_is_exported_as_python_decodes_it() -> None:
    pieces = [
        b"plain", b"a\xffb", b"\xc3", b"\xe2\x82Ab", b"\xf0\x90\x80A", b"\xed\xa0\x80", b"\xc0\xaf",
        b"\xf4\x90\x80\x80", "é😀".encode(), b"0123456789abcdef\x80", b"\x80" * 9, b"\xf0\x9f\x98",
    ]  # fmt: skip
    values = ", ".join(f"(CAST(x'{piece.hex()}' AS TEXT))" for piece in pieces)
    table = tasklog.open(SAMPLE).sql(f"SELECT column1 AS x FROM (VALUES {values})")
    expected = [piece.decode("utf-8", "replace") for piece in pieces]
    assert [row.x for row in table] == expected
    arrow = table.arrow()
    assert arrow.validate(full=True) is None and arrow["x"].to_pylist() == expected
    assert table.pl()["x"].to_list() == expected and table.df().x.tolist() == expected
