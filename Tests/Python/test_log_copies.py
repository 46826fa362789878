"""Copies of logs by the library, also while they are recorded."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import msgpack
import pytest

from log import Log
from tasklog.library import LibraryError, NativeRecorder, combine_logs, copy_log

EVENT = msgpack.packb([1.0, 13, "x", 0, 1, None, None, None, None, None])


def put(recorder: NativeRecorder, source: int, count: int = 1) -> None:
    for _ in range(count):
        assert recorder.put(recorder.handle, source, EVENT, len(EVENT)) > 0


def empty(path: Path) -> str:
    path.touch()
    return str(path)


def files(folder: Path, name: str) -> list[str]:
    return sorted(each.name for each in folder.glob(f"{name}*"))


def test_copies_of_a_log_that_is_recorded_are_whole(tmp_path: Path) -> None:
    recorder = NativeRecorder(str(tmp_path / "run.db"), {})
    assert recorder.log == str(tmp_path / "run.db")
    source = recorder.source("scheduler", "s", "tcp://s")
    stop = threading.Event()

    def keep_putting() -> None:
        while not stop.is_set():
            put(recorder, source, 100)
            # Not faster than the events are written.
            assert recorder.flush(60)

    thread = threading.Thread(target=keep_putting)
    thread.start()
    counts = []
    try:
        for number in range(10):
            put_before = recorder.counters(source)["events"]
            assert recorder.flush(60)
            copy = tmp_path / f"copy-{number}.db"
            copy_log(recorder.log, empty(copy))
            # It needs no other file.
            assert files(tmp_path, copy.name) == [copy.name]
            log = Log(copy)
            assert log.rows("PRAGMA integrity_check") == [("ok",)]
            last, count = log.rows("SELECT max(source_seq), count(*) FROM event")[0]
            assert last == count >= put_before
            assert log.rows("SELECT uuid, end FROM run") == [(recorder.run, None)]
            counts.append(count)
    finally:
        stop.set()
        thread.join()
    recorder.close()
    assert counts == sorted(set(counts))
    # The copies have left nothing at the log.
    assert files(tmp_path, "run.db") == ["run.db"]


def test_a_run_that_two_logs_have_is_in_their_combination_once(tmp_path: Path) -> None:
    first = NativeRecorder(str(tmp_path / "first.db"), {})
    put(first, first.source("scheduler", "s", "tcp://s"), 5)
    first.close()
    second = NativeRecorder(str(tmp_path / "second.db"), {})
    source = second.source("scheduler", "t", "tcp://t")
    put(second, source, 5)
    assert second.flush(60)
    copy_log(second.log, empty(tmp_path / "part.db"))
    combine_logs(str(tmp_path / "first.db"), str(tmp_path / "part.db"), str(tmp_path / "both.db"))
    put(second, source, 5)
    second.close()
    combine_logs(str(tmp_path / "both.db"), second.log, str(tmp_path / "all.db"))
    counts = """
        SELECT run.uuid, run.end, count(*) FROM run JOIN source ON source.run = run.id
        JOIN event ON event.source = source.id GROUP BY run.id ORDER BY run.id
    """
    assert Log(tmp_path / "both.db").rows(counts) == [
        (first.run, "closed", 5), (second.run, "died", 5),
    ]  # fmt: skip
    assert Log(tmp_path / "all.db").rows(counts) == [
        (first.run, "closed", 5), (second.run, "closed", 10),
    ]  # fmt: skip
    assert files(tmp_path, "all.db") == ["all.db"]


def test_a_log_that_is_recorded_is_not_combined(tmp_path: Path) -> None:
    recorder = NativeRecorder(str(tmp_path / "run.db"), {})
    put(recorder, recorder.source("scheduler", "s", "tcp://s"))
    assert recorder.flush(60)
    copy_log(recorder.log, empty(tmp_path / "copy.db"))
    with pytest.raises(LibraryError, match=r"run\.db: .*being recorded by another recorder"):
        combine_logs(recorder.log, str(tmp_path / "copy.db"), str(tmp_path / "all.db"))
    assert not (tmp_path / "all.db").exists()
    recorder.close()


def test_what_cannot_be_copied_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match=r"none\.db: there is no such log"):
        copy_log(str(tmp_path / "none.db"), empty(tmp_path / "copy.db"))
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE x (y)")
    with pytest.raises(LibraryError, match=r"other\.db: is a SQLite database, but not a tasklog"):
        copy_log(str(tmp_path / "other.db"), str(tmp_path / "copy.db"))
    recorder = NativeRecorder(str(tmp_path / "run.db"), {})
    with pytest.raises(LibraryError, match=r"folder/copy\.db"):
        copy_log(recorder.log, str(tmp_path / "folder" / "copy.db"))
    recorder.close()
    with pytest.raises(LibraryError, match="expected a log and a file"):
        copy_log("", "")
