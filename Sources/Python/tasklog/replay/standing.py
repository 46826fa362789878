"""Attributes of a worker that is never started, so that plugins can be set up on it.

They replace those of a server, and add those that older versions of Dask had.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dask
from distributed.worker import Worker
from tornado.ioloop import IOLoop

#: Containers that plugins put something into.
_MAKERS: dict[Callable[[], Any], tuple[str, ...]] = {
    dict: (
        "active_threads", "bandwidth_types", "bandwidth_workers", "connection_args", "digests_max",
        "digests_total", "digests_total_since_heartbeat", "execution_state", "executors",
        "extensions", "handlers", "metrics", "periodic_callbacks",
        "profile_keys", "profile_recent", "service_specs", "services", "startup_information",
        "stream_comms", "stream_handlers", "threads",
    ),
    deque: (
        "profile_history", "profile_keys_history", "transfer_incoming_log", "transfer_outgoing_log",
    ),
    list: ("blocked_handlers", "listeners", "preloads"),
    threading.Lock: ("active_threads_lock",),
}  # fmt: skip
_ZEROS = (
    "incoming_comms_active", "incoming_comms_open", "transfer_outgoing_bytes",
    "transfer_outgoing_bytes_total", "transfer_outgoing_count", "transfer_outgoing_count_total",
)  # fmt: skip
_NOTHING = ("death_timeout", "digests", "lifetime", "lifetime_restart", "listener", "thread_id")


def stand_in(worker: Any) -> None:
    """Gives a worker the attributes of a server that does not run."""
    for make, names in _MAKERS.items():
        for name in names:
            _put(worker, name, make())
    for name in _ZEROS:
        _put(worker, name, 0)
    for name in _NOTHING:
        _put(worker, name, None)
    _put(worker, "counters", defaultdict(int))
    _put(worker, "latency", 0.001)
    loop = IOLoop.current(instance=False)
    _put(worker, "loop", loop)
    _put(worker, "io_loop", loop)
    bandwidth = dask.utils.parse_bytes(dask.config.get("distributed.scheduler.bandwidth"))
    _put(worker, "bandwidth", bandwidth)


def _put(worker: Any, name: str, value: Any) -> None:
    # What Dask's class computes stays its.
    if not isinstance(getattr(Worker, name, None), property):
        setattr(worker, name, value)


class RecordedException(Exception):
    """Stands for the exception of a task: its text, which is what the recording has of it."""


class _Errors(Mapping[str, Any]):
    """By key, what failed tasks of a worker have of one kind."""

    def __init__(self, state: Any, name: str, make: Any) -> None:
        self._state = state
        self._name = name
        self._make = make

    def __getitem__(self, key: Any) -> Any:
        text = getattr(self._state.tasks[key], self._name)
        if not text:
            raise KeyError(key)
        return self._make(text)

    def __iter__(self) -> Iterator[Any]:
        return (key for key, ts in self._state.tasks.items() if getattr(ts, self._name))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class OlderWorker:
    """What `Worker` had in older versions; used if the installed version lacks it."""

    _replay_host: Any
    state: Any

    @property
    def exceptions(self) -> Mapping[str, Any]:
        return self._older("exceptions", "exception_text", RecordedException)

    @property
    def tracebacks(self) -> Mapping[str, Any]:
        return self._older("tracebacks", "traceback_text", str)

    def _older(self, name: str, attribute: str, make: Any) -> Mapping[str, Any]:
        import distributed

        self._replay_host.notice(
            f"Worker.{name} is gone from distributed {distributed.__version__}: this replay has "
            "it, with the texts of the exceptions; on a cluster the hook that asks for it fails"
        )
        return _Errors(self.state, attribute, make)


#: What a worker in a replay is made of.
BASES: tuple[type, ...] = (Worker,) if hasattr(Worker, "exceptions") else (Worker, OlderWorker)
