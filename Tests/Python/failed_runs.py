"""Five runs that fail, each in another way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from distributed import Client, LocalCluster, wait

import workloads
from clusters import CommandCluster, Recording, wait_for


def parse(row: int) -> int:
    if row == 7:
        raise ValueError("row 7 has no price")
    return row


def mean(_: int, prices: list[int]) -> float:
    time.sleep(0.2)
    return sum(prices) / len(prices)


def total(rows: list[int], _: int) -> int:
    return sum(rows)


def an_exception(recording: Recording) -> None:
    """A task raises, and 30 that need its result fail with it."""
    with (
        recording.applied(),
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        rows = client.map(parse, range(10))
        totals = client.map(lambda i, rows: total(rows, i), range(30), rows=rows, key="total")
        wait([*rows, *totals])
        assert [future.status for future in totals] == ["error"] * 30


def a_killed_worker(recording: Recording) -> None:
    """A task kills each worker that runs it."""
    with CommandCluster(recording) as cluster:
        for name in ("one", "two"):
            cluster.add_worker("--nanny", "--name", name)
        with Client(cluster.address) as client:
            client.wait_for_workers(2, timeout=60)
            held = client.map(workloads.increment, range(20))
            wait(held)
            deadly = client.submit(workloads.die, held, key="deadly")
            after = client.map(lambda i, _: i, range(5), _=deadly, key="after")
            wait([deadly, *after], timeout=120)
            assert deadly.status == "error"


def lost_data(recording: Recording) -> None:
    """A worker dies with the only copy of data that cannot be computed again."""
    with CommandCluster(recording) as cluster:
        holder = cluster.add_worker("--no-nanny", "--name", "holder")
        with Client(cluster.address) as client:
            client.wait_for_workers(1, timeout=60)
            data = client.scatter({"prices": list(range(1000))}, hash=False)
            wait(list(data.values()))
            cluster.add_worker("--no-nanny", "--name", "other")
            client.wait_for_workers(2, timeout=60)
            # The other worker must not get a copy of the data.
            means = client.map(
                mean, range(40), prices=data["prices"], key="mean", workers=["holder"]
            )
            wait_for(lambda: any(future.done() for future in means), "first result")
            holder.kill()
            wait_for(lambda: all(future.done() for future in means), "end of all tasks")
            assert any(future.status == "cancelled" for future in means)


def a_killed_scheduler(recording: Recording) -> None:
    """The scheduler is killed in the middle of its work."""
    with CommandCluster(recording) as cluster:
        cluster.add_worker("--no-nanny")
        with Client(cluster.address) as client:
            client.wait_for_workers(1, timeout=60)
            futures = client.map(workloads.slow, [0.01] * 2000, range(2000), key="clean")
            wait(futures[:100])
            cluster.scheduler.kill()


class Unreadable:
    """Pickled by a worker that runs a task, and not unpickled by one that needs its result."""

    def __reduce__(self) -> Any:
        return _fail_to_read, ()


def _fail_to_read() -> None:
    raise ImportError("libmodel.so: version 3 needed")


def make_model() -> Unreadable:
    return Unreadable()


def data_that_cannot_be_unpickled(recording: Recording) -> None:
    """A worker cannot read what another has made, so that the task that needs it never runs."""
    with CommandCluster(recording) as cluster:
        for name in ("maker", "reader"):
            cluster.add_worker("--no-nanny", "--name", name)
        with Client(cluster.address) as client:
            client.wait_for_workers(2, timeout=60)
            maker, reader = sorted(
                workloads.workers_of(client), key=lambda a: workloads.workers_of(client)[a]["name"]
            )
            model = client.submit(make_model, key="make-model", workers=[maker])
            wait([model])
            score = client.submit(id, model, key="score", workers=[reader])
            # Dask waits for ever: the failure is known only to the worker.
            wait_for(lambda: "version 3 needed" in cluster.workers[1].text, "failure")
            assert score.status == "pending"


KINDS: dict[str, Callable[[Recording], None]] = {
    make.__name__: make
    for make in (
        an_exception, a_killed_worker, lost_data, a_killed_scheduler,
        data_that_cannot_be_unpickled,
    )
}  # fmt: skip
