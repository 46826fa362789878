"""The log contains what independent plugins were called with, event by event, arg by arg."""

from __future__ import annotations

from pathlib import Path

import beside
from clusters import Recording
from log import Event, Log

#: What the recorder records in addition to the calls of hooks.
MARKS = {
    "attach", "detach", "stimulus", "clientDesiresKeys", "clientReleasesKeys", "addReplica",
    "removeReplica", "report", "heartbeat",
    "nanny", "message", "request", "lock", "plugin", "monitor", "profile", "submission",
}  # fmt: skip


def call(event: Event) -> tuple:
    """The call of the hook that an event is, as the independent plugin keeps it."""
    args, kwargs = list(event.args), dict(event.kwargs)
    if event.hook == "transition":
        args = [event.key, event.start, event.finish, *args]
    if event.hook == "logEvent":
        args = [kwargs.pop("topic"), kwargs.pop("message")]
    if event.hook in ("addWorker", "removeWorker"):
        kwargs = {"worker": event.worker, **kwargs}
    if event.stimulus is not None:
        kwargs["stimulus_id"] = event.stimulus
    return event.hook, beside.comparable(args), sorted_names(beside.comparable(kwargs))


def sorted_names(value: tuple) -> tuple:
    """The order of keyword arguments is the caller's, except for those stored in a column."""
    return value[0], sorted(value[1], key=repr)


def rows(path: Path) -> list[tuple]:
    found = []
    for hook, args, kwargs, *_ in beside.read(path):
        kwargs = sorted_names(kwargs)
        if hook == "close":
            kwargs = ("dict", [])
        found.append((hook, args, kwargs))
    return found


def scheduler_of(log: Log) -> str:
    (server,) = log.servers("scheduler")
    return server


def test_the_log_equals_what_the_scheduler_called(recording: Recording, tasklog) -> None:
    tasklog(recording.log, "runs")
    log = Log(recording.log)
    server = scheduler_of(log)
    expected = rows(recording.folder / f"scheduler-{server}")
    calls = [call(event) for event in log.events(server) if event.hook not in MARKS]
    if "attached" in recording.folder.name:
        # The independent plugin was attached a little later.
        calls = calls[len(calls) - len(expected) :]
    if "killed-scheduler" in recording.folder.name:
        # The recorder comes first: the last event may have reached only the recorder.
        assert len(expected) <= len(calls) <= len(expected) + 1
        calls = calls[: len(expected)]
    assert len(expected) > 50
    for number, (ours, theirs) in enumerate(zip(calls, expected, strict=False)):
        assert ours == theirs, f"event {number}"
    assert len(calls) == len(expected)


def test_the_log_equals_what_the_workers_called(recording: Recording, tasklog) -> None:
    tasklog(recording.log, "runs")
    log = Log(recording.log)
    compared = 0
    for server in log.servers("worker"):
        path = recording.folder / f"worker-{server}"
        expected = beside.read(path)
        ours = [worker_row(e) for e in log.events(server) if e.hook == "transition"]
        if "killed-scheduler" in recording.folder.name:
            # The rest is in the worker's spool; see test_spools.
            assert len(ours) <= len(expected)
            expected = expected[: len(ours)]
        if "attached" in recording.folder.name:
            expected = expected[len(expected) - len(ours) :]
        for number, (mine, theirs) in enumerate(zip(ours, expected, strict=False)):
            assert mine == theirs, f"event {number} of {server}"
        assert len(ours) == len(expected)
        compared += len(ours)
    assert compared > 50


def worker_row(event: Event) -> tuple:
    facts = (event.snapshot or {}).get("task", {})
    told: dict = {}
    if event.run is not None or facts or event.finish != "forgotten":
        told["run"] = event.run
        told["state"] = facts.get("state", event.finish)
    if event.finish in ("memory", "error"):
        told["startstops"] = facts.get("startStops", [])
    if event.finish == "memory":
        told["nbytes"] = facts["nbytes"]
    if event.finish == "error":
        told["exception"], told["traceback"] = facts["exception"], facts["traceback"]
        told["texts"] = [facts["exceptionText"], facts["tracebackText"]]
    return (
        "transition",
        beside.comparable([event.key, event.start, event.finish, *event.args]),
        beside.comparable(event.kwargs),
        event.stimulus,
        beside.comparable(told),
    )


def test_a_source_has_no_holes(recording: Recording, tasklog) -> None:
    tasklog(recording.log, "runs")
    log = Log(recording.log)
    for kind in ("scheduler", "worker"):
        for server in log.servers(kind):
            numbers = [event.number for event in log.events(server)]
            assert numbers == list(range(1, len(numbers) + 1))
    assert log.rows("SELECT * FROM gap") == []
