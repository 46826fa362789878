"""Through a real broker: the plugin of Dask's documentation, and our recorder as a publisher."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster, wait

import beside
import tasklog as package
import workloads
from broker import SCRIPT, Broker, free_port
from clusters import CommandCluster, Recording
from conftest import REPOSITORY
from documents import CATALOG
from log import Log

DOCUMENTED = REPOSITORY / "Tests" / "AMQPTests" / "documented.py"
#: A library that was built without RabbitMQ, where `Tests/run` puts it.
PLAIN = REPOSITORY / ".build-plain" / "debug" / "libTaskLogC.so"


def without_rabbitmq(program: Path) -> str | None:
    """The reason to skip these tests."""
    said = subprocess.run(
        [program, "record", "--from", "amqp://127.0.0.1:1", "--log", "/nowhere/run.db"],
        capture_output=True,
        text=True,
    )
    if "built without RabbitMQ" in said.stderr:
        return f"{program} was built without RabbitMQ"
    return None if os.path.exists(SCRIPT) else "there is no rabbitmq-server"


@pytest.fixture(scope="session")
def broker(tasklog: Callable, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    reason = without_rabbitmq(tasklog.program)  # type: ignore[attr-defined]
    if reason is not None:
        pytest.skip(reason)
    broker = Broker(tmp_path_factory.mktemp("broker"))
    yield broker
    broker.end()


class Queue:
    """A queue for one test."""

    def __init__(self, broker: Broker, program: Path, folder: Path) -> None:
        self.broker, self.program, self.folder = broker, program, folder
        self.name = f"test-{uuid.uuid4()}"

    @property
    def options(self) -> dict[str, Any]:
        return {
            "publish": self.broker.url,
            "publish_queue": self.name,
            "publish_spool": str(self.folder / "publish.spool"),
        }

    @property
    def environment(self) -> dict[str, str]:
        return {f"TASKLOG_{name.upper()}": value for name, value in self.options.items()}

    def record(self, name: str | None = None) -> Log:
        """The content of the queue, recorded by `tasklog record` until no more messages arrive."""
        log = self.folder / "consumed.db"
        done = subprocess.run(
            [
                self.program, "record", "--from", self.broker.url, "--queue", name or self.name,
                "--log", log, "--idle", "1",
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "malformed" not in done.stdout
        return Log(log)


@pytest.fixture
def queue(broker: Broker, tasklog: Callable, tmp_path: Path) -> Queue:
    return Queue(broker, tasklog.program, tmp_path)  # type: ignore[attr-defined]


def plain(value: tuple) -> Any:
    """The value before its conversion by the independent plugin."""
    kind, content = value
    if kind == "float":
        return float.fromhex(content)
    return tuple(plain(item) for item in content) if kind == "tuple" else content


def test_the_plugin_of_the_documentation_is_recorded_and_counted_right(
    queue: Queue, tmp_path: Path
) -> None:
    recording = Recording(tmp_path)
    recording.environment = {
        "BESIDE_FOLDER": str(tmp_path),
        "TASKLOG_TEST_BROKER_PORT": str(queue.broker.port),
    }
    beside_file = Path(beside.__file__)
    arguments = ["--preload", str(DOCUMENTED), "--preload", str(beside_file)]
    with CommandCluster(recording, arguments) as cluster:
        cluster.add_worker("--no-nanny")
        with Client(cluster.address) as client:
            client.wait_for_workers(1, timeout=60)
            workloads.maps(client)
            workloads.keys_of_all_kinds(client)
            workloads.errors(client, str(tmp_path))
    (kept,) = tmp_path.glob("scheduler-*")
    expected = [
        tuple(plain(value) for value in args[1][:3])
        for hook, args, *_ in beside.read(kept)
        if hook == "transition"
    ]
    # The plugin has no other queue.
    log = queue.record("dask_task_status")
    assert log.rows("SELECT mode, end FROM run") == [("transitions", "closed")]
    found = [(e.key, e.start, e.finish) for e in log.events("queue") if e.hook == "transition"]
    assert len(found) > 400
    assert found == expected
    (counter,) = (kwargs[1] for hook, _, kwargs, _ in beside.read(kept) if hook == "close")
    counted = log.one(
        "SELECT count(*) FROM transitions WHERE start = 'processing' AND finish = 'memory'"
    )
    assert counter == [(("str", "counter"), ("int", counted))]


def whole(log: Log, run: str) -> dict[str, list]:
    """The whole content of a log about a run, by source."""
    sources = log.rows(
        "SELECT server_id, kind, address, name FROM source WHERE run = "
        "(SELECT id FROM run WHERE uuid = ?) ORDER BY server_id",
        run,
    )
    found: dict[str, list] = {}
    for server, *about in sources:
        rows = log.rows(
            """
            SELECT source_seq, time, hook.text, key.text, key.typed, start.text, finish.text,
              stimulus.text, worker.text, task_run, args, snapshot
            FROM event JOIN source ON source.id = event.source JOIN text AS hook ON hook.id = hook
            LEFT JOIN key ON key.id = event.key LEFT JOIN text AS start ON start.id = event.start
            LEFT JOIN text AS finish ON finish.id = event.finish
            LEFT JOIN text AS stimulus ON stimulus.id = event.stimulus
            LEFT JOIN text AS worker ON worker.id = event.worker
            WHERE server_id = ? ORDER BY source_seq
            """,
            server,
        )
        found[server] = [about, *rows]
    return found


def assert_equal(found: Log, expected: Log, run: str) -> None:
    ours, theirs = whole(found, run), whole(expected, run)
    assert list(ours) == list(theirs)
    for server, rows in theirs.items():
        for mine, other in zip(ours[server], rows, strict=False):
            assert mine == other
        assert len(ours[server]) == len(rows)
    about = (
        "SELECT uuid, engine, engine_version, mode, end, metadata, events FROM run WHERE uuid = ?"
    )
    assert found.rows(about, run) == expected.rows(about, run)


@pytest.mark.parametrize("batch", [1, 100])
def test_what_is_published_equals_what_is_recorded(
    queue: Queue, tmp_path: Path, batch: int
) -> None:
    log = tmp_path / "direct.db"
    with (
        LocalCluster(n_workers=2, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        recorder = package.Recorder(log, publish_batch=batch, **queue.options)
        client.register_plugin(recorder)
        run = cluster.scheduler.plugins["tasklog"].run
        workloads.everything(client, str(tmp_path))
        assert cluster.scheduler.plugins["tasklog"].flush(30)
    assert not (tmp_path / "publish.spool").exists()
    found, expected = queue.record(), Log(log)
    assert len(expected.servers("worker")) == 2
    assert expected.one("SELECT events FROM run") > 2000
    assert_equal(found, expected, run)
    assert found.rows("SELECT * FROM gap") == []


def test_what_a_filter_leaves_out_is_told_the_same_in_both(queue: Queue, tmp_path: Path) -> None:
    log = tmp_path / "direct.db"
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        recorder = package.Recorder(
            log, exclude_hooks="stimulus,logEvent", redact="nbytes", **queue.options
        )
        client.register_plugin(recorder)
        run = cluster.scheduler.plugins["tasklog"].run
        workloads.maps(client)
    found, expected = queue.record(), Log(log)
    assert expected.one("SELECT count(*) FROM events WHERE hook = 'excluded'") > 0
    assert_equal(found, expected, run)


def test_without_a_log_there_is_only_the_queue(queue: Queue, tmp_path: Path) -> None:
    """Set by the environment alone; the password is never printed."""
    recording = Recording(tmp_path)
    address = queue.broker.url.replace("amqp://", "amqp://guest:guest@")
    recording.environment = {
        **queue.environment, "TASKLOG_PUBLISH": address, "TASKLOG_PUBLISH_BATCH": "20",
        "TASKLOG_WORKER_SPOOL": str(tmp_path / "spool"),
    }  # fmt: skip
    with CommandCluster(recording, ["--preload", "tasklog"]) as cluster:
        cluster.add_worker("--no-nanny")
        with Client(cluster.address) as client:
            workloads.maps(client)
    assert "tasklog: " not in cluster.scheduler.text, cluster.scheduler.text
    assert "guest" not in cluster.scheduler.text
    assert not (tmp_path / "tasklog.db").exists()
    log = queue.record()
    assert log.rows("SELECT engine, end FROM run") == [("dask", "closed")]
    assert log.one("SELECT count(*) FROM tasks WHERE state = 'forgotten'") >= 61
    assert log.one("SELECT count(*) FROM transitions WHERE start = 'executing'") >= 61


def test_what_a_killed_scheduler_has_left_the_next_one_sends(
    queue: Queue, tmp_path: Path, tasklog: Callable
) -> None:
    recording = Recording(tmp_path)
    recording.environment = {
        **queue.environment, "TASKLOG_LOG": str(recording.log), "TASKLOG_PUBLISH_BATCH": "10",
        "TASKLOG_WORKER_SPOOL": str(tmp_path / "spool"),
    }  # fmt: skip
    with CommandCluster(recording, ["--preload", "tasklog"]) as cluster:
        cluster.add_worker("--no-nanny")
        with Client(cluster.address) as client:
            client.wait_for_workers(1, timeout=60)
            futures = client.map(workloads.increment, range(2000), pure=False)
            wait(futures[:200])
            # In the middle of everything, including the sending.
            cluster.scheduler.kill()
    tasklog(recording.log, "recover")
    expected = Log(recording.log)
    (run,) = (row[0] for row in expected.rows("SELECT uuid FROM run"))
    assert expected.rows("SELECT end FROM run") == [("died",)]
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(package.Recorder(**queue.options))
        workloads.maps(client)
        assert cluster.scheduler.plugins["tasklog"].flush(30)
    found = queue.record()
    assert found.one("SELECT events FROM run WHERE uuid = ?", run) > 1000
    assert_equal(found, expected, run)
    assert found.one("SELECT count(*) FROM run") == 2
    assert found.rows("SELECT * FROM gap") == []


SCRIPT_WITHOUT_BROKER = """
import sys
import tasklog, workloads
from distributed import Client, LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster:
        with Client(cluster) as client:
            client.register_plugin(
                tasklog.Recorder(publish=sys.argv[1], publish_spool=sys.argv[2], close_seconds=0.5)
            )
            workloads.maps(client)
            print(cluster.scheduler.plugins["tasklog"].run)
"""


def run_script(folder: Path, address: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT_WITHOUT_BROKER, address, folder / "publish.spool"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_without_a_broker_dask_runs_and_events_wait(queue: Queue, tmp_path: Path) -> None:
    done = run_script(tmp_path, f"amqp://me:secret@127.0.0.1:{free_port()}")
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "tasklog" in line]
    # Once that it retries, and once, at the end, where the rest is.
    assert len(told) == 2, done.stderr
    assert "will try again" in told[0] and "stays in" in told[1]
    assert "secret" not in done.stdout + done.stderr
    run = done.stdout.strip()
    assert (tmp_path / "publish.spool" / run).is_dir()
    assert "secret" not in (tmp_path / "publish.spool" / run / "publisher.json").read_text()

    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(package.Recorder(**queue.options))
        client.submit(workloads.increment, 1).result()
        assert cluster.scheduler.plugins["tasklog"].flush(30)
    log = queue.record()
    assert log.one("SELECT events FROM run WHERE uuid = ?", run) > 300
    assert log.rows("SELECT * FROM gap") == []


def test_what_is_no_address_is_one_warning_without_the_password(
    queue: Queue, tmp_path: Path, caplog
) -> None:
    for number, wrong in enumerate(("http://me:secret@host", "amqp://me:secret@host:x", 5)):
        caplog.clear()
        with (
            LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster,
            Client(cluster) as client,
        ):
            log = tmp_path / f"{number}.db"
            client.register_plugin(package.Recorder(log, publish=wrong))
            workloads.maps(client)
        told = [r.getMessage() for r in caplog.records if r.name == "tasklog"]
        assert len(told) == 1 and "secret" not in told[0], told
        assert "amqp://" in told[0]
        assert Log(log).one("SELECT count(*) FROM tasks") >= 61


def test_a_library_without_rabbitmq_says_how_to_get_it(tmp_path: Path) -> None:
    if not PLAIN.exists():
        pytest.skip(f"there is no {PLAIN}")
    done = run_script(tmp_path, "amqp://me:secret@127.0.0.1:1", TASKLOG_LIB=str(PLAIN))
    # Raised where the recorder is registered.
    assert done.returncode == 1, done.stderr
    told = done.stderr.splitlines()[-1]
    assert told.startswith("tasklog.recorder.RecordingError: nothing is recorded: "), done.stderr
    assert "TASKLOG_TRAITS=RabbitMQ" in told
    assert "secret" not in done.stderr


def test_the_commands_of_the_article_work(broker: Broker, tmp_path: Path, tasklog) -> None:
    lines = (CATALOG / "RabbitMQ.md").read_text().splitlines()
    commands = [line for line in lines if line.startswith("tasklog r")]
    # Without `--idle` they continue for ever.
    lines = [line for line in commands if "record" not in line or "--idle" in line]
    assert len(lines) == 2
    tasklog(tmp_path / "run.db", "demo", "--input", REPOSITORY / "Sources" / "AMQP")
    done = subprocess.run(
        ["bash", "-ec", "\n".join(lines).replace("amqp://broker", broker.url)],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tasklog.program.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found, expected = Log(tmp_path / "dask.db"), Log(tmp_path / "run.db")
    ((run,),) = expected.rows("SELECT uuid FROM run")
    assert_equal(found, expected, run)
