"""Independent plugins on scheduler and workers, which the recorder is compared with.

They keep what their hooks are called with, in a separate format that makes the same distinctions
as the log, and write each row out at once, so that a SIGKILL loses at most the row in its write.

A preload for `dask scheduler` and `dask worker`: rows go to files in ``BESIDE_FOLDER``.
"""

from __future__ import annotations

import os
import pickle
from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin
from distributed.diagnostics.task_stream import TaskStreamPlugin

import probe


def comparable(value: Any) -> Any:
    """Converts a value so that only the same value is equal: 1, 1.0, True differ; NaN is itself."""
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return (kind.__name__, value)
    if kind is float:
        return ("float", value.hex())
    if kind in (bytes, memoryview):
        return ("bytes", bytes(value))
    if kind is bytearray:
        return ("bytearray", bytes(value))
    if kind in (list, tuple):
        return (kind.__name__, [comparable(item) for item in value])
    if kind in (set, frozenset):
        return (kind.__name__, sorted((comparable(item) for item in value), key=repr))
    if isinstance(value, dict):
        return ("dict", [(comparable(k), comparable(v)) for k, v in value.items()])
    if kind.__name__ == "Serialized":
        return ("Serialized", comparable(value.header), [bytes(frame) for frame in value.frames])
    if kind.__name__ == "Serialize":
        return ("Serialize", comparable(value.data))
    if kind.__name__ == "WorkerState":
        return ("WorkerState", value.address)
    if kind.__name__ == "PythonObject" and value.type.endswith("WorkerState"):
        return ("WorkerState", value.state)
    if kind.__module__ == "numpy":
        return ("numpy", str(value.dtype), value.tobytes())
    return (kind.__name__, repr(value))


class Rows:
    """Rows in a file, each written out before its hook returns."""

    def __init__(self, name: str) -> None:
        path = os.path.join(os.environ["BESIDE_FOLDER"], name)
        self._file = open(path, "ab", buffering=0)

    def add(self, *row: Any) -> None:
        self._file.write(pickle.dumps(row))


def read(path: Any) -> list[tuple]:
    """Reads the rows of a file. A last row that SIGKILL cut in its write is left out."""
    rows = []
    with open(path, "rb") as file:
        while True:
            try:
                rows.append(pickle.load(file))
            except EOFError:
                return rows
            except pickle.UnpicklingError:
                if file.read(1):
                    raise
                return rows


class Counter(SchedulerPlugin):
    """The counter of Dask's documentation."""

    name = "documented-counter"

    def __init__(self) -> None:
        self.counter = 0

    def transition(self, key, start, finish, *args, **kwargs):  # type: ignore[no-untyped-def]
        if start == "processing" and finish == "memory":
            self.counter += 1

    def restart(self, scheduler):  # type: ignore[no-untyped-def]
        self.counter = 0


class Beside(SchedulerPlugin):
    """Keeps every hook with its args, and the state that can be looked up at that moment."""

    name = "beside"

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler
        self.rows = Rows(f"scheduler-{scheduler.id}")
        self.counter = Counter()

    def row(self, hook: str, key: Any, args: tuple, kwargs: dict) -> None:
        looked = probe.look(self.scheduler, key)
        self.rows.add(hook, comparable(list(args)), comparable(kwargs), looked)

    async def start(self, scheduler: Any) -> None:
        self.row("start", None, (), {})

    async def before_close(self) -> None:
        self.row("beforeClose", None, (), {})

    async def close(self) -> None:
        self.row("close", None, (), {"counter": self.counter.counter})

    def update_graph(self, scheduler: Any, **kwargs: Any) -> None:
        self.row("updateGraph", None, (), kwargs)

    def restart(self, scheduler: Any) -> None:
        self.counter.restart(scheduler)
        self.row("restart", None, (), {})

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        self.counter.transition(key, start, finish, *args, **kwargs)
        self.row("transition", key, (key, start, finish, *args), kwargs)

    def add_worker(self, scheduler: Any, worker: str) -> None:
        self.row("addWorker", None, (), {"worker": worker})

    def remove_worker(self, scheduler: Any, worker: str, **kwargs: Any) -> None:
        self.row("removeWorker", None, (), {"worker": worker, **kwargs})

    def add_client(self, scheduler: Any, client: str) -> None:
        self.row("addClient", None, (), {"client": client})

    def remove_client(self, scheduler: Any, client: str) -> None:
        self.row("removeClient", None, (), {"client": client})

    def valid_workers_downscaling(self, scheduler: Any, workers: list) -> list:
        addresses = [ws.address for ws in workers]
        self.row("validWorkersDownscaling", None, (), {"workers": addresses})
        return workers

    def log_event(self, topic: str, msg: Any) -> None:
        self.row("logEvent", None, (topic, msg), {})


class Stream(TaskStreamPlugin):
    """Dask's own task stream: keeps its records, and at the end its rectangles."""

    name = "task-stream-beside"

    def __init__(self, scheduler: Any) -> None:
        super().__init__(scheduler, maxlen=10**6)
        self.rows = Rows(f"stream-{scheduler.id}")

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        before = self.index
        super().transition(key, start, finish, *args, **kwargs)
        if self.index > before:
            left_out = ("exception", "traceback")
            record = {n: v for n, v in self.buffer[-1].items() if n not in left_out}
            self.rows.add("record", record)

    async def close(self) -> None:
        self.rows.add("rectangles", self.rectangles(0))


class BesideWorker(WorkerPlugin):
    """Keeps every transition of a worker, and the task at that moment."""

    name = "beside-worker"

    def setup(self, worker: Any) -> None:
        self.state = worker.state
        self.rows = Rows(f"worker-{worker.id}")

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        ts = self.state.tasks.get(key)
        log = self.state.stimulus_log
        told: dict[str, Any] = {}
        if ts is not None:
            told["run"] = ts.run_id if ts.run_id >= 0 else None
            told["state"] = ts.state
            if finish in ("memory", "error"):
                told["startstops"] = [dict(span) for span in ts.startstops]
            if finish == "memory":
                told["nbytes"] = ts.nbytes
            if finish == "error":
                told["exception"], told["traceback"] = ts.exception, ts.traceback
                told["texts"] = [ts.exception_text, ts.traceback_text]
        self.rows.add(
            "transition",
            comparable([key, start, finish, *args]),
            comparable(kwargs),
            log[-1].stimulus_id if log else None,
            comparable(told),
        )


class LookWorker(WorkerPlugin):
    """Keeps the state of a worker that can be looked up at each of its transitions."""

    name = "look-worker"

    def setup(self, worker: Any) -> None:
        self.state = worker.state
        self.rows = Rows(f"look-{worker.id}")

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        self.rows.add(key, start, finish, probe.look_worker(self.state, key))


def attach(dask_scheduler: Any) -> None:
    """Adds the plugins to a scheduler, after the recorder."""
    dask_scheduler.add_plugin(Beside(dask_scheduler))
    dask_scheduler.add_plugin(Stream(dask_scheduler))


async def dask_setup(server: Any) -> None:
    if hasattr(server, "transition_log"):
        attach(server)
    else:
        await server.plugin_add(BesideWorker())
        await server.plugin_add(LookWorker())
