"""`tasklog.record`: a recording from code."""

from __future__ import annotations

import asyncio
import csv
import getpass
import io
import json
import socket
import sqlite3
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster

import tasklog
import witness
import workloads
from clusters import CommandCluster, Recording, wait_for, work
from log import Log
from tasklog.calling import redacted


def plugins(client: Client) -> list[str]:
    return [name for name in client.cluster.scheduler.plugins if name.startswith("tasklog")]


def test_what_happens_in_the_block_is_in_the_log_and_nothing_else(
    client: Client, tmp_path: Path
) -> None:
    with tasklog.record("run.db") as run:
        assert run.status().recording
        work(client)
    seen = witness.seen(tmp_path / "witness")
    assert witness.differences(seen, witness.logged("run.db")) == []
    work(client)
    log = Log("run.db")
    assert log.rows("SELECT uuid, end FROM run") == [(run.id, "closed")]
    assert log.one("SELECT count(*) FROM gap") == 0
    assert run.path == tmp_path / "run.db"
    assert plugins(client) == []
    assert not any("tasklog-worker" in w.plugins for w in client.cluster.workers.values())
    status = run.status()
    assert not status.recording and status.waiting == 0 and status.lag == 0
    assert status.events == log.one("SELECT count(*) FROM event")
    assert (status.log, status.host) == (str(tmp_path / "run.db"), socket.gethostname())
    assert status.fetched is None and status.spool_bytes == 0 and status.dropped == 0


def test_blocks_one_after_the_other_are_runs_of_one_log(client: Client) -> None:
    runs = []
    for _ in range(2):
        with tasklog.record("run.db") as run:
            work(client)
        runs.append((run.id, "closed"))
    assert Log("run.db").rows("SELECT uuid, end FROM run ORDER BY id") == runs


def test_a_run_tells_who_requested_it(client: Client, tasklog: Any, tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    script = tmp_path / "code" / "job.py"
    script.parent.mkdir()
    script.write_text(
        textwrap.dedent("""
        import sys, tasklog
        from distributed import Client
        with Client(sys.argv[1]) as client:
            with tasklog.record("run.db", labels={"pipeline": "etl", "attempt": 2},
                                command_line="--with" in sys.argv, redact="*token*"):
                client.submit(sum, [1, 2]).result()
    """)
    )
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *command], cwd=script.parent, check=True)
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=script.parent, capture_output=True, text=True
    ).stdout.strip()
    # `processes=False` has no address for other processes.
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        for arguments in ([], ["--with", "--api-token", "hunter2", "n=3"]):
            subprocess.run(
                [sys.executable, str(script), address, *arguments],
                check=True,
                timeout=120,
                cwd=tmp_path,
            )
            script.write_text(script.read_text() + "\n")
    columns = "labels, host, user, git_revision, command_line"
    rows = Log(tmp_path / "run.db").rows(f"SELECT {columns} FROM runs ORDER BY run")
    labels = '{"attempt":"2","pipeline":"etl"}'
    common = (labels, socket.gethostname(), getpass.getuser())
    assert rows[0] == (*common, head, None)
    assert rows[1][:4] == (*common, f"{head}-dirty")
    assert rows[1][4].endswith(f"{script} {address} --with --api-token '[redacted]' n=3")
    # The command shows the same as the view.
    listed = list(
        csv.DictReader(io.StringIO(tasklog(tmp_path / "run.db", "runs", "--format", "csv")))
    )
    names = ("labels", "host", "user", "git_revision")
    assert [tuple(row[name] for name in names) for row in listed] == [row[:4] for row in rows]
    assert b"hunter2" not in (tmp_path / "run.db").read_bytes()


def test_a_preloaded_scheduler_tells_only_its_own_host_and_user(
    new_recording: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording: Recording = new_recording("preloaded-labels")
    recording.environment["TASKLOG_LABELS"] = "pipeline=etl; stage=load,transform"
    with CommandCluster(recording) as cluster:
        cluster.add_worker("--no-nanny")
        with Client(cluster.address) as client:
            assert client.submit(sum, [1, 2]).result() == 3
    columns = "labels, host, user, git_revision, command_line"
    assert Log(recording.log).rows(f"SELECT {columns} FROM runs") == [
        (
            '{"pipeline":"etl","stage":"load,transform"}',
            socket.gethostname(),
            getpass.getuser(),
            None,
            None,
        )
    ]


def test_a_block_within_a_block_joins_it_and_adds_its_labels(client: Client) -> None:
    with tasklog.record("run.db", labels={"pipeline": "etl"}) as outer:
        with tasklog.record("run.db", labels={"stage": "load", "pipeline": "other"}) as inner:
            work(client)
        assert inner.id == outer.id
        assert outer.status().recording and plugins(client) == ["tasklog"]
        # What happened in the block can be read after it.
        ended = "SELECT count(*) FROM transitions WHERE start = 'processing' AND finish = 'memory'"
        assert Log(inner.path).one(ended) == 20
        work(client)
    log = Log("run.db")
    assert log.one(ended) == 40
    assert log.rows("SELECT end FROM run") == [("closed",)]
    labels = [("pipeline", "other"), ("stage", "load")]
    assert log.rows("SELECT name, value FROM labels ORDER BY name") == labels


def test_the_last_of_overlapping_blocks_ends_the_recording(client: Client) -> None:
    first, second = tasklog.record("run.db"), tasklog.record("run.db")
    first.__enter__()
    work(client)
    second.__enter__()
    first.__exit__(None, None, None)
    work(client)
    assert second.status().recording and plugins(client) == ["tasklog"]
    second.__exit__(None, None, None)
    assert plugins(client) == []
    log = Log("run.db")
    ended = "SELECT count(*) FROM transitions WHERE start = 'processing' AND finish = 'memory'"
    assert log.one(ended) == 40 and log.rows("SELECT end FROM run") == [("closed",)]
    assert len(list(first.transitions(start="processing", finish="memory"))) == 40


def test_another_recorder_is_an_error_at_the_client(client: Client) -> None:
    client.register_plugin(tasklog.Recorder("run.db"))
    with pytest.raises(tasklog.RecordingError, match="another one records this cluster"):
        with tasklog.record("mine.db"):
            pytest.fail("nothing is recorded")
    assert plugins(client) == ["tasklog"]


@pytest.mark.parametrize(
    ("log", "options", "words"),
    [
        ("no/such/folder/run.db", {}, "the folder .*no/such/folder does not exist"),
        (".", {}, "is a folder"),
        ("run.db", {"redact": 5}, "'redact' is 5"),
        ("run.db", {"redakt": "x"}, "unknown option 'redakt'; did you mean 'redact'"),
        ("run.db", {"labels": {"a=b": 1}}, "expected a name without"),
        ("run.db", {"labels": {"a": [1]}}, "expected text or a number"),
        (7, {}, "expected str, bytes or os.PathLike object, not int"),
    ],
)
def test_what_cannot_be_recorded_is_an_error_at_the_client(
    client: Client, log: Any, options: dict, words: str
) -> None:
    with pytest.raises((tasklog.RecordingError, TypeError), match=words):
        with tasklog.record(log, **options):
            pytest.fail("nothing is recorded")
    assert plugins(client) == []


def test_a_file_that_is_no_log_is_an_error_at_the_client(client: Client, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no log" * 1000)
    with pytest.raises(tasklog.RecordingError, match="not a SQLite database"):
        with tasklog.record("text.db"):
            pytest.fail("nothing is recorded")
    assert (tmp_path / "text.db").read_text() == "no log" * 1000


def test_recording_that_is_turned_off_is_an_error_at_the_client(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKLOG_DISABLED", "1")
    with pytest.raises(tasklog.RecordingError, match="TASKLOG_DISABLED is 1"):
        with tasklog.record("run.db"):
            pytest.fail("nothing is recorded")


def test_without_a_client_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(tasklog.RecordingError, match="create a distributed.Client first"):
        with tasklog.record(tmp_path / "run.db"):
            pytest.fail("nothing is recorded")


def test_an_error_in_the_block_ends_the_recording_and_is_raised(client: Client) -> None:
    with pytest.raises(ZeroDivisionError):
        with tasklog.record("run.db"):
            work(client)
            1 / 0  # noqa: B018
    assert Log("run.db").rows("SELECT end FROM run") == [("closed",)]


@pytest.mark.parametrize("what", ["cluster", "client"])
def test_a_cluster_or_client_that_is_closed_in_the_block_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TASKLOG_WORKER_SPOOL", str(tmp_path / "spool"))
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        client = Client(cluster)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with tasklog.record("run.db", client=client) as run:
                client.gather(client.map(workloads.increment, range(10)))
                if what == "cluster":
                    cluster.close()
                client.close()
    log = Log(run.path)
    assert log.rows("SELECT end FROM run") == [("closed",)]
    ended = "SELECT count(*) FROM transitions WHERE start = 'processing' AND finish = 'memory'"
    assert log.one(ended) == 10


def test_an_asynchronous_client_records_with_async_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TASKLOG_WORKER_SPOOL", str(tmp_path / "spool"))

    async def run() -> tuple[str, Path, Path]:
        async with LocalCluster(
            n_workers=1, processes=False, dashboard_address=None, asynchronous=True
        ) as cluster:
            async with Client(cluster, asynchronous=True) as client:
                with pytest.raises(tasklog.RecordingError, match="write 'async with'"):
                    with tasklog.record("run.db"):
                        pytest.fail("nothing is recorded")
                async with tasklog.record("run.db") as recording:
                    await client.gather(client.map(workloads.increment, range(10)))
                    assert (await recording.status()).recording
                    fetched = await recording.fetch()
                assert not (await recording.status()).recording
                return recording.id, fetched, recording.path

    id, fetched, log = asyncio.run(run())
    assert fetched == log == tmp_path / "run.db"
    assert Log(log).rows("SELECT uuid, end FROM run") == [(id, "closed")]


def test_async_with_works_with_a_client_that_is_not_asynchronous(client: Client) -> None:
    async def run() -> None:
        async with tasklog.record("run.db") as recording:
            await asyncio.to_thread(work, client)
            assert (await recording.status()).recording

    asyncio.run(run())
    assert Log("run.db").rows("SELECT end FROM run") == [("closed",)]


def test_the_status_tells_how_far_the_log_is_behind(client: Client) -> None:
    with tasklog.record("run.db") as run:
        work(client)
        wait_for(lambda: run.status().waiting == 0, "end of waiting")
        with sqlite3.connect("run.db", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            before = run.status()
            work(client)
            held = wait_for(lambda: (now := run.status()).waiting > 20 and now, "waiting events")
            assert held.events >= before.events + 20 and held.lag > 0 and held.dropped == 0
            assert held.spool_bytes > 0
            later = wait_for(lambda: (now := run.status()).lag > held.lag and now, "longer lag")
            assert later.waiting >= held.waiting
            other.execute("ROLLBACK")
        other.close()
        wait_for(lambda: (now := run.status()).waiting == 0 and now.lag == 0, "end of the lag")
    assert run.status().events == Log("run.db").one("SELECT count(*) FROM event")


def test_the_status_tells_what_was_dropped(client: Client) -> None:
    # A value longer than a segment of the spool never fits.
    with tasklog.record("run.db", spool_limit="1MiB", max_value_bytes="16MiB") as run:
        client.log_event("topic", {"text": "x" * (8 << 20)})
        status = wait_for(lambda: (now := run.status()).dropped > 0 and now, "dropped event")
        # An event that is lost is not one that waits.
        wait_for(lambda: (now := run.status()).waiting == 0 and now.lag == 0, "end of the lag")
    assert run.status().dropped == Log("run.db").one("SELECT sum(count) FROM gap")
    assert run.status().dropped >= status.dropped


def test_values_of_redacted_arguments_are_not_in_the_command_line() -> None:
    line = [
        "python", "job.py", "--api-token", "a", "--Password=b", "-p", "--token", "--verbose",
        "secret=c", "secretary=d", "rest",
    ]  # fmt: skip
    assert redacted(line, ["*token", "password", "secret"]) == [
        "python", "job.py", "--api-token", "[redacted]", "--Password=[redacted]", "-p", "--token",
        "[redacted]", "secret=[redacted]", "secretary=d", "rest",
    ]  # fmt: skip
    assert redacted(["job.py", "--api_token", "a", "--api-key", "b"], ["api_*"]) == [
        "job.py", "--api_token", "[redacted]", "--api-key", "[redacted]",
    ]  # fmt: skip
    assert redacted(line, []) == line


def test_the_labels_of_a_plain_recorder_are_those_of_the_run(client: Client) -> None:
    client.register_plugin(tasklog.Recorder("run.db", labels={"pipeline": "etl"}))
    client.unregister_scheduler_plugin("tasklog")
    (labels,) = Log("run.db").rows("SELECT labels FROM runs")[0]
    assert json.loads(labels) == {"pipeline": "etl"}


def test_a_recording_is_the_run_that_it_has_made(client: Client, tmp_path: Path) -> None:
    recording = tasklog.record("run.db", labels={"pipeline": "etl"})
    assert repr(recording) == f"<tasklog.Recording to {tmp_path / 'run.db'}: not begun>"
    with pytest.raises(tasklog.RecordingError, match="use it in a with statement"):
        recording.tasks()
    with recording as run:
        assert repr(run) == f"<tasklog.Recording to {tmp_path / 'run.db'}: recording>"
        assert run._repr_html_() is None
        work(client)
        run.fetch()
        # What is recorded so far can be read.
        assert len(run.tasks()) == 20 and run.info.end == "running"
        work(client)
    assert isinstance(run, tasklog.Run) and run.info.end == "closed"
    assert len(run.tasks()) == 40 and run.labels == {"pipeline": "etl"}
    assert {row.worker for row in run.tasks()} == set(client.cluster.scheduler.workers)
    (row,) = tasklog.open("run.db").runs
    assert (row.run, row.labels) == (run.id, '{"pipeline": "etl"}')
    assert (row.host, row.user) == (socket.gethostname(), getpass.getuser())
    assert "40 tasks" in repr(run) and "40" in run._repr_html_()
    assert [len(row) for row in run.sql("SELECT count(*) FROM tasks")] == [1]


def test_a_client_that_is_closed_is_an_error(client: Client) -> None:
    other = Client(client.scheduler.address)
    other.close()
    for bad in (other, "tcp://127.0.0.1:1"):
        with (
            pytest.raises(tasklog.RecordingError, match="nothing is recorded: .* is no "),
            tasklog.record("closed.db", client=bad),  # type: ignore[arg-type]
        ):
            pass


def test_a_recording_is_entered_once(client: Client) -> None:
    recording = tasklog.record("run.db")
    again = "this recording has been entered before; call tasklog.record\\(\\) for each"
    with recording as run:
        work(client)
        with pytest.raises(tasklog.RecordingError, match=again), recording:
            pass
        # The one that continues is not ended by that.
        assert run.status().recording
    with pytest.raises(tasklog.RecordingError, match=again), recording:
        pass
    assert Log("run.db").rows("SELECT uuid, end FROM run") == [(run.id, "closed")]


AWAITING = """%%tasklog --no-report --label pipeline=etl
import asyncio
await asyncio.sleep(0)
async with asyncio.Lock():
    text = '''of
two lines'''
found = await asyncio.to_thread(client.submit(sum, [1, 2], key="awaited").result)
found + 1
"""


WITHOUT = """%%tasklog --no-report --label pipeline=etl
text = '''of
two lines'''
client.submit(sum, [1, 2], key="awaited").result() + 1
"""
CELLS = {
    "statement": (AWAITING, 4),
    "last": (AWAITING.replace("found + 1", "await asyncio.sleep(0, found)"), 3),
    "without": (WITHOUT, 4),
}


@pytest.mark.parametrize(("cell", "value"), CELLS.values(), ids=CELLS)
def test_a_cell_may_await(client: Client, cell: str, value: int) -> None:
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    shell.user_ns["client"] = client
    assert shell.run_cell("%load_ext tasklog").success
    result = shell.run_cell(cell)
    assert result.success, result.error_in_exec or result.error_before_exec
    assert shell.user_ns["text"] == "of\ntwo lines"
    assert shell.user_ns["_"] == value
    log = Log("run.db" if Path("run.db").exists() else "tasklog.db")
    assert log.one("SELECT count(*) FROM tasks WHERE key = 'awaited'") == 1
    assert log.rows("SELECT labels FROM runs") == [('{"pipeline":"etl"}',)]
    assert shell.user_ns["tasklog_run"].tasks()


def test_a_cell_that_awaits_and_fails_is_recorded(client: Client) -> None:
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    shell.user_ns["client"] = client
    assert shell.run_cell("%load_ext tasklog").success
    cell = "%%tasklog --log run.db\nimport asyncio\nawait asyncio.sleep(0)\nraise OSError('no')"
    result = shell.run_cell(cell)
    assert isinstance(result.error_in_exec, OSError)
    assert Log("run.db").rows("SELECT end FROM run") == [("closed",)]
