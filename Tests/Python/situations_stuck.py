"""A situation for each kind of waiting that `tasklog explain --stuck` names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distributed import Client, Event, Lock, Status, Worker, wait
from distributed.worker_state_machine import FreeKeysEvent

from advised import nap
from clusters import wait_for
from planting import Situation
from situations_advice import addresses

TOLERANT = {"n_workers": 2, "threads_per_worker": 1}


def hold(name: str) -> None:
    with Lock("ledger"):
        Event(name).wait()


def need(_: Any) -> None:
    with Lock("ledger"):
        pass


def worker_of(client: Client, place: int = 0) -> Worker:
    return list(client.cluster.workers.values())[place]


def called(client: Client, function: Any, *args: Any) -> Any:
    """Calls a function in the event loop of the cluster, which is in this process."""

    async def call() -> Any:
        return function(*args)

    return asyncio.run_coroutine_threadsafe(call(), client.loop.asyncio_loop).result(20)


def is_running(client: Client, *keys: str) -> None:
    running = lambda: [k for w in client.cluster.workers.values() for k in _executing(w)]  # noqa: E731
    wait_for(lambda: set(keys) <= set(running()), "task that runs")


def _executing(worker: Worker) -> list[str]:
    return [ts.key for ts in list(worker.state.executing | worker.state.long_running)]


def lock(client: Client, folder: Path) -> Iterator[None]:
    holder = client.submit(hold, "go", key="holder")
    is_running(client, "holder")
    waiting = client.map(need, range(3))
    yield
    Event("go").set()
    client.gather([holder, *waiting])


def restrictions(client: Client, folder: Path) -> Iterator[None]:
    future = client.submit(nap, 0, 0, workers=["tcp://192.0.2.1:1"])
    yield
    future.cancel()


def resources(client: Client, folder: Path) -> Iterator[None]:
    future = client.submit(nap, 0, 0, resources={"GPU": 1})
    yield
    future.cancel()


def no_worker(client: Client, folder: Path) -> Iterator[None]:
    future = client.submit(nap, 0, 0)
    yield
    future.cancel()


def paused(client: Client, folder: Path) -> Iterator[None]:
    def change(status: Status) -> None:
        for worker in client.cluster.workers.values():
            worker.status = status

    called(client, change, Status.paused)
    scheduler = client.cluster.scheduler
    wait_for(lambda: not scheduler.running, "worker that is paused")
    future = client.submit(nap, 0, 0)
    yield
    called(client, change, Status.running)
    future.result()


def running(client: Client, folder: Path) -> Iterator[None]:
    future = client.submit(nap, 0, 6)
    yield
    future.cancel()


def no_thread(client: Client, folder: Path) -> Iterator[None]:
    first = [client.submit(Event("go").wait, key=f"first-{n}", pure=False) for n in range(2)]
    is_running(client, "first-0", "first-1")
    future = client.submit(nap, 0, 0, key="planted")
    yield
    Event("go").set()
    client.gather([*first, future])


def not_received(client: Client, folder: Path) -> Iterator[None]:
    """The scheduler's messages to the workers are lost."""
    scheduler = client.cluster.scheduler
    sends = {comm: comm.send for comm in scheduler.stream_comms.values()}

    def lose() -> None:
        for comm, send in sends.items():
            comm.send = lambda *messages, send=send: send(
                *(each for each in messages if each.get("op") != "compute-task")
            )

    called(client, lose)
    future = client.submit(nap, 0, 0)
    yield
    future.cancel()


def result_not_received(client: Client, folder: Path) -> Iterator[None]:
    """The workers' messages to the scheduler are lost."""
    for worker in client.cluster.workers.values():
        stream = worker.batched_stream

        def lose(message: Any, stream: Any = stream, send: Any = stream.send) -> None:
            if message.get("op") != "task-finished":
                send(message)

        stream.send = lose
    future = client.submit(nap, 0, 0)
    yield
    future.cancel()


def disagreement(client: Client, folder: Path) -> Iterator[None]:
    """A worker is made to release a task that waits for a thread."""
    one = worker_of(client)
    first = client.submit(Event("go").wait, key="first", workers=[one.address])
    is_running(client, "first")
    future = client.submit(nap, 0, 0, key="planted", workers=[one.address])
    wait_for(lambda: "planted" in one.state.tasks, "task on the worker")
    called(client, one.handle_stimulus, FreeKeysEvent(keys=["planted"], stimulus_id="planted"))
    Event("go").set()
    first.result()
    del first
    yield
    future.cancel()


def missing_input(client: Client, folder: Path) -> Iterator[None]:
    """A worker never answers who asks it for data."""
    one, other = addresses(client)
    made = client.submit(nap, 0, 0, workers=[one], key="made")
    wait(made)
    [owner] = [w for w in client.cluster.workers.values() if w.address == one]
    give, go = owner.handlers["get_data"], asyncio.Event()

    async def never(*args: Any, **kwargs: Any) -> Any:
        await go.wait()
        return await give(*args, **kwargs)

    owner.handlers["get_data"] = never
    future = client.submit(nap, made, 0, workers=[other], key="planted")
    yield
    future.cancel()
    called(client, go.set)


def released_input(client: Client, folder: Path) -> Iterator[None]:
    """The scheduler releases an input, and forgets to do what follows from it."""
    one = worker_of(client)
    made = client.submit(Event("go").wait, key="made", workers=[one.address])
    is_running(client, "made")
    future = client.submit(nap, made, 0, key="planted")
    scheduler = client.cluster.scheduler
    wait_for(lambda: "planted" in scheduler.tasks, "task at the scheduler")
    called(client, scheduler._transition, "made", "released", "planted")
    yield
    Event("go").set()
    future.cancel()


def not_sent(client: Client, folder: Path) -> Iterator[None]:
    """The scheduler forgets to send what it has queued."""
    scheduler = client.cluster.scheduler
    scheduler.stimulus_queue_slots_maybe_opened = lambda **_: None
    futures = client.map(nap, range(40), [0.01] * 40, key="planted")
    yield
    client.cancel(futures)


TCP = {"protocol": "tcp://"}
STUCK = [
    Situation("stuck-lock", lock, ("lock",), hangs=True),
    Situation("stuck-restrictions", restrictions, ("restrictions",), hangs=True),
    Situation("stuck-resources", resources, ("resources",), hangs=True),
    Situation("stuck-no-worker", no_worker, ("no-worker",), hangs=True, cluster={"n_workers": 0}),
    Situation("stuck-paused-workers", paused, ("paused-workers",), hangs=True),
    Situation("stuck-running", running, ("running",), hangs=True),
    Situation(
        "stuck-no-thread", no_thread,
        (
            "^Task 'first-.' on worker .* has waited for event 'go'",
            "^Task 'planted' waits for a thread of worker .*, which runs 'first-.'.$",
        ),
        hangs=True, asks=("--stuck",), cluster=TOLERANT,
    ),
    Situation("stuck-not-received", not_received, ("not-received",), hangs=True),
    Situation(
        "stuck-result-not-received", result_not_received, ("result-not-received",), hangs=True
    ),
    Situation("stuck-disagreement", disagreement, ("disagreement",), hangs=True, cluster=TOLERANT),
    Situation("stuck-missing-input", missing_input, ("missing-input",), hangs=True, cluster=TCP),
    Situation("stuck-released-input", released_input, ("released-input",), hangs=True),
    Situation("stuck-not-sent", not_sent, ("not-sent",), hangs=True),
    Situation(
        "stuck-unknown", running, ("unknown",), hangs=True, recorder={"workers": False}
    ),
]  # fmt: skip
