"""`tasklog time` names the bottleneck of a run, and leaves no second out."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest

import planted
from clusters import Recording

PARTS = ("prefix", "worker", "client", "span", "lock", "time")
#: The class that each planted bottleneck shows as; of `tiny` the event loops share the time.
EXPECTED = {
    "tiny": {"ready on the worker", "scheduler lag"},
    "straggler": {"nothing to run"},
    "transfer": {"transfer"},
    "spilling": {"disk"},
    "waiting-client": {"waiting for a client"},
    "lock": {"waiting for a lock"},
}
#: What else a run does is less than this share of the planted time.
TOLERANCE = 0.10
MOST_UNKNOWN = 0.05


def _rows(tasklog: Callable[..., str], log: Path, *arguments: str) -> list[dict]:
    # A line on stderr follows that says which part of the run is shown.
    rows, _ = json.JSONDecoder().raw_decode(tasklog(log, "time", "--format", "json", *arguments))
    return rows


def _nanoseconds(rows: list[dict]) -> int:
    return sum(round(row["seconds"] * 1e9) for row in rows)


def _threads_times_wall(tasklog: Callable[..., str], log: Path) -> int:
    """Threads × the time that each worker was there, in nanoseconds, from the views."""
    sql = """
        SELECT nthreads, coalesce(
            min(joined_ns, coalesce(first_ns, joined_ns)), joined_ns, first_ns) AS start,
          coalesce(left_ns, (SELECT max(time_ns) FROM events)) AS stop
        FROM (SELECT *, (SELECT min(time_ns) FROM events WHERE events.source = 'worker'
            AND events.worker = workers.worker AND events.life = workers.life) AS first_ns
          FROM workers)
    """
    rows = json.loads(tasklog(log, "query", sql, "--format", "json"))
    return sum(row["nthreads"] * (row["stop"] - row["start"]) for row in rows)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()


def _check_sums(tasklog: Callable[..., str], log: Path) -> list[dict]:
    """All splits of a run have the same, exact sum; the rows by class."""
    classes = _rows(tasklog, log)
    total = _nanoseconds(classes)
    assert total == _threads_times_wall(tasklog, log) > 0
    assert sum(row["share"] for row in classes) == pytest.approx(1, abs=1e-9)
    for part in PARTS:
        rows = _rows(tasklog, log, "--by", part)
        assert _nanoseconds(rows) == total, part
        for row in classes:
            own = [each for each in rows if each["class"] == row["class"]]
            assert _nanoseconds(own) == round(row["seconds"] * 1e9), (part, row["class"])
    unknown = sum(row["share"] for row in classes if row["class"] == "unknown")
    assert unknown <= MOST_UNKNOWN
    return classes


@pytest.mark.parametrize("name", planted.RUNS)
def test_a_planted_bottleneck_is_the_largest_class(
    name: str, tasklog: Callable[..., str], tmp_path: Path
) -> None:
    log = tmp_path / "run.db"
    seconds, start, stop = planted.record(name, log)
    _check_sums(tasklog, log)
    # Without what starts and ends a cluster, which takes any time on a busy machine.
    window = ["--since", _time(start), "--until", _time(stop)]
    told = {row["class"]: row["seconds"] for row in _rows(tasklog, log, *window)}
    largest = max(told, key=lambda each: told[each])
    assert largest in EXPECTED[name], told
    found = sum(told.get(each, 0) for each in EXPECTED[name])
    assert found == pytest.approx(seconds, rel=TOLERANCE), told
    if name == "lock":
        # Tasks that sleep do not compute, whatever part of them Dask has measured.
        assert told.get("computing (CPU)", 0) < TOLERANCE * sum(told.values()), told
        rows = _rows(tasklog, log, *window, "--by", "lock")
        named = [row for row in rows if row["lock"] == "lock planted-lock"]
        assert [row["seconds"] for row in named] == [found]
        assert {row["class"] for row in named} == {"waiting for a lock"}


@pytest.mark.parametrize("name", ["in_process", "in_processes"])
def test_no_second_of_an_ordinary_run_is_left_out(
    name: str, tasklog: Callable[..., str], request: pytest.FixtureRequest
) -> None:
    recording: Recording = request.getfixturevalue(name)
    _check_sums(tasklog, recording.log)
