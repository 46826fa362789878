"""What cannot be read is a `tasklog.LogError` that names the file and says what to do."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distributed.diagnostics.plugin import SchedulerPlugin

import tasklog
from test_reading import FROZEN, SAMPLE


@pytest.fixture(autouse=True)
def program(tasklog: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKLOG_PROGRAM", str(tasklog.program))


def missing(path: Path) -> None:
    pass


def text(path: Path) -> None:
    path.write_text("no log " * 500)


def empty(path: Path) -> None:
    path.touch()


def other(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE other (a)")


def damaged(path: Path) -> None:
    content = bytearray(SAMPLE.read_bytes())
    for start in range(8192, len(content), 8192):
        content[start : start + 8192] = b"\x17" * 8192
    path.write_bytes(content[: len(content) // 8192 * 8192])


def truncated(path: Path) -> None:
    path.write_bytes(SAMPLE.read_bytes()[:20000])


def newer(path: Path) -> None:
    shutil.copy(SAMPLE, path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
        views = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'view'")
        for (name,) in views.fetchall():
            connection.execute(f"DROP VIEW {name}")
        connection.execute("ALTER TABLE event RENAME COLUMN finish TO became")


LOGS: dict[Callable[[Path], None], str] = {
    missing: "there is no such log; check the path",
    text: "is not a SQLite database",
    empty: "is empty; nothing has been recorded",
    other: "is a SQLite database, but not a tasklog log",
    damaged: "is damaged",
    truncated: "is damaged",
    newer: "is of format version 99, this tasklog knows up to 2; use a newer tasklog",
}


@pytest.mark.parametrize("make", LOGS, ids=lambda make: make.__name__)
def test_a_log_that_cannot_be_read_is_named(make: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    make(path)
    with pytest.raises(tasklog.LogError) as raised:
        len(tasklog.open(path).run("#1").tasks())
    assert str(raised.value).startswith(f"{path}: "), raised.value
    assert LOGS[make] in str(raised.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing/*.db", "there is no file"),
        (".", "none of 1 files is a tasklog log"),
        ("{run}.db", "there is no such log"),
        ([], "there is no log in an empty list"),
    ],
)
def test_names_that_lead_to_no_log_say_so(
    name: Any, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    other(tmp_path / "other.db")
    with pytest.raises(tasklog.LogError, match=words):
        tasklog.open(name)


@pytest.mark.parametrize(
    ("run", "words"),
    [("#7", "has no run '#7'; it has #1 to #2"), ("x", "has no run 'x'"), ("", "2 run ids|no run"),
     ("01942f", "'01942f' begins 2 run ids")],
)  # fmt: skip
def test_a_run_that_is_not_there_is_named(run: str, words: str) -> None:
    with pytest.raises(tasklog.LogError, match=rf"sample\.db: .*({words})"):
        tasklog.open(SAMPLE).run(run)


SQL = {
    "DELETE FROM tasks": "only reading is allowed",
    "UPDATE runs SET uuid = 1": "only reading is allowed",
    "CREATE TABLE x (a)": "only reading is allowed",
    "ATTACH 'other.db' AS other": "only reading is allowed",
    "PRAGMA user_version = 3": "only reading is allowed",
    "SELECT load_extension('x')": "only reading is allowed|no such function",
    "SELECT 1; DROP VIEW tasks": "more than one statement",
    "": "there is no statement in it",
    "SELECT * FROM nowhere": "no such table: nowhere",
    "SELECT :x": r":x has no value; give it by keyword, as sql\(…, x=value\)",
    "SELECT ?": "a parameter needs a name",
}


@pytest.mark.parametrize("sql", SQL)
@pytest.mark.parametrize("logs", [[SAMPLE], [SAMPLE, FROZEN[4]]], ids=["one", "two"])
def test_sql_that_cannot_be_run_says_why(sql: str, logs: list[Path]) -> None:
    with pytest.raises(tasklog.LogError, match=SQL[sql]):
        list(tasklog.open(logs).sql(sql))


def test_a_parameter_that_the_sql_does_not_have_is_an_error() -> None:
    with pytest.raises(tasklog.LogError, match="there is no :y"):
        list(tasklog.open(SAMPLE).sql("SELECT 1", y=2))
    with pytest.raises(tasklog.LogError, match="SQL: x is a object; give a number, text"):
        tasklog.open(SAMPLE).sql("SELECT :x", x=object())


@pytest.mark.parametrize("logs", [[SAMPLE], [SAMPLE, FROZEN[4]]], ids=["one", "two"])
def test_sql_that_takes_too_long_stops(logs: list[Path]) -> None:
    endless = (
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    )
    with pytest.raises(tasklog.LogError, match=r"stopped after 0\.1 seconds"):
        list(tasklog.open(logs).sql(endless, timeout=0.1))


def test_one_damaged_log_of_many_is_named(tmp_path: Path) -> None:
    shutil.copy(SAMPLE, tmp_path / "good.db")
    damaged(tmp_path / "bad.db")
    with pytest.raises(tasklog.LogError, match=r"bad\.db: is damaged"):
        len(tasklog.open(tmp_path).sql("SELECT * FROM events"))


def test_a_key_that_is_not_there_is_an_error() -> None:
    with pytest.raises(tasklog.LogError, match="tasklog story: .*no key or stimulus 'nothing'"):
        tasklog.open(SAMPLE).run("#1").story("nothing")


def test_a_key_that_looks_like_an_option_is_a_key() -> None:
    with pytest.raises(tasklog.LogError, match="no key or stimulus '--help'"):
        tasklog.open(SAMPLE).run("#1").story("--help")


def test_a_command_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKLOG_PROGRAM", "/no/tasklog")
    with pytest.raises(tasklog.LogError, match="/no/tasklog cannot be run"):
        tasklog.open(SAMPLE).run("#1").workers()


# Replay


class Raises(SchedulerPlugin):
    def transition(self, key: Any, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError(f"not {key}")


class Locks(SchedulerPlugin):
    def __init__(self) -> None:
        import threading

        self.count = 0
        self.lock = threading.Lock()

    def transition(self, *args: Any, **kwargs: Any) -> None:
        self.count += 1


@pytest.fixture
def run(tmp_path: Path) -> tasklog.Run:
    return tasklog.open(shutil.copy(FROZEN[4], tmp_path / "log.db")).run()


def test_a_plugin_that_raises_is_an_error(run: tasklog.Run) -> None:
    with pytest.raises(tasklog.LogError, match=r"'Raises' .* RuntimeError: not increment-"):
        run.replay(Raises)


def test_a_plugin_that_cannot_be_pickled_points_to_the_command(run: tasklog.Run) -> None:
    with pytest.raises(tasklog.LogError, match=r"Locks\.lock cannot come back .*--result lock"):
        run.replay(Locks)


def test_options_of_a_plugin_are_checked(run: tasklog.Run) -> None:
    with pytest.raises(tasklog.LogError, match="unexpected keyword argument 'colour'"):
        run.replay(Locks, colour="red")
    with pytest.raises(TypeError, match="the option colour is a object"):
        run.replay(Locks, colour=object())
    with pytest.raises(tasklog.LogError, match="int is no plugin"):
        run.replay(int)
    with pytest.raises(TypeError, match="expected the class of a plugin"):
        run.replay("counter")


@pytest.mark.parametrize("timeout", [1e300, -1.0, float(10**25)])
def test_a_timeout_is_a_number_of_seconds(timeout: float) -> None:
    with pytest.raises(tasklog.LogError, match="the timeout is no number of seconds"):
        list(tasklog.open(SAMPLE).sql("SELECT 1", timeout=timeout))


@pytest.mark.parametrize("name", [None, 3, b"run.db", "", "a\0b"])
def test_what_is_no_path_is_named(name: Any) -> None:
    with pytest.raises(tasklog.LogError, match="is no path of a log"):
        tasklog.open(name)


def test_a_time_that_is_none_is_named() -> None:
    with pytest.raises(tasklog.LogError, match="'2026-01-01' is a str; give a datetime.datetime"):
        tasklog.open(SAMPLE).run(1).transitions(since="2026-01-01")  # type: ignore[arg-type]
