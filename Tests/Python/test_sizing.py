"""`tasklog sizing` estimates the memory of tasks whose true peak is measured in them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client, LocalCluster, get_client, wait

import tasklog as recording
from clusters import wait_for

MEBIBYTES = {"small": 40, "large": 150}
#: Workers measure their memory twice a second.
HELD = 1.6


def resident() -> int:
    return psutil.Process(os.getpid()).memory_info().rss


def grab(mebibytes: int, number: int) -> int:
    """Holds this much memory for a while; returns by how much the process grew."""
    before = resident()
    held = bytearray(b"x") * (mebibytes << 20)
    grown = resident() - before
    time.sleep(HELD)
    assert len(held) > number
    return grown


def submit(number: int) -> int:
    """Submits a task, and waits for it."""
    client = get_client()
    return client.submit(nap, number, key=f"inner-{number}").result()


def nap(number: int) -> int:
    time.sleep(0.3)
    return number


def fail() -> None:
    time.sleep(0.3)
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
        heartbeats: dict[str, list[float]] = {}

        def has_beaten() -> bool:
            """Whether each worker has told its memory twice since the last reset."""
            for worker in cluster.scheduler.workers.values():
                seen = heartbeats.setdefault(worker.address, [])
                if worker.last_seen not in seen:
                    seen.append(worker.last_seen)
            return len(heartbeats) == 2 and all(len(seen) > 3 for seen in heartbeats.values())

        for name, size in MEBIBYTES.items():
            heartbeats.clear()
            wait_for(has_beaten, "heartbeats of idle workers")
            tasks = [
                client.submit(grab, size, number, key=f"{name}-{number}") for number in range(4)
            ]
            true[name] = max(client.gather(tasks))
        heartbeats.clear()
        wait_for(has_beaten, "heartbeats of idle workers")
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
    assert row["memory_low"] <= row["seen"] <= row["memory_high"] < row["limit"]


def test_core_hours_are_those_of_the_run(table: Callable, tasklog: Callable, run: tuple) -> None:
    rows = table("hours")
    time_of_threads = json.loads(tasklog(run[0], "time", "--format", "json"))
    total = sum(row["seconds"] for row in time_of_threads) / 3600
    (whole,) = (row for row in rows if row["kind"] == "run")
    assert whole["used_hours"] + whole["idle_hours"] == pytest.approx(total)
    for kind in ("client", "job"):
        parts = [row for row in rows if row["kind"] == kind]
        for column in ("used_hours", "idle_hours", "wasted_hours"):
            assert sum(row[column] for row in parts) == pytest.approx(whole[column]), (kind, column)
    (label,) = (row for row in rows if row["kind"] == "label")
    assert (label["name"], label["used_hours"]) == ("team=planted", whole["used_hours"])
    # The failed task.
    assert 0.3 / 3600 <= whole["wasted_hours"] < whole["used_hours"] / 2


def test_what_a_task_submits_counts_for_its_owner(table: Callable) -> None:
    rows = {(row["kind"], row["name"]): row for row in table("hours")}
    inner = next(row["busy"] for row in table("prefixes") if row["prefix"] == "inner")
    assert rows["job", "nested"]["used_hours"] * 3600 >= inner >= 0.3
    assert [name for kind, name in rows if kind == "client"] != []
