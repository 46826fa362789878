"""Every way to enable the recorder, with what Dask's users have: commands and `LocalCluster`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from distributed import Client, LocalCluster

import tasklog as package
import workloads
from clusters import CommandCluster, Recording, our_tracebacks, wait_for
from log import Log
from tasklog.recorder import RecordingError

SCRIPT = """
from dask.distributed import Client, LocalCluster

if __name__ == "__main__":
    with LocalCluster(
        n_workers=1, dashboard_address=":0", processes={processes}, scheduler_kwargs={scheduler}
    ) as cluster:
        with Client(cluster) as client:
            print(sum(client.gather(client.map(abs, range(-10, 0)))))
"""


def bare(tmp_path: Path) -> Recording:
    """A recording without any settings."""
    recording = Recording(tmp_path)
    recording.environment["TASKLOG_WORKER_SPOOL"] = str(tmp_path / "spool")
    return recording


def assert_recorded(log: Path, tasks: int, workers: int = 1) -> None:
    """The scheduler's and the workers' transitions are in the log, and the run is closed."""
    reader = Log(log)
    assert reader.rows("SELECT engine, end FROM run") == [("dask", "closed")]
    finished = reader.one("SELECT count(*) FROM tasks WHERE state = 'forgotten'")
    assert finished >= tasks
    assert len(reader.servers("worker")) == workers
    executed = reader.one(
        "SELECT count(*) FROM transitions WHERE source = 'worker' AND start = 'executing'"
    )
    assert executed >= tasks


def run_commands(recording: Recording, arguments: list[str], **environment: str) -> None:
    with CommandCluster(recording, arguments) as cluster:
        cluster.add_worker("--no-nanny", environment=environment)
        with Client(cluster.address) as client:
            assert client.submit(sum, client.map(abs, range(-10, 0))).result() == 55
    assert our_tracebacks(cluster.scheduler.text) == []


def test_preload_of_the_scheduler_command(tmp_path: Path) -> None:
    recording = bare(tmp_path)
    recording.environment["TASKLOG_LOG"] = str(recording.log)
    run_commands(recording, ["--preload", "tasklog"])
    assert_recorded(recording.log, 11)


def test_preload_by_the_environment_of_the_scheduler_command(tmp_path: Path) -> None:
    recording = bare(tmp_path)
    recording.environment["DASK_DISTRIBUTED__SCHEDULER__PRELOAD"] = "tasklog"
    recording.environment["TASKLOG_LOG"] = str(recording.log)
    run_commands(recording, [])
    assert_recorded(recording.log, 11)


@pytest.mark.parametrize("processes", [False, True])
def test_preload_by_the_environment_of_a_script_that_knows_nothing(
    tmp_path: Path, processes: bool
) -> None:
    run_script(
        tmp_path,
        processes,
        DASK_DISTRIBUTED__SCHEDULER__PRELOAD="tasklog",
        TASKLOG_LOG=str(tmp_path / "run.db"),
    )


def test_preload_of_the_scheduler_of_a_local_cluster(tmp_path: Path) -> None:
    log = str(tmp_path / "run.db")
    run_script(tmp_path, False, {"preload": ["tasklog"]}, TASKLOG_LOG=log)


def run_script(
    tmp_path: Path, processes: bool, scheduler: dict | None = None, **environment: str
) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(processes=processes, scheduler=scheduler or {}))
    done = subprocess.run(
        [sys.executable, script],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "55\n"), done.stderr
    assert_recorded(tmp_path / "run.db", 10)
    assert not (tmp_path / "run.db-wal").exists()


@pytest.mark.parametrize("where", ["commands", "a script"])
def test_the_yaml_config_of_dask(tmp_path: Path, where: str) -> None:
    recording = bare(tmp_path)
    config = {
        "distributed": {"scheduler": {"preload": ["tasklog"]}},
        "tasklog": {"log": str(recording.log), "worker-interval": "20ms", "deep": False},
    }
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "dask.yaml").write_text(yaml.safe_dump(config))
    recording.environment["DASK_CONFIG"] = str(tmp_path / "config")
    if where == "commands":
        run_commands(recording, [])
        assert_recorded(recording.log, 11)
    else:
        run_script(tmp_path, False, **recording.environment)
    log = Log(recording.log)
    assert log.one("SELECT mode FROM run") == "hooks"
    assert log.rows("SELECT * FROM events WHERE hook = 'clientReleasesKeys'") == []


@pytest.mark.parametrize("where", ["worker", "nanny"])
def test_a_preload_of_a_worker_or_nanny_says_that_it_is_not_needed(
    tmp_path: Path, where: str
) -> None:
    recording = bare(tmp_path)
    recording.environment["TASKLOG_LOG"] = str(recording.log)
    arguments = ["--nanny"] + ["--preload" if where == "worker" else "--preload-nanny", "tasklog"]
    with CommandCluster(recording, ["--preload", "tasklog"]) as cluster:
        worker = cluster.add_worker(*arguments)
        with Client(cluster.address) as client:
            assert client.submit(sum, client.map(abs, range(-10, 0))).result() == 55
    told = [line for line in worker.text.splitlines() if line.startswith("tasklog: ")]
    assert len(told) == 1 and f"does nothing on a {where}: the recorder of the scheduler" in told[0]
    assert our_tracebacks(worker.text) == [] and "nothing is recorded" not in worker.text
    assert_recorded(recording.log, 11)


def test_register_plugin_in_the_middle_of_a_run(tmp_path: Path) -> None:
    recording = bare(tmp_path)
    with CommandCluster(recording) as cluster:
        cluster.add_worker("--no-nanny")
        with Client(cluster.address) as client:
            held = client.map(workloads.increment, range(10))
            client.gather(held)
            client.register_plugin(package.Recorder(recording.log))
            with pytest.raises(RecordingError, match="another one records this cluster to"):
                client.register_plugin(package.Recorder(tmp_path / "other.db"))
            assert client.submit(sum, held).result() == 55
            del held
            cluster.add_worker("--no-nanny")
            client.wait_for_workers(2, timeout=60)
            workloads.maps(client)
    assert_recorded(recording.log, 61, workers=2)
    assert not (tmp_path / "other.db").exists()
    (attach,) = [
        e
        for e in Log(recording.log).events(*Log(recording.log).servers("scheduler"))
        if e.hook == "attach"
    ]
    found = attach.snapshot["attach"]
    assert [task["state"] for task in found["tasks"]] == ["memory"] * 10
    assert len(found["workers"]) == 1


def test_workers_need_not_have_the_package(tmp_path: Path) -> None:
    """Neither existing ones nor those that come later."""
    hidden = tmp_path / "hidden" / "tasklog"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError('tasklog is not installed here')")
    here = {"PYTHONPATH": f"{tmp_path / 'hidden'}:{Path(__file__).parent}"}
    recording = bare(tmp_path)
    with CommandCluster(recording) as cluster:
        cluster.add_worker("--no-nanny", environment=here)
        with Client(cluster.address) as client:
            client.wait_for_workers(1, timeout=60)
            client.register_plugin(package.Recorder(recording.log))
            cluster.add_worker("--nanny", environment=here)
            client.wait_for_workers(2, timeout=60)

            def is_missing() -> bool:
                try:
                    import tasklog  # noqa: F401
                except ImportError:
                    return True
                return False

            assert set(client.run(is_missing).values()) == {True}
            workloads.maps(client)
    assert_recorded(recording.log, 61, workers=2)


def test_options_come_from_arguments_environment_and_config(monkeypatch, tmp_path: Path) -> None:
    import dask

    from tasklog.options import Options

    monkeypatch.setenv("TASKLOG_LOG", "environment.db")
    monkeypatch.setenv("TASKLOG_REDACT", "exception*, traceback*")
    with dask.config.set(
        {"tasklog.log": "config.db", "tasklog.worker-interval": "2s", "tasklog.stimuli": False}
    ):
        options = Options.read({"deep": "no"})
        assert options.log == "environment.db"
        assert options.redact == ("exception*", "traceback*")
        assert (options.worker_interval, options.stimuli, options.deep) == (2.0, False, False)
        assert Options.read({"log": "argument.db"}).log == "argument.db"
        assert options.problems == []


def test_redacted_arguments_are_not_in_the_log(tmp_path: Path) -> None:
    """On the scheduler and on workers, whose stimuli contain the annotations of a task."""
    import dask

    recorder = package.Recorder(tmp_path / "run.db", redact="exception*,traceback*,pass*")
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(recorder)
        failing = client.submit(workloads.fail, 3333)
        assert "not 3333" in str(failing.exception())
        client.log_event("logins", {"user": {"name": "ada", "Password": "hunter2"}})
        with dask.annotate(login={"name": "ada", "password": ["hunter2"]}):
            assert client.submit(workloads.increment, 1).result() == 2
    content = (tmp_path / "run.db").read_bytes()
    assert b"not 3333" not in content and b"hunter2" not in content
    for hook in ("updateGraph", "logEvent", "stimulus"):
        like = "%ada%password%redacted%"
        args = "SELECT count(*) FROM events WHERE hook = ? AND lower(args) LIKE ?"
        assert Log(tmp_path / "run.db").one(args, hook, like) > 0
    assert Log(tmp_path / "run.db").one("SELECT count(*) FROM errors") == 1


def test_it_can_be_turned_off(tmp_path: Path) -> None:
    recording = bare(tmp_path)
    recording.environment["TASKLOG_LOG"] = str(recording.log)
    recording.environment["TASKLOG_DISABLED"] = "1"
    run_commands(recording, ["--preload", "tasklog"])
    assert not recording.log.exists()


def test_a_detached_recorder_leaves_nothing_behind(tmp_path: Path) -> None:
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        scheduler = cluster.scheduler
        before = {name: dict(getattr(scheduler, name)) for name in ("handlers", "stream_handlers")}
        own = set(vars(scheduler))
        client.register_plugin(package.Recorder(tmp_path / "run.db"))
        assert set(vars(scheduler)) > own
        workloads.maps(client)
        # The client's release reaches the scheduler a little later.
        wait_for(lambda: not scheduler.tasks, "the end of all tasks")

        async def detach(dask_scheduler: object) -> None:
            await dask_scheduler.plugins["tasklog"].detach()  # type: ignore[attr-defined]

        client.run_on_scheduler(detach)
        assert Log(tmp_path / "run.db").rows("SELECT end FROM run") == [("closed",)]
        count = Log(tmp_path / "run.db").one("SELECT count(*) FROM event")
        client.gather(client.map(workloads.increment, range(20), pure=False))
        assert set(vars(scheduler)) == own
        assert "tasklog" not in scheduler.plugins
        assert "tasklog-worker" not in scheduler.worker_plugins
        assert not any("tasklog-worker" in w.plugins for w in cluster.workers.values())
        for name, handlers in before.items():
            assert getattr(scheduler, name) == handlers
    log = Log(tmp_path / "run.db")
    assert log.one("SELECT count(*) FROM event") == count
    ends = "SELECT source, count(*) FROM events WHERE hook = 'detach' GROUP BY 1 ORDER BY 1"
    assert log.rows(ends) == [("scheduler", 1), ("worker", 1)]
    assert_recorded(tmp_path / "run.db", 61)
