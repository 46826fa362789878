"""A situation for each thing that a task can wait for and each end that it can come to, as `tasklog
explain KEY` tells them, and for those reasons to be idle that `test_idle.py` does not have."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from distributed import Client, Event, Reschedule, Status, Worker, get_worker, secede, wait

from advised import die_once, fail_once, nap
from clusters import wait_for
from planting import Situation
from situations_advice import addresses
from situations_stuck import called, is_running

SENT = "and was sent to worker "


def at_scheduler(client: Client, key: str, state: str) -> None:
    tasks = client.cluster.scheduler.tasks
    wait_for(lambda: key in tasks and tasks[key].state == state, f"task that is {state}")


def inputs(client: Client, folder: Path) -> None:
    first = [client.submit(nap, n, 0.2 + n, key=f"input-{n}") for n in range(2)]
    client.submit(nap, first, 0, key="planted").result()


def transfer(client: Client, folder: Path) -> None:
    one, other = addresses(client)
    made = client.submit(nap, 0, 0, workers=[one], key="made")
    wait(made)
    [owner] = [w for w in client.cluster.workers.values() if w.address == one]
    give = owner.handlers["get_data"]

    # Dask looks whether the first parameter has this name.
    async def late(comm: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(1.2)
        return await give(comm, **kwargs)

    owner.handlers["get_data"] = late
    client.submit(nap, made, 0, workers=[other], key="planted").result()


def queue(client: Client, folder: Path) -> None:
    client.gather([client.submit(nap, n, 0.2, key=f"nap-{n}") for n in range(4)])
    client.gather(client.map(nap, range(20), [0.2] * 20, key=[f"root-{n}" for n in range(20)]))


def thread(client: Client, folder: Path) -> None:
    one, _ = addresses(client)
    first = client.map(nap, range(2), [1.2] * 2, workers=[one])
    is_running(client, *(each.key for each in first))
    client.submit(nap, 2, 0, workers=[one], key="planted").result()


def no_worker(client: Client, folder: Path) -> None:
    # Without threads, Dask takes any task for one of many.
    future = client.submit(nap, 0, 0, key="planted")
    at_scheduler(client, "planted", "queued")
    client.cluster.scale(1)
    future.result()


def resource(client: Client, folder: Path) -> None:
    future = client.submit(nap, 0, 0, resources={"GPU": 1}, key="planted")
    at_scheduler(client, "planted", "no-worker")

    async def start() -> Worker:
        return await Worker(client.cluster.scheduler.address, resources={"GPU": 1}, nthreads=1)

    worker = client.sync(start)
    future.result()
    client.sync(worker.close)


def paused(client: Client, folder: Path) -> None:
    scheduler = client.cluster.scheduler

    def change(status: Status) -> None:
        for worker in client.cluster.workers.values():
            worker.status = status

    called(client, change, Status.paused)
    wait_for(lambda: not scheduler.running, "worker that is paused")
    future = client.submit(nap, 0, 0, key="planted")
    at_scheduler(client, "planted", "no-worker")
    called(client, change, Status.running)
    future.result()


def retry(client: Client, folder: Path) -> None:
    client.submit(fail_once, str(folder / "t"), retries=1, key="planted").result()


def failure(client: Client, folder: Path) -> None:
    wait(client.submit(fail_once, str(folder / "t"), key="planted"))


def failed_input(client: Client, folder: Path) -> None:
    made = client.submit(fail_once, str(folder / "t"), key="made")
    wait(client.submit(nap, made, 0, key="planted"))


def lost_worker(client: Client, folder: Path) -> None:
    client.submit(die_once, str(folder / "t"), key="planted").result()


def lost_result(client: Client, folder: Path) -> None:
    future = client.submit(os.getpid, key="planted", pure=False)
    process = future.result()
    task = client.cluster.scheduler.tasks["planted"]
    [holder] = task.who_has
    os.kill(process, signal.SIGKILL)
    wait_for(lambda: task.who_has and holder not in task.who_has, "result of another worker")


def ask_again(path: str) -> str:
    if not os.path.exists(path):
        open(path, "x").close()
        raise Reschedule
    return get_worker().address


def rescheduled(client: Client, folder: Path) -> None:
    client.submit(ask_again, str(folder / "t"), key="planted").result()


def withdrawn(client: Client, folder: Path) -> None:
    future = client.submit(nap, 0, 1, key="planted")
    is_running(client, "planted")
    future.release()
    client.submit(nap, 1, 0, key="other").result()


def cancelled(client: Client, folder: Path) -> None:
    future = client.submit(nap, 0, 1, key="planted")
    is_running(client, "planted")
    future.cancel()
    client.submit(nap, 1, 0, key="other").result()


def released(client: Client, folder: Path) -> None:
    made = client.submit(nap, 0, 0.1, key="planted")
    user = client.submit(nap, made, 0.5, key="user")
    is_running(client, "user")
    del made
    user.result()


# Workers that have nothing to do


def hold_resource(name: str) -> None:
    secede()
    Event(name).wait()


def idle_resources(client: Client, folder: Path) -> Iterator[None]:
    first = client.submit(hold_resource, "go", key="first", resources={"SLOT": 1})
    is_running(client, "first")
    future = client.submit(nap, 0, 0, key="planted", resources={"SLOT": 1})
    yield
    Event("go").set()
    client.gather([first, future])


def idle_unknown(client: Client, folder: Path) -> Iterator[None]:
    future = client.submit(Event("go").wait, key="planted")
    is_running(client, "planted")
    yield
    Event("go").set()
    future.result()


def _why(
    name: str, run: Callable[[Client, Path], Any], *expected: str, key: str = "planted",
    **options: Any,
) -> Situation:  # fmt: skip
    return Situation(f"why-{name}", run, expected, asks=(key,), **options)


PROCESSES = {"processes": True, "threads_per_worker": 1}
TCP = {"protocol": "tcp://"}
SLOW = r"1\.\d s"
RELEASED = r"client Client-\S+ released it, and no other one wanted it\."
EXPLAINED = [
    _why("inputs", inputs, f"^It waited {SLOW} for inputs, for 'input-1' last, {SENT}"),
    _why(
        "transfer", transfer, rf"^It began to run: .* {SLOW} for its inputs and .* for a thread\. "
        rf"Its inputs came from worker \S+ \({SLOW}\)\.$", cluster=TCP,
    ),
    _why(
        "queue", queue, "^It was ready to run .*, and was queued: no worker had room for it.$",
        rf"^It waited .* for a thread, until task 'root-\d+' ended, {SENT}", key="root-19",
    ),
    _why("thread", thread, f"^It began to run: .* and {SLOW} for a thread. It got the thread of '"),
    _why(
        "no-worker", no_worker, "and was queued: no worker had room for it.$",
        f"^It waited .* until a worker was available, {SENT}", cluster={"n_workers": 0},
    ),
    _why(
        "resource", resource, "^No worker could take it.$",
        f"^It waited .* until a worker was available, {SENT}",
        "^It was put there because no other worker may run it.$",
    ),
    _why(
        "paused", paused, "^No worker could take it.$",
        f"^It waited .* until a worker was available, {SENT}",
    ),
    _why(
        "retry", retry, "^It failed after running for ",
        "^It failed on worker .*, and is tried again.$", SENT,
    ),
    _why("failure", failure, "^It failed for good: OSError.*no such table yet"),
    _why("failed-input", failed_input, "^It failed because a task that it needs had failed.$"),
    _why(
        "lost-worker", lost_worker, "^Its worker .* was removed, and with it this attempt.$", SENT,
        cluster=PROCESSES,
    ),
    _why(
        "lost-result", lost_result, "^Its result was lost with the worker that held it.$", SENT,
        cluster=PROCESSES,
    ),
    _why("rescheduled", rescheduled, "^It asked worker .* to be run again, on any worker.$", SENT),
    _why("withdrawn", withdrawn, rf"^It was withdrawn: {RELEASED}$"),
    _why("cancelled", cancelled, rf"^It was withdrawn: {RELEASED}$"),
    _why("released", released, "^Its result was released when 'user' was done.$"),
    Situation(
        "idle-resources", idle_resources,
        ("^Task 'planted' waited .* for 1 of SLOT of worker .*, which other tasks used.$",),
        hangs=True, asks=("--worker", "*"),
        cluster={"n_workers": 1, "threads_per_worker": 1, "resources": {"SLOT": 1}},
    ),
    Situation(
        "idle-unknown", idle_unknown,
        ("^Worker .* was not recorded, and 1 task that it had has no result in the log: ",),
        hangs=True, asks=("--worker", "*"), recorder={"workers": False},
        cluster={"n_workers": 1},
    ),
]  # fmt: skip
