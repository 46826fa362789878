"""Events in workers' spools are reported wherever a run is shown, with the way to get them."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, wait

import workloads
from clusters import CommandCluster, Recording, wait_for
from log import Log
from tasklog.spool import WorkerSpool
from test_spools import assert_equal_to_what_was_called, kill_a_worker

COMMANDS = [
    ("runs",), ("check",), ("summary",), ("replay", "--plugin", "counter"),
]  # fmt: skip


@pytest.fixture
def lost(new_recording: Callable[[str], Recording]) -> tuple[Recording, str]:
    """A closed run of which one worker was killed with all of its events still in its spool."""
    recording = new_recording("lost")
    recording.environment["TASKLOG_WORKER_INTERVAL"] = "1h"
    spool, hidden = recording.folder / "spool", recording.folder / "hidden"
    with CommandCluster(recording) as cluster, Client(cluster.address) as client:
        server = kill_a_worker(recording, cluster, client)
        # Otherwise the recorder, which is on the same host, would recover the spool at its end.
        spool.rename(hidden)
    hidden.rename(spool)
    return recording, server


def run(tasklog: Any, log: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tasklog.program, *arguments, "--log", log], capture_output=True, text=True, timeout=60
    )


def notes(tasklog: Any, log: Path, command: tuple[str, ...]) -> str:
    """The output of a command about workers whose events may be missing."""
    done = run(tasklog, log, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (done.stdout if command[0] == "check" else done.stderr).splitlines()
    told = [line for line in lines if "may be missing" in line]
    assert len(told) <= 1, told
    return "".join(told)


def incomplete(tasklog: Any, log: Path) -> list[dict[str, Any]]:
    """The same, for programs."""
    runs = [json.loads(line) for line in run(tasklog, log, "runs").stdout.splitlines()]
    summary = json.loads(run(tasklog, log, "summary", "--format", "json").stdout)
    found = summary.get("incomplete", [])
    assert [one["incomplete"] for one in runs] == [len(found)]
    kinds = [json.loads(line)["finding"] for line in run(tasklog, log, "check").stdout.splitlines()]
    assert kinds.count("incomplete-worker") == len(found)
    return found


def test_a_spool_on_this_host_is_told_with_the_command(
    lost: tuple[Recording, str], tasklog: Any
) -> None:
    recording, server = lost
    (worker,) = incomplete(tasklog, recording.log)
    folder = str(recording.folder / "spool")
    assert worker["server_id"] == server
    assert (worker["spool"], worker["folder"]) == ("here", folder)
    assert (worker["host"], worker["missing_ends"]) == (socket.gethostname(), 50)
    command = f"tasklog import {folder} --log {recording.log}"
    for one in COMMANDS:
        told = notes(tasklog, recording.log, one)
        assert f"'{command}'" in told and "at least 50 task ends of this worker" in told, one
    done = subprocess.run(
        command.replace("tasklog", str(tasklog.program), 1), shell=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert_equal_to_what_was_called(recording, recording.log, server)
    assert incomplete(tasklog, recording.log) == []
    for one in COMMANDS:
        assert notes(tasklog, recording.log, one) == ""


def test_of_a_spool_that_is_gone_the_ends_are_counted_and_no_command_is_offered(
    lost: tuple[Recording, str], tasklog: Any
) -> None:
    recording, _ = lost
    shutil.rmtree(recording.folder / "spool")
    (worker,) = incomplete(tasklog, recording.log)
    assert (worker["spool"], worker["missing_ends"]) == ("gone", 50)
    for one in COMMANDS:
        told = notes(tasklog, recording.log, one)
        assert "at least 50 task ends of this worker are missing" in told, one
        assert "tasklog import" not in told, one


def test_on_another_host_what_is_known_is_told(lost: tuple[Recording, str], tasklog: Any) -> None:
    recording, server = lost
    spool = recording.folder / "spool"
    away = recording.folder / "away"
    spool.rename(away)
    elsewhere(recording.log, server)
    (worker,) = incomplete(tasklog, recording.log)
    assert (worker["spool"], worker["host"], worker["folder"]) == ("elsewhere", "pod", str(spool))
    for one in COMMANDS:
        told = notes(tasklog, recording.log, one)
        assert "host pod" in told and f"tasklog import {spool}" in told, one
    # A copy from there.
    tasklog(recording.log, "import", away)
    assert incomplete(tasklog, recording.log) == []


def elsewhere(log: Path, server: str) -> None:
    """Makes a worker appear to have been on another host."""
    with contextlib.closing(Log(log).connection.__class__(log)) as connection, connection:
        connection.execute(
            "UPDATE event SET args = json_set(args, '$.hostname', 'pod') WHERE source_seq = 1 "
            "AND source = (SELECT id FROM source WHERE server_id = ?)",
            (server,),
        )
        connection.execute(
            "UPDATE event_total SET args_bytes = ("
            "SELECT coalesce(sum(length(CAST(args AS BLOB))), 0) FROM event"
            " JOIN source ON source.id = event.source WHERE source.run = event_total.run"
            " AND source.kind = source_kind AND event.hook = event_total.hook)"
        )


def test_of_a_run_that_goes_on_nothing_is_missing_yet(
    new_recording: Callable[[str], Recording], tasklog: Any
) -> None:
    recording = new_recording("living")
    recording.environment["TASKLOG_WORKER_INTERVAL"] = "1h"
    with CommandCluster(recording) as cluster, Client(cluster.address) as client:
        kill_a_worker(recording, cluster, client)
        assert incomplete(tasklog, recording.log) == []


def test_workers_that_left_as_they_should_are_complete(
    commands: Recording, in_processes: Recording, attached: Recording, tasklog: Any
) -> None:
    for recording in (commands, in_processes, attached):
        log = Log(recording.log)
        ended = {
            server
            for server in log.servers("worker")
            if [event.hook for event in log.events(server)][-1] == "detach"
        }
        assert ended
        told = {worker["server_id"] for worker in incomplete(tasklog, recording.log)}
        assert told == set(log.servers("worker")) - ended


def test_what_the_next_worker_has_shipped_is_complete(
    new_recording: Callable[[str], Recording], tasklog: Any
) -> None:
    recording = new_recording("shipped")
    recording.environment["TASKLOG_WORKER_INTERVAL"] = "1h"
    with CommandCluster(recording) as cluster, Client(cluster.address) as client:
        server = kill_a_worker(recording, cluster, client)
        cluster.add_worker("--no-nanny", "--name", "next")
        client.wait_for_workers(1, timeout=60)
        wait_for(lambda: not list(recording.folder.glob(f"spool/*/{server}.*")), "end of the spool")
        client.retire_workers()
        wait_for(lambda: not workloads.workers_of(client), "end of the worker")
    assert incomplete(tasklog, recording.log) == []
    last = list(Log(recording.log).events(server))[-1]
    assert (last.hook, last.kwargs) == ("detach", {"left": True})


@pytest.mark.parametrize("who", ["worker", "recorder"])
def test_the_next_one_on_the_host_picks_up_what_is_left_of_an_ended_run(
    who: str, lost: tuple[Recording, str], tasklog: Any
) -> None:
    recording, server = lost
    spool = recording.folder / "spool"
    if who == "worker":
        # The scheduler's host has no spool of that name.
        hidden = spool.rename(recording.folder / "hidden")
    with CommandCluster(recording) as cluster, Client(cluster.address) as client:
        if who == "worker":
            hidden.rename(spool)
            cluster.add_worker("--no-nanny", "--name", "next")
            client.wait_for_workers(1, timeout=60)
        wait_for(lambda: not list(spool.glob(f"*/{server}.*")), "end of the spool")
        client.retire_workers()
        wait_for(lambda: not workloads.workers_of(client), "end of the worker")
    assert_equal_to_what_was_called(recording, recording.log, server)
    assert Log(recording.log).rows("SELECT * FROM gap") == []
    runs = [json.loads(line) for line in run(tasklog, recording.log, "runs").stdout.splitlines()]
    assert [one["incomplete"] for one in runs] == [0, 0]
    # Empty folders are removed, too.
    assert list(spool.iterdir()) == []


def test_spools_of_another_log_are_left_to_it(
    lost: tuple[Recording, str], new_recording: Callable[[str], Recording]
) -> None:
    recording, server = lost
    other = new_recording("other")
    other.environment["TASKLOG_WORKER_SPOOL"] = recording.environment["TASKLOG_WORKER_SPOOL"]
    with CommandCluster(other) as cluster, Client(cluster.address) as client:
        cluster.add_worker("--no-nanny")
        client.wait_for_workers(1, timeout=60)
        wait(client.map(workloads.increment, range(10)))
    assert len(list(recording.folder.glob(f"spool/*/{server}.*"))) == 1
    assert not any(server in Log(other.log).servers("worker") for _ in "1")


def test_import_puts_in_what_belongs_and_names_the_rest(
    lost: tuple[Recording, str], tasklog: Any
) -> None:
    recording, server = lost
    spool = recording.folder / "spool"
    for number in range(3):
        header = {"id": f"w{number}", "address": "tcp://w", "log": "/logs/b.db", "log_host": "far"}
        other = WorkerSpool(str(spool), "0-another-run", header)
        other.put(b"\x01")
        other.close()
    (spool / "0-text").write_text("not a spool")
    living = WorkerSpool(str(spool), "0-living", {"id": "w", "address": "tcp://w"})
    told = tasklog(recording.log, "import", spool, recording.folder / "none", code=1)
    assert " events imported" in told
    assert f"not imported: {spool}/0-another-run/" in told
    assert "is not in" in told and "it was recorded into /logs/b.db on host far" in told
    assert told.count("0-another-run") == 2 and "(3 files)" in told
    assert f"not imported: {spool}/0-text: not a worker spool" in told
    assert "its worker is alive" in told
    assert "none: No such file" in told
    living.close()
    assert_equal_to_what_was_called(recording, recording.log, server)
    assert incomplete(tasklog, recording.log) == []
