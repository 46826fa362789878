"""Real deaths of workers, each with the cause that is concluded from the log."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import deaths
import random_deaths
from clusters import Recording
from log import Log
from test_five_failures import Terminal

#: Each worker with the cause of its end, and what the explanation begins with.
EXPECTED = {
    "n-0": ("killed", "its process was killed by SIGKILL"),
    "n-1": ("killed", "its process was killed by SIGTERM"),
    "n-2": ("heartbeat-lost", "the scheduler had no heartbeat of it for more than "),
    "n-3": ("out-of-memory", "its nanny ended it at "),
    "n-4": ("exited", "its process ended with exit code 7"),
    "n-5": ("crashed", "its process crashed with SIGSEGV"),
    "n-6": ("retired", "it was retired with retire_workers"),
    "n-7": ("closed", "it was closed with Scheduler.close_worker"),
    "n-8": ("exited", "its process ended with exit code 7"),
    "lifetime": ("lifetime", "it reached its lifetime"),
    "nanny-sigterm": ("killed", "its nanny got SIGTERM and closed it"),
    "gone": ("unknown", "it is gone and its nanny did not say why"),
    "bare-kill": ("unknown", "killed or out of memory: cannot tell without a nanny"),
    "bare-sigterm": ("killed", "its process got SIGTERM and ended"),
    "network": ("heartbeat-lost", "the scheduler had no heartbeat of it for more than "),
    "bare-memory": ("unknown", "killed or out of memory: cannot tell without a nanny; its memory"),
}


@pytest.fixture(scope="module")
def ended(new_recording: Callable) -> deaths.Cluster:
    cluster = deaths.Cluster(new_recording("deaths"))
    cluster.run()
    return cluster


@pytest.fixture(scope="module")
def found(ended: deaths.Cluster, tasklog: Callable) -> list[dict]:
    output = tasklog(ended.recording.log, "workers", "--deaths", "--format", "json")
    return json.loads(output[: output.rindex("]") + 1])


def of(ended: deaths.Cluster, found: list[dict], name: str) -> dict:
    (row,) = [row for row in found if row["worker"] == ended.addresses[name]]
    return row


@pytest.mark.parametrize("name", EXPECTED)
def test_the_cause_of_an_end(ended: deaths.Cluster, found: list[dict], name: str) -> None:
    if name == "bare-memory" and ended.cgroup is None:
        pytest.skip("this machine has no memory cgroup for tests")
    row = of(ended, found, name)
    cause, explanation = EXPECTED[name]
    assert row["cause"] == cause, row
    assert row["explanation"].startswith(explanation), row
    assert (row["missing"] is not None) == (cause == "unknown")
    # The events that decided it are in the log.
    events = ", ".join(map(str, row["evidence"]))
    rows = Log(ended.recording.log).rows(f"SELECT seq FROM events WHERE seq IN ({events})")
    assert rows and len(rows) == len(row["evidence"])


def test_every_worker_has_a_cause_and_the_last_ones_were_shut_down(
    ended: deaths.Cluster, found: list[dict]
) -> None:
    first = set(ended.addresses.values())
    last = [row["cause"] for row in found if row["worker"] not in first]
    assert len(found) == len(first) + len(last) and len(last) >= 3
    assert set(last) == {"shutdown"}


def test_what_a_worker_did_is_told(ended: deaths.Cluster, found: list[dict]) -> None:
    for name in ("n-0", "n-1", "n-2"):
        assert of(ended, found, name)["keys"] == [f"wait_long-{name}"]
    assert of(ended, found, "n-6")["keys"] == []
    # One of the two had the task after the other.
    suspects = [s for n in ("n-4", "n-8") for s in of(ended, found, n)["suspects"]]
    (suspect,) = suspects
    assert suspect["key"] == "exit_with_seven-n-4"
    assert suspect["workers"][0] in (ended.addresses["n-4"], ended.addresses["n-8"])


def test_the_memory_of_a_worker_before_its_end_is_told(
    ended: deaths.Cluster, found: list[dict]
) -> None:
    row = of(ended, found, "n-3")
    assert row["memory_limit"] == 300 << 20
    assert row["memory"] > 150 << 20 and row["growth"] > 1 << 20


def test_the_view_has_what_each_side_said(ended: deaths.Cluster, tasklog: Callable) -> None:
    sql = "SELECT worker, reason, nanny_reason, exit_code, restarted_at_bytes FROM worker_ends"
    output = tasklog(ended.recording.log, "query", sql, "--format", "jsonl")
    rows = [list(json.loads(line).values()) for line in output.splitlines()]
    said = {worker: rest for worker, *rest in rows}
    addresses = ended.addresses
    assert said[addresses["n-0"]] == [None, None, -9, None]
    assert said[addresses["n-5"]] == [None, None, -11, None]
    assert said[addresses["nanny-sigterm"]] == ["signal-15", "signal-15", 0, None]
    assert said[addresses["n-7"]][0] == "scheduler-close-worker"
    assert said[addresses["n-2"]][1].startswith("check-worker-ttl")
    assert said[addresses["n-3"]][3] > 0.9 * (300 << 20)


def test_the_reports_name_the_causes(ended: deaths.Cluster, tasklog: Callable) -> None:
    log = ended.recording.log
    rows = json.loads(tasklog(log, "workers", "--format", "json").rpartition("]")[0] + "]")
    causes = {row["worker"]: row["end"] for row in rows}
    assert causes[ended.addresses["n-5"]] == "crashed"


def test_errors_name_the_causes_of_a_killed_worker(
    ended: deaths.Cluster, tasklog: Callable
) -> None:
    shown = Terminal(tasklog.program, ended.recording.log, columns=300).run("errors")
    _, _, killed = shown.partition("KilledWorker")
    block, _, _ = killed.partition(" lost\n")
    for name in ("n-4", "n-8"):
        (line,) = [line for line in block.splitlines() if f"({name}) left at" in line]
        assert line.startswith(f"  {ended.addresses[name]} ({name}) left at ")
        assert line.endswith(" with it: exited.")
    assert block.count("Its process ended with exit code 7 (event #") == 2
    # Nothing is said of those that had other tasks.
    assert "n-0" not in block and "n-5" not in block


def test_memory_that_ran_out_before_is_not_why_another_worker_ended(
    new_recording: Callable, tasklog: Callable
) -> None:
    if not deaths.can_have_cgroups():
        pytest.skip("this machine has no memory cgroup for tests")
    recording = new_recording("neighbours")
    causes = deaths.neighbours(recording)
    output = tasklog(recording.log, "workers", "--deaths", "--format", "json")
    rows = {row["worker"]: row for row in json.loads(output[: output.rindex("]") + 1])}
    assert {address: rows[address]["cause"] for address in causes} == causes


def test_deaths_at_random_have_no_wrong_cause(tasklog: Callable, tmp_path: Path) -> None:
    """A few of those of the program, which has more of them; see there."""
    results, is_all = random_deaths.run(
        tmp_path, str(tasklog.program), count=6, without_spool=2,
        seed=int(os.environ.get("TASKLOG_TEST_SEED") or time.time()), most_rounds=None,
    )  # fmt: skip
    told = random_deaths.report(results)
    assert is_all and len(results) == 6, told
    assert sum(result["is_spool_gone"] for result in results) == 2
    assert not any(map(random_deaths.is_wrong, results)), results
    assert not any(r["nanny"] and random_deaths.is_undecided(r) for r in results), results


def test_adaptive_scaling_is_told_from_other_retirements(
    adaptive: Recording, tasklog: Callable
) -> None:
    output = tasklog(adaptive.log, "workers", "--deaths", "--format", "json")
    rows = json.loads(output[: output.rindex("]") + 1])
    assert rows and {row["cause"] for row in rows} == {"scaled-down"}


def test_a_cluster_that_closes_and_a_restart_are_told_apart(
    in_processes: Recording, tasklog: Callable
) -> None:
    output = tasklog(in_processes.log, "workers", "--deaths", "--format", "json")
    rows = json.loads(output[: output.rindex("]") + 1])
    causes = [row["cause"] for row in rows]
    assert causes == ["restarted"] * 2 + ["nanny-closed"] * 2
