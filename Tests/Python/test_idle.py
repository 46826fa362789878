"""`tasklog explain --worker` says why a worker of a real run had nothing to do at a moment."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import dask
import pytest
from distributed import Client, LocalCluster, Status, wait

import tasklog as recording
from clusters import DEADLINE, wait_for

FLAGS: dict[str, threading.Event] = defaultdict(threading.Event)


def hold(name: str, *_: Any) -> str:
    """Runs until the flag of this name is set."""
    FLAGS[name + "-runs"].set()
    assert FLAGS[name].wait(DEADLINE)
    return name


def give(*values: Any) -> int:
    return len(values)


class Planted(NamedTuple):
    log: Path
    one: str
    other: str
    third: str


async def flag(name: str) -> None:
    while not FLAGS[name].is_set():
        await asyncio.sleep(0.01)


def runs(name: str) -> None:
    wait_for(FLAGS[name + "-runs"].is_set, f"task '{name}' that runs")


def plant(client: Client, cluster: LocalCluster) -> tuple[str, str, str]:
    """One situation after the other; each lasts until its flag is set."""
    scheduler = cluster.scheduler
    first, second = cluster.workers.values()
    one, other = first.address, second.address

    def is_at(key: str, state: str) -> Callable[[], bool]:
        return lambda: key in scheduler.tasks and scheduler.tasks[key].state == state

    # Nothing but a task on the first worker, and one that waits for it.
    holder = client.submit(hold, "holder", workers=[one], key="holder")
    after = client.submit(give, holder, key="after")
    runs("holder")
    wait_for(is_at("after", "waiting"), "task that waits")
    # More tasks for that worker: restricted to it, or only sent there; and one for none.
    only = client.submit(give, 1, workers=[one], key="only")
    wait_for(lambda: "only" in first.state.tasks, "task there")
    FLAGS["holder"].set()
    wait([after, only])
    sent = client.submit(hold, "sent", workers=[one], key="sent")
    runs("sent")
    loose = client.submit(give, 2, workers=[one], allow_other_workers=True, key="loose")
    wait_for(lambda: "loose" in first.state.tasks, "task there")
    FLAGS["sent"].set()
    wait([sent, loose])
    gpu = client.submit(give, 3, resources={"GPU": 1}, key="gpu")
    wait_for(is_at("gpu", "no-worker"), "task without a worker")
    gpu.cancel()
    wait_for(lambda: "gpu" not in scheduler.tasks, "task that is gone")
    # The second worker waits for an input while others are queued.
    gather_dep = second.gather_dep

    async def late_gather_dep(*args: Any, **kwargs: Any) -> Any:
        await flag("transfer")
        return await gather_dep(*args, **kwargs)

    second.gather_dep = late_gather_dep
    big = client.submit(give, 4, workers=[one], key="big")
    wait(big)
    users = [
        client.submit(give, big, number, workers=[other], key=f"user-{number}")
        for number in range(2)
    ]
    wait_for(lambda: "user-1" in second.state.tasks, "task there")
    roots = client.map(hold, ["roots"] * 12, range(12))
    wait_for(lambda: len(scheduler.queued) > 0, "queued tasks")
    for name in ("transfer", "roots"):
        FLAGS[name].set()
    wait([*users, *roots])
    # A result that is late.
    send = first.batched_send

    def late_send(message: dict) -> None:
        if message.get("key") != "ended":
            return send(message)

        async def later() -> None:
            await flag("result")
            send(message)

        asyncio.ensure_future(later())

    first.batched_send = late_send
    ended = client.submit(give, 5, workers=[one], key="ended")
    follows = client.submit(give, ended, key="follows")
    wait_for(
        lambda: "ended" in first.state.tasks and first.state.tasks["ended"].state == "memory",
        "result",
    )
    FLAGS["result"].set()
    wait(follows)
    # A worker that is paused, and one that comes and goes.
    client.run(pause, Status.paused, workers=[other])
    wait_for(lambda: scheduler.workers[other].status == Status.paused, "paused worker")
    client.run(pause, Status.running, workers=[other])
    wait_for(lambda: scheduler.workers[other].status == Status.running, "running worker")
    cluster.scale(3)
    client.wait_for_workers(3)
    third = next(worker for worker in scheduler.workers if worker not in (one, other))
    wait_for(lambda: "tasklog" in str(cluster.workers[2].plugins), "recorder")
    client.submit(give, 6, workers=[third], key="there").result()
    client.retire_workers([third])
    client.submit(give, 7, key="last").result()
    return one, other, third


def pause(status: Status, dask_worker: Any) -> None:
    dask_worker.status = status


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    folder = tmp_path_factory.mktemp("idle")
    log = folder / "run.db"
    with (
        dask.config.set({"distributed.scheduler.work-stealing": False}),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=False,
            memory_limit=0,
            dashboard_address=":0",
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(recording.Recorder(log, worker_spool=str(folder / "spool")))
        return Planted(log, *plant(client, cluster))


@pytest.fixture
def explain(tasklog: Callable[..., str], planted: Planted) -> Callable[..., list[dict]]:
    """The reasons of a worker halfway between two events, which are conditions on `events`."""

    def explain(worker: str, start: str, stop: str) -> list[dict]:
        sql = f"""
            SELECT max(time_ns) FILTER (WHERE {start}) AS start,
              min(time_ns) FILTER (WHERE {stop}) AS stop FROM events"""
        (row,) = json.loads(tasklog(planted.log, "query", sql, "--format", "json"))
        assert row["start"] < row["stop"], row
        middle = (row["start"] + row["stop"]) // 2
        time = datetime.fromtimestamp(middle // 10**9, timezone.utc)
        moment = f"{time:%Y-%m-%dT%H:%M:%S}.{middle % 10**9:09}"
        found = tasklog(
            planted.log, "explain", "--worker", worker, "--at", moment, "--format", "json"
        )
        return json.loads(found)

    return explain


def moved(key: str, start: str, finish: str, worker: str | None = None) -> str:
    """The condition of a transition, of the scheduler or of a worker."""
    place = f"source = 'worker' AND worker = '{worker}'" if worker else "source = 'scheduler'"
    return (
        f"hook = 'transition' AND key = '{key}' AND start = '{start}' AND finish = '{finish}' "
        f"AND {place}"
    )


def reasons(rows: list[dict]) -> list[str]:
    return [row["reason"] for row in rows]


def test_a_worker_that_runs_a_task_was_not_idle(planted: Planted, explain: Callable) -> None:
    (row,) = explain(
        planted.one,
        moved("only", "waiting", "ready", planted.one),
        moved("holder", "executing", "memory", planted.one),
    )
    assert row["reason"] == "running"
    assert row["sentence"].startswith(
        f"Worker {planted.one} was not idle: its thread ran 'holder' "
    )


def test_nothing_is_ready_while_all_waits_for_a_task(planted: Planted, explain: Callable) -> None:
    (row,) = explain(
        planted.other,
        moved("after", "released", "waiting"),
        moved("only", "waiting", "processing"),
    )
    assert row["reason"] == "nothing-ready"
    assert "of 2 tasks that were unfinished, 1 ran and 1 waited for others." in row["sentence"]


def test_tasks_may_be_restricted_to_another_worker(planted: Planted, explain: Callable) -> None:
    rows = explain(
        planted.other,
        moved("only", "waiting", "ready", planted.one),
        moved("holder", "executing", "memory", planted.one),
    )
    assert reasons(rows) == ["restrictions"]
    assert rows[0]["sentence"].endswith(f"and may run only on {planted.one}.")


def test_a_task_may_need_what_the_worker_lacks(planted: Planted, explain: Callable) -> None:
    (row,) = explain(
        planted.other,
        moved("gpu", "waiting", "no-worker"),
        moved("gpu", "no-worker", "released"),
    )
    assert row["reason"] == "restrictions"
    assert row["sentence"].endswith(
        f"and needs 1 of GPU, which worker {planted.other} does not have."
    )


def test_a_task_may_be_ready_on_another_worker(planted: Planted, explain: Callable) -> None:
    (row,) = explain(
        planted.other,
        moved("loose", "waiting", "ready", planted.one),
        moved("sent", "executing", "memory", planted.one),
    )
    assert (row["reason"], row["key"], row["other"]) == ("elsewhere", "loose", planted.one)


def test_a_worker_may_wait_for_data_while_tasks_are_queued(
    planted: Planted, explain: Callable
) -> None:
    rows = explain(
        planted.other,
        "hook = 'transition' AND source = 'scheduler' AND finish = 'queued'",
        moved("big", "flight", "memory", planted.other),
    )
    assert reasons(rows) == ["data", "saturation"]
    data, saturation = rows
    assert (data["other"], data["tasks"]) == (planted.one, 2)
    assert f"was on its way from worker {planted.one} for " in data["sentence"]
    assert "Its own" not in saturation["sentence"]
    assert f"and worker {planted.other} had 2 tasks for 1 thread." in saturation["sentence"]


def test_the_scheduler_may_not_have_a_result(planted: Planted, explain: Callable) -> None:
    (row,) = explain(
        planted.other,
        moved("ended", "executing", "memory", planted.one),
        moved("ended", "processing", "memory"),
    )
    assert (row["reason"], row["key"]) == ("scheduler", "follows")
    assert "task 'ended' had ended" in row["sentence"]


def test_a_task_may_be_on_its_way_or_not_started(planted: Planted, explain: Callable) -> None:
    one = planted.one
    (row,) = explain(
        one, moved("holder", "waiting", "processing"), moved("holder", "released", "waiting", one)
    )
    assert (row["reason"], row["key"]) == ("not-received", "holder")
    (row,) = explain(
        one, moved("holder", "waiting", "ready", one), moved("holder", "ready", "executing", one)
    )
    assert (row["reason"], row["key"]) == ("ready", "holder")


def test_a_worker_may_be_paused(planted: Planted, explain: Callable) -> None:
    def status(name: str) -> str:
        return f"""hook = 'stimulus' AND source = 'scheduler' AND worker = '{planted.other}'
          AND args ->> '$.op' = 'worker-status-change' AND args ->> '$.status' = '{name}'"""

    (row,) = explain(planted.other, status("paused"), status("running"))
    assert row["reason"] == "paused"


def test_a_worker_may_be_starting_or_gone(planted: Planted, explain: Callable) -> None:
    worker = f"worker = '{planted.third}'"
    joined = f"hook = 'addWorker' AND {worker}"
    left = f"hook = 'removeWorker' AND {worker}"
    setup = f"hook = 'setup' AND source = 'worker' AND {worker}"
    assert reasons(explain(planted.third, "hook = 'attach'", joined)) == ["not-joined"]
    assert reasons(explain(planted.third, joined, setup)) == ["starting"]
    retired = f"hook = 'stimulus' AND {worker} AND args ->> '$.status' = 'closing_gracefully'"
    assert reasons(explain(planted.third, retired, left)) == ["closing"]
    assert reasons(explain(planted.third, left, moved("last", "processing", "memory"))) == ["left"]


def test_there_may_be_no_task(planted: Planted, explain: Callable) -> None:
    (row,) = explain(planted.other, "hook = 'attach'", moved("holder", "released", "waiting"))
    assert row["reason"] == "no-tasks"


def test_a_worker_that_is_not_there_is_named(tasklog: Callable[..., str], planted: Planted) -> None:
    told = tasklog(planted.log, "explain", "--worker", "nobody", code=1)
    assert "no worker 'nobody'; 'tasklog workers' lists them" in told
