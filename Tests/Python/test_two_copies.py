"""A second copy of SQLite in a process that records: https://sqlite.org/howtocorrupt.html"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import two_copies
from tasklog import library

HERE = Path(__file__).resolve().parent
# For longer than the tests have: TASKLOG_TEST_TWO_COPIES=600.
SECONDS = float(os.environ.get("TASKLOG_TEST_TWO_COPIES", "20"))


@pytest.mark.parametrize("reader", two_copies.READERS)
def test_a_log_stays_whole_beside_another_copy_of_sqlite(reader: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, HERE / "two_copies.py", reader, str(SECONDS)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS * 3 + 180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["failed reads"] == [] and told["failed writes"] == [], told
    log = sqlite3.connect(tmp_path / "run.db")
    assert log.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert log.execute("SELECT count(*) FROM other").fetchone() == (told["writes"],)
    ended = "SELECT count(*) FROM transitions WHERE start = 'processing' AND finish = 'memory'"
    assert log.execute(ended).fetchone() == (told["tasks"],)
    assert log.execute("SELECT count(*) FROM gap").fetchone() == (0,)
    assert log.execute("SELECT end FROM run").fetchall() == [("closed",)]


def test_the_library_has_a_sqlite_of_its_own_that_nobody_else_sees() -> None:
    loaded = ctypes.CDLL(library.find())
    assert not hasattr(loaded, "sqlite3_open_v2")
    assert not hasattr(loaded, "sqlite3_libversion")


def test_a_child_that_outlives_its_parent_keeps_none_of_its_locks(tmp_path: Path, tasklog) -> None:
    script = """
        import os, signal, sys, msgpack
        from tasklog.library import NativeRecorder
        event = msgpack.packb([1.0, 13, "x", 0, 1, None, None, None, None, None])
        recorder = NativeRecorder(sys.argv[1], {})
        source = recorder.source("scheduler", "s", "tcp://s")
        assert recorder.put(recorder.handle, source, event, len(event)) == 1
        assert recorder.flush(60)
        parent = os.getpid()
        if os.fork() == 0:
            print("forked", flush=True)
            sys.stdin.read()
            os._exit(0)
        signal.pause()
        """
    log = str(tmp_path / "run.db")
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), log],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None and parent.stdin is not None
        assert parent.stdout.readline() == "forked\n"
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert "running" not in tasklog(Path(log), "runs")
        # Only a process that is alone with a log can do this; the child still runs.
        other = sqlite3.connect(log, timeout=0)
        assert other.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
        assert other.execute("SELECT count(*) FROM event").fetchone() == (1,)
        other.close()
        parent.stdin.close()
