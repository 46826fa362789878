"""A recorder that a client registers: once, again, wrongly, and unregisters."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster, SchedulerPlugin

import witness
import workloads
from clusters import wait_for, work
from log import Log
from tasklog import Recorder
from tasklog.recorder import RecordingError


def scheduler_of(client: Client) -> Any:
    return client.cluster.scheduler


def counts(found: dict) -> dict:
    return {source: len(transitions) for source, transitions in found.items()}


def messages(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_same_recorder_again_changes_nothing(client: Client, tmp_path: Path, caplog) -> None:
    client.register_plugin(Recorder("run.db", redact="secret"))
    recorder = scheduler_of(client).plugins["tasklog"]
    client.register_plugin(Recorder(tmp_path / "run.db", redact=["secret"]))
    client.register_plugin(Recorder("run.db", redact="secret"), name="again")
    assert scheduler_of(client).plugins["tasklog"] is recorder
    assert "again" not in scheduler_of(client).plugins
    work(client)
    client.unregister_scheduler_plugin("tasklog")
    assert messages(caplog) == []
    assert Log("run.db").one("SELECT count(*) FROM run") == 1
    assert witness.differences(witness.seen(tmp_path / "witness"), witness.logged("run.db")) == []


@pytest.mark.parametrize(
    ("log", "options", "words"),
    [
        ("mine.db", {"redact": "secret"}, "'log' is "),
        ("run.db", {"redact": "secret,password"}, "'redact' is ('secret',) there and"),
        ("run.db", {}, "'redact' is ('secret',) there and () here"),
        ("run.db", {"redact": "secret", "deep": False}, "'deep' is True there and False here"),
        ("run.db", {"redact": "secret", "verify": [SchedulerPlugin]}, "'verify' is [] there"),
    ],
)
def test_another_recorder_is_refused_where_it_is_registered(
    client: Client, tmp_path: Path, caplog, log: str, options: dict, words: str
) -> None:
    client.register_plugin(Recorder("run.db", redact="secret"), name="first")
    with pytest.raises(RecordingError) as raised:
        client.register_plugin(Recorder(log, **options))
    told = str(raised.value)
    assert words in told and str(tmp_path / "run.db") in told and "\n" not in told
    assert "client.unregister_scheduler_plugin('first')" in told
    # Dask logs what a plugin raises; ours without the traceback, which the client has.
    assert all(record.exc_info is None for record in messages(caplog))
    work(client)
    client.unregister_scheduler_plugin("first")
    client.register_plugin(Recorder(log, **options))
    assert (tmp_path / log).exists()


@pytest.mark.parametrize(
    ("log", "options", "words"),
    [
        ("/no/such/folder/run.db", {}, "/no/such/folder"),
        ("/", {}, "/"),
        ("run.db", {"redact": 5}, "'redact' is 5"),
        ("run.db", {"redacted": "secret"}, "did you mean 'redact'?"),
        ("run.db", {"redakt": "secret"}, "did you mean 'redact'?"),
    ],
)
def test_what_cannot_be_recorded_as_asked_for_is_raised_where_it_was_asked_for(
    client: Client, tmp_path: Path, caplog, log: str, options: dict, words: str
) -> None:
    with pytest.raises(RecordingError) as raised:
        client.register_plugin(Recorder(log, **options))
    assert "nothing is recorded" in str(raised.value) and words in str(raised.value)
    assert all(record.exc_info is None for record in messages(caplog))
    assert "tasklog" not in scheduler_of(client).plugins
    assert not (tmp_path / "run.db").exists()
    work(client)
    client.register_plugin(Recorder("run.db"))
    assert (tmp_path / "run.db").exists()


def test_redaction_that_is_misspelt_in_the_environment_records_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKLOG_REDACTED", "secret")
    with pytest.raises(RecordingError, match="'TASKLOG_REDACTED'; did you mean 'redact'"):
        client.register_plugin(Recorder("run.db"))
    assert not os.path.exists("run.db")


def test_unregistering_ends_a_recording_on_workers_too(client: Client, tmp_path: Path) -> None:
    scheduler = scheduler_of(client)
    names = ("handlers", "stream_handlers", "plugins", "worker_plugins")
    before = {name: dict(getattr(scheduler, name)) for name in names}
    own, pool = set(vars(scheduler)), set(vars(scheduler.rpc))
    handlers = [set(worker.handlers) for worker in client.cluster.workers.values()]
    client.register_plugin(Recorder("run.db"))
    assert set(vars(scheduler)) > own
    work(client)
    client.unregister_scheduler_plugin("tasklog")
    seen = witness.seen(tmp_path / "witness")
    # The recording has ended when the call returns.
    assert Log("run.db").rows("SELECT end FROM run") == [("closed",)]
    ends = "SELECT source, count(*) FROM events WHERE hook = ? GROUP BY 1"
    assert ("scheduler", 1) in Log("run.db").rows(ends, "detach")
    assert Log("run.db").rows(ends, "teardown") == [("worker", 2)]
    assert witness.differences(seen, witness.logged("run.db")) == []
    assert set(vars(scheduler)) == own and set(vars(scheduler.rpc)) == pool
    assert {name: dict(getattr(scheduler, name)) for name in names} == before
    assert [set(worker.handlers) for worker in client.cluster.workers.values()] == handlers
    assert not any("tasklog-worker" in w.plugins for w in client.cluster.workers.values())
    # Later events are in no log; and a second recorder records all of it.
    work(client)
    assert counts(witness.logged("run.db")) == counts(seen)
    between = counts(witness.seen(tmp_path / "witness"))
    client.register_plugin(Recorder("run.db"))
    work(client)
    client.unregister_scheduler_plugin("tasklog")
    later = witness.seen(tmp_path / "witness")
    recorded = {source: transitions[between[source] :] for source, transitions in later.items()}
    assert len(recorded) == 3 and all(recorded.values())
    logged = {
        source: transitions[len(seen[source]) :]
        for source, transitions in witness.logged("run.db").items()
    }
    assert logged == recorded
    assert Log("run.db").rows("SELECT end FROM run") == [("closed",)] * 2
    assert Log("run.db").rows("SELECT * FROM gap") == []


def test_unregistering_in_the_middle_of_work_keeps_what_came_before_it(
    client: Client, tmp_path: Path
) -> None:
    client.register_plugin(Recorder("run.db"))
    futures = client.map(workloads.slow, [0.005] * 300, range(300), pure=False)
    wait_for(lambda: sum(f.status == "finished" for f in futures) > 20, "some results")
    before = counts(witness.seen(tmp_path / "witness"))
    client.unregister_scheduler_plugin("tasklog")
    seen, logged = witness.seen(tmp_path / "witness"), witness.logged("run.db")
    assert set(logged) == set(before)
    for source, transitions in logged.items():
        assert before[source] <= len(transitions) <= len(seen[source])
        assert transitions == seen[source][: len(transitions)]
    assert Log("run.db").rows("SELECT end FROM run") == [("closed",)]
    assert len(client.gather(futures)) == 300


class Mine(SchedulerPlugin):
    """A foreign plugin that has our name."""

    name = "tasklog"


@pytest.mark.parametrize("how", ["remove_plugin", "another of the name"])
@pytest.mark.filterwarnings("ignore:Scheduler already contains")
def test_a_recorder_that_is_removed_or_replaced_ends_its_recording(
    client: Client, tmp_path: Path, caplog, how: str
) -> None:
    client.register_plugin(Recorder("run.db"))
    work(client)
    if how == "remove_plugin":

        async def remove(dask_scheduler: Any) -> None:
            dask_scheduler.remove_plugin("tasklog")

        client.run_on_scheduler(remove)
    else:
        client.register_plugin(Mine())
        assert type(scheduler_of(client).plugins["tasklog"]).__name__ == "Mine"
    seen = witness.seen(tmp_path / "witness")
    wait_for(
        lambda: Log("run.db").rows("SELECT end FROM run") == [("closed",)], "end of the recording"
    )
    assert witness.differences(seen, witness.logged("run.db")) == []
    (told,) = [r.getMessage() for r in messages(caplog) if r.name == "tasklog"]
    assert "ends: the plugin was removed" in told
    wait_for(
        lambda: not any("tasklog-worker" in w.plugins for w in client.cluster.workers.values()),
        "end of the workers' recording",
    )


def test_a_new_recorder_waits_for_the_end_of_one_that_is_removed(
    client: Client, tmp_path: Path
) -> None:
    client.register_plugin(Recorder("one.db"))
    work(client)

    async def replace(dask_scheduler: Any) -> None:
        dask_scheduler.remove_plugin("tasklog")
        await dask_scheduler.register_scheduler_plugin(Recorder("two.db"), idempotent=False)

    client.run_on_scheduler(replace)
    before = counts(witness.seen(tmp_path / "witness"))
    work(client)
    client.unregister_scheduler_plugin("tasklog")
    later = witness.seen(tmp_path / "witness")
    assert {s: t[before[s] :] for s, t in later.items()} == witness.logged("two.db")
    assert counts(witness.logged("one.db")) == before


def test_a_plugin_of_the_workers_that_has_our_name_stays(client: Client, tmp_path: Path) -> None:
    from distributed import WorkerPlugin

    class Theirs(WorkerPlugin):
        name = "tasklog-worker"

    client.register_plugin(Theirs())
    client.register_plugin(Recorder("run.db"))
    for worker in client.cluster.workers.values():
        assert type(worker.plugins["tasklog-worker"]).__name__ == "Theirs"
    work(client)
    client.unregister_scheduler_plugin("tasklog")
    assert witness.differences(witness.seen(tmp_path / "witness"), witness.logged("run.db")) == []
    for worker in client.cluster.workers.values():
        assert [name for name in worker.plugins if "tasklog" in name] == ["tasklog-worker"]


def test_a_scheduler_starts_with_a_recorder_that_cannot_record(tmp_path: Path, caplog) -> None:
    """Errors of ours do not affect it."""
    with (
        LocalCluster(
            n_workers=1, processes=False, dashboard_address=None,
            scheduler_kwargs={"plugins": [Recorder("/no/such/folder/run.db")]},
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        assert client.submit(sum, [1, 2]).result() == 3
    (told,) = [r.getMessage() for r in caplog.records if r.name == "tasklog"]
    assert "nothing is recorded" in told and "/no/such/folder" in told
