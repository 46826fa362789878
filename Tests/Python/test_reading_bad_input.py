"""What cannot be read is a `tasklog.LogError` that names the file and says what to do."""

from __future__ import annotations

import ctypes
import pickle
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distributed.diagnostics.plugin import SchedulerPlugin

import sizes
import tasklog
from clusters import PATIENCE
from tasklog.reading import native
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
        tasklog.open(SAMPLE).run("#1").jobs()


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


ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


@pytest.mark.parametrize("logs", [[SAMPLE], [SAMPLE, FROZEN[4]]], ids=["one", "two"])
def test_ctrl_c_stops_a_statement(logs: list[Path], tmp_path: Path) -> None:
    code = """
        import os, signal, sys, threading, time
        import tasklog
        signal.signal(signal.SIGINT, signal.default_int_handler)
        table = tasklog.open(sys.argv[2:]).sql(sys.argv[1])
        def press():
            while not any(thread.name == "tasklog-query" for thread in threading.enumerate()):
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=press).start()
        try:
            list(table)
        except KeyboardInterrupt:
            print("interrupted", len(tasklog.open(sys.argv[2:]).sql("SELECT 1")))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), ENDLESS, *logs],
        capture_output=True, text=True, timeout=60 * PATIENCE,
    )  # fmt: skip
    assert done.stdout == "interrupted 1\n", done.stderr


@pytest.fixture(scope="module")
def slow_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log whose runs are not counted: a statement about them has many steps."""
    path = tmp_path_factory.mktemp("slow") / "log.db"
    sizes.make("uncounted", path, divisor=10)
    return path


@pytest.mark.parametrize("call", ["open", "describe"])
@pytest.mark.parametrize("reader", [pytest.param("native", marks=pytest.mark.native), "pure"])
def test_ctrl_c_stops_what_opens_a_log(reader: str, call: str, slow_log: Path) -> None:
    # It opens the log again and again, until it is stopped.
    code = """
        import os, signal, sys
        import tasklog
        from tasklog.reading.native import NativeLog, _library
        from tasklog.reading.pure import log as pure
        signal.signal(signal.SIGINT, signal.default_int_handler)
        def endless(real):
            def call(*arguments):
                os.kill(os.getpid(), signal.SIGINT)
                while not isinstance(result := real(*arguments), int) or result >= 0:
                    pass
                return result
            return call
        reader, call, path = sys.argv[1:]
        module, name = pure, "_runs"
        if reader == "native":
            module, name = _library(), f"tasklog_log_{call}"
        kind = NativeLog if reader == "native" else pure.PureLog
        log, real = kind([path]), getattr(module, name)
        setattr(module, name, endless(real))
        try:
            log.describe() if call == "describe" else kind([path])
        except KeyboardInterrupt:
            setattr(module, name, real)
            print("interrupted", len(kind([path]).describe()["parts"][0]["runs"]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), reader, call, slow_log],
        capture_output=True, text=True, timeout=60 * PATIENCE,
    )  # fmt: skip
    assert done.stdout == "interrupted 2001\n", done.stderr


@pytest.mark.native
def test_a_thread_stops_the_library_by_a_word_of_its_own(slow_log: Path) -> None:
    library, word = native._library(), ctypes.c_int32(1)
    names = (ctypes.c_char_p * 1)(str(slow_log).encode())
    library.tasklog_log_stop_when(ctypes.byref(word))
    try:
        assert library.tasklog_log_open(names, 1) < 0
        assert "interrupted" in native._last_error()
        word.value = 0
        handle = library.tasklog_log_open(names, 1)
        assert handle > 0
    finally:
        library.tasklog_log_stop_when(None)
    word.value = 1
    text = ctypes.c_void_p()
    assert library.tasklog_log_describe(handle, ctypes.byref(text)) == 0
    library.tasklog_free(text)
    library.tasklog_log_close(handle)


def test_a_thread_runs_sql_without_another_one() -> None:
    found: list[Any] = []
    table = tasklog.open(SAMPLE).sql("SELECT 7")
    thread = threading.Thread(target=lambda: found.extend(table))
    thread.start()
    thread.join()
    assert [tuple(row) for row in found] == [(7,)]


@pytest.mark.native
def test_each_thread_has_its_own_last_error() -> None:
    first, second = threading.Event(), threading.Event()
    library = native._library()
    seen: list[str] = []

    def fail() -> None:
        assert library.tasklog_log_close(12345) < 0
        first.set()
        second.wait()
        seen.append(native._last_error())

    thread = threading.Thread(target=fail)
    thread.start()
    first.wait()
    assert library.tasklog_log_close(67890) < 0
    second.set()
    thread.join()
    assert "12345" in seen[0] and "67890" in native._last_error()


def test_a_log_and_a_run_are_pickled_by_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(SAMPLE, tmp_path / "run.db")
    monkeypatch.chdir(tmp_path)
    log = tasklog.open("run.db")
    run = log.run("#1")
    content = pickle.dumps((log, run))
    monkeypatch.chdir("/")
    log.close()
    log, again = pickle.loads(content)
    assert len(log.runs) == 2 and again.id == run.id and len(again.tasks()) == 7
    with pytest.raises(TypeError, match="a table of a log cannot be pickled, as it has no rows"):
        pickle.dumps(log.runs)
    (tmp_path / "run.db").unlink()
    with pytest.raises(tasklog.LogError, match="there is no such log"):
        pickle.loads(content)


WRONG: dict[str, Callable[[tasklog.Run], Any]] = {
    "seq is 5.0, a float; expected the number of an event": lambda run: run.state_at(5.0),  # type: ignore[arg-type]
    "seq is True, a bool": lambda run: run.state_at(True),
    "at is 5.0, a float; .* or a datetime.datetime": lambda run: run.state(5.0),  # type: ignore[arg-type]
    "n is '3', a str; expected a number of rows": lambda run: run.slowest("3"),  # type: ignore[arg-type]
    "action is 3, a int; expected text": lambda run: run.slowest(action=3),  # type: ignore[arg-type]
    "prefix is 3, a int; expected text": lambda run: run.transitions(prefix=3),  # type: ignore[arg-type]
    "finish is b'x', a bytes": lambda run: run.transitions(finish=b"x"),  # type: ignore[arg-type]
    "run is 1.0, a float; expected a number": lambda run: run.log.run(1.0),  # type: ignore[arg-type]
    "sql is 3, a int; expected the text of a SELECT": lambda run: run.sql(3),  # type: ignore[arg-type]
    "timeout is '1', a str; give a number": lambda run: run.sql("", timeout="1"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("words", WRONG)
def test_an_argument_of_a_wrong_type_is_named(words: str) -> None:
    with pytest.raises(TypeError, match=words):
        WRONG[words](tasklog.open(SAMPLE).run("#1"))


@pytest.mark.parametrize(
    ("value", "words"),
    [(float("nan"), "x=nan: SQL has no such number"), (2**63, "x=9223372036854775808: an integer"),
     ([1], "x is a list; give a number, text, bytes")],
)  # fmt: skip
def test_a_parameter_that_sql_cannot_have_is_named(value: Any, words: str) -> None:
    with pytest.raises(tasklog.LogError, match=f"SQL: {words}"):
        tasklog.open(SAMPLE).sql("SELECT :x", x=value)
