"""What a recorder records besides the state: messages, locks, plugins, the scheduler's load."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import (
    Client,
    Event,
    LocalCluster,
    Lock,
    NannyPlugin,
    Queue,
    SchedulerPlugin,
    Semaphore,
    Variable,
    WorkerPlugin,
)

import tasklog as package
import workloads
from clusters import wait_for
from log import Log
from replaying import WATCHERS, Replay
from tasklog import messages, observing, waiting
from tasklog.options import Options


class OfScheduler(SchedulerPlugin):
    name = "of-scheduler"


class OfWorker(WorkerPlugin):
    name = "of-worker"


class OfNanny(NannyPlugin):
    name = "of-nanny"


def use_locks() -> None:
    with Lock("planted-lock"):
        pass
    with Semaphore(2, name="planted-semaphore"):
        pass
    queue = Queue("planted-queue")
    queue.put(1)
    queue.get()
    Variable("planted-variable").set(1)


def hold(seconds: float) -> None:
    with Lock("planted-lock"):
        workloads.slow(seconds)


def write(logger: str, text: str) -> None:
    logging.getLogger(logger).warning("%s", text)


def in_a_thread(text: str) -> None:
    thread = threading.Thread(target=write, args=("distributed.worker", text))
    thread.start()
    thread.join()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory, monkeymodule: pytest.MonkeyPatch) -> Path:
    path = tmp_path_factory.mktemp("observing") / "run.db"
    monkeymodule.setattr(observing, "MONITOR_SECONDS", 0.2)
    with (
        dask.config.set({"distributed.diagnostics.computations.nframes": 1}),
        LocalCluster(n_workers=1, threads_per_worker=3, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        scheduler: Any = cluster.scheduler
        monitored: list[Any] = []
        client.register_plugin(OfScheduler())
        client.register_plugin(
            package.Recorder(path, worker_spool=str(path.parent / "spool"), worker_interval=0.05)
        )
        client.register_plugin(OfWorker())
        client.register_plugin(OfNanny())
        client.unregister_worker_plugin("of-worker")
        client.submit(use_locks).result()
        held = client.map(hold, [0.3, 0.31])
        event = Event("planted-event")
        waiting = client.submit(lambda: Event("planted-event").wait())
        wait_for(
            lambda: scheduler.extensions["events"]._waiter_count["planted-event"],
            "wait for the event",
        )
        client.gather(held)
        event.set()
        waiting.result()
        client.run(write, "distributed.worker", "planted at a worker")
        client.run(in_a_thread, "planted in a thread")
        client.run(write, "other", "planted elsewhere")
        client.run_on_scheduler(write, "distributed.scheduler", "planted at the scheduler")
        monitored += [scheduler.monitor.recent()]
        wait_for(lambda: Log(path).one(COUNT.format("monitor")) > 1, "samples")
    return path


COUNT = "SELECT count(*) FROM events WHERE hook = '{}'"


@pytest.fixture(scope="module")
def monkeymodule() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def args(log: Path, hook: str, source: str = "%") -> list[dict[str, Any]]:
    rows = Log(log).rows(
        f"SELECT args FROM events WHERE hook = '{hook}' AND source LIKE '{source}' ORDER BY seq"
    )
    return [json.loads(text) for (text,) in rows]


def test_messages_are_in_the_log_once(log: Path, tasklog: Callable) -> None:
    sql = "SELECT text, source, level, logger FROM messages WHERE text LIKE '%pl%'"
    output = tasklog(log, "query", sql, "--format", "jsonl")
    rows = [list(json.loads(line).values()) for line in output.splitlines()]
    found = {text: rest for text, *rest in rows if text.startswith("planted")}
    # The scheduler is in the process of the nanny and of the client.
    assert found == {
        "planted at a worker": ["worker", "WARNING", "distributed.worker"],
        "planted in a thread": ["worker", "WARNING", "distributed.worker"],
        "planted at the scheduler": ["scheduler", "WARNING", "distributed.scheduler"],
    }
    assert len([text for text, *_ in rows if text.startswith("planted")]) == len(found)


def test_messages_can_be_selected(log: Path, tasklog: Callable) -> None:
    def texts(*arguments: str) -> list[str]:
        output = tasklog(log, "messages", "--format", "jsonl", *arguments)
        return [json.loads(line)["text"] for line in output.splitlines() if line[:1] == "{"]

    assert texts("--grep", "planted at the") == ["planted at the scheduler"]
    assert texts("--worker", "0", "--grep", "planted") == [
        "planted at a worker", "planted in a thread",
    ]  # fmt: skip
    assert texts("--level", "critical") == []
    assert len(texts("--level", "warning", "-n", "1")) == 1
    assert texts("--grep", "planted at the", "--follow") == ["planted at the scheduler"]
    assert "expected debug, info" in tasklog(log, "messages", "--level", "loud", code=64)


def test_locks_are_recorded_by_name(log: Path) -> None:
    found = args(log, "lock", "scheduler")
    done = {(lock["kind"], lock["op"]) for lock in found if lock["name"].startswith("planted")}
    assert done >= {
        ("semaphore", "acquire"), ("semaphore", "release"), ("queue", "put"), ("queue", "get"),
        ("variable", "set"), ("event", "wait"), ("event", "set"),
    }  # fmt: skip
    of_lock = [lock for lock in found if lock["name"] == "planted-lock"]
    acquired = [lock for lock in of_lock if lock["op"] == "acquire"]
    assert len(acquired) == 3 and len(of_lock) >= 6
    # One of two tasks waited for the other, and said so when it began.
    assert sum(lock["waited"] > 0.2 for lock in acquired) == 1
    leases = [lock["lease"] for lock in of_lock if lock["op"] == "wait"]
    assert len(leases) == 1
    released = {lock["lease"] for lock in of_lock if lock["op"] == "release"}
    assert released == {lock["lease"] for lock in acquired} >= set(leases)


def test_a_worker_records_which_task_waited_for_a_lock_and_how_long(log: Path) -> None:
    rows = Log(log).rows(
        "SELECT key, args FROM events WHERE hook = 'lock' AND source = 'worker' ORDER BY seq"
    )
    waits = [(key, json.loads(text)) for key, text in rows]
    ended = [(key, wait) for key, wait in waits if wait["op"] == "end"]
    kinds = {(wait["kind"], wait["for"]) for _, wait in ended}
    assert ("lock", "acquire") in kinds and ("event", "wait") in kinds
    held = [(key, wait) for key, wait in ended if wait["name"] == "planted-lock"]
    assert {key.rpartition("-")[0] for key, _ in held} <= {"hold", "use_locks"}
    (long,) = [(key, wait) for key, wait in held if wait["stop"] - wait["start"] > 0.2]
    # It was recorded when it began, too: its worker might have been killed.
    begun = [(key, wait) for key, wait in waits if wait["op"] == "begin"]
    assert (long[0], long[1]["start"]) in [(key, wait["start"]) for key, wait in begun]
    assert all("stop" not in wait for _, wait in begun)


def test_with_redaction_no_name_of_a_lock_and_no_code_is_recorded(
    tasklog: Callable, tmp_path: Path
) -> None:
    path = tmp_path / "run.db"
    with (
        dask.config.set({"distributed.diagnostics.computations.nframes": 1}),
        LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        options = {"worker_spool": str(tmp_path / "spool"), "redact": "password"}
        client.register_plugin(package.Recorder(path, profile=True, **options))
        client.submit(use_locks).result()
    locks = args(path, "lock")
    assert len(locks) > 4 and {lock["name"] for lock in locks} == {None}
    assert not args(path, "profile")
    computations = [a for a in args(path, "stimulus") if a.get("op") == "computation"]
    assert computations and not any("code" in each for each in computations)


def test_the_methods_of_locks_are_restored_at_the_end() -> None:
    assert not any(hasattr(method, waiting._WATCHES) for method in (
        vars(owner)[name] for owner, name, _ in waiting._METHODS
    ))  # fmt: skip


def test_plugins_are_recorded_as_they_come_and_go(log: Path) -> None:
    name = f"{__name__}.OfScheduler"
    (attach,) = [a for a in args(log, "attach") if "plugins" in a]
    assert {"name": "of-scheduler", "type": name} in attach["plugins"]["scheduler"]
    found = [(p["op"], p["target"], p["name"]) for p in args(log, "plugin")]
    assert found == [
        ("add", "worker", "of-worker"), ("add", "nanny", "of-nanny"),
        ("remove", "worker", "of-worker"),
    ]  # fmt: skip
    types = [p.get("type") for p in args(log, "plugin")]
    assert types[:2] == [f"{__name__}.OfWorker", f"{__name__}.OfNanny"]


def test_the_load_of_the_scheduler_is_sampled(log: Path) -> None:
    samples = args(log, "monitor")
    assert len(samples) > 1
    for sample in samples:
        assert sample["memory"] > 1 << 20 and sample["cpu"] >= 0 and sample["late"] >= 0


def test_the_code_of_a_computation_is_recorded(log: Path) -> None:
    codes = [a["code"] for a in args(log, "stimulus") if a.get("op") == "computation"]
    assert any("client.submit(use_locks)" in json.dumps(code) for code in codes)


def test_a_nanny_and_its_worker_are_identified(log: Path) -> None:
    nannies = args(log, "nanny")
    (setup,) = [n for n in nannies if n["op"] == "setup"]
    (exit,) = [n for n in nannies if n["op"] == "exit"]
    assert exit["exitcode"] == 0 and exit["reason"] == "nanny-close"
    (worker,) = args(log, "setup")
    assert worker["pid"] == exit["workerPID"] != setup["pid"]
    assert worker["bootID"] == setup["bootID"]


def test_a_replay_does_not_see_them(log: Path, tasklog: Callable) -> None:
    plugins = [f"--plugin={WATCHERS}:{name}" for name in ("Everything", "WorkerProbe")]
    done = Replay(tasklog.program, log).run(*plugins)
    assert done.returncode == 0, done.stdout + done.stderr
    # What a worker was doing when a message came in between is as it was.
    assert "drift" not in done.stderr and "failed" not in done.stderr, done.stderr


# The bounds


class Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        pass


def watched(option: str, write: Callable[[logging.Logger], None]) -> list[dict[str, Any]]:
    """The messages of a logger of the test's own."""
    found: list[dict[str, Any]] = []

    async def run() -> None:
        watch = messages.MessageWatch(messages.parse(option), found.append, "run")
        watch.install()
        try:
            write(logging.getLogger("watched.part"))
        finally:
            watch.remove()

    logger = logging.getLogger("watched")
    logger.addHandler(handler := Handler())
    try:
        asyncio.run(run())
    finally:
        logger.removeHandler(handler)
    return found


def test_many_messages_in_a_second_are_counted() -> None:
    def write(logger: logging.Logger) -> None:
        for number in range(500):
            logger.warning("number %d", number)

    found = watched("watched", write)
    dropped = sum(message.get("dropped", 0) for message in found)
    shown = [message for message in found if message["text"]]
    assert shown[0]["text"] == "number 0"
    # The second may change meanwhile.
    assert messages.MOST_PER_SECOND <= len(shown) < 500 and len(shown) + dropped == 500


@pytest.mark.parametrize(
    ("option", "levels"),
    [
        ("watched", ["WARNING", "ERROR"]), ("ERROR,watched", ["ERROR"]),
        ("off", []), ("WARNING,elsewhere", []), ("info,watched", ["WARNING", "ERROR"]),
    ],
)  # fmt: skip
def test_the_option_selects_levels_and_loggers(option: str, levels: list[str]) -> None:
    def write(logger: logging.Logger) -> None:
        for level in (logging.DEBUG, logging.WARNING, logging.ERROR):
            logger.log(level, "text")

    assert [message["level"] for message in watched(option, write)] == levels


def test_with_redaction_messages_are_off_unless_requested() -> None:
    assert Options.read({"redact": "secret"}).messages == ("off",)
    assert Options.read({"redact": "secret", "messages": "ERROR"}).messages == ("ERROR",)
    assert Options.read({}).messages == ("WARNING",)


@pytest.mark.parametrize("value", ["", "off,distributed", "INFO,ERROR", 7, [1]])
def test_an_invalid_option_is_an_error(value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        messages.parse(value)


def test_a_long_message_is_truncated_and_a_traceback_is_kept() -> None:
    def write(logger: logging.Logger) -> None:
        try:
            raise KeyError("planted")
        except KeyError:
            logger.exception("x" * 100_000)

    (message,) = watched("watched", write)
    assert message["text"] == "x" * messages.LONGEST
    assert message["traceback"].endswith("KeyError: 'planted'")
