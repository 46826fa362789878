"""Dask fails a task whose inputs are larger than the memory of a worker on its way there: a
transition nested in another one. Run with every version of Dask."""

from __future__ import annotations

import collections
import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from distributed import Client, LocalCluster, Worker, wait

import watched
import watchers
import workloads
from clusters import wait_for
from watched import Watched


class Big:
    def __sizeof__(self) -> int:
        return 10**11


def make() -> Big:
    return Big()


def use(*_: Any) -> int:
    return 1


def wait_for_file(path: str) -> None:
    wait_for(lambda: os.path.exists(path), path)


@pytest.fixture(scope="module")
def too_large(new_recording: Callable) -> Watched:
    """Tasks that fail like this when they were waiting, queued, and without a worker."""
    recording = new_recording("too-large")
    config = {
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
    }
    options = dict(processes=False, n_workers=1, threads_per_worker=1, memory_limit="1GiB")
    with watched.watched(recording, config, **options) as (client, kept):
        big = client.submit(make, key="big")
        wait(big)
        used = client.submit(use, big, key="use")
        after = client.submit(use, used, key="after")
        wait(after)
        without_a_worker(client, client.submit(use, big, key="elsewhere", resources={"GPU": 1}))
        # While all threads are taken the others are queued.
        gate = recording.folder / "gate"
        running = [client.submit(wait_for_file, str(gate), key=f"running-{n}") for n in range(4)]
        many = [client.submit(use, big, n, key=f"many-{n}") for n in range(12)]
        wait_for(lambda: state_of(client, "many-11") == "queued", "queued task")
        gate.touch()
        # Each task that ends lets the next one be sent.
        others = 0
        while not all(future.done() for future in many):
            client.submit(workloads.increment, others, key=f"other-{others}").result()
            others += 1
        assert {f.status for f in (used, after, *many)} == {"error"}
        del big, used, after, running, many
    return kept


def state_of(client: Client, key: str) -> str | None:
    def state(dask_scheduler: Any) -> str | None:
        ts = dask_scheduler.tasks.get(key)
        return ts.state if ts else None

    return client.run_on_scheduler(state)


def without_a_worker(client: Client, future: Any) -> None:
    """Waits for a task without a worker, and adds a worker for it."""
    cluster = client.cluster
    assert isinstance(cluster, LocalCluster)
    wait_for(lambda: state_of(client, future.key) == "no-worker", "task without a worker")

    async def add() -> Worker:
        return await Worker(
            cluster.scheduler_address, nthreads=1, resources={"GPU": 1}, memory_limit="1GiB"
        )

    worker = cluster.sync(add)
    wait(future)
    assert future.status == "error"
    cluster.sync(worker.close)


def test_all_ways_to_fail_so_are_in_the_recording(too_large: Watched) -> None:
    calls = json.loads(too_large.scheduler["Everything.calls"])
    edges = collections.Counter(tuple(c[2:4]) for c in calls if c[0] == "transition")
    for start in ("waiting", "queued", "no-worker"):
        assert edges[start, "erred"], edges
    inner = edges["processing", "erred"]
    outer = sum(edges[start, "erred"] for start in ("waiting", "queued", "no-worker"))
    assert inner == outer > 3, edges


def test_scheduler_plugins_end_as_they_did_live(too_large: Watched, replay: Callable) -> None:
    names = [name for name in watchers.ON_SCHEDULER if name not in ("GroupTiming", "Failing")]
    wanted = [(name, path) for name in names for path in watchers.ON_SCHEDULER[name][1]]
    lines = replay(too_large.log).results(names, wanted)
    assert len(lines) == len(wanted)
    for (name, path), line in zip(wanted, lines, strict=True):
        assert line == too_large.scheduler[f"{name}.{path}"], f"{name}.{path}"


def test_a_check_finds_nothing_wrong(too_large: Watched, tasklog: Callable) -> None:
    assert "broken-chain" not in tasklog(too_large.log, "check", "--strict")


def test_a_state_in_swift_fits_the_recording(too_large: Watched, replay: Callable) -> None:
    """Otherwise the exit code is 3."""
    done = replay(too_large.log).run(f"--plugin={watched.HERE}/Looking.swift")
    assert done.returncode == 0, done.stdout + done.stderr
    live = json.loads(too_large.scheduler["Everything.calls"])
    erred = sum(call[0] == "transition" and call[3] == "erred" for call in live)
    assert f"erred: {erred}" in done.stdout, done.stdout
