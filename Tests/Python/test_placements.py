"""`tasklog explain` finds by Dask's rules the workers that tasks of real runs were put on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import placements


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = tmp_path_factory.mktemp("placements") / "run.db"
    placements.record("pairs", log)
    return log


def test_recorded_workers_are_among_the_best_by_the_rules(
    log: Path, tasklog: Callable[..., str]
) -> None:
    tables = placements.compare(log, str(tasklog.program))
    counts = placements.counted(tables)
    assert counts.decisions == 160
    # A heartbeat within a stimulus may be recorded after it.
    assert counts.expected >= counts.decisions * placements.GOAL, tables["differences"]
    # Most inputs are on two workers, and of different sizes.
    assert counts.ties + counts.single < counts.decisions
    assert {"soonest", "free-thread"} <= {row["rule"] for row in tables["placements"]}


def test_the_candidates_of_a_task_are_shown_with_what_they_would_have_to_fetch(
    log: Path, tasklog: Callable[..., str]
) -> None:
    found = tasklog(log, "query", "--key", "join-*", "--finish", "processing", "--format", "json")
    key = json.loads(found)[0]["key"]
    tables = json.loads(tasklog(log, "explain", key, "--format", "json"))
    candidates = tables["candidates"]
    assert sum(row["chosen"] for row in candidates) == 1
    assert [row for row in candidates if row["chosen"] and row["best"]]
    starts = [row["start_in"] for row in candidates]
    assert starts == sorted(starts)
    # The best one holds the large input.
    if len(candidates) > 1:
        assert candidates[0]["fetch_bytes"] < candidates[1]["fetch_bytes"]


def test_the_index_explains_tasks_as_all_events_do(
    log: Path, tasklog: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = tasklog(log, "query", "--key", "join-*", "--finish", "processing", "--format", "json")
    keys = [row["key"] for row in json.loads(found)][:20]

    def explained() -> list[str]:
        return [tasklog(log, "explain", key, "--format", "json") for key in keys]

    before = explained()
    kept = tmp_path / "tasklog" / "placements"
    assert not list(kept.iterdir())
    tasklog(log, "index")
    assert [path.stat().st_mode & 0o777 for path in kept.iterdir()] == [0o600]
    assert explained() == before
    tasklog(log, "index", "--drop")
    assert not list(kept.iterdir())
