"""Every public field that a plugin can look up has its live value in a replay, except those that
`tasklog.replay.fields` lists, and the article ReplayDaskPlugins names."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask
import distributed
import pytest
from distributed import Client, LocalCluster, wait
from distributed.diagnostics.plugin import SchedulerPlugin

import fields
import workloads
from clusters import HERE, Recording, wait_for
from documents import PLUGIN_CATALOG
from tasklog.replay.fields import NOT_FOUND, NOT_REPLAYED, SERVER, is_replayed

FIELDS = str(HERE / "fields.py")
#: Times that Dask measures itself: in a replay they are those of the event.
SECONDS = 1.0
TIMES = {("Scheduler", "total_nthreads_history"), ("Scheduler", "erred_tasks")}
#: Of earlier versions.
OLDER = {
    "incoming_transfer_log", "outgoing_count", "outgoing_current_count", "outgoing_transfer_log",
    "total_in_connections",
}  # fmt: skip


@dataclass
class Looked:
    """A log, and the live values of all fields."""

    log: Path
    scheduler: list = field(default_factory=list)
    #: By the address of the worker.
    workers: dict[str, list] = field(default_factory=dict)
    is_attached: bool = False


@contextmanager
def looked(
    recording: Recording, attach: bool = False, **settings: Any
) -> Iterator[tuple[Client, Looked, Any]]:
    """A cluster with a plugin that reads everything, on the scheduler and on each worker."""
    kept = Looked(recording.log, is_attached=attach)
    environment = {
        "TASKLOG_LOG": str(recording.log),
        "TASKLOG_WORKER_SPOOL": str(recording.folder / "spool"),
        "FIELDS_FOLDER": str(recording.folder),
        "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "critical",
        "PYTHONPATH": str(HERE),
    }
    if not attach:
        environment["DASK_DISTRIBUTED__WORKER__PRELOAD"] = '["fields"]'
    before = dict(os.environ)
    os.environ.update(environment)
    processes = settings.pop("processes", False)
    preload = {
        "distributed.scheduler.preload": [] if attach else ["tasklog", "fields"],
        "distributed.worker.preload": [] if attach else ["fields"],
    }
    try:
        with (
            dask.config.set({**preload, **settings}),
            LocalCluster(
                n_workers=2, threads_per_worker=2, dashboard_address=":0", processes=processes
            ) as cluster,
            Client(cluster) as client,
        ):
            server = cluster.scheduler.id
            yield client, kept, cluster.scheduler
    finally:
        os.environ.clear()
        os.environ.update(before)
    kept.scheduler = json.loads(json.dumps(fields.LIVE.pop(server).told))
    for file in recording.folder.glob("worker-*"):
        about = json.loads(file.read_text())
        kept.workers[about["address"]] = about["told"]


class Changing(SchedulerPlugin):
    """Changes tasks by itself, without any hook; called after the plugin that reads them."""

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler
        self.changes = 0

    def update_graph(self, scheduler: Any, *, tasks: list, **kwargs: Any) -> None:
        for key in tasks:
            if str(key).startswith("changing"):
                ts = scheduler.tasks[key]
                ts.worker_restrictions = {next(iter(scheduler.workers))}
                ts.annotations = {"of": "a plugin"}
                self.changes += 1

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        if str(key).startswith("changing") and finish == "memory":
            ts = self.scheduler.tasks[key]
            ts.worker_restrictions, ts.annotations = None, {}
            self.changes += 1


def add_changing(dask_scheduler: Any) -> None:
    dask_scheduler.add_plugin(Changing(dask_scheduler), name="changing")


def increment(x: int) -> int:
    return x + 1


@pytest.fixture(scope="module")
def usual(new_recording: Callable) -> Looked:
    """Metadata, unavailable resources, scattered data, actors, errors, stealing."""
    recording = new_recording("fields-usual")
    with looked(recording) as (client, kept, scheduler):
        client.run_on_scheduler(add_changing)
        wait(client.map(increment, range(5), key=[f"changing-{i}" for i in range(5)]))
        client.set_metadata(["mine"], 5)
        client.set_metadata(["deep", "er"], {"a": 1})
        wait(client.map(increment, range(5)))
        data = client.scatter([1, 2, 3])
        wait(data)
        never = client.submit(increment, 1, resources={"GPU": 1})
        workloads.everything(client, str(recording.folder))
        seen = {a: ws.last_seen for a, ws in scheduler.workers.items()}
        wait_for(
            lambda: all(ws.last_seen > seen[a] for a, ws in scheduler.workers.items()), "heartbeats"
        )
        wait(client.map(increment, range(60), pure=False))
        del data, never
    return kept


@pytest.fixture(scope="module")
def unqueued(new_recording: Callable) -> Looked:
    """Root tasks are not queued but kept together; resources are set while workers work."""
    recording = new_recording("fields-unqueued")
    settings = {"distributed.scheduler.worker-saturation": "inf"}
    with looked(recording, **settings) as (client, kept, _):
        import dask.array as da

        x = da.ones((100, 100), chunks=10)
        assert (x + x.T).sum().compute() == 20_000
        client.run(more_resources)
        assert client.submit(increment, 1, resources={"FOO": 1}).result() == 2
        wait(client.map(increment, range(100), pure=False))
        first = next(iter(workloads.workers_of(client)))
        held = client.map(workloads.slow, [0.02] * 100, range(100), workers=[first], pure=False)
        wait_for(lambda: client.run_on_scheduler(balance_unevenly), "saturated worker")
        wait(held)
        del held
    return kept


def balance_unevenly(dask_scheduler: Any) -> bool:
    """Makes stealing find that a worker has less to do than its tasks say, as it does when some of
    them are on their way to others."""
    stealing = dask_scheduler.extensions["stealing"]
    if not dask_scheduler.saturated:
        return False
    (ws,) = dask_scheduler.saturated
    less = ws.occupancy
    stealing.in_flight_occupancy[ws] -= less
    try:
        dask_scheduler.periodic_callbacks["stealing"].callback()
    finally:
        stealing.in_flight_occupancy[ws] += less
    dask_scheduler.log_event("look", {})
    return ws not in dask_scheduler.saturated


async def more_resources(dask_worker: Any) -> None:
    await dask_worker.set_resources(FOO=3)


@pytest.fixture(scope="module")
def killed(new_recording: Callable) -> Looked:
    """Workers in processes, a restart, a task that kills its workers."""
    recording = new_recording("fields-killed")
    with looked(recording, processes=True) as (client, kept, _):
        wait(client.map(workloads.increment, range(5)))
        client.restart()
        workloads.maps(client)
        held = client.map(workloads.increment, range(20))
        deadly = client.submit(workloads.die, held, key="deadly")
        wait([deadly], timeout=120)
        client.wait_for_workers(1, timeout=60)
        del held, deadly
        workloads.maps(client)
        # A worker of 2024.8.2 that closes while it releases tasks is `closing` live, and running in
        # a replay: it makes no event of that.
        wait_for(lambda: not any(client.run(count_tasks).values()), "release of all tasks")
    return kept


def count_tasks(dask_worker: Any) -> int:
    return len(dask_worker.state.tasks)


@pytest.fixture(scope="module")
def found(new_recording: Callable) -> Looked:
    """A recorder that is attached when actors, work, history, metadata and topics exist."""
    import tasklog

    recording = new_recording("fields-found")
    with looked(recording, attach=True) as (client, kept, scheduler):
        client.set_metadata(["mine"], 5)
        with distributed.span("before"):
            held = client.map(workloads.increment, range(10))
            wait(held)
        failed = client.map(workloads.fail, range(4))
        wait(failed)
        data = client.scatter([1, 2, 3])
        actor = client.submit(workloads.Tally, actor=True, key="actor").result()
        client.log_event("mine", {"of": "before"})
        workloads.events(client)
        busy = client.map(workloads.slow, [0.5] * 12, range(12), pure=False)
        wait_for(lambda: any(ws.executing for ws in scheduler.workers.values()), "heartbeats")
        client.register_plugin(tasklog.Recorder(recording.log))
        client.run_on_scheduler(look_from_here)
        client.register_plugin(fields.WorkerFields())
        total = client.submit(sum, [*held, *busy])
        assert total.result() > 0
        assert client.submit(sum, data).result() == 6
        del held, failed, busy, total, data, actor
        workloads.maps(client)
    return kept


def look_from_here(dask_scheduler: Any) -> None:
    plugin = fields.LIVE[dask_scheduler.id] = fields.Fields(dask_scheduler)
    dask_scheduler.add_plugin(plugin, name="watching-fields")


LOOKED = ["usual", "unqueued", "killed", "found"]


@pytest.mark.parametrize("name", LOOKED)
def test_every_public_field_is_what_it_was_live(
    name: str, request: pytest.FixtureRequest, replay: Callable
) -> None:
    kept = request.getfixturevalue(name)
    done = replay(kept.log).run(
        f"--plugin={FIELDS}:Fields", f"--plugin={FIELDS}:WorkerFields",
        f"--result={FIELDS}:Fields:told", f"--result={FIELDS}:WorkerFields:told",
    )  # fmt: skip
    assert "drift" not in done.stderr, done.stderr
    scheduler, workers = (json.loads(line) for line in done.stdout.splitlines())
    problems = list(differences(kept.scheduler, scheduler, kept.is_attached))
    assert len(kept.scheduler[0]) > 100
    assert kept.workers.keys() <= workers.keys() and kept.workers
    assert any(told[0] for told in kept.workers.values())
    for address, told in kept.workers.items():
        if told[0]:
            problems += differences(told, workers[address], kept.is_attached)
        else:
            # It left before it had a task.
            assert not workers[address][0]
    assert not problems, f"{len(problems)} differences\n" + "\n".join(map(str, problems[:20]))


def differences(live: list, replayed: list, is_attached: bool) -> Iterator[tuple]:
    """The fields that change from one read to the next, once each."""
    assert live[0] and live[1]
    # The live plugin may have been attached after the recorder.
    before = len(replayed[0]) - len(live[0]) if is_attached else 0
    assert before >= 0
    assert live[0] == replayed[0][before : before + len(live[0])]
    now: list[dict] = [{}, {}]
    told: set = set()
    rows = [list(side[1]) for side in (live, replayed)]
    positions = [0, 0]
    for number, look in enumerate(live[0], 1):
        touched = set()
        for side in (0, 1):
            reached = number + (before if side else 0)
            while (p := positions[side]) < len(rows[side]) and rows[side][p][0] <= reached:
                _, kind, identity, name, text = rows[side][p]
                now[side][kind, identity, name] = text
                touched.add((kind, identity, name))
                positions[side] += 1
        for place in sorted(touched):
            kind, _, name = place
            if not is_replayed(kind, name) or (kind, name) in told:
                continue
            if place not in now[0]:
                # Fields of older versions that the replay offers.
                continue
            if is_attached and name in NOT_FOUND.get(kind, ()):
                continue
            if kind in ("Scheduler", "Worker") and "function" in now[0].get(place, ""):
                # A method that the recorder has wrapped.
                continue
            ours, theirs = (json.loads(side.get(place, '"missing"')) for side in now)
            if not same(ours, theirs, (kind, name) in TIMES):
                told.add((kind, name))
                yield kind, name, look, place[1], str(ours)[:300], str(theirs)[:300]


def same(live: Any, replayed: Any, is_time: bool) -> bool:
    if is_time and isinstance(live, float) and isinstance(replayed, float):
        return abs(live - replayed) < SECONDS
    if isinstance(live, list) and isinstance(replayed, list):
        return len(live) == len(replayed) and all(
            same(ours, theirs, is_time) for ours, theirs in zip(live, replayed, strict=True)
        )
    if isinstance(live, dict) and isinstance(replayed, dict):
        return live.keys() == replayed.keys() and all(
            same(live[name], replayed[name], is_time) for name in live
        )
    return live == replayed


def test_each_listed_field_is_one_of_dask(usual: Looked) -> None:
    seen = {(kind, name) for _, kind, _, name, _ in usual.scheduler[1]}
    for told in usual.workers.values():
        seen |= {(kind, name) for _, kind, _, name, _ in told[1]}
    assert len(seen) > 250
    listed = {
        (kind, name)
        for kind, reasons in NOT_REPLAYED.items()
        for names in reasons.values()
        for name in names
    }
    assert {place for place in listed - seen if place[1] not in OLDER} == set()
    assert NOT_REPLAYED.keys() == {kind for kind, _ in seen}


def test_the_article_names_what_is_not_replayed() -> None:
    article = (PLUGIN_CATALOG / "ReplayDaskPlugins.md").read_text()
    (section,) = re.findall(r"\n## What is not replayed\n(.*?)\n## ", article, re.DOTALL)
    named = set(re.findall(r"`(\w+)`", section))
    listed = {
        name
        for reasons in NOT_REPLAYED.values()
        for reason, names in reasons.items()
        if reason != "of the server that runs"
        for name in names
    }
    listed |= {name for names in NOT_FOUND.values() for name in names}
    assert listed <= named, listed - named
    assert "SERVER" in named and SERVER


def test_a_look_at_what_is_not_replayed_is_told(
    usual: Looked, replay: Callable, tmp_path: Path
) -> None:
    file = tmp_path / "looking.py"
    file.write_text(
        "class Looking:\n"
        "    def __init__(self, scheduler):\n        self.scheduler = scheduler\n"
        "    def transition(self, *args, **kwargs):\n"
        "        self.shown = str(self.scheduler.monitor)\n"
        "        self.known = len(self.scheduler.tasks)\n"
    )
    done = replay(usual.log).run(f"--plugin={file}")
    assert done.returncode == 0, done.stderr
    said = "plugins looked at fields that are not replayed: Scheduler.monitor ("
    assert said in done.stderr, done.stderr
    done = replay(usual.log).run(f"--plugin={HERE}/watchers.py:Probe")
    assert "not replayed" not in done.stderr, done.stderr


TOPICS = """
from distributed.diagnostics.plugin import SchedulerPlugin

class Topics(SchedulerPlugin):
    def __init__(self, scheduler):
        self.scheduler = scheduler
        self.mine = self.odd = self.count = None

    def transition(self, *args, **kwargs):
        self.mine = [message for _, message in self.scheduler.get_events("mine")]
        self.odd = len(self.scheduler.get_events("odd"))
        self.count = self.scheduler._broker._topics["mine"].count
"""


def test_topics_from_before_are_restored(found: Looked, replay: Callable, tmp_path: Path) -> None:
    file = tmp_path / "topics.py"
    file.write_text(TOPICS)
    done = replay(found.log).run(
        f"--plugin={file}", *(f"--result={file}:{name}" for name in ("mine", "odd", "count"))
    )
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == [[{"of": "before"}], 2, 1]


def test_metadata_is_hidden_by_its_names(new_recording: Callable, replay: Callable) -> None:
    recording = new_recording("fields-redacted")
    recording.environment["TASKLOG_REDACT"] = "password"
    with (
        recording.applied(),
        dask.config.set({"distributed.scheduler.preload": ["tasklog"]}),
        LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        client.set_metadata(["deep", "password"], "swordfish")
        client.set_metadata(["open"], {"password": "swordfish", "user": "me"})
        assert client.submit(increment, 1).result() == 2
    with sqlite3.connect(recording.log) as connection:
        told = "".join(str(row) for row in connection.execute("SELECT args, snapshot FROM event"))
    assert "set-metadata" in told and "swordfish" not in told
    done = replay(recording.log).run(f"--plugin={FIELDS}:Fields")
    assert "drift" not in done.stderr, done.stderr


def test_metadata_that_is_set_again_as_it_is_is_recorded_once(
    new_recording: Callable, replay: Callable
) -> None:
    recording = new_recording("fields-again")
    told = [
        (["x"], {"y": 1}), (["x"], {"y": True}), (["x", "y"], 1.0), (["x"], {"y": True}),
        (["z"], {"a": 1, "b": 2}), (["z"], {"b": 2, "a": 1}), (["x"], {"y": 1}),
    ]  # fmt: skip
    with (
        recording.applied(),
        dask.config.set({"distributed.scheduler.preload": ["tasklog"]}),
        LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        for keys, value in told:
            for _ in range(3):
                client.set_metadata(keys, value)
        assert client.submit(increment, 1).result() == 2
    with sqlite3.connect(recording.log) as connection:
        rows = connection.execute(
            "SELECT args FROM event WHERE args LIKE '%set-metadata%' ORDER BY seq"
        )
        found = [json.loads(args)["metadata"] for (args,) in rows]
    wanted = []
    for keys, value in told:
        for key in reversed(keys):
            value = {key: value}
        wanted.append(value)
    found = [value for value in found if not {"x", "z"}.isdisjoint(value)]
    assert [repr(value) for value in found] == [repr(value) for value in wanted]
    done = replay(recording.log).run(f"--plugin={FIELDS}:Fields")
    assert "drift" not in done.stderr, done.stderr


def test_only_what_can_be_told_exactly_is_known_again() -> None:
    from tasklog.repeating import LIMIT, Repeated

    known = Repeated()
    assert [known.is_again(("a",), 1) for _ in range(3)] == [False, True, True]
    circle: list = []
    circle.append(circle)
    for value in (object(), circle, {1, 2}, [0] * LIMIT, "x" * 10_000, {"a": other_number()}):
        assert [known.is_again(("b",), value) for _ in range(2)] == [False, False]
    assert known.is_again(("a",), 1)
    assert not known.is_again((), 1)
    assert not known.is_again(("a",), 1)


def other_number() -> object:
    """A number of another type that is equal to one."""
    return type("Number", (int,), {})(1)


def test_of_what_only_grows_the_newest_is_recorded() -> None:
    from collections import deque

    from tasklog import history

    grown = deque(range(3 * history.KEPT))
    assert history._last(grown) == list(grown)[-history.KEPT :]
    assert history._last(deque([1, 2])) == [1, 2]
