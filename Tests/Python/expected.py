"""The expected content of the exports of a log, computed in plain Python from its events."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from dask.utils import key_split

from log import Event, Log

RUNNING = {"executing", "long-running", "cancelled", "resumed"}


def nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


@dataclass
class Attempt:
    key: Any
    worker: str | None
    finish: str | None = None
    spans: list[dict] = field(default_factory=list)
    thread: int | None = None


@dataclass
class Expected:
    """A run of Dask as recorded by its scheduler and workers."""

    attempts: list[Attempt] = field(default_factory=list)
    #: Spans of work that the scheduler received: action, prefix, start, stop, worker, thread, key.
    spans: Counter = field(default_factory=Counter)
    #: How often workers started to run a task.
    executions: int = 0
    #: Ends of tasks whose args contain compute times, by key.
    computed: set = field(default_factory=set)
    in_memory: set = field(default_factory=set)
    edges: set = field(default_factory=set)
    graphs: int = 0
    erred: int = 0
    #: For each state: time and count after each change.
    states: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    given: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))


def expected(log: Log) -> Expected:
    found = Expected()
    for server in log.servers("scheduler"):
        _scheduler(found, log.events(server))
    for server in log.servers("worker"):
        for event in log.events(server):
            found.executions += (
                event.hook == "transition"
                and event.finish == "executing"
                and event.start not in RUNNING
            )
    return found


def _scheduler(found: Expected, events: Any) -> None:
    state: dict[Any, str] = {}
    counts: Counter = Counter()
    open_: dict[Any, Attempt] = {}
    loads: Counter = Counter()
    for event in events:
        _graph(found, event)
        if event.hook != "transition" or event.start == event.finish:
            continue
        key, time = event.key, event.nanoseconds
        if key in state:
            counts[state[key]] -= 1
            found.states[state[key]].append((time, counts[state[key]]))
        state[key] = event.finish
        if event.finish == "forgotten":
            del state[key]
        else:
            counts[event.finish] += 1
            found.states[event.finish].append((time, counts[event.finish]))
        found.erred += event.finish == "erred"
        if event.start == "processing":
            attempt = open_.pop(key, None)
            if attempt is not None:
                loads[attempt.worker] -= 1
                found.given[attempt.worker].append((time, loads[attempt.worker]))
            if attempt is None and event.finish in ("memory", "erred"):
                attempt = Attempt(key, event.worker)
                found.attempts.append(attempt)
            if attempt is not None:
                _end(found, attempt, event)
        if event.finish == "processing":
            attempt = open_[key] = Attempt(key, event.worker)
            found.attempts.append(attempt)
            loads[event.worker] += 1
            found.given[event.worker].append((time, loads[event.worker]))


def _end(found: Expected, attempt: Attempt, event: Event) -> None:
    attempt.finish = event.finish
    if event.finish not in ("memory", "erred"):
        return
    attempt.worker = event.kwargs.get("worker", attempt.worker)
    attempt.thread = event.kwargs.get("thread")
    attempt.spans = [dict(span) for span in event.kwargs.get("startstops") or ()]
    for span in attempt.spans:
        found.spans[
            span["action"], key_split(event.key), nanoseconds(span["start"]),
            nanoseconds(span["stop"]), attempt.worker, attempt.thread, str(event.key),
        ] += 1  # fmt: skip
        if span["action"] == "compute":
            found.computed.add(event.key)
            if event.finish == "memory":
                found.in_memory.add(event.key)


def _graph(found: Expected, event: Event) -> None:
    if event.hook == "updateGraph":
        found.graphs += 1
    if not event.snapshot or event.hook not in ("updateGraph", "stimulus"):
        return
    tasks = event.kwargs.get("tasks", ())
    for place, task in enumerate(event.snapshot.get("graph", ())):
        key = task["key"] if "key" in task else tasks[place]
        for dependency in task.get("dependencies", ()):
            found.edges.add((dependency, key))
