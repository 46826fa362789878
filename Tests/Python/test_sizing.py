"""`tasklog sizing` estimates the memory of tasks whose true peak is measured in them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client, Future, LocalCluster, get_client, get_worker, wait

import tasklog as recording
from clusters import wait_for

MEBIBYTES = {"small": 40, "large": 150}


def resident() -> int:
    return psutil.Process(os.getpid()).memory_info().rss


def grab(mebibytes: int, folder: str, name: str) -> int:
    """Holds this much memory until it is released; returns by how much the process grew."""
    before = resident()
    held = bytearray(b"x") * (mebibytes << 20)
    grown = resident() - before
    (Path(folder) / f"{name}.holds").write_text(get_worker().address)
    while not (Path(folder) / f"{name}.released").exists():
        time.sleep(0.02)
    assert held
    return grown


class Measuring:
    """Knows when the workers of a cluster have told what they measured of themselves."""

    #: As often as makes what other tasks do a small part of the work.
    times = 4

    def __init__(self, cluster: LocalCluster, folder: Path) -> None:
        self.workers = cluster.scheduler.workers
        self.folder = folder
        self.seen: dict[tuple[str, str], set[float]] = {}

    def has_told(self, what: str, address: str) -> bool:
        """Whether a worker has measured itself some times since this was first asked.

        Of the first two that are seen, one was measured before, and one may have been.
        """
        seen = self.seen.setdefault((what, address), set())
        seen.add(self.workers[address].metrics["time"])
        return len(seen) >= 2 + self.times

    def wait_while_idle(self, what: str) -> None:
        def is_done() -> bool:
            return all([self.has_told(what, address) for address in self.workers])

        wait_for(is_done, "measurements of idle workers")

    def release(self, tasks: list[Future]) -> bool:
        """Releases the tasks that were measured; returns whether all are done."""
        for file in self.folder.glob("*.holds"):
            address = file.read_text()
            if address and self.has_told(file.stem, address):
                file.with_suffix(".released").touch()
        return all(task.done() for task in tasks)


def submit(number: int) -> int:
    """Submits a task, and waits for it."""
    client = get_client()
    return client.submit(nap, number, key=f"inner-{number}").result()


def nap(number: int) -> int:
    time.sleep(0.05)
    return number


def fail() -> None:
    time.sleep(0.05)
    raise ValueError("planted")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """A log, and the true peak of each prefix."""
    folder = tmp_path_factory.mktemp("sizing")
    log = folder / "run.db"
    true: dict[str, int] = {}
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit="1GiB", dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(
            recording.Recorder(log, worker_spool=str(folder / "spool"), labels={"team": "planted"})
        )
        measuring = Measuring(cluster, folder)
        for name, size in MEBIBYTES.items():
            measuring.wait_while_idle(f"before {name}")
            keys = [f"{name}-{number}" for number in range(4)]
            tasks = [client.submit(grab, size, str(folder), key, key=key) for key in keys]
            wait_for(partial(measuring.release, tasks), f"tasks of {name}")
            true[name] = max(client.gather(tasks))
        measuring.wait_while_idle("at the end")
        with recording.job("nested"):
            client.submit(submit, 1, key="outer").result()
        wait(client.submit(fail, key="failing"))
    return log, true


@pytest.fixture
def table(tasklog: Callable[..., str], run: tuple[Path, dict]) -> Callable[[str], Any]:
    return lambda name: json.loads(tasklog(run[0], "sizing", "--table", name, "--format", "json"))


@pytest.mark.parametrize("name", MEBIBYTES)
def test_the_true_peak_is_within_the_range(
    name: str, run: tuple[Path, dict[str, int]], table: Callable
) -> None:
    (row,) = (row for row in table("prefixes") if row["prefix"] == name)
    true = run[1][name]
    assert true > MEBIBYTES[name] << 20
    assert row["basis"] == "alone"
    assert row["sampled_tasks"] >= 2
    assert row["memory_low"] <= true <= row["memory_high"], (row, true)
    # A range that holds everything says nothing.
    assert row["memory_low"] > 0.8 * true
    assert row["memory_high"] < 2 * true + (32 << 20)


def test_the_workers_of_the_run_are_within_their_range(table: Callable) -> None:
    (row,) = (row for row in table("workers") if row["threads"] == 1)
    assert row["workers"] == 2
    assert 0.9 <= row["covered"] < 1
    assert row["memory_low"] <= row["seen"] <= row["memory_high"] < row["limit"]


def test_core_hours_are_those_of_the_run(table: Callable, tasklog: Callable, run: tuple) -> None:
    rows = table("hours")
    time_of_threads = json.loads(tasklog(run[0], "time", "--format", "json"))
    total = sum(row["seconds"] for row in time_of_threads) / 3600
    (whole,) = (row for row in rows if row["kind"] == "run")
    parts = ("used_hours", "wasted_hours", "idle_hours")
    assert sum(whole[column] for column in parts) == pytest.approx(total)
    for kind in ("client", "job"):
        own = [row for row in rows if row["kind"] == kind]
        for column in parts:
            assert sum(row[column] for row in own) == pytest.approx(whole[column]), (kind, column)
    (label,) = (row for row in rows if row["kind"] == "label")
    assert (label["name"], label["used_hours"]) == ("team=planted", whole["used_hours"])
    # The failed task.
    assert 0.05 / 3600 <= whole["wasted_hours"] < whole["used_hours"] / 2


def test_what_a_task_submits_counts_for_its_owner(table: Callable) -> None:
    rows = {(row["kind"], row["name"]): row for row in table("hours")}
    inner = next(row["busy"] for row in table("prefixes") if row["prefix"] == "inner")
    assert rows["job", "nested"]["used_hours"] * 3600 >= inner >= 0.05
    assert [name for kind, name in rows if kind == "client"] != []


def test_python_has_the_same_tables(table: Callable, run: tuple) -> None:
    sizing = recording.open(run[0]).run().sizing()
    for name in ("prefixes", "workers", "hours"):
        rows = table(name)
        found = list(getattr(sizing, name))
        assert len(found) == len(rows) > 0
        for own, row in zip(found, rows, strict=True):
            # A run is its ID in Python.
            assert {**own._asdict(), "run": row["run"]} == row
