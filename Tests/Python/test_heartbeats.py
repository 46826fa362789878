"""The measurements of workers are recorded at each heartbeat, and take little space."""

from __future__ import annotations

import copy
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
        #: The same as values: address, metrics.
        self.metrics: list[tuple[str, dict]] = []
        beat = scheduler.handlers["heartbeat_worker"]

        def heartbeat_worker(*args: Any, **kwargs: Any) -> Any:
            answer = beat(*args, **kwargs)
            ws = scheduler.workers.get(kwargs["address"])
            if ws is not None:
                # The key of a task that ran may not be text.
                executing = sorted((repr(ts.key), took) for ts, took in ws.executing.items())
                self.seen.append([ws.address, repr(ws.metrics), ws.last_seen, executing])
                self.metrics.append((ws.address, copy.deepcopy(ws.metrics)))
            return answer

        scheduler.handlers["heartbeat_worker"] = heartbeat_worker


@pytest.fixture(scope="module")
def beaten(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Witness]:
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
    return log, witness


def test_every_value_of_every_heartbeat_comes_back(
    beaten: tuple[Path, Witness], tasklog: Callable[..., str]
) -> None:
    log, witness = beaten
    seen = witness.seen
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
    beaten: tuple[Path, Witness], replay: Callable[[Path], Replay]
) -> None:
    log, _ = beaten
    done = replay(log).run(f"--plugin={HERE}/annotated.py:Metrics", "--verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "same as live in all" in done.stdout


def test_heartbeats_take_little_room_and_are_told_by_inspect(
    beaten: tuple[Path, Witness], tasklog: Callable[..., str]
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


def flat(value: Any, name: str = "") -> dict[str, float]:
    """The numbers of some metrics by their paths, as the view names them."""
    numbers: dict[str, float] = {}
    if isinstance(value, dict):
        for key, part in value.items():
            text = ".".join(map(str, key)) if isinstance(key, tuple) else str(key)
            numbers.update(flat(part, f"{name}.{text}" if name else text))
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            numbers.update(flat(part, f"{name}.{index}"))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        numbers[name] = value
    return numbers


def test_worker_metrics_are_what_a_plugin_read_at_each_heartbeat(
    beaten: tuple[Path, Witness],
) -> None:
    log, witness = beaten
    with package.open(log) as opened:
        rows = opened.run().sql("SELECT seq, worker, name, value FROM worker_metrics ORDER BY seq")
        told: dict[int, tuple[str, dict[str, float]]] = {}
        for row in rows:
            told.setdefault(row.seq, (row.worker, {}))[1][row.name] = row.value
    for worker in {address for address, _ in witness.metrics}:
        own = [flat(metrics) for address, metrics in witness.metrics if address == worker]
        of_log = [metrics for address, metrics in told.values() if address == worker]
        start = of_log.index(own[0])
        count = min(len(own), len(of_log) - start)
        assert count > 25 and count > len(own) - 5
        assert own[:count] == of_log[start : start + count]
    names = {name for _, metrics in told.values() for name in metrics}
    assert any(name.endswith("thread-cpu.seconds") for name in names)


def test_the_resources_of_workers_are_the_peaks_and_means_of_the_view(
    beaten: tuple[Path, Witness], tasklog: Callable[..., str]
) -> None:
    log, _ = beaten

    def ask(*arguments: str) -> Any:
        return json.loads(tasklog(log, *arguments, "--format", "json"))

    sql = "SELECT worker, name, max(value) AS peak, avg(value) AS mean, count(*) AS count"
    view = ask("query", f"{sql} FROM worker_metrics GROUP BY worker, name")
    measured = {(row["worker"], row["name"]): row for row in view}
    rows = ask("workers", "--resources")
    assert len(rows) == 2
    for row in rows:
        assert row["memory_limit"] > 0
        for column, name in {
            "memory": "memory", "spilled": "spilled_bytes.disk", "cpu": "cpu",
            "net_read": "host_net_io.read_bps", "disk_write": "host_disk_io.write_bps",
            "event_loop": "event_loop_interval",
        }.items():  # fmt: skip
            own = measured[row["worker"], name]
            assert row["heartbeats"] == own["count"]
            assert row[f"{column}_peak"] == pytest.approx(own["peak"], rel=1e-3, abs=0.5)
            assert row[f"{column}_mean"] == pytest.approx(own["mean"], rel=1e-3, abs=0.5)
    over_time = ask("workers", "--resources", "--over-time")
    for row in rows:
        own = [each for each in over_time if each["worker"] == row["worker"]]
        assert len(own) > 3
        assert sum(each["heartbeats"] for each in own) == row["heartbeats"]
        assert max(each["memory_peak"] for each in own) == row["memory_peak"]


def test_activity_sums_up_what_the_workers_measured(
    beaten: tuple[Path, Witness], tasklog: Callable[..., str]
) -> None:
    log, _ = beaten
    sql = "SELECT * FROM activity WHERE context = 'execute' AND prefix = 'slow'"
    rows = json.loads(tasklog(log, "query", sql, "--format", "json"))
    seconds = {row["activity"]: row["seconds"] for row in rows}
    # Thirty naps of 0.2 s: nearly nothing of that is on a processor.
    assert 5 < seconds["thread-noncpu"] < 7
    assert seconds["thread-cpu"] < 0.5
    metrics = """
        SELECT sum(value) AS sum FROM worker_metrics
        WHERE name = 'digests_total_since_heartbeat.execute.slow.thread-noncpu.seconds'
    """
    (row,) = json.loads(tasklog(log, "query", metrics, "--format", "json"))
    assert row["sum"] == pytest.approx(seconds["thread-noncpu"])
