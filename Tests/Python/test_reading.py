"""Logs are read from Python: runs, tables, analyses and SQL."""

from __future__ import annotations

import csv
import datetime
import gc
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest
from distributed import Client, LocalCluster

import reading_benchmark
import tasklog
import workloads
from clusters import DEADLINE, Recording, wait_for
from conftest import REPOSITORY
from tasklog.library import NativeRecorder
from tasklog.reading import command
from tasklog.reading.table import TIMES

FROZEN = sorted((REPOSITORY / "Tests/CommandTests/Frozen").glob("*.db"))
SAMPLE = REPOSITORY / "Tests/CommandTests/Logs/sample.db"
RUN_1 = "01942f00-0000-7000-8000-000000000001"
UTC = datetime.timezone.utc


@pytest.fixture(autouse=True)
def program(tasklog: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKLOG_PROGRAM", str(tasklog.program))


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    return Path(shutil.copy(SAMPLE, tmp_path / "sample.db"))


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    """Two logs, the run of each of which has the number 1."""
    folder = tmp_path / "logs"
    folder.mkdir()
    names = ("v2-dask.db", "v2-demo.db")
    return [Path(shutil.copy(FROZEN[0].parent / name, folder / name)) for name in names]


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """What Python's own SQLite reads."""
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def run_ids(path: Path) -> dict[int, str]:
    return dict(rows(path, "SELECT id, uuid FROM run"))


# Runs


def test_runs_are_a_table(sample: Path) -> None:
    runs = tasklog.open(sample).runs
    assert len(runs) == 2
    first, second = runs
    assert (first.run, first.number, first.end, first.tasks, first.failed) == (
        RUN_1, 1, "closed", 7, 2,
    )  # fmt: skip
    assert first.started == datetime.datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert first.duration == pytest.approx(0.402)
    assert (second.end, second.missing) == ("died", 3)


def test_the_newest_run_is_the_default(sample: Path) -> None:
    with pytest.warns(tasklog.LogWarning, match="3 events of run #2 are missing"):
        assert tasklog.open(sample).run().number == 2


@pytest.mark.parametrize("name", ["#1", 1, RUN_1, RUN_1[:9]])
def test_a_run_is_selected_by_its_number_or_its_id(sample: Path, name: Any) -> None:
    assert tasklog.open(sample).run(name).id == RUN_1


def test_a_run_with_gaps_warns_once(sample: Path) -> None:
    log = tasklog.open(sample)
    with pytest.warns(tasklog.LogWarning) as told:
        log.run("#2")
        log.run("#2")
    assert len(told) == 1
    with pytest.raises(tasklog.LogError, match=r"sample\.db: 3 events of run #2 are missing"):
        log.run("#2", strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        log.run("#1", strict=True)


def test_gaps_say_why(sample: Path) -> None:
    with pytest.warns(tasklog.LogWarning):
        (gap,) = tasklog.open(sample).run("#2").gaps
    assert (gap.count, gap.reason) == (3, "spool limit reached")


# Names of logs


def test_several_logs_are_named_in_every_way(two: list[Path]) -> None:
    folder = two[0].parent
    (folder / "notes.db").write_text("no log")
    sqlite3.connect(folder / "other.db").execute("CREATE TABLE other (a)").connection.close()
    ids = {next(iter(run_ids(path).values())) for path in two}
    for name in (two, [str(path) for path in two], folder, str(folder), f"{folder}/v2-d*.db"):
        assert {run.run for run in tasklog.open(name).runs} == ids
    assert [run.number for run in tasklog.open(two).runs] == [1, 2]


def test_a_template_names_the_files_of_all_runs(two: list[Path]) -> None:
    folder = two[0].parent
    ids = []
    for path in two:
        (id,) = run_ids(path).values()
        path.rename(folder / f"job-{id}.db")
        ids.append(id)
    runs = tasklog.open(f"{folder}/job-{{run}}.db").runs
    assert sorted(run.run for run in runs) == sorted(ids)


@pytest.mark.native
def test_segments_of_a_run_are_one_run_however_they_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "segments"
    folder.mkdir()
    template = f"{folder}/{{run}}.db"
    recorder = NativeRecorder(template, {"engine": "test", "rotate_bytes": 100_000})
    source = recorder.source("scheduler", "s", "tcp://s")
    states = ["released", "waiting", "processing", "memory", "released", "forgotten"]
    number = tasks = 0

    def record() -> bool:
        """Records some tasks; whether they went into several segments."""
        nonlocal number, tasks
        for _ in range(5000):
            key, step = divmod(number, 5)
            number += 1
            event = msgpack.packb(
                [time.time(), "transition", f"key-{key}", states[step], states[step + 1],
                 f"stimulus-{number}-{'x' * 100}", None, None, None, None]
            )  # fmt: skip
            assert recorder.put(recorder.handle, source, event, len(event)) == number
        tasks += 1000
        assert recorder.flush(60)
        return len(list(folder.glob("*.db"))) > 1

    wait_for(record, "a second segment")
    record()
    recorder.close()
    files = sorted(folder.glob("*.db"))
    assert len(files) > 1
    for name in (template, folder, files, list(reversed(files))):
        with tasklog.open(name) as log:
            (info,) = log.runs
            assert (info.tasks, info.events, info.missing) == (tasks, number, 0), name
            run = log.run(strict=True)
            assert [tuple(row) for row in log.sql("SELECT count(*) FROM tasks")] == [(tasks,)]
            assert {row.done for row in run.tasks()} == {1} and len(run.transitions()) == number


def test_a_log_that_is_closed_says_so(sample: Path) -> None:
    with tasklog.open(sample) as log:
        tasks = log.run("#1").tasks()
        assert len(tasks) == 7
    with pytest.raises(tasklog.LogError, match="closed"):
        len(tasks)


# Tables


@pytest.mark.parametrize(
    "frozen",
    [
        # The tables of version 2 are made by the library.
        pytest.param(path, marks=[pytest.mark.native] if path.stem[:2] == "v1" else [])
        for path in (*FROZEN, SAMPLE)
    ],
    ids=lambda path: path.stem,
)
def test_the_tasks_are_those_of_the_view(frozen: Path, tmp_path: Path) -> None:
    log = tasklog.open(shutil.copy(frozen, tmp_path))
    assert list(log)
    for run in log:
        tasks = run.tasks()
        columns = ", ".join(tasks.columns)
        assert list(tasks)
        assert list(tasks) == list(run.sql(f"SELECT {columns} FROM tasks"))


@pytest.mark.native
def test_the_tasks_of_a_recorded_run_are_those_of_the_view(recording: Recording) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tasklog.LogWarning)
        run = tasklog.open(recording.log).run()
    tasks = run.tasks()
    view = run.sql(f"SELECT {', '.join(tasks.columns)} FROM tasks")
    assert list(tasks)
    assert sorted(map(repr, tasks)) == sorted(map(repr, view))


def test_odd_args_are_read_as_the_view_reads_them(sample: Path) -> None:
    odd = [
        '{"worker":"tcp://a\\u0062","nbytes":1.5,"typename":["x"]}', '{"nbytes":true}', "[]",
        '{ "worker":"w","nbytes":-3}', '{"worker":null,"nbytes":{"$int":"9"},"typename":"é"}',
        '{"a":"}\\"{","b":[{"worker":"no"}],"worker":"yes","worker":"second","nbytes":12}',
        '{"nbytes":1234567890123456789,"worker":12}', None,
    ]  # fmt: skip
    with sqlite3.connect(sample) as connection:
        outcomes = connection.execute(
            "SELECT seq FROM transitions WHERE run = 1 AND source = 'scheduler'"
            " AND start = 'processing' AND finish IN ('memory', 'erred')"
        ).fetchall()
        assert len(outcomes) >= 4
    for first in range(0, len(odd), len(outcomes)):
        with sqlite3.connect(sample) as connection:
            for (seq,), args in zip(outcomes, odd[first:], strict=False):
                connection.execute("UPDATE event SET args = ? WHERE seq = ?", (args, seq))
        run = tasklog.open(sample).run("#1")
        tasks = run.tasks()
        assert list(tasks) == list(run.sql(f"SELECT {', '.join(tasks.columns)} FROM tasks"))


def test_transitions_are_filtered(sample: Path) -> None:
    run = tasklog.open(sample).run("#1")
    assert {row.finish for row in run.transitions(finish="erred")} == {"erred", "error"}
    assert {row.key for row in run.transitions("load-*")} == {"load-1", "load-2"}
    assert {row.key for row in run.transitions("load-[!1]")} == {"load-2"}
    assert {row.source for row in run.transitions(source="worker")} == {"worker"}
    assert {row.prefix for row in run.transitions(prefix="sum", start="waiting")} == {"sum"}
    everything = list(run.transitions())
    middle = everything[len(everything) // 2].time
    before = list(run.transitions(until=middle))
    after = list(run.transitions(since=middle))
    at = [row for row in everything if row.time == middle]
    assert before and after and len(before) + len(after) == len(everything) + len(at)
    with pytest.raises(ValueError, match="expected 'scheduler' or 'worker'"):
        run.transitions(source="client")


def test_args_are_decoded_when_they_are_looked_at(tmp_path: Path) -> None:
    run = tasklog.open(shutil.copy(FROZEN[4], tmp_path / "log.db")).run()
    (row,) = [row for row in run.transitions("bytes", finish="memory", source="scheduler")]
    assert isinstance(row.args, tasklog.Args)
    assert row.args["nbytes"] > 0
    assert isinstance(row.args["startstops"], tuple)
    assert isinstance(row.args["type"], bytes)
    assert json.loads(row.args.json).keys() == dict(row.args).keys()


def test_durations_are_seconds_and_have_times(sample: Path) -> None:
    run = tasklog.open(sample).run("#1")
    durations = list(run.durations())
    assert durations
    for row in durations:
        assert (row.stop - row.start).total_seconds() == pytest.approx(row.duration, abs=1e-5)
        assert row.start.tzinfo is UTC and row.run == RUN_1


def test_a_table_shows_its_first_rows(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tasklog.open(sample).run("#1")
    run.tasks().show(2)
    head, line, *shown, rest = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["key", "state", "prefix"] and len(shown) == 2 and rest == "…"
    # What is in a log does not control the terminal.
    assert "\x1b" not in repr(run.tasks()) and r"esc\x1b[31m" in repr(run.tasks())
    assert "(no rows)" in repr(run.gaps)


def test_an_empty_table_has_columns_and_is_false(sample: Path) -> None:
    run = tasklog.open(sample).run("#1")
    assert not run.gaps and run.tasks()
    assert run.gaps.columns[:3] == ["source", "worker", "source_seq"]
    assert run.errors().at_workers.columns[:3] == ["run", "seq", "time"]


# Analyses


def test_analyses_have_the_rows_of_the_command(sample: Path, tasklog: Callable[..., str]) -> None:
    import tasklog as package

    run = package.open(sample).run("#1")
    analyses = {
        "workers": {"workers": run.workers()},
        "jobs": {"jobs": run.jobs()},
        "critical-path": {"critical_path": run.critical_path()},
        "slowest": {"slowest": run.slowest()},
        "story load-1": {"story": run.story("load-1")},
        "summary": {name: run.summary()[name] for name in run.summary()},
        "advice": {"advice": run.advice()},
        "sizing": {name: run.sizing()[name] for name in run.sizing()},
        "explain load-1": {name: run.explain("load-1")[name] for name in run.explain("load-1")},
        "explain --stuck --at 30": {"causes": run.stuck(at=30)},
        "state --at 30": {name: run.state(at=30)[name] for name in run.state(at=30)},
        "errors": {
            "errors": run.errors(), "causes": run.errors().causes,
            "affected": run.errors().affected, "at_workers": run.errors().at_workers,
        },
    }  # fmt: skip
    count = 0
    for words, tables in analyses.items():
        for name, table in tables.items():
            options = ["--table", name] if len(tables) > 1 else []
            output = tasklog(sample, *words.split(), *options, "--run", "#1", "--format", "csv")
            header, *expected = csv.reader(io.StringIO(output))
            assert table.columns == header, words
            found = list(table)
            assert len(found) == len(expected), words
            for row, cells in zip(found, expected, strict=True):
                for column, value, cell in zip(header, row, cells, strict=True):
                    assert column in ("run", "args") or _is_same(column, value, cell), (row, cells)
                    count += 1
    assert count > 300
    named = {"stuck" if "--stuck" in words else words.split()[0] for words in analyses}
    assert set(command.TABLES) - {"compare"} == named


def test_a_comparison_has_the_rows_of_the_command(sample: Path) -> None:
    log = tasklog.open(sample)
    report = log.run("#1").compare("#2")
    output = command.run("compare", "#1", "#2", "--log", str(sample), "--format", "json")
    for name, rows in json.loads(output).items():
        assert len(report[name]) == len(rows) > 0, name
        assert report[name].columns == list(rows[0]), name
    (load,) = [row for row in report["prefixes"] if row.prefix == "load"]
    assert (load.tasks1, load.tasks2) == (2, 2)


def _is_same(column: str, value: Any, cell: str) -> bool:
    if value is None:
        return cell == ""
    if column == "name" and value != cell:
        # That of a worker is JSON.
        return value == str(json.loads(cell))
    if isinstance(value, datetime.datetime) and column in TIMES:
        return value == datetime.datetime.fromisoformat(cell.replace("Z", "+00:00"))
    if isinstance(value, datetime.datetime):
        return value.timestamp() == pytest.approx(float(cell), abs=1e-5)
    if isinstance(value, (int, float)):
        return value == pytest.approx(float(cell))
    return str(value) == cell.replace("\\u{1b}", "\x1b")


def test_the_slowest_are_limited_and_selected(sample: Path) -> None:
    run = tasklog.open(sample).run("#1")
    assert len(run.slowest(2)) == 2
    assert {row.action for row in run.slowest(action="transfer")} == {"transfer"}


def test_the_state_at_a_time_is_that_after_its_events(sample: Path) -> None:
    run = tasklog.open(sample).run("#1")
    (last,) = run.sql("SELECT max(seq) AS seq, max(time_ns) AS time FROM events")
    assert list(run.state(at=last.time).states) == list(run.state(at=last.seq).states)
    local = last.time.astimezone(datetime.timezone(datetime.timedelta(hours=5)))
    assert list(run.state(at=local).states) == list(run.state(at=last.seq).states)
    assert list(run.state(at=30).states) != list(run.state(at=last.seq).states)


def test_a_report_and_an_export_are_written(sample: Path, tmp_path: Path) -> None:
    run = tasklog.open(sample).run("#1")
    run.report(tmp_path / "report.html")
    run.export("csv", tmp_path / "run.csv")
    assert "<html" in (tmp_path / "report.html").read_text()[:200]
    assert len((tmp_path / "run.csv").read_text().splitlines()) > 50
    with pytest.raises(tasklog.LogError, match="tasklog export: .*tableau"):
        run.export("tableau", tmp_path / "run.txt")


def test_an_anonymous_copy_is_a_run_of_other_names(sample: Path, tmp_path: Path) -> None:
    run = tasklog.open(sample).run("#1")
    run.anonymize(tmp_path / "copy.db")
    run.anonymize(tmp_path / "named.db", keep=["keys", "exceptions"])
    copy, named = (tasklog.open(tmp_path / name).run() for name in ("copy.db", "named.db"))
    sql = "SELECT key, prefix, state, nbytes FROM tasks ORDER BY key"
    rows = [tuple(row) for row in run.sql(sql)]
    assert [tuple(row) for row in named.sql(sql)] == rows
    assert [tuple(row)[2:] for row in copy.sql(sql)] == [row[2:] for row in rows]
    assert not {row[0] for row in rows} & {row.key for row in copy.sql(sql)}
    with pytest.raises(tasklog.LogError, match="tasklog anonymize: .*it exists already"):
        run.anonymize(tmp_path / "copy.db")


# SQL


def test_sql_sees_one_run_or_all(sample: Path) -> None:
    log = tasklog.open(sample)
    count = "SELECT run, count(*) FROM tasks GROUP BY run"
    assert list(log.run("#1").sql(count)) == [(RUN_1, 7)]
    assert [row[1] for row in log.sql(count)] == [7, 3]


def test_parameters_are_given_by_keyword(sample: Path) -> None:
    run = tasklog.open(sample).run("#1")
    start = datetime.datetime(2026, 1, 31, 12, tzinfo=UTC)
    sql = "SELECT typeof(:a), :a, typeof(:b), :b, typeof(:c), typeof(:d), :e AS time_ns, :f"
    (row,) = run.sql(sql, a=1, b=0.5, c=b"\0x", d=None, e=start, f="é\0'")
    assert tuple(row) == ("integer", 1, "real", 0.5, "blob", "null", start, "é\0'")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT run, count(*) AS n, sum(nbytes) FROM tasks GROUP BY run ORDER BY n DESC, run",
        "SELECT prefix, count(*) AS n FROM transitions GROUP BY prefix ORDER BY n DESC, prefix"
        " LIMIT 3",
        "SELECT run, key, duration FROM task_durations WHERE action = 'compute'"
        " ORDER BY duration DESC LIMIT 5",
        "SELECT run, seq, key FROM transitions WHERE seq BETWEEN 20 AND 40 ORDER BY seq, run",
        "SELECT max(seq), min(seq), count(DISTINCT run) FROM events",
        "SELECT a.run, a.key, b.finish FROM tasks AS a JOIN transitions AS b"
        " ON a.run = b.run AND a.key = b.key WHERE b.finish = 'memory' ORDER BY 1, 2, 3",
        "SELECT run, key FROM tasks WHERE key > 'b' AND failures >= 1 ORDER BY key, run",
        "SELECT uuid, run, tasks FROM runs ORDER BY tasks, uuid LIMIT 1",
    ],
)
def test_sql_over_two_logs_is_that_over_their_union(two: list[Path], sql: str) -> None:
    assert [list(run_ids(path)) for path in two] == [[1], [1]]
    expected = union_of(two).execute(sql).fetchall()
    assert expected
    assert [tuple(row) for row in tasklog.open(two).sql(sql)] == expected


def union_of(logs: list[Path]) -> sqlite3.Connection:
    """The views of several logs in one database, as Python's SQLite has them."""
    union = sqlite3.connect(":memory:")
    views = [
        name for (name,) in rows(logs[0], "SELECT name FROM sqlite_schema WHERE type = 'view'")
    ]
    for view in ("tasks", "transitions", "task_durations", "events", "runs"):
        assert view in views
        for path in logs:
            source = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
            (id,) = run_ids(path).values()
            found = source.execute(f"SELECT * FROM {view}")
            names = [description[0] for description in found.description]
            columns = ", ".join(f'"{name}"' for name in names)
            union.execute(f"CREATE TABLE IF NOT EXISTS {view} ({columns})")
            marks = ", ".join("?" * len(names))
            for row in found:
                values = [id if name == "run" else v for name, v in zip(names, row, strict=True)]
                union.execute(f"INSERT INTO {view} VALUES ({marks})", values)
            source.close()
        union.execute(f"CREATE INDEX {view}_by_run ON {view} (run)")
    union.execute("CREATE INDEX tasks_by_key ON tasks (key)")
    union.execute("CREATE INDEX task_durations_by_key ON task_durations (key)")
    return union


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two logs in which a view takes a moment."""
    logs = [tmp_path_factory.mktemp("large") / f"{name}.db" for name in ("one", "two")]
    reading_benchmark.make(logs[0], 4000)
    with sqlite3.connect(shutil.copy(logs[0], logs[1])) as connection:
        connection.execute("UPDATE run SET uuid = printf('%036d', 1)")
        connection.execute("UPDATE event SET time = time + 50000")
    return logs


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*), sum(b.nbytes), sum(a.run < 'x') FROM transitions AS a JOIN tasks AS b"
        " ON b.key = a.key AND b.run = a.run WHERE a.finish = 'memory'",
        # One key in both logs, and a comparison that is not of equality.
        "SELECT count(*), max(a.first_seen), min(b.first_seen) FROM tasks AS a JOIN tasks AS b"
        " ON b.key = a.key AND b.first_seen > a.first_seen",
        "SELECT count(*), sum(b.key IS NULL) FROM task_durations AS a LEFT JOIN tasks AS b"
        " ON b.key = a.key AND b.nbytes = 7 AND b.run = a.run",
        "SELECT count(*) FROM task_durations AS a WHERE NOT EXISTS"
        " (SELECT 1 FROM tasks AS b WHERE b.key = a.key AND b.nbytes < 2000)",
    ],
)
def test_joins_over_two_logs_end(large: list[Path], sql: str) -> None:
    """A scan of the inner view for each row would take half an hour."""
    expected = union_of(large).execute(sql).fetchone()
    assert expected[0] > 1000, expected
    program = (
        "import sys, tasklog;print(tuple(list(tasklog.open(sys.argv[2:]).sql(sys.argv[1]))[0]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, sql, *large],
        capture_output=True, text=True, timeout=DEADLINE,
    )  # fmt: skip
    assert done.stdout == f"{expected}\n", done.stderr


def test_a_run_of_several_logs_is_asked_alone(two: list[Path]) -> None:
    log = tasklog.open(two)
    for run in log:
        assert [row.run for row in run.sql("SELECT DISTINCT run FROM tasks")] == [run.id]
        assert len(run.sql("SELECT * FROM tasks")) == run.info.tasks


def test_a_run_in_two_copies_of_a_log_is_there_once(sample: Path, tmp_path: Path) -> None:
    copy = shutil.copy(sample, tmp_path / "copy.db")
    log = tasklog.open([sample, copy])
    assert len(log.runs) == 2
    assert [row[0] for row in log.sql("SELECT count(*) FROM tasks")] == [10]


def test_more_logs_than_sqlite_attaches_are_one(two: list[Path]) -> None:
    folder = two[0].parent
    for number in range(100):
        copy = shutil.copy(two[0], folder / f"copy-{number}.db")
        with sqlite3.connect(copy) as connection:
            connection.execute("UPDATE run SET uuid = printf('%036d', ?)", (number,))
    log = tasklog.open(folder)
    (row,) = log.sql("SELECT count(*), count(DISTINCT run) FROM tasks")
    assert tuple(row) == (100 * 9 + 9 + 7, 102)
    joined = "SELECT count(*) FROM runs JOIN tasks USING (run) WHERE tasks.state = 'forgotten'"
    assert list(log.sql(joined))[0][0] > 900


def test_columns_take_the_type_of_all_their_values(sample: Path) -> None:
    run = tasklog.open(sample).run("#1")
    mixed = "SELECT column1 AS x FROM (VALUES (1), (NULL), (2.5))"
    assert [row.x for row in run.sql(mixed)] == [1.0, None, 2.5]
    assert [row.x for row in run.sql("SELECT column1 AS x FROM (VALUES (1), ('a'))")] == ["1", "a"]
    late = """
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 70000)
        SELECT i, CASE WHEN i < 66000 THEN NULL WHEN i < 67000 THEN i ELSE 'text' END AS x FROM n
    """
    seen = [row.x for row in run.sql(late)]
    assert seen[65998:66000] == [None, "66000"]
    assert seen[-1] == "text" and len(seen) == 70000
    frame = run.sql(late).df()
    assert frame.x.iloc[66500] == "66501" and frame.x.iloc[-1] == "text" and len(frame) == 70000
    (row,) = run.sql("SELECT 'no time' AS time, 5 AS start, 1.5 AS time_ns")
    assert row.time == "no time" and row.time_ns == datetime.datetime(
        1970, 1, 1, 0, 0, 1, 500000, UTC
    )


def test_a_heartbeat_is_decoded_in_sql(sample: Path) -> None:
    log = tasklog.open(sample)
    assert isinstance(list(log.sql("SELECT tasklog_args(args, time_ns) FROM events")), list)


# Processes


def test_reading_needs_no_dask_and_no_other_package(sample: Path) -> None:
    code = """
        import sys
        class Refuse:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in REFUSED: raise ImportError(name)
        REFUSED = {"distributed", "dask", "msgpack", "cloudpickle", "numpy", "pandas", "polars",
            "pyarrow"}
        sys.meta_path.insert(0, Refuse())
        import tasklog
        run = tasklog.open(sys.argv[1]).run("#1")
        assert len(list(run.tasks())) == 7 and run.tasks()
        assert [row.prefix for row in run.summary().prefixes]
        for what, package in (("df", "pandas"), ("pl", "polars"), ("arrow", "pyarrow")):
            try:
                getattr(run.tasks(), what)()
            except tasklog.LogError as error:
                assert f"pip install {package}" in str(error), error
            else:
                raise AssertionError(what)
        assert not REFUSED & {name.split(".")[0] for name in sys.modules}
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), sample], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_child_of_a_fork_reads_for_itself(sample: Path) -> None:
    code = (
        "import os, sys, tasklog\n"
        "run = tasklog.open(sys.argv[1]).run('#1')\n"
        "assert len(run.tasks()) == 7\n"
        "child = os.fork()\n"
        "if child == 0: os._exit(0 if len(run.tasks()) == 7 else 1)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert len(run.tasks()) == 7\n"
    )
    done = subprocess.run([sys.executable, "-c", code, sample], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.native
def test_a_reader_beside_the_recorder_sees_what_has_been_recorded(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(tasklog.Recorder(path))
        client.gather(client.map(workloads.increment, range(20)))
        run = tasklog.open(path).run()
        assert run.info.end == "running" and run.info.duration is None
        tasks = run.tasks()
        wait_for(lambda: len(tasks) >= 20, "events in the log")
        client.gather(client.map(workloads.increment, range(20, 40)))
        wait_for(lambda: len(tasks) >= 40, "more events in the log")
    assert tasklog.open(path).run(strict=True).info.end == "closed"


def test_a_stream_that_nobody_takes_is_freed(sample: Path) -> None:
    table = tasklog.open(sample).run("#1").tasks()

    def opened() -> int:
        files = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
        return sum(os.path.exists(file) and os.path.samefile(file, sample) for file in files)

    kept = [table.__arrow_c_stream__() for _ in range(10)]
    assert opened() >= 10
    del kept
    gc.collect()
    assert opened() == 0


#: A value that is not in the first batch: rows are read in batches of 65,536.
LATE = """
    WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number LIMIT 70000)
    SELECT n, CASE n WHEN 69999 THEN 'late' END AS word FROM number
"""


def test_the_first_value_of_a_column_may_come_late(sample: Path) -> None:
    table = tasklog.open(sample).sql(LATE)
    seen = list(table)
    assert [row.n for row in seen] == list(range(1, 70001))
    assert [row.word for row in seen if row.word] == ["late"]
    assert len(tasklog.open(sample).sql(LATE)) == 70000


def test_a_time_of_a_row_selects_that_row(sample: Path) -> None:
    run = tasklog.open(sample).run(1)
    row = next(iter(run.transitions()))
    assert row in list(run.transitions(since=row.time, until=row.time))
    every = len(run.transitions())
    assert len(run.transitions(since=datetime.datetime.min)) == every
    assert len(run.transitions(until=datetime.datetime.max)) == every


def test_keys_may_be_tuples_and_futures(sample: Path) -> None:
    run = tasklog.open(sample).run(1)
    by_text = [row.seq for row in run.transitions("('sum', 0)")]
    assert by_text and [row.seq for row in run.transitions(("sum", 0))] == by_text
    assert len(run.story(("sum", 0))) == len(run.story("('sum', 0)")) > 0


@pytest.mark.native
def test_a_story_has_the_events_of_all_keys_with_its_text(tmp_path: Path) -> None:
    from distributed import Client

    log = tmp_path / "keys.db"
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as client,
        tasklog.record(log) as run,
    ):
        client.gather([client.submit(workloads.increment, 1, key=key) for key in (5, "5")])
    assert len({row.stimulus for row in run.story("5") if row.start == "processing"}) == 2


def test_events_without_args_have_none_in_a_story(sample: Path) -> None:
    run = tasklog.open(sample).run(1)
    args = [row.args for row in run.story("load-1")]
    assert None in args
    assert any(each for each in args if each is not None)
