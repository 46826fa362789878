"""Events that a worker has recorded and not shipped survive its death."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import msgpack
import pytest
from distributed import Client, wait

import beside
import workloads
from clusters import CommandCluster, Recording, wait_for
from log import Log
from tasklog.spool import Segment, WorkerSpool, orphans, records
from test_equality import worker_row
from test_reading import FROZEN


def unshipped(recording: Recording, server: str) -> int:
    """The number of events of a worker in its spool."""
    files = (recording.folder / "spool").glob(f"*/{server}.*")
    return sum(len(list(records(file.read_bytes()))) - 1 for file in files)


def assert_equal_to_what_was_called(recording: Recording, log: Path, server: str) -> None:
    events = Log(log).events(server)
    ours = [worker_row(event) for event in events if event.hook == "transition"]
    expected = beside.read(recording.folder / f"worker-{server}")
    assert len(expected) > 50
    assert ours == expected[: len(ours)]
    # The independent plugin may be the first of the two.
    assert len(ours) in (len(expected), len(expected) - 1)


def kill_a_worker(recording: Recording, cluster: CommandCluster, client: Client) -> str:
    worker = cluster.add_worker("--no-nanny", "--name", "victim")
    client.wait_for_workers(1, timeout=60)
    wait(client.map(workloads.increment, range(50)))
    (server,) = client.run(lambda dask_worker: dask_worker.id).values()
    assert unshipped(recording, server) > 50
    worker.kill()
    wait_for(lambda: not workloads.workers_of(client), "notice of the worker's death")
    assert not any(e.hook == "transition" for e in Log(recording.log).events(server))
    return server


@pytest.fixture
def silent(new_recording: Callable[[str], Recording]) -> Recording:
    """Workers that ship their events once in an hour."""
    recording = new_recording("silent")
    recording.environment["TASKLOG_WORKER_INTERVAL"] = "1h"
    return recording


def test_the_next_worker_on_the_host_ships_the_rest(silent: Recording) -> None:
    with CommandCluster(silent) as cluster, Client(cluster.address) as client:
        server = kill_a_worker(silent, cluster, client)
        cluster.add_worker("--no-nanny", "--name", "next")
        client.wait_for_workers(1, timeout=60)
        wait_for(lambda: not list(silent.folder.glob(f"spool/*/{server}.*")), "end of the spool")
        wait_for(
            lambda: any(e.hook == "transition" for e in Log(silent.log).events(server)),
            "events of the killed worker",
        )
    assert_equal_to_what_was_called(silent, silent.log, server)
    assert Log(silent.log).rows("SELECT * FROM gap") == []


def test_a_recorder_takes_what_is_left_on_its_host_at_its_end(silent: Recording) -> None:
    with CommandCluster(silent) as cluster, Client(cluster.address) as client:
        server = kill_a_worker(silent, cluster, client)
    assert_equal_to_what_was_called(silent, silent.log, server)
    assert not list(silent.folder.glob("spool/*/*"))
    assert Log(silent.log).rows("SELECT * FROM gap") == []


def test_the_spool_of_a_host_that_never_comes_back_is_imported(silent: Recording, tasklog) -> None:
    with CommandCluster(silent) as cluster, Client(cluster.address) as client:
        server = kill_a_worker(silent, cluster, client)
        spool = silent.folder / "spool"
        refused = tasklog(silent.log, "import", spool, code=1)
        assert "is still being recorded" in refused
        # The recorder would recover it at its end if it was on this host.
        spool = spool.rename(silent.folder / "of-another-host")
    told = tasklog(silent.log, "import", spool)
    assert " events imported" in told and "missing" not in told
    assert_equal_to_what_was_called(silent, silent.log, server)
    events = Log(silent.log).one("SELECT count(*) FROM event")
    assert ": 0 events imported" in tasklog(silent.log, "import", spool)
    assert Log(silent.log).one("SELECT count(*) FROM event") == events
    assert Log(silent.log).rows("SELECT * FROM gap") == []


def test_workers_keep_what_a_killed_scheduler_did_not_take(
    killed_scheduler: Recording, tmp_path: Path, tasklog
) -> None:
    tasklog(killed_scheduler.log, "recover")
    copy = tmp_path / "copy.db"
    shutil.copy(killed_scheduler.log, copy)
    (server,) = Log(copy).servers("worker")
    # Of a folder with other logs it is the log of that run.
    folder = tmp_path / "logs"
    folder.mkdir()
    shutil.copy(copy, folder / "a.db")
    for other in FROZEN[:2]:
        shutil.copy(other, folder / other.name)
    tasklog(copy, "import", killed_scheduler.folder / "spool")
    assert_equal_to_what_was_called(killed_scheduler, copy, server)
    tasklog(folder, "import", killed_scheduler.folder / "spool")
    assert_equal_to_what_was_called(killed_scheduler, folder / "a.db", server)


def test_import_says_what_is_wrong(tmp_path: Path, in_process: Recording, tasklog) -> None:
    text = tmp_path / "text"
    text.write_text("not a spool")
    assert "not a worker spool" in tasklog(in_process.log, "import", text, code=1)
    assert "No such file" in tasklog(in_process.log, "import", tmp_path / "none", code=1)
    header = {"id": "w", "address": "tcp://w", "log": "/logs/b.db", "log_host": "far"}
    spool = WorkerSpool(str(tmp_path / "spool"), "another-run", header)
    assert "is alive" in tasklog(in_process.log, "import", tmp_path / "spool", code=1)
    spool.put(b"\x01")
    spool.close()
    told = tasklog(in_process.log, "import", tmp_path / "spool", code=1)
    assert "not in" in told and "it was recorded into /logs/b.db on host far" in told
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "nothing to import" in tasklog(in_process.log, "import", empty)


def put(spool: WorkerSpool, count: int, size: int = 10) -> None:
    for _ in range(count):
        spool.put(msgpack.packb([spool.next_sequence, "x" * size]))


def numbers(content: bytes) -> list[int]:
    return [msgpack.unpackb(body)[0] for _, body in records(b"tlworker" + content)]


def test_a_spool_gives_out_what_is_not_acknowledged(tmp_path: Path) -> None:
    spool = WorkerSpool(str(tmp_path), "run", {"id": "w"})
    put(spool, 5)
    segment, end, batch = spool.batch()
    assert numbers(batch) == [1, 2, 3, 4, 5]
    put(spool, 2)
    spool.acknowledge(segment, end)
    assert numbers(spool.batch()[2]) == [6, 7]
    # Not acknowledged: emitted once more.
    assert numbers(spool.batch()[2]) == [6, 7]


def test_a_spool_goes_on_in_another_file_and_removes_the_first(tmp_path: Path) -> None:
    spool = WorkerSpool(str(tmp_path), "run", {"id": "w"})
    put(spool, 30, size=100_000)
    assert len(list((tmp_path / "run").iterdir())) > 2
    found = []
    while (batch := spool.batch()) is not None:
        found += numbers(batch[2])
        spool.acknowledge(*batch[:2])
    assert found == list(range(1, 31))
    assert len(list((tmp_path / "run").iterdir())) == 1
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_an_event_longer_than_a_file_has_one_of_its_own(tmp_path: Path) -> None:
    spool = WorkerSpool(str(tmp_path), "run", {"id": "w"})
    put(spool, 1, size=3 << 20)
    put(spool, 1)
    found = []
    while (batch := spool.batch()) is not None:
        found += numbers(batch[2])
        spool.acknowledge(*batch[:2])
    assert found == [1, 2]


def test_beyond_the_limit_events_are_counted_as_missing(tmp_path: Path) -> None:
    spool = WorkerSpool(str(tmp_path), "run", {"id": "w"}, limit=1 << 20)
    put(spool, 20, size=100_000)
    segment, end, batch = spool.batch()
    kept = numbers(batch)
    assert kept == list(range(1, len(kept) + 1)) and len(kept) < 20
    spool.limit = 4 << 20
    put(spool, 1)
    spool.acknowledge(segment, end)
    gap, event = [msgpack.unpackb(b) for _, b in records(b"tlworker" + spool.batch()[2])]
    assert gap[:2] == [len(kept) + 1, 20 - len(kept)]
    assert event[0] == 21


def test_a_living_workers_spool_is_no_orphan(tmp_path: Path) -> None:
    spool = WorkerSpool(str(tmp_path), "run", {"id": "w"})
    put(spool, 3)
    assert list(orphans(str(tmp_path), "run")) == []
    assert list(orphans(str(tmp_path), "another")) == []
    spool.close()
    (orphan,) = orphans(str(tmp_path), "run")
    assert orphan.header["id"] == "w" and orphan.last == 3 and not orphan.has_ended
    # The last one says that the events are complete.
    assert [numbers(batch) for batch in orphan.batches()] == [[1, 2, 3], [4]]
    assert numbers(orphan.batch) == [1, 2, 3, 4]
    orphan.release(remove=True)
    assert list(orphans(str(tmp_path), "run")) == []
    assert list(tmp_path.iterdir()) == []


def let_go(segments: list[Segment]) -> None:
    """Like the death of a worker."""
    for segment in segments:
        segment.map.close()
        os.close(segment.descriptor)


def test_all_files_of_a_worker_are_claimed_or_none(tmp_path: Path) -> None:
    spool = WorkerSpool(str(tmp_path), "run", {"id": "w"})
    put(spool, 25, size=100_000)
    paths = [Path(segment.path) for segment in spool.segments]
    assert len(paths) == 3
    # As a live worker has them: any of them may be the one that is still locked.
    let_go(spool.segments[:1])
    assert list(orphans(str(tmp_path), "run")) == []
    let_go(spool.segments[1:])
    (orphan,) = orphans(str(tmp_path), "run")
    assert sum((numbers(batch) for batch in orphan.batches()), []) == list(range(1, 27))
    orphan.release(remove=True)
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_events_says_how_far_its_worker_had_come(tmp_path: Path) -> None:
    spool = WorkerSpool(str(tmp_path), "run", {"id": "w"})
    put(spool, 10, size=100_000)
    # The next event needs another file, and its worker is killed before the event is in it.
    spool._sequence += 1
    spool._roll(100_000)
    segment, end, _ = spool.batch()
    spool.acknowledge(segment, end)
    let_go(spool.segments)
    (orphan,) = orphans(str(tmp_path), "run")
    assert (orphan.last, numbers(orphan.batch)) == (10, [11])
    orphan.release(remove=True)


def test_the_last_record_may_be_a_gap_or_the_end(tmp_path: Path) -> None:
    for number, (content, last, ended) in enumerate(
        [
            (msgpack.packb([1, 5, 0, "reason"]), 5, False),
            (msgpack.packb([1, 0.5, 15, *[None] * 8]), 1, True),
            (msgpack.packb([1, 0.5, "detach", *[None] * 8]), 1, False),
        ]
    ):
        folder = tmp_path / str(number)
        spool = WorkerSpool(str(folder), "run", {"id": "w"})
        spool.put(content)
        spool.close()
        (orphan,) = orphans(str(folder), "run")
        assert (orphan.last, orphan.has_ended) == (last, ended)
        assert len(orphan.batches()) == (1 if ended else 2)
        orphan.release(remove=False)


def test_spools_of_other_runs_are_claimed_where_they_are_wanted(tmp_path: Path) -> None:
    for run, log in [("a", "/logs/a.db"), ("b", "/logs/b.db"), ("c", None)]:
        spool = WorkerSpool(str(tmp_path), run, {"id": f"w{run}"} | ({"log": log} if log else {}))
        put(spool, 2)
        spool.close()
    assert list(orphans(str(tmp_path), "new")) == []
    found = orphans(str(tmp_path), "new", lambda header: header.get("log") == "/logs/b.db")
    for orphan in found:
        assert orphan.header["run"] == "b"
        orphan.release(remove=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "c"]


def test_what_holds_nothing_is_removed(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    killed = tmp_path / "killed"
    killed.mkdir()
    # Killed while it created its first file, before anything was in it.
    for name in ("w.1.new", "v.1.new", "w.1"):
        (killed / name).write_bytes(bytes(1 << 20))
    os.utime(killed / "w.1.new", (0, 0))
    (killed / "x.1").write_bytes(b"something else")
    assert list(orphans(str(tmp_path), "run")) == []
    assert [path.name for path in tmp_path.iterdir()] == ["killed"]
    # A worker may be creating one of them just now, and the other is not ours.
    assert sorted(path.name for path in killed.iterdir()) == ["v.1.new", "x.1"]


def test_a_torn_record_ends_a_spool(tmp_path: Path) -> None:
    spool = WorkerSpool(str(tmp_path), "run", {"id": "w"})
    put(spool, 3)
    path = Path(spool.segments[0].path)
    spool.close()
    content = bytearray(path.read_bytes())
    ends = [end for end, _ in records(bytes(content))]
    content[ends[2] + 9] ^= 0xFF
    path.write_bytes(content)
    (orphan,) = orphans(str(tmp_path), "run")
    assert [numbers(batch) for batch in orphan.batches()] == [[1, 2], [3]]
    orphan.release(remove=False)


def test_without_a_disk_a_spool_is_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    spool = WorkerSpool(str(tmp_path / "file"), "run", {"id": "w"})
    assert spool.problem is not None
    put(spool, 3)
    assert numbers(spool.batch()[2]) == [1, 2, 3]


def test_a_killed_process_leaves_whole_records(tmp_path: Path) -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            spool = WorkerSpool(str(tmp_path), "run", {"id": "w"})
            while True:
                put(spool, 1, size=1000)
                os.write(write, spool.next_sequence.to_bytes(8, "big"))
        os._exit(1)
    os.close(write)
    told = 0
    with os.fdopen(read, "rb") as pipe:
        while told < 3000:
            told = int.from_bytes(pipe.read(8), "big")
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while rest := pipe.read(8):
            told = int.from_bytes(rest, "big")
    found = []
    for orphan in orphans(str(tmp_path), "run"):
        found += numbers(orphan.batch)
        orphan.release(remove=True)
    # And a mark that the events are complete.
    assert found == list(range(1, len(found) + 1))
    assert len(found) - 1 >= told - 1
