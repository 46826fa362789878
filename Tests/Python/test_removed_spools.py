"""A worker's spool that a cleaner of temporary files removes while in use is created again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgpack
import pytest
from distributed import Client, LocalCluster

import witness
import workloads
from clusters import wait_for
from tasklog import Recorder
from tasklog.spool import WorkerSpool, orphans, records


def put(spool: WorkerSpool, count: int, size: int = 10) -> None:
    for _ in range(count):
        spool.put(msgpack.packb([spool.next_sequence, "x" * size]))


def numbers(content: bytes) -> list[int]:
    return [msgpack.unpackb(body)[0] for _, body in records(b"tlworker" + content)]


def remove_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def remove_files(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()


REMOVALS = pytest.mark.parametrize("remove", [remove_folder, remove_files])


@REMOVALS
def test_what_was_not_shipped_is_on_the_disk_again(
    tmp_path: Path, remove: Callable[[Path], None]
) -> None:
    folder = tmp_path / "spool"
    spool = WorkerSpool(str(folder), "run", {"id": "w"})
    put(spool, 30, size=100_000)
    segment, end, batch = spool.batch()
    shipped = numbers(batch)
    spool.acknowledge(segment, end)
    remove(folder)
    assert spool.restore() and not spool.restore()
    put(spool, 20, size=100_000)
    # As a killed process leaves it.
    for segment in spool.segments:
        segment.map.close()
        os.close(segment.descriptor)
    found = []
    for orphan in orphans(str(folder), "run"):
        assert orphan.header["id"] == "w"
        found += numbers(orphan.batch)
        orphan.release(remove=True)
    # The last is the mark that the events are complete.
    assert found == list(range(len(shipped) + 1, 52))


@REMOVALS
def test_a_spool_goes_on_and_ends_without_its_files(
    tmp_path: Path, remove: Callable[[Path], None]
) -> None:
    folder = tmp_path / "spool"
    spool = WorkerSpool(str(folder), "run", {"id": "w"})
    put(spool, 3)
    remove(folder)
    put(spool, 30, size=100_000)
    found = []
    while (batch := spool.batch()) is not None:
        found += numbers(batch[2])
        spool.acknowledge(*batch[:2])
    assert found == list(range(1, 34))
    remove_files(folder)
    spool.close()


def test_a_batch_on_its_way_is_acknowledged_after_the_files_are_made_again(tmp_path: Path) -> None:
    spool = WorkerSpool(str(tmp_path / "spool"), "run", {"id": "w"})
    put(spool, 3)
    segment, end, _ = spool.batch()
    shutil.rmtree(tmp_path / "spool")
    assert spool.restore()
    put(spool, 2)
    spool.acknowledge(segment, end)
    assert numbers(spool.batch()[2]) == [4, 5]
    spool.acknowledge(*spool.batch()[:2])
    spool.close()
    assert list((tmp_path / "spool").rglob("*.*")) == []


def test_a_folder_that_cannot_be_made_again_is_no_error(tmp_path: Path) -> None:
    spool = WorkerSpool(str(tmp_path / "spool"), "run", {"id": "w"})
    put(spool, 3)
    shutil.rmtree(tmp_path / "spool")
    (tmp_path / "spool").write_text("a file stands in the way")
    assert spool.restore()
    assert spool.problem is not None
    put(spool, 30, size=100_000)
    found = []
    while (batch := spool.batch()) is not None:
        found += numbers(batch[2])
        spool.acknowledge(*batch[:2])
    assert found == list(range(1, 34))
    spool.close()


def clean(folder: Path) -> None:
    """Removes a folder while a worker removes files in it."""
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)


def test_a_worker_says_so_once_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    import dask

    spool = tmp_path / "spool"
    monkeypatch.setenv("TASKLOG_WORKER_SPOOL", str(spool))
    monkeypatch.setenv("TASKLOG_WORKER_INTERVAL", "20ms")
    monkeypatch.setenv("WITNESS_FOLDER", str(tmp_path / "witness"))
    with (
        dask.config.set({"distributed.scheduler.preload": ["witness"]}),
        LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(Recorder(tmp_path / "run.db"))
        for _ in range(3):
            assert list(spool.rglob("*.1"))
            clean(spool)
            client.gather(client.map(workloads.increment, range(20), pure=False))
            wait_for(lambda: list(spool.rglob("*.1")), "new file of the spool")
        clean(spool)
    told = [record for record in caplog.records if record.name == "tasklog"]
    (words,) = [record.getMessage() for record in told]
    assert "was removed from" in words and str(spool) in words and "created again" in words
    # Nor with Dask's loggers.
    assert all(record.exc_info is None for record in caplog.records)
    seen, logged = witness.seen(tmp_path / "witness"), witness.logged(tmp_path / "run.db")
    assert sum(map(len, seen.values())) > 100 and witness.differences(seen, logged) == []
