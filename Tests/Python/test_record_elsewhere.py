"""`tasklog.record` with a scheduler on another machine, whose log is fetched."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

import tasklog
import workloads
from clusters import wait_for
from log import Log
from machines import HOST, Machine, another_machine
from tasklog import record

ENDED = "SELECT count(*) FROM transitions WHERE start = 'processing' AND finish = 'memory'"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.chdir(tmp_path)
    with another_machine(tmp_path) as machine:
        yield machine


@pytest.fixture
def client(machine: Machine) -> Iterator[Client]:
    with Client(machine.address) as client:
        yield client


def work(client: Client, count: int = 50) -> None:
    client.gather(client.map(workloads.increment, range(count), pure=False))


def is_whole(log: Path) -> bool:
    connection = sqlite3.connect(f"file:{log}?mode=ro", uri=True)
    try:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


def beside(folder: Path) -> list[str]:
    """The files next to a fetched log."""
    return sorted(each.name for each in folder.iterdir() if each.name != "elsewhere-output")


def test_the_log_is_fetched_at_the_end_and_removed_there(
    machine: Machine, client: Client, tmp_path: Path
) -> None:
    with tasklog.record("run.db", labels={"pipeline": "etl"}) as run:
        with pytest.raises(
            tasklog.RecordingError, match=f"on host {HOST} and has not been fetched"
        ):
            run.path  # noqa: B018
        work(client)
        status = run.status()
        assert (status.host, status.recording, status.fetched) == (HOST, True, None)
        assert machine.path(status.log).exists() and status.log.startswith("/tmp/tasklog-logs-")
        assert beside(tmp_path) == []
    assert run.path == tmp_path / "run.db" and beside(tmp_path) == ["run.db"]
    assert is_whole(run.path) and (run.path.stat().st_mode & 0o777) == 0o600
    log = Log(run.path)
    assert log.one(ENDED) == 50 and log.one("SELECT count(*) FROM gap") == 0
    assert log.rows("SELECT uuid, end FROM run") == [(run.id, "closed")]
    # The worker's last event is there, too.
    assert log.one("SELECT count(*) FROM events WHERE hook = 'teardown'") == 1
    # Who requested it is not where it was recorded.
    import socket

    (row,) = log.rows("SELECT host, metadata ->> '$.host', labels FROM runs")
    assert row == (socket.gethostname(), HOST, '{"pipeline":"etl"}')
    assert machine.logs() == []
    assert run.status().fetched == str(tmp_path / "run.db") and run.status().spool_bytes == 0


def test_the_log_can_be_fetched_during_the_run_while_tasks_go_on(
    machine: Machine, client: Client, tmp_path: Path
) -> None:
    stop = threading.Event()
    counts = []

    def keep_working() -> None:
        while not stop.is_set():
            work(client, 20)

    with tasklog.record("run.db") as run:
        thread = threading.Thread(target=keep_working)
        thread.start()
        try:
            for _ in range(5):
                before = run.status().events
                wait_for(lambda before=before: run.status().events > before + 100, "more events")
                assert run.fetch() == tmp_path / "run.db"
                assert is_whole(run.path) and beside(tmp_path) == ["run.db"]
                log = Log(run.path)
                assert log.rows("SELECT end FROM run") == [(None,)]
                counts.append(log.one("SELECT count(*) FROM event"))
                # Without holes: every source has all events up to its last one.
                holes = "SELECT 1 FROM event GROUP BY source HAVING count(*) != max(source_seq)"
                assert log.rows(holes) == []
                assert counts[-1] > before
        finally:
            stop.set()
            thread.join()
    assert counts == sorted(set(counts))
    assert Log(run.path).rows("SELECT end FROM run") == [("closed",)]


def test_runs_that_are_in_the_file_already_stay_in_it(
    machine: Machine, client: Client, tmp_path: Path
) -> None:
    ids = []
    for number in range(2):
        with tasklog.record("run.db") as run:
            work(client)
            if number == 1:
                run.fetch()
                work(client)
                run.fetch()
        ids.append((run.id, "closed"))
    log = Log(run.path)
    assert log.rows("SELECT uuid, end FROM run ORDER BY id") == ids
    assert log.rows("SELECT count(DISTINCT key) FROM transitions GROUP BY run ORDER BY run") == [
        (50,), (100,),
    ]  # fmt: skip
    assert is_whole(run.path) and beside(tmp_path) == ["run.db"]


def test_a_log_that_is_named_for_the_scheduler_stays_there(
    machine: Machine, client: Client
) -> None:
    with tasklog.record("run.db", scheduler_log="/tmp/work/there.db") as run:
        work(client)
    assert machine.path("/tmp/work/there.db").exists() and machine.logs() == []
    assert Log(run.path).one(ENDED) == 50


def test_every_segment_of_a_rotated_run_is_fetched(
    machine: Machine, client: Client, tmp_path: Path, tasklog: Any
) -> None:
    with record("run-{run}.db", rotate_size="64KiB", sync_seconds=0.01) as run:
        first = run.status().log

        def has_rotated() -> bool:
            work(client, 200)
            return len(list(machine.path(first).parent.glob("*.db"))) >= 3

        wait_for(has_rotated, "third segment")
        run.fetch()
        work(client)
    names = beside(tmp_path)
    assert names[0] == f"run-{run.id}.2.db" or f"run-{run.id}.db" in names
    assert len(names) >= 3 and all(is_whole(tmp_path / name) for name in names)
    assert machine.logs() == []
    found = tasklog(tmp_path / "run-{run}.db", "check", "--format", "jsonl").splitlines()
    assert [each for each in map(json.loads, found) if each["severity"] != "info"] == []
    summary = json.loads(tasklog(tmp_path / "run-{run}.db", "runs", "--format", "json"))
    assert [(row["id"], row["end"], row["missing"]) for row in summary] == [(run.id, "closed", 0)]


def test_a_connection_that_is_lost_leaves_the_file_as_it_was(
    machine: Machine, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasklog import recording

    monkeypatch.setattr(recording, "ANSWER_SECONDS", 2.0)
    monkeypatch.setattr("tasklog.fetching.PIECE", 4096)
    words = f"was not fetched at the end; it is /tmp/tasklog-logs-.* on host {HOST}"
    with pytest.warns(tasklog.RecordingWarning, match=words) as warned:
        with tasklog.record("run.db") as run:
            work(client)
            run.fetch()
            before = run.path.read_bytes()
            work(client)
            pieces = []
            request = run._session._request

            async def cut(action: str, **arguments):
                if action == "read":
                    pieces.append(arguments["place"])
                    if len(pieces) == 3:
                        machine.disconnect()
                return await request(action, **arguments)

            run._session._request = cut
            with pytest.raises(tasklog.RecordingError):
                run.fetch()
            assert len(pieces) == 3
            assert run.path.read_bytes() == before and beside(tmp_path) == ["run.db"]
    assert run.path.read_bytes() == before and beside(tmp_path) == ["run.db"]
    assert [each.filename for each in warned] == [__file__]


def test_a_file_that_is_being_written_is_not_replaced(
    machine: Machine, client: Client, tmp_path: Path
) -> None:
    with tasklog.record("run.db") as run:
        work(client)
        run.fetch()
        other = sqlite3.connect(run.path, isolation_level=None)
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("CREATE TABLE mine (x)")
        with pytest.raises(tasklog.RecordingError, match="another program has it open"):
            run.fetch()
        other.execute("DROP TABLE mine")
        other.execute("PRAGMA journal_mode = DELETE")
        other.close()
    assert Log(run.path).rows("SELECT end FROM run") == [("closed",)]


def test_a_recorder_of_a_preloaded_scheduler_is_joined_and_its_log_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    preload = {
        "DASK_DISTRIBUTED__SCHEDULER__PRELOAD": "tasklog",
        "TASKLOG_LOG": "/tmp/work/there.db",
    }
    with another_machine(tmp_path, **preload) as machine, Client(machine.address) as client:
        work(client)
        words = "another one records this cluster to /tmp/work/there.db"
        with pytest.raises(tasklog.RecordingError, match=words):
            with tasklog.record("run.db"):
                pytest.fail("another recorder records it")
        options = {"labels": {"stage": "load"}, "scheduler_log": "there.db"}
        with tasklog.record("run.db", **options) as run:
            work(client)
            assert run.fetch() == tmp_path / "run.db"
            work(client)
        # Its recorder continues; what it had recorded before the block is there, too.
        log = Log(run.path)
        assert log.one(ENDED) == 150
        assert log.rows("SELECT host, labels, end FROM runs") == [
            (HOST, '{"stage":"load"}', None),
        ]  # fmt: skip
        assert machine.path("/tmp/work/there.db").exists()
