"""The graph of tasks that a recorder finds when it is attached to a busy cluster."""

from __future__ import annotations

import json
from collections.abc import Callable

import dask
from distributed import Client, Event, LocalCluster

import tasklog as package
import workloads
from clusters import Recording, wait_for
from log import Log


def held_back(gate: str) -> int:
    Event(gate).wait()
    return 1


def knows(key: str, dask_scheduler: object) -> bool:
    return key in dask_scheduler.tasks  # type: ignore[attr-defined]


def test_the_dependencies_that_a_recorder_found_are_known_to_all(
    new_recording: Callable[[str], Recording], tasklog: Callable[..., str]
) -> None:
    recording = new_recording("attached-graph")
    with (
        recording.applied(),
        dask.config.set({"distributed.scheduler.preload": []}),
        LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        data = client.scatter(1)
        first = client.submit(held_back, "gate", key="first")
        second = client.submit(workloads.increment, first, key="second")
        third = client.submit(sum, [second, data], key="third")
        wait_for(lambda: client.run_on_scheduler(knows, "third"), "graph")
        client.register_plugin(package.Recorder(recording.log))
        late = client.submit(workloads.increment, third, key="late")
        Event("gate").set()
        assert late.result() == 4
        scattered = data.key
    log = Log(recording.log)
    edges = [("second", "first"), ("third", "second"), ("third", scattered), ("late", "third")]
    assert set(log.rows("SELECT key, dependency FROM dependencies")) == set(edges)
    phases = map(json.loads, tasklog(recording.log, "critical-path").splitlines())
    path = list(dict.fromkeys(phase["key"] for phase in phases))
    assert path == ["first", "second", "third", "late"]
    assert set(log.rows("SELECT DISTINCT key FROM critical_path")) == {(key,) for key in path}
