"""A hook that fails in a replay as it failed live is reported as such, and is not a failure of the
replay; one that fails only in the replay is."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster, wait
from distributed.diagnostics.graph_layout import GraphLayout

import failing_plugins
import tasklog
import workloads
from clusters import HERE, Recording, wait_for
from log import Log

FAILING = str(HERE / "failing_plugins.py")
LOGGERS = [
    "distributed.scheduler", "distributed.broker", "distributed.worker",
    "distributed.worker.state_machine",
]  # fmt: skip


@pytest.fixture
def info() -> Iterator[None]:
    """The default level of Dask's loggers; their messages are not shown."""
    loggers = [logging.getLogger(name) for name in ("distributed", *LOGGERS)]
    before = [(each, each.level, each.handlers[:], each.propagate) for each in loggers]
    for each in loggers:
        each.setLevel(logging.INFO)
    loggers[0].handlers = []
    loggers[0].propagate = False
    yield
    for each, level, handlers, propagate in before:
        each.setLevel(level)
        each.handlers, each.propagate = handlers, propagate


def record(recording: Recording, *plugins: Any, verify: tuple = (), scatter: bool = True) -> Path:
    """A small run with the plugins next to the recorder."""
    import dask

    with (
        recording.applied(),
        dask.config.set({"distributed.scheduler.preload": []}),
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(tasklog.Recorder(recording.log, verify=verify))
        for plugin in plugins:
            if plugin is GraphLayout:
                cluster.scheduler.add_plugin(GraphLayout(cluster.scheduler), name="layout")
                continue
            try:
                client.register_plugin(plugin)
            except LookupError:
                # A failing setup is raised at the client, and the plugin stays.
                pass
        if scatter:
            data = client.scatter([1, 2, 3], hash=False)
            wait(data)
            del data
            wait_for(lambda: not cluster.scheduler.tasks, "end of the data")
        cluster.scale(2)
        client.wait_for_workers(2)
        wait(client.map(workloads.increment, range(10)))
    return recording.log


def failures(log: Path) -> list[tuple]:
    found = Log(log)
    return [
        (event.kwargs["plugin"], event.kwargs["failed"], event.kwargs["error"])
        for kind in ("scheduler", "worker")
        for server in found.servers(kind)
        for event in found.events(server)
        if event.hook == "report" and "failed" in event.kwargs
    ]


def test_failures_that_the_live_run_had_leave_the_exit_code_0(
    info: None, new_recording: Callable, replay: Callable
) -> None:
    plugins = [failing_plugins.Always(), failing_plugins.OnWorkers(), failing_plugins.Cannot()]
    log = record(new_recording("failed-live"), *plugins, GraphLayout)
    told = failures(log)
    for expected in (
        ("Always", "transition", "ValueError"), ("Always", "add_worker", "RuntimeError"),
        ("OnWorkers", "setup", "LookupError"), ("OnWorkers", "transition", "ValueError"),
        ("Cannot", "transition", "TypeError"), ("GraphLayout", "transition", "KeyError"),
    ):  # fmt: skip
        assert expected in told, (expected, set(told))
    given = [f"--plugin={FAILING}:{name}" for name in ("Always", "OnWorkers", "Cannot")]
    layout = "--plugin=distributed.diagnostics.graph_layout:GraphLayout"
    done = replay(log).run(*given, layout)
    assert done.returncode == 0, done.stderr
    assert "failed in" not in done.stderr, done.stderr
    for name in ("Always", "OnWorkers", "Cannot"):
        assert f"plugin '{FAILING}:{name}' failed live, too" in done.stderr, done.stderr
    assert "graph_layout:GraphLayout' failed live, too" in done.stderr, done.stderr


def test_a_failure_that_only_the_replay_has_is_a_failure(
    info: None, new_recording: Callable, replay: Callable
) -> None:
    plugins = [failing_plugins.Always(), failing_plugins.InReplays(fails=False)]
    log = record(new_recording("failed-here"), *plugins)
    done = replay(log).run(f"--plugin={FAILING}:Always", f"--plugin={FAILING}:InReplays")
    assert done.returncode == 1, done.stderr
    assert f"plugin '{FAILING}:InReplays' on the scheduler failed in transition" in done.stderr
    assert f"plugin '{FAILING}:Always' failed live, too" in done.stderr
    assert f"plugin '{FAILING}:Always' on" not in done.stderr
    ended = replay(log).run(
        f"--plugin={FAILING}:Always", f"--plugin={FAILING}:InReplays", "--fail-fast"
    )
    assert ended.returncode == 1
    assert ended.stderr.count("failed in transition") == 1, ended.stderr
    assert ended.stderr.count("failed in transition") == 1, ended.stderr


def test_a_failure_that_only_the_live_run_had_is_told(
    info: None, new_recording: Callable, replay: Callable
) -> None:
    log = record(new_recording("failed-there"), failing_plugins.Lively())
    given = f"{FAILING}:Lively"
    done = replay(log).run(f"--plugin={given}", "--option=fails=false")
    assert done.returncode == 0, done.stderr
    said = f"plugin '{given}' failed live in transition with ValueError and not in this replay"
    assert said in done.stderr, done.stderr


def test_what_is_not_known_of_the_live_run_is_said(
    info: None, new_recording: Callable, replay: Callable
) -> None:
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    log = record(new_recording("failed-unseen"), failing_plugins.Always())
    assert failures(log) == []
    done = replay(log).run(f"--plugin={FAILING}:Always")
    assert done.returncode == 1
    assert "is not recorded" in done.stderr and "loggers" in done.stderr, done.stderr


def test_failures_of_plugins_that_are_verified_are_known_without_loggers(
    info: None, new_recording: Callable, replay: Callable
) -> None:
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    verified = (failing_plugins.Always, failing_plugins.OnWorkers)
    log = record(new_recording("failed-verified"), verify=verified)
    given = [f"--plugin={FAILING}:{name}" for name in ("Always", "OnWorkers")]
    done = replay(log).run(*given, "--verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "same as live in" in done.stdout


def test_asking_for_what_dask_does_not_have_fails_on_a_cluster_too(
    info: None, new_recording: Callable, replay: Callable
) -> None:
    log = record(new_recording("failed-asking"), scatter=False)
    done = replay(log).run(f"--plugin={FAILING}:Missing")
    assert done.returncode == 0, done.stderr
    assert "has no Worker.no_such_thing_at_all" in done.stderr, done.stderr
    # An attribute that only the live worker has is a failure of the replay itself.
    done = replay(log).run(f"--plugin={FAILING}:Mistaken")
    assert done.returncode == 1, done.stderr


def test_a_stock_worker_plugin_is_set_up(
    info: None, new_recording: Callable, replay: Callable
) -> None:
    log = record(new_recording("stock"), scatter=False)
    done = replay(log).run("--plugin=distributed.shuffle:ShuffleWorkerPlugin")
    assert done.returncode == 0, done.stderr
    assert "failed" not in done.stderr, done.stderr


def test_the_marks_of_many_failures_end_somewhere() -> None:
    from tasklog.failing import _MAXIMUM, FailureWatch

    told: list[dict] = []
    plugin = failing_plugins.Always()
    watch = FailureWatch(lambda: [plugin], told.append)
    logger = logging.getLogger("distributed.broker")
    watch.install()
    try:
        for _ in range(_MAXIMUM + 10):
            try:
                plugin.transition("x", "processing", "memory")
            except ValueError:
                record = logger.makeRecord(logger.name, 20, "", 0, "", (), sys.exc_info())
                assert watch.filter(record)
    finally:
        watch.remove()
    assert len(told) == _MAXIMUM
    assert told[-1]["more"] and "more" not in told[0]
    assert watch not in logger.filters
