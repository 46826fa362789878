"""With a version of distributed that no test runs with, a recorder uses public hooks only."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import REPOSITORY
from log import Log
from tasklog import observing, state_hooks
from tasklog.options import TESTED_VERSIONS, Options

PROGRAM = """
import sys

import distributed

distributed.__version__ = sys.argv[2]

import tasklog
from distributed import Client, LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster:
        with Client(cluster) as client:
            client.register_plugin(tasklog.Recorder(sys.argv[1]))
            total = client.submit(sum, client.map(abs, range(-10, 0)))
            assert total.result() == 55
            del total
"""

PARTS = [*state_hooks.PARTS, *observing.PARTS]
UNTESTED = "2099.1.0"
WARNING = (
    f"tasklog: distributed {UNTESTED} is untested (tested are {', '.join(TESTED_VERSIONS)}): "
    "recording by public hooks only; set deep=True or TASKLOG_DEEP=true to record more"
)
STIMULI = """
    SELECT count(*) FROM events
    WHERE hook = 'stimulus' AND source = 'worker' AND args NOT LIKE '%clock-offset%'
"""
RELEASES = "SELECT count(*) FROM events WHERE hook = 'clientReleasesKeys'"


def record(folder: Path, version: str, **environment: str) -> tuple[Log, dict, list[str]]:
    """The log, the run's metadata, and the recorder's messages."""
    program = folder / "program.py"
    program.write_text(PROGRAM)
    variables = {k: v for k, v in os.environ.items() if not k.startswith("TASKLOG_")}
    done = subprocess.run(
        [sys.executable, program, str(folder / "run.db"), version],
        env={**variables, "TASKLOG_WORKER_SPOOL": str(folder / "spool"), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    log = Log(folder / "run.db")
    told = [
        line[line.index("tasklog: ") :] for line in done.stderr.splitlines() if "tasklog:" in line
    ]
    assert log.one("SELECT engine_version FROM run") == version
    return log, json.loads(log.one("SELECT metadata FROM run")), told


def test_public_hooks_only_unless_told_otherwise(tmp_path: Path) -> None:
    log, metadata, told = record(tmp_path, UNTESTED)
    assert told == [WARNING]
    assert log.one("SELECT mode FROM run") == "hooks"
    assert metadata["untested_version"] == UNTESTED
    assert metadata["not_recorded"] == [*PARTS, "stimuli"]
    assert (log.one(STIMULI), log.one(RELEASES)) == (0, 0)
    # Public hooks are recorded, on the scheduler and on the worker.
    for source in ("scheduler", "worker"):
        assert log.one("SELECT count(*) FROM transitions WHERE source = ?", source) > 10


def test_private_hooks_are_used_when_told(tmp_path: Path) -> None:
    log, metadata, told = record(tmp_path, UNTESTED, TASKLOG_DEEP="true")
    assert told == []
    assert log.one("SELECT mode FROM run") == "full"
    assert metadata["untested_version"] == UNTESTED
    assert metadata["not_recorded"] == []
    assert log.one(STIMULI) > 0 and log.one(RELEASES) > 0


def test_stimuli_can_be_recorded_alone(tmp_path: Path) -> None:
    log, metadata, told = record(tmp_path, UNTESTED, TASKLOG_STIMULI="true")
    assert told == [WARNING]
    assert metadata["not_recorded"] == PARTS
    assert log.one(STIMULI) > 0 and log.one(RELEASES) == 0


def test_a_choice_of_public_hooks_needs_no_word(tmp_path: Path) -> None:
    log, metadata, told = record(tmp_path, UNTESTED, TASKLOG_DEEP="false")
    assert told == []
    assert log.one("SELECT mode FROM run") == "hooks"
    assert metadata["not_recorded"] == [*PARTS, "stimuli"]


def test_nothing_changes_on_a_tested_version(tmp_path: Path) -> None:
    log, metadata, told = record(tmp_path, TESTED_VERSIONS[-1])
    assert told == []
    assert log.one("SELECT mode FROM run") == "full"
    assert metadata["untested_version"] is None and metadata["not_recorded"] == []
    assert log.one(STIMULI) > 0 and log.one(RELEASES) > 0


def test_the_commands_name_what_is_not_recorded(tmp_path: Path, tasklog: Callable) -> None:
    _, metadata, _ = record(tmp_path, UNTESTED)
    answer = tasklog(tmp_path / "run.db", "inspect", "--table", "limits", "--format", "csv")
    lines = answer.splitlines()
    assert f"1,untested_version,{UNTESTED}" in lines
    names = ", ".join(metadata["not_recorded"])
    assert f'1,not_recorded,"{names}"' in lines
    warning = (
        f"tasklog: run #1 was recorded by public hooks only, because distributed {UNTESTED} is "
        f"untested; not recorded: {names}\n"
    )
    for command in (["summary"], ["query", "--count"], ["replay", "--plugin", "counter"]):
        assert warning in tasklog(tmp_path / "run.db", *command), command


@pytest.mark.parametrize("heartbeats", [True, False])
def test_left_out_heartbeats_are_named(heartbeats: bool) -> None:
    from tasklog.recorder import _not_recorded

    options = Options(heartbeats=heartbeats, workers=False, stimuli=False)
    expected = [] if heartbeats else ["heartbeat_worker", "heartbeat_client", "monitor"]
    assert _not_recorded(options) == expected


def test_the_tested_versions_are_those_that_the_tests_install() -> None:
    run = (REPOSITORY / "Tests/run").read_text()
    installed = re.findall(r"environment \.build-python\S* (\S+)", run)
    assert sorted(installed) == sorted(TESTED_VERSIONS)
    for name in ("README.md", "Sources/TaskLogKit/TaskLogKit.docc/RecordDask.md"):
        text = (REPOSITORY / name).read_text()
        assert all(version in text for version in TESTED_VERSIONS), name
