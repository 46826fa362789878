"""Every public field that a plugin can reach, found by inspecting the classes instead of a list.

The same plugins read it live and in a replay; each keeps what has changed since the last time. A
preload for scheduler and workers.
"""

from __future__ import annotations

import dataclasses
import json
import os
import warnings
from collections import deque
from typing import Any

from distributed import scheduler as scheduler_module
from distributed import worker_state_machine as machine
from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin
from distributed.scheduler import Scheduler

#: How an object with an identity is named when another one refers to it.
_IDENTITIES = {
    scheduler_module.TaskState: "key",
    scheduler_module.WorkerState: "address",
    scheduler_module.ClientState: "client_key",
    scheduler_module.TaskGroup: "name",
    scheduler_module.TaskPrefix: "name",
    scheduler_module.Computation: "id",
    machine.TaskState: "key",
}


def names_of(thing: Any) -> list[str]:
    """The public fields of an object: its slots, attributes and properties, without methods."""
    found = set(getattr(thing, "__dict__", ()))
    for kind in type(thing).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        found.update([slots] if isinstance(slots, str) else slots)
        found.update(kind.__dict__.get("__annotations__", ()))
        found.update(n for n, v in kind.__dict__.items() if isinstance(v, property))
    return sorted(name for name in found if not name.startswith("_"))


def plain(value: Any, depth: int = 0) -> Any:
    """A copy that does not change, in an order that does not depend on hashes."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind in _IDENTITIES:
        return f"{kind.__name__} {getattr(value, _IDENTITIES[kind])!r}"
    if depth > 8:
        return "deep"
    if isinstance(value, dict):
        if len(value) > 300:
            return [len(value), repr(list(value)[-5:])]
        items = [[plain(k, depth + 1), plain(v, depth + 1)] for k, v in value.items()]
        return {"dict": sorted(items, key=repr)}
    if isinstance(value, (set, frozenset)) or kind.__name__ in ("dict_keys", "OrderedSet"):
        return {"set": sorted((plain(item, depth + 1) for item in value), key=repr)}
    if kind.__name__ in ("HeapSet", "SortedSet"):
        return {"set": sorted((plain(item, depth + 1) for item in value), key=repr)}
    if isinstance(value, (list, tuple)) or isinstance(value, deque):
        # Of a list that only grows, the end and the length.
        items = list(value) if len(value) <= 50 else [len(value), *list(value)[-5:]]
        return [plain(item, depth + 1) for item in items]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        told = {f.name: plain(getattr(value, f.name), depth + 1) for f in dataclasses.fields(value)}
        return {kind.__name__: told}
    if kind.__name__ in ("Serialize", "Serialized", "ToPickle", "NotRecorded", "RunSpec"):
        return kind.__name__
    if isinstance(value, (Scheduler, machine.WorkerState)):
        return "the server, or its state"
    text = repr(value)
    return kind.__name__ if " at 0x" in text else f"{kind.__name__} {text}"


def _kind(thing: Any) -> str:
    """The class of Dask that it belongs to."""
    kind = next(k for k in type(thing).__mro__ if k.__module__.startswith("distributed."))
    of_worker = kind.__module__ == "distributed.worker_state_machine"
    return f"{'worker ' if of_worker else ''}{kind.__name__}"


class Changes:
    """The fields that differ from the previous time."""

    def __init__(self) -> None:
        self.looks: list[str] = []
        self.changes: list[list] = []
        self._last: dict[tuple[str, str], str] = {}

    def look(self, *things: tuple[str, Any]) -> None:
        for identity, thing in things:
            kind = _kind(thing)
            for name in names_of(thing):
                try:
                    with warnings.catch_warnings():
                        # Older versions warn about deprecated fields.
                        warnings.simplefilter("ignore")
                        text = json.dumps(plain(getattr(thing, name)))
                except Exception as error:
                    text = json.dumps(f"{type(error).__name__}")
                place = f"{kind} {identity}", name
                if self._last.get(place) != text:
                    self._last[place] = text
                    self.changes.append([len(self.looks), kind, identity, name, text])


class Fields(SchedulerPlugin):
    """Reads the scheduler and the objects of each hook, now and then all tasks."""

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler
        self.seen = Changes()

    def look(self, hook: str, key: Any = None) -> None:
        s = self.scheduler
        self.seen.looks.append(f"{hook} {key!r}")
        # The same number before it in a replay as live, also when one of them has started later.
        number = s.transition_counter
        if number > 400 and number % 10 and hook != "log_event":
            return
        things = [("", s)]
        things += [(address, ws) for address, ws in s.workers.items()]
        things += [(name, cs) for name, cs in s.clients.items()]
        things += [(str(number), c) for number, c in enumerate(s.computations)]
        keys = [key] if key in s.tasks else []
        if number % 50 == 0:
            keys = list(s.tasks)
        for each in keys:
            ts = s.tasks[each]
            things += [(repr(each), ts), (ts.prefix.name, ts.prefix), (ts.group.name, ts.group)]
        self.seen.look(*things)

    @property
    def told(self) -> Any:
        return [self.seen.looks, self.seen.changes]

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        self.look(f"transition {start} {finish}", key)

    def update_graph(self, scheduler: Any, **kwargs: Any) -> None:
        self.look("update_graph")

    def add_worker(self, scheduler: Any, worker: str) -> None:
        self.look("add_worker")

    def remove_worker(self, scheduler: Any, worker: str, **kwargs: Any) -> None:
        self.look("remove_worker")

    def add_client(self, scheduler: Any, client: str) -> None:
        self.look("add_client")

    def remove_client(self, scheduler: Any, client: str) -> None:
        self.look("remove_client")

    def restart(self, scheduler: Any) -> None:
        self.look("restart")

    def log_event(self, topic: str, msg: Any) -> None:
        if topic == "look":
            self.look("log_event")


class WorkerFields(WorkerPlugin):
    """The same on a worker."""

    name = "fields"

    def setup(self, worker: Any) -> None:
        self.worker = worker
        self.seen = Changes()

    def transition(self, key: Any, start: str, finish: str, **kwargs: Any) -> None:
        state = self.worker.state
        self.seen.looks.append(f"transition {start} {finish} {key!r}")
        number = state.transition_counter
        if number > 400 and number % 10:
            return
        keys = [key] if key in state.tasks else []
        if number % 50 == 0:
            keys = list(state.tasks)
        things = [("", self.worker), ("", state)]
        self.seen.look(*things, *((repr(each), state.tasks[each]) for each in keys))

    @property
    def told(self) -> Any:
        return [self.seen.looks, self.seen.changes]

    def teardown(self, worker: Any) -> None:
        if "FIELDS_FOLDER" not in os.environ:
            return
        path = os.path.join(os.environ["FIELDS_FOLDER"], f"worker-{worker.id}")
        with open(path, "w") as file:
            json.dump({"address": worker.address, "told": self.told}, file)


#: Those of the schedulers in this process, by the id of the scheduler.
LIVE: dict[str, Fields] = {}


async def dask_setup(server: Any) -> None:
    if isinstance(server, Scheduler):
        plugin = LIVE[server.id] = Fields(server)
        server.add_plugin(plugin, name="watching-fields")
    else:
        await server.plugin_add(WorkerFields())
