"""Worker plugins see in a replay what they saw live, where data moves between workers and to disk:
nothing of a replay depends on hashes or chance. Run with every version of Dask."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

import feeding
import watched
from log import Log
from replaying import WATCHERS
from watched import Watched


@pytest.fixture(scope="module", params=[False, True], ids=["threads", "processes"])
def moving(request: pytest.FixtureRequest, new_recording: Callable) -> Watched:
    return watched.moving(new_recording("moving"), processes=request.param)


def test_worker_plugins_see_where_data_came_from(moving: Watched, replay: Callable) -> None:
    wanted = [("WorkerProbe", "seen"), ("Notified", "observed"), ("RepairedErrorLogger", "errors")]
    # It is an error if any of it did not fit the recording.
    lines = replay(moving.log).results([name for name, _ in wanted], wanted)
    assert len(moving.workers) == 4
    for (name, path), line in zip(wanted, lines, strict=True):
        replayed = json.loads(line)
        for address, live in moving.workers.items():
            same(json.loads(live[f"{name}.{path}"]), replayed[address], f"{name} on {address}")


def test_a_run_that_is_followed_can_pause_anywhere(moving: Watched) -> None:
    about = {
        "log": str(moving.log),
        "plugins": [(f"{WATCHERS}:WorkerProbe", {})],
        "results": [[f"{WATCHERS}:WorkerProbe", "seen"]],
        "pauses": True,
    }
    done = subprocess.run(
        [sys.executable, feeding.__file__, json.dumps(about)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["drift"] == {}
    replayed = json.loads(told["results"][0])
    for address, live in moving.workers.items():
        same(json.loads(live["WorkerProbe.seen"]), replayed[address], address)


def same(live: list, replayed: list, where: str) -> None:
    """Names the differences: whole rows would be too long to read."""
    for number, (ours, theirs) in enumerate(zip(live, replayed, strict=False)):
        if isinstance(ours, dict):
            fields = [name for name in ours if ours[name] != theirs.get(name)]
            told = {name: (ours[name], theirs.get(name)) for name in fields}
            assert not told, f"{where}, row {number}: {told}"
        assert ours == theirs, f"{where}, row {number}"
    assert len(live) == len(replayed), where


def test_the_recordings_hold_what_is_hard_to_replay(moving: Watched) -> None:
    rows = [row for live in moving.workers.values() for row in json.loads(live["WorkerProbe.seen"])]
    assert any(len(row["from"]) > 1 for row in rows), "nothing came from two workers at once"
    assert any(len(row.get("task.who_has", ())) > 2 for row in rows), "nothing had three holders"
    assert any(r["finish"] == "memory" and r.get("task.state") != "memory" for r in rows), (
        "every value could be stored"
    )
    assert any(r["start"] == "executing" and r["finish"] == "rescheduled" for r in rows), "no P2P"
    log = Log(moving.log)
    booked = [
        (event, span)
        for server in log.servers("worker")
        for event in log.events(server)
        for span in (event.snapshot or {}).get("spans", ())
    ]
    assert {span["action"] for _, span in booked} == {"transfer", "disk-read"}
    done = [
        row["task.startstops"][-1]["action"]
        for row in rows
        if row["start"] == "memory" and row.get("task.startstops")
    ]
    assert "transfer" in done, "no transfer was booked on a task that was done"
