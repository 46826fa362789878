"""Public reports of slow or stuck Dask runs, each at a small scale, and whether tasklog finds the answer.

    public_reports.py [NAMES]

runs them, and prints the accepted answer as kinds of advice (or causes of hanging), the first three that
tasklog names, and whether the answer is among them. The list was written before any of it was run.
"""  # noqa: E501

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import dask
import dask.bag as db
import numpy as np
from distributed import Client, Event, Future, Lock, Status, get_client, wait

import workloads
from advised import nap
from clusters import wait_for
from planting import Situation, kinds, told
from situations_advice import Slow, SlowToLoad, addresses, hold, take
from situations_stuck import called, is_running

REPORTS: dict[str, Situation] = {}
PROCESSES = {"processes": True}


def report(*expected: str, **options: Any) -> Callable[[Any], Any]:
    def add(run: Any) -> Any:
        name = run.__name__.replace("_", "-")
        REPORTS[name] = Situation(name, run, expected, **options)
        return run

    return add


@report("small-tasks")
def many_small_tasks(client: Client, folder: Path) -> None:
    """https://github.com/dask/distributed/issues/181

    10,000 tasks that add 1 take 6.5 s instead of 0.13 s. Each task costs about 1 ms: batch them.
    """
    client.gather(client.map(workloads.increment, range(3000)))


@report("small-tasks")
def small_chunks(client: Client, folder: Path) -> None:
    """https://github.com/DKISTDC/dkist/pull/455

    Distributed is half as fast as threads: chunks are very small and take less than 100 ms, so
    rechunk.
    """
    import dask.array as da

    (da.ones((1200, 1200), chunks=40) + 1).sum().compute()


@report("imbalance", "late-workers", cluster={"n_workers": 1, "resources": {"foo": 1}})
def resources_are_not_moved(client: Client, folder: Path) -> None:
    """https://github.com/dask/dask/issues/3264

    Tasks with a resource stay with the worker that was first; workers that join later idle. Tasks
    with restrictions were not stolen.
    """
    work = client.map(nap, range(60), [0.15] * 60, resources={"foo": 1}, pure=False)
    time.sleep(1)
    client.cluster.scale(2)
    client.wait_for_workers(2)
    client.gather(work)


@report("imbalance", "paused-workers", "few-tasks")
def brief_pause(client: Client, folder: Path) -> None:
    """https://github.com/dask/distributed/issues/7742

    A worker that was paused for a moment is unused for the rest: tasks that were sent meanwhile are
    not balanced again.
    """
    one = next(iter(client.cluster.workers.values()))
    roots = client.map(nap, range(4), [0.01] * 4)
    wait(roots)
    called(client, setattr, one, "status", Status.paused)
    wait_for(lambda: len(client.cluster.scheduler.running) == 1, "worker that is paused")
    work = [client.submit(nap, roots[n % 4], 0.2, key=f"after-{n}") for n in range(40)]
    time.sleep(1.5)
    called(client, setattr, one, "status", Status.running)
    client.gather(work)


@report("large-arguments")
def large_graph_warning(client: Client, folder: Path) -> None:
    """https://github.com/dask/dask/issues/11562

    "Sending large graph of size 11.52 GiB": data that is part of tasks. Scatter it, or load it in
    tasks.
    """
    data = np.random.random(7_000_000)
    client.gather([client.submit(lambda d, n: float(d[n]), data, n) for n in range(4)])


@report("large-arguments")
def payload_in_the_graph(client: Client, folder: Path) -> None:
    """https://github.com/abTEM/abTEM/issues/444

    Lazy graphs that hold large arrays as they are trigger Dask's warning: scatter or delay them.
    """
    import dask.array as da

    x = da.from_array(np.random.random((3000, 1500)), chunks=(300, 1500))
    x.map_blocks(np.sqrt).sum().compute()


@report("resources", hangs=True)
def unknown_resource(client: Client, folder: Path) -> Iterator[None]:
    """https://github.com/dask/distributed/issues/7170

    A task with a resource that no worker has hangs, and nothing says why.
    """
    future = client.submit(print, "3", resources={"GPU": 1})
    yield
    future.cancel()


@report("restrictions", hangs=True)
def restricted_to_a_lost_worker(client: Client, folder: Path) -> Iterator[None]:
    """https://github.com/dask/distributed/issues/7346

    Tasks that are restricted to a worker which was removed wait for it without end.
    """
    one = addresses(client)[0]
    client.retire_workers([one])
    wait_for(lambda: one not in addresses(client), "worker that has left")
    future = client.submit(nap, 0, 0, workers=[one])
    yield
    future.cancel()


def lock_and_die(path: str) -> None:
    lock = Lock("file")
    if os.path.exists(path):
        with lock:
            return
    lock.acquire()
    open(path, "x").close()
    os.kill(os.getpid(), signal.SIGKILL)


@report("lock", hangs=True, cluster=PROCESSES)
def lock_of_a_dead_worker(client: Client, folder: Path) -> Iterator[None]:
    """https://github.com/dask/distributed/issues/7371

    A worker dies of a MemoryError and never releases its lock; other tasks wait for it.
    """
    future = client.submit(lock_and_die, str(folder / "t"))
    yield
    future.cancel()


def outer(number: int) -> int:
    client = get_client()
    return client.gather(client.submit(workloads.increment, number, key=f"inner-{number}"))


@report("no-thread", hangs=True)
def gather_in_tasks(client: Client, folder: Path) -> Iterator[None]:
    """https://github.com/dask/distributed/issues/4738

    Tasks that submit others and gather them occupy all threads, for which these wait: secede before
    gather, or worker_client.
    """
    futures = client.map(outer, range(4))
    yield
    client.cancel(futures)
    client.cancel([Future(f"inner-{n}", client) for n in range(4)], force=True)


@report("paused-workers", hangs=True)
def stuck_at_the_pause_limit(client: Client, folder: Path) -> Iterator[None]:
    """https://github.com/dask/distributed/issues/5235

    Tasks are stuck on workers that are at the memory limit for pausing and never start them.
    """
    workers = list(client.cluster.workers.values())
    first = [
        client.submit(Event("go").wait, key=f"first-{n}", pure=False) for n in range(4)
    ]  # fmt: skip
    is_running(client, *(f"first-{n}" for n in range(4)))
    held = [
        client.submit(nap, n, 0, key=f"held-{n}", workers=[workers[n % 2].address])
        for n in range(4)
    ]
    wait_for(lambda: sum(len(w.state.ready) for w in workers) == 4, "tasks on the workers")
    for worker in workers:
        called(client, setattr, worker, "status", Status.paused)
    Event("go").set()
    wait(first)
    yield
    for worker in workers:
        called(client, setattr, worker, "status", Status.running)
    client.gather(held)


def slow_root(_: int) -> Slow:
    time.sleep(0.02)
    return Slow(0.1, 40_000_000)


@report(
    "spilling", "memory-near-limit", "paused-workers",
    cluster={"n_workers": 1, "memory_limit": "200MB"},
    config={
        "distributed.worker.memory.target": 0.6,
        "distributed.scheduler.worker-saturation": float("inf"),
    },
)  # fmt: skip
def memory_backpressure(client: Client, folder: Path) -> None:
    """https://github.com/dask/distributed/issues/2602

    Early tasks make data faster than it is consumed; it goes to disk, and the run grinds to a halt.
    """
    made = client.map(slow_root, range(24))
    used = client.map(take, made, seconds=0.1)
    del made
    client.gather(used)


def grow(path: str, n: int) -> int:
    if not os.path.exists(path):
        open(path, "x").close()
        data = bytearray(b"x") * 500_000_000
        time.sleep(20)
        return len(data)
    return n


@report(
    "lost-workers", "memory-near-limit", "paused-workers",
    cluster=PROCESSES | {"n_workers": 1, "memory_limit": "400MB"},
    config={"distributed.worker.memory.terminate": 0.95},
)  # fmt: skip
def out_of_memory(client: Client, folder: Path) -> None:
    """https://github.com/dask/distributed/issues/6110

    Workers run out of memory before they can spill, and are lost.
    """
    client.gather(client.map(grow, [str(folder / "t")] * 4, range(4)))


@report("held-results", cluster={"memory_limit": "1500MB"})
def persisted_for_ever(client: Client, folder: Path) -> None:
    """https://github.com/dask/dask/issues/1944

    How to release what was persisted? Delete all objects that refer to it, or cancel it.
    """
    import dask.array as da

    x = da.random.random((80_000_000,), chunks=10_000_000).persist()
    x.sum().compute()
    client.gather(client.map(nap, range(64), [0.25] * 64))
    del x


@report("large-graph")
def slow_update_graph(client: Client, folder: Path) -> None:
    """https://github.com/dask/distributed/issues/7980

    The scheduler unpickles, materializes and orders a large graph, and seems to be frozen.
    """
    naps = client.map(nap, range(4), [3] * 4)
    dask.delayed(type)(SlowToLoad()).compute()
    client.gather(naps)


@report(
    "held-gil", "worker-busy",
    cluster=PROCESSES | {"n_workers": 1, "threads_per_worker": 4}, needs="gilknocker",
)  # fmt: skip
def unresponsive_event_loop(client: Client, folder: Path) -> None:
    """https://github.com/dask/distributed/issues/2942

    "Event loop was unresponsive in Worker": tasks hold the GIL; release it, or use processes.
    """
    client.gather(client.map(hold, [3] * 8, pure=False))


@report("few-tasks")
def one_file_is_one_task(client: Client, folder: Path) -> None:
    """https://github.com/dask/distributed/issues/2210

    A 40 GB text file is processed by one thread: it is one partition without a block size.
    """
    (folder / "lines.txt").write_text("1\n" * 30)
    db.read_text(str(folder / "lines.txt")).map(lambda line: nap(0, 0.1)).sum().compute()


def die_later(path: str, n: int) -> int:
    if n == 7 and not os.path.exists(path):
        open(path, "x").close()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.3)
    return n


@report("lost-workers", cluster=PROCESSES | {"n_workers": 1, "threads_per_worker": 1})
def recomputed_results(client: Client, folder: Path) -> None:
    """https://github.com/dask/dask-kubernetes/issues/436

    Expensive tasks are computed again: their worker was killed, and the results with it.
    """
    client.gather(client.map(die_later, [str(folder / "t")] * 9, range(9)))


@report("no-worker", hangs=True, cluster={"n_workers": 1})
def gather_never_returns(client: Client, folder: Path) -> Iterator[None]:
    """https://github.com/dask/distributed/issues/1110

    gather() does not return after a worker was killed: there is no other worker for its tasks.
    """
    futures = client.map(nap, range(8), [0.5] * 8)
    time.sleep(0.5)
    client.cluster.scale(0)
    wait_for(lambda: not client.cluster.scheduler.workers, "cluster without workers")
    yield
    client.cancel(futures)


def expensive(_: int) -> Slow:
    return Slow(0.3)


@report("stealing", "transfers", cluster={"protocol": "tcp://"})
def stolen_more_than_once(client: Client, folder: Path) -> None:
    """https://github.com/coiled/benchmarks/issues/315

    A sum takes 340 % of the time in some runs: in these most tasks are stolen, and their inputs are
    moved.
    """
    one, _ = addresses(client)
    made = client.map(expensive, range(24), workers=[one])
    wait(made)
    used = client.map(take, made, workers=[one], allow_other_workers=True, seconds=0.15)
    del made
    client.gather(used)


def main(names: Iterable[str]) -> int:
    chosen = [REPORTS[name] for name in names] or list(REPORTS.values())
    hits = 0
    for planted in chosen:
        if not planted.can_run:
            print(f"{planted.name:28} miss: {planted.needs} is not installed", flush=True)
            continue
        rows, seconds = told(planted)
        first = kinds(rows)[:3]
        hit = bool(set(first) & set(planted.expected))
        hits += hit
        print(
            f"{planted.name:28} {seconds:5.1f} s  {'hit ' if hit else 'miss'}  answer: "
            f"{' or '.join(planted.expected)}; found: {', '.join(first) or 'nothing'}",
            flush=True,
        )
    print(f"{hits} of {len(chosen)} hit")
    return 0 if hits >= 0.8 * len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
