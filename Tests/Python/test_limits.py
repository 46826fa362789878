"""Filters, redaction and truncation apply on the scheduler and on the workers, are counted, and do
not appear as lost events."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client, LocalCluster

import tasklog as package
import workloads
from clusters import wait_for
from log import Log
from replaying import Replay
from tasklog.decoding import Opaque
from tasklog.encoding import HOOKS
from tasklog.filtering import Filter
from tasklog.options import Options

LOOKER = """
from distributed.diagnostics.plugin import SchedulerPlugin


class Looker(SchedulerPlugin):
    async def start(self, scheduler):
        self.scheduler, self.seen = scheduler, 0

    def transition(self, key, start, finish, *args, **kwargs):
        self.seen += len(self.scheduler.tasks)
"""


def record(log: Path, processes: bool = False, **options: Any) -> None:
    options.setdefault("worker_spool", str(log.parent / "spool"))
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=processes, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(package.Recorder(log, **options))
        squares = client.map(workloads.increment, range(30), key="square")
        total = client.submit(sum, squares, key="total")
        assert total.result() == sum(range(1, 31))
        client.log_event("logins", {"user": "ada", "note": "x" * 20_000, "rows": list(range(9000))})


def hooks(log: Log, kind: str) -> dict[str, int]:
    return dict(log.rows("SELECT hook, count(*) FROM events WHERE source = ? GROUP BY hook", kind))


def excluded(log: Log, kind: str) -> dict[str, int]:
    sums: dict[str, int] = {}
    for (args,) in log.rows("SELECT args FROM events WHERE hook = 'excluded' AND source = ?", kind):
        told = json.loads(args)
        assert told["events"] == sum(told["hooks"].values())
        for hook, count in told["hooks"].items():
            sums[hook] = sums.get(hook, 0) + count
    return sums


def assert_no_loss(log: Path, tasklog: Callable[..., str]) -> None:
    assert Log(log).rows("SELECT * FROM gap") == []
    findings = [
        json.loads(line)
        for line in tasklog(log, "check", "--format", "jsonl").splitlines()
        if line.startswith("{")
    ]
    assert [finding["finding"] for finding in findings] == ["filtered"]


@pytest.mark.parametrize("processes", [False, True])
def test_hooks_are_left_out_and_counted(
    tmp_path: Path, tasklog: Callable[..., str], processes: bool
) -> None:
    log = tmp_path / "run.db"
    record(log, processes, exclude_hooks="stimulus, log_event")
    found = Log(log)
    for kind in ("scheduler", "worker"):
        assert not {"stimulus", "logEvent"} & set(hooks(found, kind))
        assert hooks(found, kind)["transition"] > 60
    assert excluded(found, "scheduler")["logEvent"] > 0
    assert excluded(found, "worker")["stimulus"] > 30
    assert_no_loss(log, tasklog)
    kinds = tasklog(log, "inspect", "--table", "reduced", "--format", "jsonl")
    counted = {
        (row["source"], row["hook"]): row["excluded"] for row in map(json.loads, kinds.splitlines())
    }
    assert counted["worker", "stimulus"] == excluded(found, "worker")["stimulus"]
    limits = tasklog(log, "inspect", "--table", "limits", "--format", "jsonl")
    assert json.loads(limits) == {
        "run": 1,
        "option": "excludeHooks",
        "value": "stimulus, log_event",
    }


def test_keys_are_left_out_and_counted(tmp_path: Path, tasklog: Callable[..., str]) -> None:
    log = tmp_path / "run.db"
    record(log, exclude_keys=["square*"])
    found = Log(log)
    keys = {row[0] for row in found.rows("SELECT DISTINCT key FROM events WHERE key IS NOT NULL")}
    assert "total" in keys and not any(key.startswith("square") for key in keys)
    assert excluded(found, "scheduler")["transition"] >= 90
    assert excluded(found, "worker")["transition"] >= 90
    assert_no_loss(log, tasklog)
    told = tasklog(log, "replay", "--plugin", "counter")
    assert "recorded with a filter (excludeKeys square*)" in told
    # A plugin that reads the state of Dask's own scheduler, rebuilt without those tasks.
    (tmp_path / "looker.py").write_text(LOOKER)
    replayed = Replay(tasklog.program, log).run(f"--plugin={tmp_path / 'looker.py'}:Looker")
    assert replayed.returncode == 3 and "drift: " in replayed.stderr, replayed.stderr
    assert "recorded with a filter (excludeKeys square*)" in replayed.stderr
    assert "recorded with a filter" in tasklog(log, "query", "--limit", "1")


@pytest.mark.parametrize("kind", ["scheduler", "worker"])
def test_sources_are_left_out_and_counted(
    tmp_path: Path, tasklog: Callable[..., str], kind: str
) -> None:
    log = tmp_path / "run.db"
    record(log, exclude_sources=kind)
    found = Log(log)
    assert set(hooks(found, kind)) <= {"attach", "detach", "excluded"}
    other = "worker" if kind == "scheduler" else "scheduler"
    assert hooks(found, other)["transition"] > 60
    assert excluded(found, kind)["transition"] > 60
    assert_no_loss(log, tasklog)


def test_only_what_is_included_is_there(tmp_path: Path, tasklog: Callable[..., str]) -> None:
    log = tmp_path / "run.db"
    with dask.config.set({"tasklog.include-hooks": ["transition"]}):
        record(log, include_keys="total")
    found = Log(log)
    assert set(hooks(found, "scheduler")) == {"attach", "transition", "excluded"}
    assert found.rows("SELECT DISTINCT key FROM events WHERE key IS NOT NULL") == [("total",)]
    assert_no_loss(log, tasklog)


def test_args_are_cut_to_their_head(tmp_path: Path, tasklog: Callable[..., str]) -> None:
    log = tmp_path / "run.db"
    record(log, max_args_bytes="4kiB", max_value_bytes="8kiB", redact="user")
    found = Log(log)
    (event,) = (
        event
        for server in found.servers("scheduler")
        for event in found.events(server)
        if event.hook == "logEvent" and event.kwargs["topic"] == "logins"
    )
    message = event.kwargs["message"]
    assert isinstance(message, Opaque) and message.reason == "capped"
    assert message.head["user"] == Opaque("redacted")
    # The single value was truncated in Python, the args as a whole in the library.
    assert message.head["note"].bytes == 20_000
    assert message.head["note"].head == "x" * 1024
    assert "rows" not in message.head
    assert message.bytes > 20_000
    kinds = tasklog(log, "inspect", "--table", "reduced", "--format", "jsonl")
    rows = {(row["source"], row["hook"]): row for row in map(json.loads, kinds.splitlines())}
    row = rows["scheduler", "logEvent"]
    assert row["capped"] == row["redacted"] == 1


# Options


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    yield monkeypatch


def test_limits_come_from_arguments_environment_and_config(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("TASKLOG_EXCLUDE_HOOKS", "stimulus, add_*")
    environment.setenv("TASKLOG_EXCLUDE_KEYS", "('x', 1);load-*")
    environment.setenv("TASKLOG_MAX_ARGS_BYTES", "64 kiB")
    with dask.config.set({"tasklog.include-sources": ["scheduler"], "tasklog.exclude-keys": "no"}):
        options = Options.read({"exclude_sources": "worker-1; worker-2"})
    assert options.problems == []
    assert options.max_args_bytes == 65_536
    assert options.filter == {
        "include_hooks": [], "exclude_hooks": ["stimulus", "add_*"],
        "include_keys": [], "exclude_keys": ["('x', 1)", "load-*"],
        "include_sources": ["scheduler"], "exclude_sources": ["worker-1", "worker-2"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("exclude_hooks", "transtion", "'transtion' matches no hook; the hooks are start"),
        ("include_keys", [1], "expected patterns"),
        ("max_args_bytes", "7 apples", ""),
        ("max_args_bytes", 3, "expected a size from 1 kiB"),
    ],
)
def test_a_limit_that_cannot_be_is_told_and_not_used(name: str, value: Any, words: str) -> None:
    options = Options.read({name: value})
    assert getattr(options, name) == getattr(Options(), name)
    (problem,) = options.problems
    assert problem.startswith(f"the option '{name}' is {value!r}: ") and words in problem


@pytest.mark.parametrize(
    ("rules", "hook", "key", "is_in"),
    [
        ({"exclude_hooks": ["add_*"]}, "addWorker", None, False),
        ({"include_hooks": ["TRANSITION"]}, "transition", "x", True),
        ({"include_hooks": ["transition"]}, "stimulus", "x", False),
        ({"include_hooks": ["transition"]}, "report", None, True),
        ({"include_keys": ["x*"]}, "stimulus", None, True),
        ({"include_keys": ["x*"]}, "stimulus", "X", False),
        ({"exclude_keys": ["('x', ?)"]}, "transition", ("x", 1), False),
        ({"exclude_keys": ["('x', ?)"]}, "transition", ("x", 10), True),
        ({"exclude_sources": ["*"]}, "transition", "x", False),
        ({"exclude_sources": ["scheduler"]}, "transition", "x", True),
    ],
)
def test_a_filter_of_a_worker(rules: dict, hook: str, key: Any, is_in: bool) -> None:
    everything = {name: [] for name in Options().filter}
    assert Filter.of(everything, ["worker"]) is None
    made = Filter.of({**everything, **rules}, ["worker", "tcp://w"])
    assert made is not None and hook in HOOKS
    assert made.admits(hook, key) == is_in


# Pruning


def test_stories_of_failed_tasks_can_be_kept(tmp_path: Path, tasklog: Callable[..., str]) -> None:
    log = tmp_path / "run.db"
    for _ in range(2):
        with (
            LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster,
            Client(cluster) as client,
        ):
            client.register_plugin(package.Recorder(log, worker_spool=tmp_path / "spool"))
            good = client.map(workloads.increment, range(200), key="good")
            needed = client.submit(workloads.increment, 3332, key="needed")
            failing = client.submit(workloads.fail, needed, key="failing")
            harmed = client.submit(workloads.increment, failing, key="harmed")
            assert sum(client.gather(good)) == sum(range(1, 201))
            assert harmed.exception() is not None
    before, size = Log(log).one("SELECT count(*) FROM event"), log.stat().st_size
    tasklog(log, "prune", "--keep-runs", "1", "--keep-failures")
    found = Log(log)
    kept = found.rows("SELECT DISTINCT key FROM events WHERE run = 1 AND key IS NOT NULL")
    assert {key for (key,) in kept} == {"needed", "failing", "harmed"}
    assert found.one("SELECT sum(count) FROM gaps WHERE reason = 'pruned' AND run = 1") > 1000
    assert found.one("SELECT count(*) FROM events WHERE run = 2") > before / 3
    assert log.stat().st_size < size * 0.8
    errors = tasklog(log, "errors", "--run", "#1", "--table", "errors", "--format", "jsonl")
    assert '"failing"' in errors and "were pruned; the results cover the rest" in errors
    tasklog(log, "check", "--strict")
    tasklog(log, "prune", "--older-than", "0s")
    assert Log(log).one("SELECT count(*) FROM event") == 0
    tasklog(log, "check", "--strict")


# One file after the other


def test_a_run_goes_on_in_other_files(tmp_path: Path, tasklog: Callable[..., str]) -> None:
    template = tmp_path / "logs" / "{run}.db"
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        recorder = package.Recorder(
            template, rotate_size="64 kiB", sync_seconds=0.1, worker_spool=tmp_path / "spool"
        )
        client.register_plugin(recorder)
        wait_for(lambda: _more(client) and len(list(template.parent.glob("*.db"))) > 2, "files")
    files = sorted(template.parent.glob("*.db"))
    assert len({file.name[:36] for file in files}) == 1
    tasklog(template, "check")
    merged = tmp_path / "whole.db"
    subprocess.run([tasklog.program, "merge", template, "--into", merged], check=True)
    log = Log(merged)
    assert log.rows("SELECT * FROM gap") == []
    assert log.rows("SELECT end FROM run") == [("closed",)]
    for server in log.servers("scheduler") + log.servers("worker"):
        numbers = [event.number for event in log.events(server)]
        assert numbers == list(range(1, len(numbers) + 1))
    tasklog(merged, "check", "--strict")
    tasklog(template, "prune", "--keep-runs", "0")
    assert list(template.parent.iterdir()) == []


def _more(client: Client) -> bool:
    return len(client.gather(client.map(workloads.increment, range(50), pure=False))) == 50
