"""Workers whose clocks have an offset, and workers at the address of a previous one."""

from __future__ import annotations

import json
import os
import re
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

import workloads
from clusters import CommandCluster, Recording, wait_for

CLOCKS = {"ahead": 7200, "behind": -259_200, "right": 0}
#: A clock with an offset in seconds, set before anything has read it.
SET_CLOCK = """
import os, time
offset, now, now_ns = int(os.environ["CLOCK_OFFSET"]), time.time, time.time_ns
time.time = lambda: now() + offset
time.time_ns = lambda: now_ns() + offset * 10**9
"""


def slow(x: int, y: int = 0) -> int:
    time.sleep(0.02)
    return x


@pytest.fixture(scope="module")
def skewed(new_recording: Callable[[str], Recording]) -> Iterator[tuple[Recording, float, float]]:
    """A recording with workers two hours ahead and three days behind, and when it was made."""
    recording = new_recording("skewed")
    (recording.folder / "clock").mkdir()
    (recording.folder / "clock" / "sitecustomize.py").write_text(SET_CLOCK)
    path = os.pathsep.join([str(recording.folder / "clock"), recording.environment["PYTHONPATH"]])
    began = time.time()
    with CommandCluster(recording) as cluster:
        for name, offset in CLOCKS.items():
            environment = {"CLOCK_OFFSET": str(offset), "PYTHONPATH": path}
            cluster.add_worker("--no-nanny", "--name", name, environment=environment)
        with Client(cluster.address) as client:
            client.wait_for_workers(3, timeout=60)
            first = client.map(slow, range(60), key=[f"slow-{i}" for i in range(60)])
            second = client.map(slow, first, first[::-1], key=[f"next-{i}" for i in range(60)])
            client.gather(second)
            client.shutdown()
    yield recording, began, time.time()


def page_of(recording: Recording, tasklog: Callable) -> dict[str, Any]:
    """The content of the report page except its columns of numbers."""
    page = recording.folder / "page.html"
    tasklog(recording.log, "report", "-o", str(page))
    found = re.search(r'id="document-0">(.*?)</script>', page.read_text(), re.S)
    assert found is not None
    return json.loads(found[1])


def rows(recording: Recording, sql: str) -> list[tuple]:
    with sqlite3.connect(f"file:{recording.log}?mode=ro", uri=True) as log:
        return log.execute(sql).fetchall()


def test_each_clock_is_known_with_its_uncertainty(skewed: Any) -> None:
    recording, _, _ = skewed
    measured = rows(recording, "SELECT name, clock_offset, clock_uncertainty FROM workers")
    assert {json.loads(name) for name, _, _ in measured} == set(CLOCKS)
    for name, offset, uncertainty in measured:
        assert abs(offset + CLOCKS[json.loads(name)]) <= uncertainty, name
        # Half of the scheduler's round trip time.
        assert uncertainty < 30, name


def test_times_of_all_workers_lie_within_the_run(skewed: Any, tasklog: Callable) -> None:
    recording, began, ended = skewed
    ((worst,),) = rows(recording, "SELECT max(clock_uncertainty) FROM workers")
    low, high = (began - worst) * 1e9, (ended + worst) * 1e9
    for view, columns in {
        "events": ["time_ns"], "transitions": ["time_ns"], "state_intervals": ["start_ns"],
        "stories": ["time_ns"], "stimuli": ["first_seen", "last_seen"], "runs": ["ended"],
        "workers": ["first_seen", "last_seen"],
    }.items():  # fmt: skip
        for column in columns:
            ((least, most, count),) = rows(
                recording, f"SELECT min({column}), max({column}), count(*) FROM {view}"
            )
            assert count > 0 and low <= least and most <= high, (view, column)
    ((spread,),) = rows(recording, "SELECT (max(raw_time_ns) - min(raw_time_ns)) / 1e9 FROM events")
    assert spread > 250_000
    ((least, most),) = rows(recording, "SELECT min(start), max(stop) FROM slowest")
    assert low / 1e9 <= least and most <= high / 1e9
    exported = recording.folder / "export.jsonl"
    tasklog(recording.log, "export", "--to", "jsonl", "-o", str(exported))
    events = [json.loads(line) for line in exported.read_text().splitlines()]
    assert events and all(low <= event["time_ns"] <= high for event in events)
    page = page_of(recording, tasklog)
    assert 0 < page["last"] - page["first"] <= (high - low) / 1e3
    shown = {worker["name"]: worker["clockOffset"] for worker in page["workers"]}
    assert {name: round(-offset / 60) * 60 for name, offset in shown.items()} == CLOCKS
    ((key,),) = rows(
        recording,
        "SELECT key FROM transitions WHERE source = 'worker' "
        "AND abs(time_ns - raw_time_ns) > 3600e9 LIMIT 1",
    )
    story = json.loads(tasklog(recording.log, "story", key, "--format", "json"))
    assert sum(abs(event["elapsed"] or 0) for event in story) < ended - began + worst
    assert any(event["raw_time"][:13] != event["time"][:13] for event in story)


def test_nothing_is_known_before_its_cause(skewed: Any) -> None:
    recording, _, _ = skewed
    bounds = rows(
        recording,
        "SELECT name, clock_offset, clock_uncertainty, lower, upper FROM workers "
        "JOIN clock_bounds USING (run, worker, life)",
    )
    assert len(bounds) == 3
    for name, offset, uncertainty, least, most in bounds:
        assert least - uncertainty <= offset <= most + uncertainty, name


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture(scope="module")
def returning(new_recording: Callable[[str], Recording]) -> Recording:
    """A worker that is killed and comes back at its port twice; 10, 20 and 30 tasks."""
    recording = new_recording("returning")
    arguments = ["--no-nanny", "--name", "gpu0", "--worker-port", str(free_port()), "--host"]
    with CommandCluster(recording) as cluster, Client(cluster.address) as client:
        for life in range(3):
            worker = cluster.add_worker(*arguments, "127.0.0.1")
            client.wait_for_workers(1, timeout=60)
            tasks = client.map(
                slow,
                range(10 * (life + 1)),
                key=[f"slow-{life}-{i}" for i in range(10 * (life + 1))],
            )
            client.gather(tasks)
            del tasks
            wait_for(lambda: not client.run_on_scheduler(task_count), "end of all tasks")
            if life < 2:
                worker.kill()
                wait_for(lambda: not workloads.workers_of(client), "end of the worker")
        client.shutdown()
    return recording


def task_count(dask_scheduler: Any) -> int:
    return len(dask_scheduler.tasks)


def test_a_worker_that_comes_back_is_another_one(
    returning: Recording, tasklog: Callable, tmp_path: Path
) -> None:
    workers = rows(returning, "SELECT worker, life, tasks, left_ns IS NULL FROM workers")
    assert [row[1:3] for row in workers] == [(1, 10), (2, 20), (3, 30)]
    assert len({row[0] for row in workers}) == 1
    shown = json.loads(tasklog(returning.log, "workers", "--format", "json"))
    assert [(row["life"], row["tasks"]) for row in shown] == [(1, 10), (2, 20), (3, 30)]
    assert rows(
        returning,
        "SELECT DISTINCT substr(key, 6, 1) + 1 = life FROM task_durations WHERE key LIKE 'slow-%'",
    ) == [(1,)]
    lives = tmp_path / "trace.json"
    tasklog(returning.log, "export", "--to", "chrome", "-o", str(lives))
    assert "(2)" in lives.read_text() and "(3)" in lives.read_text()
    page = page_of(returning, tasklog)
    assert [(worker["life"], worker["left"] is None) for worker in page["workers"]] == [
        (life, is_left) for _, life, _, is_left in workers
    ]
    opened = json.loads(tasklog(returning.log, "open", "--format", "json"))
    assert [row for row in opened if row["source"] == "worker"] == []
