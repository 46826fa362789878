"""Why tasks failed: the task that each blames, its own exception, and failures at workers only.

Compared with the answers of the scheduler itself next to the recorder.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client, LocalCluster, SchedulerPlugin, wait

import tasklog as package
from clusters import wait_for
from log import Log
from replaying import Replay


class Witness(SchedulerPlugin):
    """The blamed task of each task when it becomes erred."""

    name = "witness"

    async def start(self, scheduler: Any) -> None:
        self.scheduler, self.blamed = scheduler, {}

    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:
        if finish == "erred":
            self.blamed[key] = self.scheduler.tasks[key].exception_blame.key


def fail() -> None:
    raise ValueError("bad input")


def die(barrier: str, count: int) -> None:
    """Kills its worker when this many tasks exist."""
    Path(f"{barrier}-{os.urandom(8).hex()}").touch()
    while len(list(Path(barrier).parent.glob(Path(barrier).name + "-*"))) < count:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)


def use(*_: Any) -> None:
    return None


class Counter:
    """An actor."""

    def add(self, number: int) -> int:
        return number


class Parcel:
    """Cannot be unpickled anywhere."""

    def __reduce__(self) -> tuple:
        return _open, ()


def _open() -> None:
    raise AssertionError("units were not registered here")


def recorded(
    log: Path, body: Callable[[Client], None], config: dict[str, Any] | None = None, **options: Any
) -> dict:
    """What a witness has seen while a body was recorded."""
    options = {"n_workers": 1, "threads_per_worker": 1, **options}
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0, **(config or {})}),
        LocalCluster(processes=True, dashboard_address=":0", **options) as cluster,
        Client(cluster) as client,
    ):
        cluster.scheduler.add_plugin(witness := Witness())
        witness.scheduler, witness.blamed = cluster.scheduler, {}
        client.register_plugin(package.Recorder(log, worker_spool=str(log.parent / "spool")))
        body(client)
    return witness.blamed


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """Failures of many kinds."""
    folder = tmp_path_factory.mktemp("failures")

    def body(client: Client) -> None:
        root = client.submit(fail, key="root")
        wait(root)
        # Submitted after the failure.
        child = client.submit(use, root, key=("child", 1))
        grandchild = client.submit(use, child, key="grandchild")
        # One of many.
        crowd = client.map(use, [root] * 200, range(200), key=[f"crowd-{i}" for i in range(200)])
        wait([grandchild, *crowd])
        actor = client.submit(Counter, key="actor", actor=True)
        wait(actor)
        # Lost with one worker, each with a task that needs it.
        deadly = [
            client.submit(die, str(folder / "barrier"), 3, key=f"die-{name}", pure=False)
            for name in "abc"
        ]
        needing = [client.submit(use, one, key=f"uses-{i}") for i, one in enumerate(deadly)]
        wait(needing, timeout=60)
        # Submitted when its actor is lost.
        after = client.submit(use, actor, key="uses-actor")
        wait(after, timeout=60)

    return folder / "log.db", recorded(folder / "log.db", body, threads_per_worker=3)


def rows(tasklog: Any, log: Path, *arguments: str) -> list[dict]:
    lines = tasklog(log, *arguments, "--format", "jsonl").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def test_each_failed_task_blames_whom_the_scheduler_says(failures: Any, tasklog: Any) -> None:
    log, witness = failures
    blamed = {str(key): str(cause) for key, cause in witness.items()}
    assert len(blamed) >= 200 + 3 + 6 + 2
    view = "SELECT key, cause_key, cause_seq IS NOT NULL AS known FROM failures"
    found = rows(tasklog, log, "query", view)
    assert {row["key"]: row["cause_key"] for row in found} == blamed
    assert all(row["known"] for row in found)
    # The command reports the same.
    own = rows(tasklog, log, "errors", "--table", "errors")
    affected = rows(tasklog, log, "errors", "--table", "affected")
    assert {row["key"] for row in own} == {key for key, cause in blamed.items() if key == cause}
    assert {row["key"]: row["cause_key"] for row in affected} == {
        key: cause for key, cause in blamed.items() if key != cause
    }
    dependents = {row["key"]: row["dependents"] for row in own}
    assert dependents == {key: list(blamed.values()).count(key) - 1 for key in blamed.values()}


def test_failures_that_the_scheduler_made_have_their_text(failures: Any, tasklog: Any) -> None:
    log, _ = failures
    texts = {
        row["key"]: row["exception"] for row in rows(tasklog, log, "errors", "--table", "errors")
    }
    assert texts["root"] == "ValueError('bad input')"
    for name in "abc":
        text = texts[f"die-{name}"]
        assert text.startswith("KilledWorker(")
        assert f"Attempted to run task 'die-{name}' on 1 different workers" in text
    assert texts["actor"] == "RuntimeError('Worker holding Actor was lost')"


def test_exports_have_the_text_of_a_killed_worker(failures: Any, tasklog: Any) -> None:
    log, _ = failures
    out = log.parent / "spans.json"
    tasklog(log, "export", "--to", "otlp-json", "-o", str(out))
    text = out.read_text()
    assert "Attempted to run task 'die-a'" in text
    assert "Worker holding Actor was lost" in tasklog(log, "errors", "--format", "table")


def test_such_a_log_replays_without_drift(failures: Any, tasklog: Any) -> None:
    log, witness = failures
    replay = Replay(tasklog.program, log)
    lines = replay.results(["Everything"], [])
    assert lines and len(witness) > 200


def test_a_failure_that_only_a_worker_had_is_shown(tmp_path: Path, tasklog: Any) -> None:
    log = tmp_path / "log.db"

    def body(client: Client) -> None:
        made = client.submit(Parcel, key="parcel", workers=workers(client)[:1])
        uses = client.submit(use, made, key="use", workers=workers(client)[1:])
        wait_for(log.exists, "log")
        wait_for(lambda: shown(), "failure of a worker")
        assert uses.status == "pending"

    def shown() -> list[dict]:
        return rows(tasklog, log, "errors", "--table", "at_workers")

    recorded(log, body, n_workers=2)
    row = shown()[0]
    assert row["key"] == "parcel"
    assert row["start"] == "flight"
    assert row["exception"] == "AssertionError('units were not registered here')"


def workers(client: Client) -> list[str]:
    return sorted(client.scheduler_info(n_workers=-1)["workers"])


def test_logs_of_length_0_lose_no_stimulus(tmp_path: Path) -> None:
    log = tmp_path / "log.db"

    def body(client: Client) -> None:
        squares = client.map(use, range(50), key=[f"square-{i}" for i in range(50)])
        wait(client.submit(use, squares, key="total"))

    recorded(log, body, {"distributed.admin.low-level-log-length": 0})
    read = Log(log)
    counts = dict(
        read.rows(
            """
            SELECT args ->> '$.op', count(*) FROM events
            WHERE hook = 'stimulus' AND source = 'worker' GROUP BY 1
            """
        )
    )
    assert counts["compute-task"] == 51
    assert counts["execute-success"] == 51
    without = "SELECT count(*) FROM transitions WHERE source = 'worker' AND stimulus IS NULL"
    assert read.one(without) == 0
    recommended = "SELECT count(*) FROM events WHERE snapshot LIKE '%recommend%'"
    assert read.one(recommended) > 0
