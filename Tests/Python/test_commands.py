"""The command line on logs of Dask clusters, with the right numbers."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import beside
from clusters import Recording
from log import Log
from test_equality import scheduler_of


def lines(output: str) -> list[dict]:
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def transitions(recording: Recording) -> list[tuple]:
    """Key, start and finish of every transition of the scheduler in the independent plugin."""
    server = scheduler_of(Log(recording.log))
    return [
        tuple(value for _, value in args[1][1:3])
        for hook, args, *_ in beside.read(recording.folder / f"scheduler-{server}")
        if hook == "transition"
    ]


def test_runs_tells_how_each_ended(recording: Recording, tasklog) -> None:
    (run,) = lines(tasklog(recording.log, "runs"))
    died = "killed-scheduler" in recording.folder.name
    assert run["end"] == ("died" if died else "closed")
    assert run["engine"].startswith("dask 2")
    assert run["missing"] == 0
    log = Log(recording.log)
    assert run["events"] == log.one("SELECT count(*) FROM event")
    assert run["workers"] == len(log.servers("worker"))


def test_query_finds_every_transition(in_processes: Recording, tasklog) -> None:
    seen = Counter(transitions(in_processes))
    found = lines(tasklog(in_processes.log, "query", "--limit", "1000000", "--format", "jsonl"))
    ours = Counter((e["start"], e["finish"]) for e in found if e["source"] == "scheduler")
    assert ours == seen
    memory = lines(
        tasklog(in_processes.log, "query", "--finish", "memory", "--start", "processing",
                "--limit", "1000000", "--format", "jsonl")
    )  # fmt: skip
    assert len(memory) == seen["processing", "memory"]


def test_replayed_plugins_report_what_the_live_ones_did(recording: Recording, tasklog) -> None:
    if "attached" in recording.folder.name or "killed-scheduler" in recording.folder.name:
        counted = Counter(
            (e.start, e.finish)
            for e in Log(recording.log).events(scheduler_of(Log(recording.log)))
            if e.hook == "transition"
        )["processing", "memory"]
    else:
        server = scheduler_of(Log(recording.log))
        (close,) = [
            kwargs
            for hook, _, kwargs, *_ in beside.read(recording.folder / f"scheduler-{server}")
            if hook == "close"
        ]
        ((_, (_, counted)),) = close[1]
    told = tasklog(recording.log, "replay", "--plugin", "counter", "--plugin", "errors")
    assert f"counter: {counted}\n" in told
    assert counted > 20
    failed = 0
    for server in Log(recording.log).servers("worker"):
        for event in Log(recording.log).events(server):
            failed += event.hook == "transition" and event.finish == "error"
    assert told.count("has failed with exception") == failed


def test_the_views_tell_what_happened(in_process: Recording) -> None:
    log = Log(in_process.log)
    errors = log.rows("SELECT key, exception, traceback FROM errors")
    assert {"ValueError('not 12')", "RuntimeError('not yet')"} <= {row[1] for row in errors} | {
        "RuntimeError('not yet')"
    }
    assert all(traceback for _, _, traceback in errors)
    (tasks,) = log.rows("SELECT count(*), count(worker), count(nbytes) FROM tasks")
    assert tasks[0] > 150 and tasks[1] > 100
    spans = log.rows("SELECT action, count(*), min(duration) FROM task_durations GROUP BY action")
    assert {row[0] for row in spans} >= {"compute"} and all(row[2] >= 0 for row in spans)
    assert len(log.rows("SELECT * FROM workers")) == 2
    assert log.one("SELECT count(*) FROM stimuli") > 100


def test_a_replay_finds_nothing_missing_damaged_or_out_of_order(
    recording: Recording, tasklog
) -> None:
    told = tasklog(recording.log, "replay", "--plugin", "counter")
    for word in ("missing in", "damaged in", "replayed before"):
        assert word not in told


def test_a_log_is_private(in_process: Recording) -> None:
    assert Path(in_process.log).stat().st_mode & 0o077 == 0
