"""The measurements of workers are recorded at each heartbeat, and take little space."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster

import annotated
import tasklog as package
import workloads
from clusters import HERE, wait_for
from replaying import Replay


class Witness:
    """Keeps a scheduler's state of a worker after each heartbeat, as its handler leaves it."""

    def __init__(self, scheduler: Any) -> None:
        self.seen: list[list] = []
        beat = scheduler.handlers["heartbeat_worker"]

        def heartbeat_worker(*args: Any, **kwargs: Any) -> Any:
            answer = beat(*args, **kwargs)
            ws = scheduler.workers.get(kwargs["address"])
            if ws is not None:
                # The key of a task that ran may not be text.
                executing = sorted((repr(ts.key), took) for ts, took in ws.executing.items())
                self.seen.append([ws.address, repr(ws.metrics), ws.last_seen, executing])
            return answer

        scheduler.handlers["heartbeat_worker"] = heartbeat_worker


@pytest.fixture(scope="module")
def beaten(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list]]:
    """A log of a cluster that works and then is idle, and what a witness saw."""
    log = tmp_path_factory.mktemp("heartbeats") / "run.db"
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=2, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        recorder = package.Recorder(
            log,
            verify=[annotated.Metrics],
            every=50,
            worker_spool=str(log.parent / "spool"),
        )
        client.register_plugin(recorder)
        witness = Witness(cluster.scheduler)
        busy = client.map(workloads.slow, [0.2] * 30, range(30), pure=False)
        client.gather(busy)
        wait_for(lambda: len(witness.seen) > 60, "heartbeats")
        client.log_event("look", "at the metrics")
        client.gather(client.map(workloads.increment, range(20), pure=False))
    return log, witness.seen


def test_every_value_of_every_heartbeat_comes_back(
    beaten: tuple[Path, list[list]], tasklog: Callable[..., str]
) -> None:
    log, seen = beaten
    output = tasklog(log, "query", "--hook", "heartbeat", "--format", "jsonl")
    told = []
    from tasklog.decoding import Decoder

    decoder = Decoder()
    for line in output.splitlines():
        event = json.loads(line)
        args = event["args"]
        kwargs = decoder.args(args if isinstance(args, str) else json.dumps(args))[1]
        executing = sorted((repr(key), took) for key, took in kwargs["executing"].items())
        told.append([event["worker"], repr(kwargs["metrics"]), kwargs["lastSeen"], executing])
    # The recorder has stopped before the last ones, or has seen the first before the witness.
    for worker in {entry[0] for entry in seen}:
        own, of_log = ([e for e in part if e[0] == worker] for part in (seen, told))
        start = of_log.index(own[0])
        count = min(len(own), len(of_log) - start)
        assert count > 25 and count > len(own) - 5
        assert own[:count] == of_log[start : start + count]


def test_plugins_read_the_same_metrics_in_a_replay(
    beaten: tuple[Path, list[list]], replay: Callable[[Path], Replay]
) -> None:
    log, _ = beaten
    done = replay(log).run(f"--plugin={HERE}/annotated.py:Metrics", "--verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "same as live in all" in done.stdout


def test_heartbeats_take_little_room_and_are_told_by_inspect(
    beaten: tuple[Path, list[list]], tasklog: Callable[..., str]
) -> None:
    log, _ = beaten
    connection = sqlite3.connect(f"file:{log}?mode=ro", uri=True)
    args = [a for (a,) in connection.execute("SELECT args FROM events WHERE hook = 'heartbeat'")]
    idle = [a for a in args if a.startswith('"')]
    assert len(idle) > len(args) / 2
    kinds = tasklog(log, "inspect", "--format", "json")
    told = next(
        row for table in json.loads(kinds).values() if isinstance(table, list)
        for row in table if isinstance(row, dict) and row.get("hook") == "heartbeat"
    )  # fmt: skip
    assert told["events"] == len(args)
    assert told["args_bytes"] == sum(map(len, args))
