"""Runs of a few seconds with one bottleneck each, whose size is measured apart from the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import dask
from distributed import Client, LocalCluster, Lock, wait

import tasklog


class Planted(NamedTuple):
    """The thread-seconds of a bottleneck, within a window of time in seconds since 1970."""

    seconds: float
    start: float
    stop: float


def nap(_: Any, seconds: float) -> float:
    time.sleep(seconds)
    return time.time()


def count(*values: Any) -> int:
    return len(values)


def now(*_: Any) -> float:
    return time.time()


def _size(number: int) -> bytes:
    return bytes(4_000_000 + number)


def tiny(client: Client) -> Planted:
    """Tasks that take no time: all of it goes by between them."""
    times = client.gather(client.map(now, range(500), pure=False))
    return Planted(max(times) - min(times), min(times), max(times))


def straggler(client: Client) -> Planted:
    """One long task, for which three threads wait."""
    threads, short = 4, 8
    naps = client.map(nap, range(1 + short), [2.0] + [0.1] * short, pure=False)
    long, *others = client.gather(naps)
    client.submit(count, naps).result()
    return Planted((threads - 1) * (long - max(others)), max(others), long)


def transfer(client: Client) -> Planted:
    """Two workers that wait for each other's data on a slow network."""
    fetches: list[float] = []

    def delay(dask_worker: Any) -> None:
        fetch = dask_worker.gather_dep

        async def gather_dep(*args: Any, **kwargs: Any) -> Any:
            start = time.time()
            await asyncio.sleep(1)
            try:
                return await fetch(*args, **kwargs)
            finally:
                fetches.append(time.time() - start)

        dask_worker.gather_dep = gather_dep

    for worker in client.cluster.workers.values():
        delay(worker)
    one, other = client.scheduler_info()["workers"]
    ours = client.submit(_size, 1, workers=[one])
    theirs = client.submit(_size, 2, workers=[other])
    wait([ours, theirs])
    start = time.time()
    ends = [
        client.submit(now, theirs, workers=[one], pure=False),
        client.submit(now, ours, workers=[other], pure=False),
    ]
    stop = max(client.gather(ends))
    return Planted(sum(fetches), start, stop)


def spilling(client: Client) -> Planted:
    """Results that go to a slow disk and come back."""
    from distributed.spill import Slow as Disk

    spent = 0.0

    def slowed(method: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            nonlocal spent
            start = time.perf_counter()
            time.sleep(0.05)
            value = method(*args)
            spent += time.perf_counter() - start
            return value

        return run

    write, read = Disk.__setitem__, Disk.__getitem__
    Disk.__setitem__, Disk.__getitem__ = slowed(write), slowed(read)  # type: ignore[method-assign]
    start = time.time()
    try:
        held = client.map(_size, range(20))
        wait(held)
        wait(client.map(count, held))
    finally:
        Disk.__setitem__, Disk.__getitem__ = write, read  # type: ignore[method-assign]
    return Planted(spent, start, time.time())


def waiting_client(client: Client) -> Planted:
    """A client that thinks between its graphs."""
    threads, paused = 2, 0.0
    start = time.time()
    for number in range(3):
        client.submit(nap, number, 0.1, pure=False).result()
        pause = time.time()
        time.sleep(0.8)
        paused += time.time() - pause
    return Planted(threads * paused, start, time.time())


def hold(_: Any, seconds: float) -> float:
    lock = Lock("planted-lock")
    # `with` would do it, too, by a separate request that does not wait for the lock.
    lock.register()
    start = time.time()
    lock.acquire()
    waited = time.time() - start
    try:
        time.sleep(seconds)
    finally:
        lock.release()
    return waited


def lock(client: Client) -> Planted:
    """Four threads that need the same lock, one after the other."""
    start = time.time()
    waits = client.gather(client.map(hold, range(12), [0.2] * 12, pure=False))
    return Planted(sum(waits), start, time.time())


#: By name: the run, the number of workers and of their threads, and further options.
RUNS: dict[str, tuple[Callable[[Client], Planted], int, int, dict[str, Any]]] = {
    "tiny": (tiny, 1, 1, {}),
    "straggler": (straggler, 2, 2, {}),
    "transfer": (transfer, 2, 1, {}),
    "spilling": (spilling, 1, 1, {"memory_limit": "400MB"}),
    "waiting-client": (waiting_client, 2, 1, {}),
    "lock": (lock, 2, 2, {}),
}


def record(name: str, log: Path) -> Planted:
    """Records a run, and returns what was planted."""
    run, workers, threads, options = RUNS[name]
    memory = {
        "distributed.worker.memory.target": 0.01 if name == "spilling" else False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": False,
    }
    with (
        dask.config.set(memory),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=threads,
            processes=False,
            dashboard_address=":0",
            **options,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(tasklog.Recorder(log, worker_spool=str(log.parent / "spool")))
        return run(client)
