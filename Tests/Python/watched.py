"""Recordings of clusters with the plugins of `watchers` next to the recorder, and their results."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster, wait

import transfers
import watchers
import workloads
from clusters import HERE, Recording


@dataclass
class Watched:
    """A log, and the attributes of the plugins at the end of the run."""

    recording: Recording
    #: By plugin and attribute, as JSON.
    scheduler: dict[str, str] = field(default_factory=dict)
    #: By the address of the worker.
    workers: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return self.recording.log


@contextmanager
def watched(
    recording: Recording, config: dict[str, Any] | None = None, **options: Any
) -> Iterator[tuple[Client, Watched]]:
    """A cluster in this process, or with workers in separate processes.

    config:
        Dask's, for the workers.
    """
    from tasklog.replay import results

    kept = Watched(recording)
    environment = {
        "TASKLOG_LOG": str(recording.log),
        "TASKLOG_WORKER_SPOOL": str(recording.folder / "spool"),
        "WATCHERS_FOLDER": str(recording.folder),
        "DASK_DISTRIBUTED__WORKER__PRELOAD": '["watchers"]',
        "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "critical",
        "PYTHONPATH": str(HERE),
    }
    for name, value in (config or {}).items():
        environment["DASK_" + name.upper().replace(".", "__")] = str(value)
    before = dict(os.environ)
    os.environ.update(environment)
    preload = {
        "distributed.scheduler.preload": ["tasklog", "watchers"],
        "distributed.worker.preload": ["watchers"],
        **(config or {}),
    }
    options = {"n_workers": 2, "threads_per_worker": 2, **options}
    try:
        with (
            dask.config.set(preload),
            LocalCluster(dashboard_address=":0", **options) as cluster,
            Client(cluster) as client,
        ):
            server = cluster.scheduler.id
            yield client, kept
    finally:
        os.environ.clear()
        os.environ.update(before)
    plugins = watchers.LIVE.pop(server)
    for name, (_, paths) in watchers.ON_SCHEDULER.items():
        for path in paths:
            value = watchers.look_up(plugins[name], path)
            kept.scheduler[f"{name}.{path}"] = results.text(value)
    for file in recording.folder.glob("worker-*"):
        told = json.loads(file.read_text())
        kept.workers[told["address"]] = told["results"]


def in_process(recording: Recording) -> Watched:
    """Errors, retries, actors, scattered data, stealing, queued tasks, all kinds of keys."""
    with watched(recording, processes=False) as (client, kept):
        workloads.everything(client, str(recording.folder))
        # More than there is room for: the rest is queued.
        wait(client.map(workloads.increment, range(100, 160), pure=False))
    return kept


def in_processes(recording: Recording) -> Watched:
    """The same with a process for each worker, a SIGKILL, a restart, and a job of dask.array."""
    with watched(recording, processes=True) as (client, kept):
        workloads.everything(client, str(recording.folder))
        held = client.map(workloads.increment, range(5))
        wait(held)
        client.restart()
        workloads.maps(client)
        thousands(client)
        held = client.map(workloads.increment, range(20))
        deadly = client.submit(workloads.die, held, key="deadly")
        wait([deadly], timeout=120)
        assert deadly.status == "error"
        client.wait_for_workers(1, timeout=60)
        del held, deadly
        workloads.maps(client)
    return kept


def moving(recording: Recording, processes: bool) -> Watched:
    """Data that moves between workers and to disk."""
    with watched(
        recording,
        transfers.CONFIG,
        processes=processes,
        n_workers=4,
        threads_per_worker=1,
        memory_limit=transfers.MEMORY_LIMIT,
    ) as (client, kept):
        transfers.everything(client)
    return kept


def thousands(client: Client) -> None:
    import dask.array as da

    x = da.ones((1000, 1000), chunks=(32, 32))
    assert ((x + x.T).sum(axis=0)).sum().compute() == 2_000_000
