"""Copies of a log that outlive the machine of its scheduler, and how a recorder is doing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster

import tasklog as package
from clusters import DEADLINE, wait_for

PROGRAM = Path(__file__).parent / "delivering_program.py"
#: How each of the schedulers ends; a third does not react to SIGTERM and is killed later.
WAYS = ["end", "term", "hang"] * 6 + ["end", "term"]
#: So many run at a time.
ABREAST = 4


@dataclass
class Ended:
    """A scheduler that has ended; its folder is gone."""

    way: str
    run: str
    errors: str
    code: int


def run_and_delete(folder: Path, way: str, destination: Path) -> Ended:
    """Runs a scheduler as an orchestrator does, in a folder that is deleted at its end."""
    folder.mkdir()
    environment = dict(
        os.environ,
        TASKLOG_DELIVER=str(destination),
        TASKLOG_DELIVER_EVERY="1s",
        TASKLOG_WORKER_SPOOL=str(folder / "spool"),
    )
    process = subprocess.Popen(
        [sys.executable, PROGRAM, way],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        run = process.stdout.readline().strip()
        assert run, process.stderr.read() if process.stderr else ""
        if way != "end":
            copy = destination / f"tasklog-{run}.db"
            # The grace period of one that hangs lasts until its job has been delivered.
            wait_for(lambda: way == "term" or copy.exists(), f"a copy of {run}")
            process.send_signal(signal.SIGTERM)
        if way == "hang":
            wait_for(lambda: tasks(copy) >= 50, f"the tasks of {run} in its copy")
            process.kill()
        _, errors = process.communicate(timeout=DEADLINE)
        return Ended(way, run, errors, process.returncode)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def tasks(log: Path) -> int:
    return package.open(log).run().info.tasks


def test_twenty_schedulers_deliver_to_one_folder(tmp_path: Path, tasklog: Callable) -> None:
    destination = tmp_path / "shared"
    destination.mkdir()
    ended: list[Ended] = []
    pending = list(enumerate(WAYS))
    failures: list[BaseException] = []

    def work() -> None:
        while pending:
            number, way = pending.pop()
            try:
                ended.append(run_and_delete(tmp_path / f"pod{number}", way, destination))
            except BaseException as error:
                failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(ABREAST)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert sorted(path.name for path in destination.iterdir()) == sorted(
        f"tasklog-{each.run}.db" for each in ended
    )
    for each in ended:
        log = destination / f"tasklog-{each.run}.db"
        assert "tasklog:" not in each.errors, each.errors
        run = package.open(log).run()
        assert run.info.id == each.run and run.info.tasks == 50
        if each.way == "hang":
            assert each.code == -signal.SIGKILL
            # All that is known is that its copies have stopped.
            end = wait_for(lambda log=log: ends(log) == ["died"], f"the end of {each.run}")
            assert end
            printed = tasklog(log, "status", "--format", "jsonl").splitlines()[0]
            row = json.loads(printed)
            assert row["end"] == "died" and row["as_of"]
        else:
            assert each.code == 0, each.errors
            assert ends(log) == ["closed"]
            assert run.info.missing == 0


def ends(log: Path) -> list[str]:
    return [run.end for run in package.open(log).runs]


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    (tmp_path / "copies").mkdir()
    return tmp_path / "copies"


def test_status_and_metrics_of_a_scheduler(
    tmp_path: Path, destination: Path, tasklog: Callable
) -> None:
    pytest.importorskip("prometheus_client")
    log = tmp_path / "run.db"
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        recorder = package.Recorder(log, deliver=str(destination), deliver_every="1s")
        client.register_plugin(recorder)
        client.gather(client.map(lambda x: x, range(20)))

        def row() -> dict[str, Any]:
            return json.loads(tasklog(log, "status", "--format", "jsonl"))

        found = wait_for(lambda: (r := row())["delivered"] and r, "a delivered copy")
        assert found["end"] == "running" and found["missing"] == 0
        assert 0 < found["spool_bytes"] < found["spool_limit"]
        assert found["destination"] == str(destination) and found["delivery_error"] is None
        metrics = read_metrics(cluster.scheduler.http_server.port)
        run = package.open(log).run().info
        assert metrics["tasklog_delivery_failing", run.id] == 0
        assert metrics["tasklog_delivered_copies_total", run.id] >= 1
        assert metrics["tasklog_dropped_events_total", run.id] == 0
        assert metrics["tasklog_spool_limit_bytes", run.id] == found["spool_limit"]
        assert metrics["tasklog_events_total", run.id] > 100
        assert metrics["tasklog_lag_seconds", run.id] >= 0
        # The destination goes away.
        shutil.rmtree(destination)
        destination.write_text("no folder")
        wait_for(lambda: row()["delivery_error"], "a failure")
        assert row()["delivery_error"] == f"{destination}: is not a folder"
        metrics = read_metrics(cluster.scheduler.http_server.port)
        assert metrics["tasklog_delivery_failing", run.id] == 1
        assert metrics["tasklog_delivery_failures_total", run.id] >= 1
    after = json.loads(tasklog(log, "status", "--format", "jsonl").splitlines()[0])
    # What the log itself says.
    assert after["end"] == "closed" and after["spool_bytes"] is None
    assert after["delivery_error"] == f"{destination}: is not a folder"


def read_metrics(port: int) -> dict[tuple[str, str], float]:
    with urllib.request.urlopen(f"http://localhost:{port}/metrics", timeout=DEADLINE) as answer:
        lines = answer.read().decode().splitlines()
    found = {}
    for line in lines:
        if line.startswith("tasklog_"):
            name, _, rest = line.partition("{")
            run = rest.split('run="')[1].split('"')[0]
            found[name, run] = float(line.rsplit(" ", 1)[1])
    return found


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("deliver", "", "expected a folder, a command with {file} in it, or none"),
        ("deliver_every", "10ms", "expected a duration from 1s to 1d"),
        ("deliver_seconds", "soon", "'deliver_seconds' is 'soon'"),
    ],
)
def test_a_wrong_option_is_named(option: str, value: str, words: str) -> None:
    from tasklog.options import Options

    with pytest.raises(ValueError, match=words):
        Options.check({option: value})
