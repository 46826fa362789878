"""A situation for each kind of advice."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from distributed import Client, Lock, Worker, wait
from distributed.diagnostics.plugin import SchedulerPlugin

import advised
import workloads
from advised import nap
from planting import Situation


def addresses(client: Client) -> list[str]:
    return list(client.scheduler_info(n_workers=-1)["workers"])


class Slow:
    """Something that takes long to pickle, which Dask does in its own thread from 10 MB on."""

    def __init__(self, seconds: float, size: int = 20_000_000) -> None:
        self.seconds, self.size = seconds, size

    def __sizeof__(self) -> int:
        return self.size

    def __reduce__(self) -> Any:
        time.sleep(self.seconds)
        return Slow, (self.seconds, self.size)


def make_slow(_: Any, seconds: float, size: int = 20_000_000) -> Slow:
    return Slow(seconds, size)


def take(*_: Any, seconds: float = 0.05) -> int:
    time.sleep(seconds)
    return 1


def large_arguments(client: Client, folder: Path) -> None:
    for _ in range(3):
        client.submit(len, np.random.random(6_000_000)).result()


class SlowToLoad:
    def __reduce__(self) -> Any:
        return load_slowly, (2.5,)


def load_slowly(seconds: float) -> int:
    time.sleep(seconds)
    return 1


def large_graph(client: Client, folder: Path) -> None:
    # The scheduler loads the graph, as each worker loads its tasks.
    naps = client.map(nap, range(4), [3] * 4)
    client.submit(type, SlowToLoad()).result()
    client.gather(naps)


def small_tasks(client: Client, folder: Path) -> None:
    client.gather(client.map(workloads.increment, range(5000)))


def few_tasks(client: Client, folder: Path) -> None:
    client.submit(nap, 0, 4).result()


def transfers(client: Client, folder: Path) -> None:
    one, other = addresses(client)
    made = [
        client.map(make_slow, range(6), [0.3] * 6, workers=[w], pure=False) for w in (one, other)
    ]
    wait(made[0] + made[1])
    taken = client.map(take, made[0], workers=[other]) + client.map(take, made[1], workers=[one])
    del made
    client.gather(taken)


def stealing(client: Client, folder: Path) -> None:
    # Dask knows nothing of what moving the inputs takes.
    one, _ = addresses(client)
    made = client.map(make_slow, range(20), [1] * 20, workers=[one])
    wait(made)
    taken = client.map(take, made, seconds=0.5, workers=[one], allow_other_workers=True)
    del made
    # What keeps the threads busy meanwhile.
    client.gather(taken + client.map(nap, range(40), [0.25] * 40))


def spilling(client: Client, folder: Path) -> None:
    made = client.map(make_slow, range(12), [0.3] * 12, [60_000_000] * 12)
    wait(made)
    taken = client.map(take, made)
    del made
    client.gather(taken)


HELD: list[bytearray] = []


def take_memory(seconds: float) -> None:
    HELD.append(bytearray(os.urandom(1)) * 260_000_000)
    time.sleep(seconds)
    HELD.clear()


def paused_workers(client: Client, folder: Path) -> None:
    first = client.submit(take_memory, 4)
    time.sleep(0.5)
    client.gather([first, *client.map(nap, range(20), [0.1] * 20)])


def near_limit(client: Client, folder: Path) -> None:
    client.gather([client.submit(take_memory, 3), *client.map(nap, range(30), [0.1] * 30)])


def held_results(client: Client, folder: Path) -> None:
    kept = client.map(np.empty, [10_000_000] * 8, pure=False)
    client.gather(client.map(len, kept))
    client.gather(client.map(nap, range(64), [0.25] * 64))
    del kept


class SlowPlugin(SchedulerPlugin):
    name = "slow"

    def transition(self, *_: Any, **__: Any) -> None:
        time.sleep(0.02)


def scheduler_busy(client: Client, folder: Path) -> None:
    client.register_plugin(SlowPlugin())
    client.gather(client.map(nap, range(80), [0.03] * 80))


async def block() -> None:
    for _ in range(20):
        time.sleep(0.3)
        await asyncio.sleep(0.03)


def worker_busy(client: Client, folder: Path) -> None:
    client.run(block, wait=False)
    client.gather(client.map(nap, range(80), [0.05] * 80))


def hold(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))


def held_gil(client: Client, folder: Path) -> None:
    client.gather(client.map(hold, [3] * 8, pure=False))


def locked(_: int) -> None:
    with Lock("ledger"):
        time.sleep(0.4)


def lock_waits(client: Client, folder: Path) -> None:
    client.gather(client.map(locked, range(12)))


def idle_cluster(client: Client, folder: Path) -> None:
    client.gather(client.map(nap, range(8), [0.3] * 8))
    time.sleep(2)
    client.gather(client.map(nap, range(8, 16), [0.3] * 8))


def waiting_clients(client: Client, folder: Path) -> None:
    long = client.map(nap, range(80), [0.2] * 80)
    time.sleep(0.2)
    with Client(client.cluster) as other:
        other.gather(other.map(nap, range(100, 112), [0.2] * 12))
    client.gather(long)


def late_workers(client: Client, folder: Path) -> None:
    work = client.map(nap, range(80), [0.2] * 80)
    time.sleep(5.5)
    client.cluster.scale(2)
    client.wait_for_workers(2)
    client.gather(work)


def leaving_workers(client: Client, folder: Path) -> None:
    work = client.map(nap, range(40), [0.2] * 40)
    time.sleep(0.5)
    client.retire_workers(addresses(client)[:1])
    client.gather(work)


class UnpackingWorker(Worker):
    """A worker that unpacks tasks when it runs them and records that, as older ones did."""

    async def execute(self, key: Any, *, stimulus_id: str) -> Any:
        start = time.time()
        await asyncio.sleep(0.5)
        self.state.tasks[key].startstops.append(
            {"action": "deserialize", "start": start, "stop": time.time()}
        )
        return await super().execute(key, stimulus_id=stimulus_id)


def deserializing(client: Client, folder: Path) -> None:
    client.gather(client.map(nap, range(60), [0.3] * 60))


class FarWorker(Worker):
    """A worker that measures a slow connection to the scheduler."""

    def _update_latency(self, latency: float) -> None:
        super()._update_latency(latency + 0.4)


def clock_offsets(client: Client, folder: Path) -> None:
    client.gather(client.map(nap, range(40), [0.1] * 40))


def gaps(client: Client, folder: Path) -> None:
    recorder = client.cluster.scheduler.plugins["tasklog"]

    def broken(*_: Any) -> None:
        raise RuntimeError("broken for a test")

    # C code raises no errors: it leaves to Python what it cannot do.
    fast, recorder.transition = recorder.transition, super(type(recorder), recorder).transition
    put, recorder._put_event = recorder._put_event, broken
    client.gather(client.map(nap, range(20), [0.05] * 20))
    recorder._put_event, recorder.transition = put, fast
    client.gather(client.map(nap, range(20, 60), [0.05] * 40))


PROCESSES = {"processes": True}
TCP = {"protocol": "tcp://"}
TIGHT = PROCESSES | {"n_workers": 1, "memory_limit": "400MB"}

ADVICE = [
    *(Situation(name, run, (name,)) for name, run in advised.MISTAKES.items()),
    Situation(
        "lost-workers", advised.lost_workers, ("lost-workers",),
        cluster=PROCESSES | {"n_workers": 1, "threads_per_worker": 1},
    ),
    Situation("small-tasks", small_tasks, ("small-tasks",)),
    Situation("few-tasks", few_tasks, ("few-tasks",)),
    Situation("stealing", stealing, ("stealing", "transfers", "imbalance"), cluster=TCP),
    Situation("transfers", transfers, ("transfers",), cluster=TCP),
    Situation(
        "deserializing", deserializing, ("deserializing",),
        cluster={"worker_class": UnpackingWorker},
    ),
    Situation(
        "spilling", spilling, ("spilling",), cluster={"n_workers": 1, "memory_limit": "200MB"},
        config={"distributed.worker.memory.target": 0.6}, also=("worker-busy",),
    ),
    Situation(
        "paused-workers", paused_workers, ("paused-workers",), cluster=TIGHT,
        config={"distributed.worker.memory.pause": 0.7}, also=("memory-near-limit",),
    ),
    Situation("memory-near-limit", near_limit, ("memory-near-limit",), cluster=TIGHT),
    Situation("held-results", held_results, ("held-results",), cluster={"memory_limit": "1500MB"}),
    Situation("scheduler-busy", scheduler_busy, ("scheduler-busy",), cluster=PROCESSES),
    Situation("worker-busy", worker_busy, ("worker-busy",), cluster=PROCESSES),
    Situation("large-graph", large_graph, ("large-graph",)),
    Situation("large-arguments", large_arguments, ("large-arguments",)),
    Situation(
        "held-gil", held_gil, ("held-gil",), needs="gilknocker",
        cluster=PROCESSES | {"n_workers": 1, "threads_per_worker": 4},
    ),
    Situation("lock-waits", lock_waits, ("lock-waits",)),
    Situation("idle-cluster", idle_cluster, ("idle-cluster",)),
    Situation("waiting-clients", waiting_clients, ("waiting-clients",)),
    Situation("late-workers", late_workers, ("late-workers",), cluster={"n_workers": 1}),
    Situation("leaving-workers", leaving_workers, ("leaving-workers",)),
    Situation(
        "clock-offsets", clock_offsets, ("clock-offsets",), cluster={"worker_class": FarWorker},
        # All parts of this cluster share the GIL.
        config={"distributed.admin.system-monitor.gil.enabled": False},
    ),
    Situation("gaps", gaps, ("gaps",)),
]  # fmt: skip
