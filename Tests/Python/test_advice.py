"""`tasklog advice` names the mistake of each run, and warns of nothing in ordinary ones.

All of them are parts of one recorded run, which the filters tell apart.
"""

from __future__ import annotations

import json
import multiprocessing
import re
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import dask
import pytest
from distributed import Client, LocalCluster

import advised
import tasklog as package


class Recorded(NamedTuple):
    log: Path
    #: By name: when each began and ended, as the command takes times.
    windows: dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """In its own process: workers count the memory of theirs, in which other tests have run."""
    folder = tmp_path_factory.mktemp("advice")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes:
        return Recorded(folder / "run.db", processes.submit(_record, folder).result())


def _record(folder: Path) -> dict[str, tuple[str, str]]:
    """Two workers with two threads each, in this process, that are never paused."""
    parts = ("target", "spill", "pause", "terminate")
    memory = {f"distributed.worker.memory.{part}": False for part in parts}
    windows: dict[str, tuple[str, str]] = {}
    with (
        dask.config.set(memory),
        LocalCluster(
            n_workers=2,
            threads_per_worker=2,
            processes=False,
            dashboard_address=":0",
            memory_limit="1GB",
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(advised.recorder(folder / "run.db"))
        for name, workload in {**advised.ORDINARY, **advised.MISTAKES}.items():
            own = folder / name
            own.mkdir()
            start = _now()
            workload(client, own)
            windows[name] = (start, _now())
            # What it leaves behind is not the next one's.
            time.sleep(0.1)
    return windows


def _now() -> str:
    return datetime.fromtimestamp(time.time(), timezone.utc).isoformat()


def _advice(tasklog: Callable[..., str], recorded: Recorded, name: str) -> list[dict]:
    start, stop = recorded.windows[name]
    output = tasklog(recorded.log, "advice", "--format", "json", "--since", start, "--until", stop)
    # A line on stderr follows that says which part of the run is shown.
    return json.JSONDecoder().raw_decode(output)[0]


def _warnings(advice: list[dict]) -> list[str]:
    return [row["kind"] for row in advice if row["severity"] == "warning"]


@pytest.mark.parametrize("name", advised.MISTAKES)
def test_a_mistake_is_the_first_advice(
    name: str, tasklog: Callable[..., str], recorded: Recorded
) -> None:
    advice = _advice(tasklog, recorded, name)
    assert advice, recorded.windows[name]
    assert advice[0]["kind"] == name, advice
    assert _warnings(advice) == [name], advice
    # The evidence is a command as one types it.
    program = tasklog.program  # type: ignore[attr-defined]
    command = f'"{program}" {advice[0]["evidence"]} --log "{recorded.log}"'
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout, command


@pytest.mark.parametrize("name", advised.ORDINARY)
def test_ordinary_work_is_worth_no_warning(
    name: str, tasklog: Callable[..., str], recorded: Recorded
) -> None:
    assert _warnings(_advice(tasklog, recorded, name)) == []


def test_a_lost_worker_is_named_with_the_work_that_was_lost(
    tasklog: Callable[..., str], tmp_path: Path
) -> None:
    log = tmp_path / "run.db"
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(advised.recorder(log))
        advised.lost_workers(client, tmp_path)
    [advice] = [
        row for row in json.loads(tasklog(log, "advice", "--format", "json"))
        if row["severity"] == "warning"
    ]  # fmt: skip
    assert advice["kind"] == "lost-workers"
    assert re.match("1 worker ended unexpectedly .*, 1 task interrupted, ", advice["finding"])
    assert advice["seconds"] > 0
    tasklog(log, "advice", "--fail-on", "warning", code=2)
    tasklog(log, "advice", "--fail-on", "warning", "--prefix", "nothing", code=0)


def test_python_gets_the_advice_of_the_command(
    tasklog: Callable[..., str], recorded: Recorded
) -> None:
    rows = json.loads(tasklog(recorded.log, "advice", "--format", "json"))
    advice = list(package.open(recorded.log).run().advice())
    assert len(advice) == len(rows) > 5
    for found, row in zip(advice, rows, strict=True):
        # A run is its ID in Python.
        assert {**found._asdict(), "run": row["run"]} == row
