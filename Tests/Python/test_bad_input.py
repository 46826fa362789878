"""Invalid settings do not affect Dask: it runs, and one warning says what is not recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from distributed import Client, LocalCluster

import tasklog
import workloads
from clusters import CommandCluster, Recording, our_tracebacks
from log import Log

WRONG = {
    "a log that cannot be written": ({"TASKLOG_LOG": "/proc/no/run.db"}, "nothing is recorded"),
    "a log that is no log": ({"TASKLOG_LOG": __file__}, "nothing is recorded"),
    "a log that is a folder": ({"TASKLOG_LOG": "/"}, "nothing is recorded"),
    "no library": ({"TASKLOG_LIB": "/no/libTaskLogC.so"}, "nothing is recorded"),
    "a library that is none": ({"TASKLOG_LIB": __file__}, "nothing is recorded"),
    "an option with a wrong value": (
        {"TASKLOG_WORKER_INTERVAL": "soon"},
        "TASKLOG_WORKER_INTERVAL is 'soon'",
    ),
    "an option that there is not": ({"TASKLOG_COLOUR": "red"}, "unknown option 'TASKLOG_COLOUR'"),
}


@pytest.mark.parametrize("what", WRONG)
def test_dask_runs_and_one_warning_says_so(tmp_path: Path, what: str) -> None:
    environment, words = WRONG[what]
    recording = Recording(tmp_path)
    recording.environment = {
        "TASKLOG_LOG": str(recording.log),
        "TASKLOG_WORKER_SPOOL": str(tmp_path / "spool"),
        **environment,
    }
    with CommandCluster(recording, ["--preload", "tasklog"]) as cluster:
        cluster.add_worker("--no-nanny")
        with Client(cluster.address) as client:
            workloads.maps(client)
    warnings = [line for line in cluster.scheduler.text.splitlines() if "tasklog: " in line]
    assert len(warnings) == 1, cluster.scheduler.text
    assert words in warnings[0]
    assert our_tracebacks(cluster.scheduler.text) == []
    if "nothing" in words:
        assert not recording.log.exists()
    else:
        assert Log(recording.log).one("SELECT count(*) FROM tasks") >= 61


def test_errors_of_the_recorder_are_told_once_and_become_gaps(tmp_path: Path, caplog) -> None:
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(tasklog.Recorder(tmp_path / "run.db"))
        recorder = cluster.scheduler.plugins["tasklog"]
        workloads.maps(client)

        def broken(*_: object) -> None:
            raise RuntimeError("broken for a test")

        # C code raises no errors: it leaves to Python what it cannot do.
        fast, recorder.transition = recorder.transition, super(type(recorder), recorder).transition
        put, recorder._put_event = recorder._put_event, broken
        client.gather(client.map(workloads.increment, range(60), pure=False))
        recorder._put_event, recorder.transition = put, fast
        client.gather(client.map(workloads.increment, range(20), pure=False))
        assert recorder._errors > 100
        errors = recorder._errors
    told = [r.getMessage() for r in caplog.records if r.name == "tasklog"]
    assert len(told) == 1 and "RuntimeError" in told[0] and "counted as gaps" in told[0]
    log = Log(tmp_path / "run.db")
    assert log.one("SELECT sum(count) FROM gap") == errors
    assert "RuntimeError" in log.one("SELECT reason FROM gap LIMIT 1")


def test_wrong_options_by_argument_do_not_raise(tmp_path: Path, caplog) -> None:
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(tasklog.Recorder(tmp_path / "run.db", max_value_bytes=-5, hue=1))
        workloads.maps(client)
    told = [r.getMessage() for r in caplog.records if r.name == "tasklog"]
    assert len(told) == 1 and "'hue'" in told[0] and "max_value_bytes" in told[0]
    assert Log(tmp_path / "run.db").one("SELECT count(*) FROM tasks") >= 61
