"""`tasklog explain --stuck` names what the tasks of a real run that hangs wait for."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, Event, LocalCluster, Lock

import tasklog as recording
from clusters import wait_for


def hold(name: str) -> None:
    with Lock("ledger"):
        Event(name).wait()


def need(name: str) -> str:
    with Lock("ledger"):
        return name


def add(*_: Any) -> int:
    return 1


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stuck") / "run.db"


@pytest.fixture(scope="module")
def stuck(tasklog: Callable[..., str], log: Path) -> dict:
    """The causes of a run that hangs in four ways, by key; then it continues and ends."""

    def causes() -> dict:
        rows = json.loads(tasklog(log, "explain", "--stuck", "--format", "json"))
        return {row["key"]: row for row in rows}

    with (
        LocalCluster(
            n_workers=2, threads_per_worker=2, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(recording.Recorder(log, worker_spool=str(log.parent / "spool")))
        holder = client.submit(hold, "go", key="holder")
        wait_for(lambda: "holder" in json.dumps(client.processing()), "task that runs")
        time.sleep(0.1)
        blocked = client.submit(need, "x", key="blocked")
        last = client.submit(add, client.submit(add, blocked, key="between"), key="last")
        gpu = client.submit(add, 1, key="gpu", resources={"GPU": 2})
        away = client.submit(add, 2, key="away", workers=["tcp://192.0.2.1:1"])

        def is_known() -> Any:
            try:
                found = causes()
            except AssertionError:
                return None
            kinds = [
                found.get(key, {}).get("cause") for key in ("holder", "blocked", "gpu", "away")
            ]
            return found if kinds == ["lock", "lock", "resources", "restrictions"] else None

        found = wait_for(is_known, "cause of each")
        for future in (gpu, away):
            future.cancel()
        Event("go").set()
        assert last.result() == 1
        holder.result()
    assert json.loads(tasklog(log, "explain", "--stuck", "--format", "json")) == []
    return found


def test_a_chain_ends_at_the_lock_that_a_task_waits_for(stuck: dict) -> None:
    assert stuck["blocked"]["chain"] == ["last", "between", "blocked"]
    assert "has waited for lock 'ledger' for " in stuck["blocked"]["sentence"]
    assert "Only task 'holder' on worker " in stuck["blocked"]["sentence"]
    assert (stuck["blocked"]["waiting"], stuck["blocked"]["wanted"]) == (2, 2)


def test_a_task_that_waits_for_an_event_names_it(stuck: dict) -> None:
    assert "has waited for event 'go' for " in stuck["holder"]["sentence"]


def test_a_task_that_no_worker_may_run_says_why(stuck: dict) -> None:
    assert stuck["gpu"]["sentence"] == "Task 'gpu' needs 2 of GPU, which no worker has."
    assert stuck["away"]["sentence"] == (
        "Task 'away' may run only on tcp://192.0.2.1:1, of which none is there."
    )


def test_a_task_is_explained_with_the_input_that_it_waited_for(
    stuck: dict, tasklog: Callable[..., str], log: Path
) -> None:
    tables = json.loads(tasklog(log, "explain", "between", "--format", "json"))
    told = [row["sentence"] for row in tables["sentences"]]
    assert re.fullmatch(r"Client Client-\S+ submitted it\.", told[0])
    assert re.match(
        "It waited .* for inputs, for 'blocked' last, and was sent to worker inproc://", told[1]
    )
    assert told[2] == "It was put there because no other worker holds any of its inputs."
    assert told[3].startswith("It began to run: ")
    assert told[4].startswith("It ran for ")
    assert told[5].startswith("The scheduler recorded its result of ")
    (candidate,) = tables["candidates"]
    assert (candidate["chosen"], candidate["best"], candidate["fetch_bytes"]) == (1, 1, 0)


def test_python_gets_what_the_command_says(
    stuck: dict, tasklog: Callable[..., str], log: Path
) -> None:
    run = recording.open(log).run()
    told = run.explain("between")
    tables = json.loads(tasklog(log, "explain", "between", "--format", "json"))
    assert [row.worker for row in told.candidates] == [
        row["worker"] for row in tables["candidates"]
    ]
    rows = tables["sentences"]
    assert [row.sentence for row in told.sentences] == [row["sentence"] for row in rows]
    assert [json.loads(row.evidence) for row in told.sentences] == [row["evidence"] for row in rows]
    assert list(run.stuck()) == []
    ((seq, time),) = run.sql(
        "SELECT seq, time FROM transitions WHERE key = 'gpu' AND start = 'no-worker' LIMIT 1"
    )
    for at, moment in ((seq - 1, f"seq:{seq - 1}"), (time, f"{time:%Y-%m-%dT%H:%M:%S.%f}")):
        causes = list(run.stuck(at=at))
        rows = json.loads(tasklog(log, "explain", "--stuck", f"--at={moment}", "--format", "json"))
        assert [(cause.key, cause.sentence) for cause in causes] == [
            (row["key"], row["sentence"]) for row in rows
        ]
        assert [json.loads(cause.chain) for cause in causes] == [row["chain"] for row in rows]
        holder = next(cause for cause in causes if cause.key == "holder")
        assert holder.since < time
    with pytest.raises(recording.LogError, match="no transition of a task 'nothing'"):
        run.explain("nothing")
    with pytest.raises(TypeError, match="at is 'now'"):
        run.stuck(at="now")  # type: ignore[arg-type]
