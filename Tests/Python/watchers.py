"""Plugins that run live next to the recorder, and again in replays: Dask's own, those of its
documentation, and some like those of its tests. None of them depends on a recorder.

A preload for scheduler and workers, which adds them to both.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from distributed.diagnostics import progress_stream
from distributed.diagnostics.eventstream import EventStream
from distributed.diagnostics.graph_layout import GraphLayout
from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin
from distributed.diagnostics.progress import AllProgress, GroupTiming, MultiProgress, Progress
from distributed.diagnostics.task_stream import TaskStreamPlugin
from distributed.diagnostics.websocket import WebsocketPlugin
from distributed.scheduler import CollectTaskMetaDataPlugin, Scheduler
from distributed.worker import Worker

import probe
import transfers

_counts = getattr(progress_stream, "_counts", None) or progress_stream.counts


class Counter(SchedulerPlugin):
    """The counter of Dask's documentation."""

    def __init__(self):
        self.counter = 0

    def transition(self, key, start, finish, *args, **kwargs):
        if start == "processing" and finish == "memory":
            self.counter += 1

    def restart(self, scheduler):
        self.counter = 0


class MyPlugin(SchedulerPlugin):
    """The documentation's way to look at a task's state in a transition."""

    def __init__(self, scheduler):
        self.scheduler = scheduler
        self.seen = []

    def transition(self, key, start, finish, *args, **kwargs):
        ts = self.scheduler.tasks[key]
        self.seen.append(
            [
                str(key), start, finish, ts.state, ts.priority, ts.nbytes, ts.type, ts.retries,
                ts.suspicious, ts.group.name, ts.prefix.name, dict(ts.group.states),
                sorted(w.address for w in ts.who_has or ()),
                ts.processing_on.address if ts.processing_on else None,
                sorted(str(d.key) for d in ts.dependencies),
                sorted(str(d.key) for d in ts.dependents),
                ts.exception_text,
            ]
        )  # fmt: skip


class Channel:
    """A broker in memory."""

    def __init__(self):
        self.messages = []

    def queue_declare(self, queue):
        self.queue = queue

    def basic_publish(self, exchange, routing_key, body):
        self.messages.append(json.loads(body))


class RabbitMQPlugin(SchedulerPlugin):
    """The documentation's example that sends each transition to a broker."""

    def __init__(self):
        self.channel = Channel()
        self.channel.queue_declare(queue="dask")

    def transition(self, key, start, finish, *args, **kwargs):
        message = {"key": str(key), "start": start, "finish": finish, "args": len(args)}
        for name, value in kwargs.items():
            # An object that shows its address in memory has a different text each time.
            message[name] = type(value).__name__ if " at 0x" in str(value) else str(value)
        self.channel.basic_publish(exchange="", routing_key="dask", body=json.dumps(message))


class Socket:
    def __init__(self):
        self.sent = []

    def send(self, name, message):
        self.sent.append([name, dict(message)])


def websocket(scheduler):
    return WebsocketPlugin(Socket(), scheduler)


def metadata(scheduler):
    return CollectTaskMetaDataPlugin(scheduler, "metadata")


class Everything(SchedulerPlugin):
    """Each hook with all of its arguments; hooks that can be are async."""

    def __init__(self):
        self.calls = []
        self.awaited = []

    async def start(self, scheduler):
        assert isinstance(scheduler, Scheduler)
        self.scheduler = scheduler
        self.calls.append(["start"])

    async def before_close(self):
        await asyncio.sleep(0)
        self.calls.append(["before_close"])

    async def close(self):
        self.calls.append(["close"])

    def update_graph(self, scheduler, *, keys, tasks, annotations, priority, **kwargs):
        assert scheduler is self.scheduler
        # Their kinds depend on the version.
        kind = type(annotations).__name__
        self.calls.append(["update_graph", keys, tasks, kind, dict(annotations), priority, kwargs])

    def transition(self, key, start, finish, *args, **kwargs):
        kwargs = {name: _comparable(value) for name, value in kwargs.items()}
        self.calls.append(["transition", key, start, finish, args, kwargs])

    def restart(self, scheduler):
        assert scheduler is self.scheduler and not scheduler.tasks
        self.calls.append(["restart"])

    def add_client(self, scheduler, client):
        self.calls.append(["add_client", client, sorted(scheduler.clients)])

    def remove_client(self, scheduler, client):
        self.calls.append(["remove_client", client, sorted(scheduler.clients)])

    def add_worker(self, scheduler, worker):
        self.calls.append(["add_worker", worker, sorted(scheduler.workers)])
        # An awaited call comes after what happened meanwhile: only its presence is the same.
        return self.note(worker)

    async def note(self, worker):
        self.awaited.append(worker)

    def remove_worker(self, scheduler, worker, *, stimulus_id, **kwargs):
        assert worker not in scheduler.workers
        self.calls.append(["remove_worker", worker, stimulus_id, kwargs])

    def valid_workers_downscaling(self, scheduler, workers):
        self.calls.append(["valid_workers_downscaling", [ws.address for ws in workers]])
        return workers

    def log_event(self, topic, msg):
        self.calls.append(["log_event", topic, _comparable(msg)])


def _comparable(value):
    """The content of Dask's wrappers, whichever of them it is."""
    if type(value).__name__ == "Serialize":
        return ["serialized", repr(value.data)]
    if type(value).__name__ == "Serialized":
        return ["serialized", len(value.frames)]
    if isinstance(value, dict):
        return {str(k): _comparable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_comparable(item) for item in value]
    return value


class Failing(SchedulerPlugin):
    """Fails in one hook of many; the other hooks and other plugins continue."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def transition(self, key, start, finish, *args, **kwargs):
        self.count += 1
        if finish == "erred":
            self.failed += 1
            raise ValueError(f"no {finish} please")


class Bars(SchedulerPlugin):
    """Sets a `Progress` and a `MultiProgress` up for each graph, as a client's bar does."""

    def __init__(self):
        self.bars = []

    def update_graph(self, scheduler, *, keys, **kwargs):
        if len(self.bars) >= 12 or not keys or any(k not in scheduler.tasks for k in keys):
            return
        for number, make in enumerate((Progress, MultiProgress)):
            name = f"bar-{len(self.bars)}-{number}"
            if make is Progress:
                bar = Progress(sorted(keys, key=str), scheduler, complete=True, name=name)
            else:
                bar = MultiProgress(sorted(keys, key=str), scheduler)
                bar.name = name
            self.bars.append(bar)
            try:
                # Nothing in it waits if all keys are known.
                bar.setup().send(None)
            except StopIteration:
                pass

    @property
    def states(self):
        return [[b.name, b.status, b.keys, b.all_keys, sorted(b.extra, key=str)] for b in self.bars]


class Stream(AllProgress):
    """The counts that the dashboard's stream of progress sends."""

    name = "counts"

    @property
    def counted(self):
        return _counts(self.scheduler, self)


class Probe(SchedulerPlugin):
    """Every public field that can be looked up, at each hook, as a digest for each field."""

    def __init__(self, scheduler):
        import hashlib

        self.scheduler = scheduler
        self.digests = {}
        self.rows = 0
        self._new = hashlib.sha256

    def look(self, key=None):
        self.rows += 1
        # There are so many fields that later only some of them are read.
        if self.rows > 4000 and self.rows % 20:
            return
        for name, value in probe.look(self.scheduler, key).items():
            if name not in self.digests:
                self.digests[name] = [0, self._new(b"").hexdigest()]
            entry = self.digests[name]
            entry[0] += 1
            text = f"{entry[1]} {self.rows} {value!r}"
            entry[1] = self._new(text.encode("utf-8", "backslashreplace")).hexdigest()

    def transition(self, key, start, finish, *args, **kwargs):
        self.look(key)

    def update_graph(self, scheduler, **kwargs):
        self.look()

    def add_worker(self, scheduler, worker):
        self.look()

    def remove_worker(self, scheduler, worker, **kwargs):
        self.look()

    def add_client(self, scheduler, client):
        self.look()

    def remove_client(self, scheduler, client):
        self.look()

    def restart(self, scheduler):
        self.look()


#: How to create a plugin, and the attributes that are compared.
ON_SCHEDULER = {
    "Counter": (lambda s: Counter(), ["counter"]),
    "MyPlugin": (MyPlugin, ["seen"]),
    "RabbitMQPlugin": (lambda s: RabbitMQPlugin(), ["channel.messages"]),
    "TaskStreamPlugin": (TaskStreamPlugin, ["buffer", "index"]),
    "EventStream": (EventStream, ["buffer"]),
    "AllProgress": (AllProgress, ["all", "nbytes", "state"]),
    "Stream": (Stream, ["counted"]),
    "GraphLayout": (
        GraphLayout,
        ["x", "y", "index", "index_edge", "new", "new_edges", "state_updates", "visible_updates",
         "visible_edge_updates"],
    ),
    "GroupTiming": (GroupTiming, ["nthreads", "compute", "time"]),
    "websocket": (websocket, ["socket.sent"]),
    "metadata": (metadata, ["keys", "metadata", "state"]),
    "Everything": (lambda s: Everything(), ["calls", "awaited"]),
    "Failing": (lambda s: Failing(), ["count", "failed"]),
    "Bars": (lambda s: Bars(), ["states"]),
    "Probe": (Probe, ["digests"]),
}  # fmt: skip


# On workers


class ErrorLogger(WorkerPlugin):
    """The documentation's example. `Worker.tasks` was removed in this version: it fails inside of
    Dask, which swallows it."""

    def __init__(self):
        self.errors = []

    def setup(self, worker):
        self.worker = worker

    def transition(self, key, start, finish, *args, **kwargs):
        if finish == "error":
            ts = self.worker.tasks[key]
            self.errors.append(str(ts.exception_text))


class RepairedErrorLogger(ErrorLogger):
    def transition(self, key, start, finish, *args, **kwargs):
        if finish == "error":
            ts = self.worker.state.tasks[key]
            self.errors.append([str(key), ts.exception_text, len(ts.traceback_text)])


class Notified(WorkerPlugin):
    """Keeps its arguments, as Dask's tests do."""

    def __init__(self):
        self.observed = []

    async def setup(self, worker):
        assert isinstance(worker, Worker)
        self.observed.append(["setup", worker.address, worker.name])

    async def teardown(self, worker):
        self.observed.append(["teardown", worker.address])

    def transition(self, key, start, finish, **kwargs):
        self.observed.append([key, start, finish, kwargs])


class WorkerProbe(WorkerPlugin):
    """Every public field of a worker's state and of the task, at each transition."""

    FIELDS = [
        "state", "priority", "nbytes", "run_id", "previous", "next", "coming_from", "done",
        "resource_restrictions", "annotations", "exception_text", "traceback_text", "startstops",
        "metadata",
    ]  # fmt: skip

    def setup(self, worker):
        self.worker = worker
        self.seen = []

    def transition(self, key, start, finish, **kwargs):
        state = self.worker.state
        ts = state.tasks.get(key)
        row = {
            "key": str(key), "start": start, "finish": finish, "nthreads": state.nthreads,
            "tasks": len(state.tasks), "nbytes": state.nbytes, "data": len(state.data),
            "executing": sorted(str(t.key) for t in state.executing),
            "long_running": sorted(str(t.key) for t in state.long_running),
            "waiting": sorted(str(t.key) for t in state.waiting),
            "ready": sorted(str(t.key) for t in state.ready),
            "in_flight": sorted(str(t.key) for t in state.in_flight_tasks),
            "missing": sorted(str(t.key) for t in state.missing_dep_flight),
            "stimulus": state.stimulus_log[-1].stimulus_id,
            "executed": state.executed_count, "generation": state.generation,
            "fetching": state.fetch_count, "actors": len(state.actors),
            "counted": state.transition_counter, "resources": dict(state.available_resources),
            **transfers.seen(state),
        }  # fmt: skip
        if ts is not None:
            row.update({f"task.{name}": getattr(ts, name, None) for name in self.FIELDS})
            row["task.who_has"] = sorted(ts.who_has)
            row["task.type"] = ts.type.__name__ if ts.type else None
            for name in ("dependencies", "dependents", "waiting_for_data", "waiters"):
                row[f"task.{name}"] = sorted(str(t.key) for t in getattr(ts, name))
        self.seen.append(json.loads(json.dumps(row, default=_plain)))


def _plain(value):
    return sorted(value) if isinstance(value, set) else str(value)


ON_WORKERS = {
    "ErrorLogger": (ErrorLogger, ["errors"]),
    "RepairedErrorLogger": (RepairedErrorLogger, ["errors"]),
    "Notified": (Notified, ["observed"]),
    "WorkerProbe": (WorkerProbe, ["seen"]),
}

#: Those of the schedulers in this process, by the id of the scheduler.
LIVE: dict[str, dict[str, Any]] = {}


class Keeper(WorkerPlugin):
    """Writes the results of the others: the last to be torn down."""

    name = "keeper"

    def __init__(self, plugins):
        self.plugins = plugins

    async def teardown(self, worker):
        from tasklog.replay import results

        found = {
            f"{name}.{path}": results.text(look_up(self.plugins[name], path))
            for name, (_, paths) in ON_WORKERS.items()
            for path in paths
        }
        path = os.path.join(os.environ["WATCHERS_FOLDER"], f"worker-{worker.id}")
        with open(path, "w") as file:
            json.dump({"address": worker.address, "results": found}, file)


def look_up(plugin, path):
    for name in path.split("."):
        plugin = getattr(plugin, name)
    return plugin


async def dask_setup(server):
    if isinstance(server, Scheduler):
        plugins = LIVE[server.id] = {}
        for name, (make, _) in ON_SCHEDULER.items():
            plugin = plugins[name] = make(server)
            if plugin not in server.plugins.values():
                server.add_plugin(plugin, name=f"watching-{name}")
        return
    plugins = {name: make() for name, (make, _) in ON_WORKERS.items()}
    for name, plugin in plugins.items():
        await server.plugin_add(plugin, name=f"watching-{name}")
    await server.plugin_add(Keeper(plugins))
