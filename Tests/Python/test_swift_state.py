"""The state that Swift rebuilds from a Dask log: a Swift plugin sees in a replay what a Python
plugin saw live, field by field."""

from __future__ import annotations

import fcntl
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster

import beside
import workloads
from clusters import Recording
from documents import PLUGIN_CATALOG
from log import Log
from probe import plain

HERE = Path(__file__).resolve().parent

#: What is compared, under the names of `probe.py`. The other fields of `probe.py` have no
#: counterpart in Swift.
SCHEDULER = [
    "scheduler.total_nthreads", "scheduler.transition_counter", "workers", "clients", "tasks",
    "groups", "prefixes", "unrunnable", "queued",
]  # fmt: skip
WORKER = [
    "nbytes", "nthreads", "memory_limit", "name", "pid", "status", "server_id", "has_what",
    "processing", "long_running",
]  # fmt: skip
TASK = [
    "task.state", "task.priority", "task.nbytes", "task.type", "task.retries", "task.suspicious",
    "task.run_id", "task.has_lost_dependencies", "task.exception_text", "task.traceback_text",
    "task.annotations", "task.loose_restrictions", "task.worker_restrictions",
    "task.resource_restrictions", "task.erred_on", "task.dependencies", "task.dependents",
    "task.waiting_on", "task.waiters", "task.who_has", "task.who_wants", "task.processing_on",
    "task.exception_blame", "task.has_run_spec",
    "prefix.name", "prefix.suspicious", "prefix.states", "prefix._all_durations_us",
    "group.name", "group.states", "group.nbytes_total", "group._all_durations_us",
    "group.dependencies",
]  # fmt: skip
KEYS = {"unrunnable", "queued", "has_what", "processing", "long_running"} | {
    f"task.{name}" for name in ("dependencies", "dependents", "waiting_on", "waiters")
}


def rebuilt(path: Path, log: Log) -> list[tuple[str, Any, dict[str, Any]]]:
    """The records of the Swift probe, in the form of `probe.look`."""
    rows = []
    for line in path.read_text().splitlines():
        told = log.decoder.loads(line)
        hook, key = told.pop("hook"), told.pop("key")
        rows.append((hook, key, {name: in_form(name, value) for name, value in told.items()}))
    return rows


def in_form(name: str, value: Any) -> Any:
    field = name.rsplit(".", 1)[-1] if name.startswith("worker ") else name
    if field in KEYS:
        return sorted(repr(key) for key in value)
    if field == "task.exception_blame":
        return None if value is None else repr(value)
    if isinstance(value, list) and field != "task.priority":
        return sorted(value)
    return plain(value)


def same(name: str, live: Any, found: Any) -> bool:
    field = name.rsplit(".", 1)[-1]
    # Python represents "nothing" in several ways.
    if not live and not found and live not in (0, False) and found not in (0, False):
        return True
    if name == "task.run_id":
        # 0 before the first run, and Dask counts from 0.
        return (live or 0) == found
    if field == "states":
        # A removed group takes its forgotten tasks out of Dask's prefix.
        left = {"forgotten"} if name.startswith("prefix") else set()
        return states(live, left) == states(found, left)
    if field == "_all_durations_us":
        # Dask rounds each span to a microsecond.
        ours, theirs = dict(found), dict(live)
        return ours.keys() == theirs.keys() and all(
            abs(ours[action] - theirs[action]) <= 500 for action in ours
        )
    if field == "dependencies" and name.startswith("group"):
        return sorted(live) == sorted(found)
    return plain(live) == plain(found)


def states(pairs: Any, left: set[str]) -> dict[str, int]:
    return {state: count for state, count in pairs if count and state not in left}


def wanted(name: str) -> bool:
    if name.startswith("worker "):
        return name.rsplit(".", 1)[-1] in WORKER
    return name in SCHEDULER or name in TASK


def test_a_swift_plugin_sees_what_a_python_plugin_saw_live(
    recording: Recording, tasklog: Callable, tmp_path: Path
) -> None:
    out = tmp_path / "swift.jsonl"
    printed = tasklog(
        recording.log, "replay", "--plugin", HERE / "SchedulerProbe.swift", "--option", f"out={out}"
    )
    assert "mismatchCount: 0" in printed, printed
    log = Log(recording.log)
    (server,) = log.servers("scheduler")
    live = [r for r in beside.read(recording.folder / f"scheduler-{server}") if r[0] != "start"]
    found = rebuilt(out, log)
    if "attached" in recording.folder.name:
        # The independent plugin was attached a little later.
        found = found[len(found) - len(live) :]
    different: dict[str, list] = {}
    compared = 0
    # Older versions add a graph's tasks, let others run, and only then call the hook.
    is_late = not any("stimulus_id" in str(row[2]) for row in live if row[0] == "updateGraph")
    pairs = zip(found, live, strict=False)
    for number, ((hook, key, ours), (live_hook, _, _, theirs)) in enumerate(pairs):
        assert hook == live_hook, number
        names = {name for name in theirs if wanted(name)}
        # Fields that a version does not have are not compared.
        assert names <= ours.keys(), (number, hook, names - ours.keys())
        for name in names:
            if hook == "logEvent" and is_late and name in ("tasks", "groups", "prefixes"):
                continue
            compared += 1
            if not same(name, theirs[name], ours[name]):
                where = (number, hook, key, theirs[name], ours[name])
                kind = name.rsplit(".", 1)[-1] if name.startswith("worker ") else name
                different.setdefault(kind, []).append(where)
    assert compared > 1000
    assert len(found) >= len(live) - 1
    assert {name: (len(rows), rows[:2]) for name, rows in different.items()} == {}


#: What is compared of a worker's task, under the names of `probe.look_worker`.
WORKER_TASK = [
    "tasks", "state", "previous", "priority", "nbytes", "coming_from", "exception_text", "run_id",
    "annotations", "resource_restrictions", "dependencies", "dependents", "waiting_for_data",
    "waiters", "who_has", "startstops",
]  # fmt: skip
WORKER_KEYS = {"tasks", "dependencies", "dependents", "waiting_for_data", "waiters"}


def test_a_swift_plugin_sees_of_workers_what_a_python_plugin_saw_live(
    recording: Recording, tasklog: Callable, tmp_path: Path
) -> None:
    printed = tasklog(
        recording.log,
        "replay",
        "--plugin",
        HERE / "WorkerProbe.swift",
        "--option",
        f"out={tmp_path}",
    )
    log = Log(recording.log)
    different: dict[str, list] = {}
    compared = 0
    for server in log.servers("worker"):
        live = beside.read(recording.folder / f"look-{server}")
        found = [log.decoder.loads(line) for line in (tmp_path / server).read_text().splitlines()]
        if "attached" in recording.folder.name:
            # The recorder was attached later; the state that it found is incomplete.
            live = live[len(live) - len(found) :]
        pairs = zip(found, live, strict=False)
        for number, (ours, (key, start, finish, theirs)) in enumerate(pairs):
            assert (ours["key"], ours["start"], ours["finish"]) == (key, start, finish), number
            for name in theirs.keys() & set(WORKER_TASK):
                mine = ours.get(name)
                if name in WORKER_KEYS:
                    # Swift forgets a task after its plugins were called, Dask before.
                    gone = key if name == "tasks" and finish == "forgotten" else None
                    mine = sorted(repr(k) for k in mine or () if k != gone)
                if name == "priority" and theirs[name]:
                    # Dask's worker adds a number.
                    theirs[name] = theirs[name][: len(mine)]
                if name == "startstops" and finish not in ("memory", "released", "forgotten"):
                    # Known when it is done: `UnknownFact.spans`.
                    continue
                compared += 1
                if not same(name, theirs[name], plain(mine) if name != "startstops" else mine):
                    where = (number, key, start, finish, theirs[name], mine)
                    different.setdefault(name, []).append(where)
    assert compared > 500 or "killed-scheduler" in recording.folder.name
    assert {name: (len(rows), rows[:3]) for name, rows in different.items()} == {}, printed


def test_the_documented_counter_gives_the_live_count(
    recording: Recording, tasklog: Callable, tmp_path: Path
) -> None:
    """`Counter.swift` as the article WriteAPlugin has it."""
    source = (HERE / "Counter.swift").read_text()
    assert f"```swift\n{source}```" in (PLUGIN_CATALOG / "WriteAPlugin.md").read_text()
    if "killed-scheduler" in recording.folder.name or "attached" in recording.folder.name:
        pytest.skip("the plugin beside has another beginning or no end")
    printed = tasklog(recording.log, "replay", "--plugin", HERE / "Counter.swift")
    log = Log(recording.log)
    (server,) = log.servers("scheduler")
    rows = beside.read(recording.folder / f"scheduler-{server}")
    (counted,) = [dict(row[2][1])[("str", "counter")] for row in rows if row[0] == "close"]
    assert f"counter: {counted[1]}\n" in printed, printed


#: Reads everything that can be looked up of a task and of the scheduler, and sums it up.
LOOKING = """
import TaskLogPlugin

final class Looking: SchedulerPlugin, Checkpointing {
  private var scheduler: Scheduler?
  var sum: UInt64 = 0
  var last = ""

  func start(scheduler: Scheduler) { self.scheduler = scheduler }

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    guard let state = scheduler?.state, let task = state.tasks[key] else { return }
    let links = [task.dependencies, task.dependents, task.waitingOn, task.waiters]
      .map { $0.map { $0.key.text } }
    let workers = state.workers.values
      .map { "\\($0.address) \\($0.nbytes) \\($0.processing.count)" }
    last = "\\(task.state) \\(String(describing: task.priority?.values)) \\(links)"
      + " \\(task.taskRunID)"
      + " \\(task.whoHas.map(\\.address)) \\(task.whoWants.map(\\.id)) \\(task.nbytes ?? -1)"
      + " \\(task.typeName ?? "") \\(task.exceptionText ?? "") \\(task.retries) \\(task.suspicious)"
      + " \\(task.group.size) \\(task.group.count) \\(task.group.nbytesTotal)"
      + " \\(task.prefix.allDurations.map { $0.value }) \\(workers) \\(state.tasks.count)"
      + " \\(state.groups.count) \\(state.transitionCounter) \\(state.taskCount(.memory))"
    for byte in last.utf8 { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01B3 }
  }

  func report() -> Value { .object(["sum": .string("\\(sum)"), "last": .string(last)]) }
  func checkpoint() -> Value { report() }
  func restore(_ checkpoint: Value) throws {
    guard let text = checkpoint["sum"]?.string, let sum = UInt64(text) else {
      throw CheckpointError.unknown
    }
    self.sum = sum
    last = checkpoint["last"]?.string ?? ""
  }
}
"""


def test_a_log_that_has_grown_is_replayed_from_its_checkpoint(
    new_recording: Callable, tasklog: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same result as all of it, on the scheduler and on each worker."""
    recording = new_recording("long")
    with (
        recording.applied(),
        LocalCluster(n_workers=2, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        for _ in range(3):
            client.gather(client.map(workloads.increment, range(1000), pure=False))
            workloads.errors(client, str(recording.folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    log = tmp_path / "growing.db"
    looking = tmp_path / "Looking.swift"
    looking.write_text(LOOKING)
    plugins = ["--plugin=counter", "--plugin=errors", f"--plugin={looking}"]

    def replayed(*arguments: str) -> tuple[list[str], int]:
        printed = tasklog(log, "replay", *plugins, *arguments)
        before = re.search(r", (\d+) of them in an earlier replay", printed)
        return printed.split("\n\n")[:-1], int(before[1]) if before else 0

    with sqlite3.connect(recording.log) as whole:
        last, count = whole.execute("SELECT max(seq), count(*) FROM event").fetchone()
        run = whole.execute("SELECT uuid FROM run").fetchone()[0]
    # As long as its lock is held a run is live.
    folder = tmp_path / "growing.db.spool" / run
    folder.mkdir(parents=True)
    lock = (folder / "lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    starts = []
    for share in (0.5, 0.7, 0.9, 1):
        end = int(last * share)
        shutil.copyfile(recording.log, log)
        with sqlite3.connect(log) as part:
            part.execute("DELETE FROM event WHERE seq > ?", [end])
            part.execute(
                "UPDATE run SET last_seq = ?1, events = (SELECT count(*) FROM event), end = NULL,"
                " ended = NULL",
                [end],
            )
        report, before = replayed("--checkpoint-every=5000")
        assert report == replayed("--no-checkpoint")[0]
        starts.append(before)
    assert starts[0] == 0
    # Late events may have made the last ones unusable.
    assert all(0 < start < count for start in starts[1:]), (starts, count)
