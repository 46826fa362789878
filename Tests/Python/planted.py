"""Runs of a few seconds with one bottleneck each, whose size is measured apart from the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster, Lock, wait

import tasklog


def nap(_: Any, seconds: float) -> None:
    time.sleep(seconds)


def count(*values: Any) -> int:
    return len(values)


def now(*_: Any) -> float:
    return time.time()


def _size(number: int) -> bytes:
    return bytes(4_000_000 + number)


def tiny(client: Client) -> float:
    """Tasks that take no time: all of it goes by between them."""
    times = client.gather(client.map(now, range(500), pure=False))
    return max(times) - min(times)


def straggler(client: Client) -> float:
    """One long task, for which three threads wait."""
    threads, long, short = 4, 2.0, 0.1
    naps = client.map(nap, range(9), [long] + [short] * 8, pure=False)
    client.submit(count, naps).result()
    return (threads - 1) * long - 8 * short


def _delay_transfers(dask_worker: Any) -> None:
    fetch = dask_worker.gather_dep

    async def gather_dep(*args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(1)
        return await fetch(*args, **kwargs)

    dask_worker.gather_dep = gather_dep


def transfer(client: Client) -> float:
    """Two workers that wait for each other's data on a slow network."""
    client.run(_delay_transfers)
    one, other = client.scheduler_info()["workers"]
    ours = client.submit(_size, 1, workers=[one])
    theirs = client.submit(_size, 2, workers=[other])
    wait([ours, theirs])
    start = time.time()
    ends = [
        client.submit(now, theirs, workers=[one], pure=False),
        client.submit(now, ours, workers=[other], pure=False),
    ]
    return sum(end - start for end in client.gather(ends))


def spilling(client: Client) -> float:
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
    try:
        held = client.map(_size, range(20))
        wait(held)
        wait(client.map(count, held))
    finally:
        Disk.__setitem__, Disk.__getitem__ = write, read  # type: ignore[method-assign]
    return spent


def waiting_client(client: Client) -> float:
    """A client that thinks between its graphs."""
    threads, pause = 2, 0.8
    for number in range(3):
        client.submit(nap, number, 0.1, pure=False).result()
        time.sleep(pause)
    return threads * 3 * pause


def hold(_: Any, seconds: float) -> None:
    with Lock("planted-lock"):
        time.sleep(seconds)


def lock(client: Client) -> float:
    """Four threads that need the same lock, one after the other."""
    threads, seconds = 4, 0.5
    client.gather(client.map(hold, range(threads), [seconds] * threads, pure=False))
    return seconds * sum(range(threads))


#: By name: the run, the number of workers and of their threads, and further options.
RUNS: dict[str, tuple[Callable[[Client], float], int, int, dict[str, Any]]] = {
    "tiny": (tiny, 1, 1, {}),
    "straggler": (straggler, 2, 2, {}),
    "transfer": (transfer, 2, 1, {}),
    "spilling": (spilling, 1, 1, {"memory_limit": "400MB"}),
    "waiting-client": (waiting_client, 2, 1, {}),
    "lock": (lock, 2, 2, {}),
}


def record(name: str, log: Path) -> float:
    """Records a run, and returns the planted thread-seconds."""
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
