"""Keys that are numbers, long, or as numerous as tasks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster, wait

import tasklog as package


def work(x: int) -> int:
    return x


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = tmp_path_factory.mktemp("keys") / "log.db"
    with (
        LocalCluster(
            processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(package.Recorder(log, worker_spool=str(log.parent / "spool")))
        keys = ["1", 1, ("x", 1), "('x', 1)", "k" * 200_000]
        keys += [f"granule_{i:06d}_a.nc" for i in range(300)]
        wait([client.submit(work, i, key=key) for i, key in enumerate(keys)])
    return log


def rows(tasklog: Any, log: Path, *arguments: str) -> list[dict]:
    lines = tasklog(log, *arguments, "--format", "jsonl").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


@pytest.mark.parametrize(
    "name, types",
    [
        ("1", {"text": 'json:"1"', "number": "json:1"}),
        ("('x', 1)", {"text": "json:\"('x', 1)\"", "tuple": 'json:{"$tuple":["x",1]}'}),
    ],
)
def test_keys_of_one_text_have_stories_of_their_own(
    log: Path, tasklog: Any, name: str, types: dict[str, str]
) -> None:
    both = rows(tasklog, log, "story", name)
    assert {row["table"] for row in both} == set(types)
    shown = tasklog(log, "story", name, "--format", "table")
    for type, exact in types.items():
        assert exact in shown
        own = rows(tasklog, log, "story", exact)
        assert own and {row["key"] for row in own} == {name}
        assert [row["seq"] for row in own] == [r["seq"] for r in both if r["table"] == type]
        found = rows(tasklog, log, "query", "--key", exact)
        assert {row["seq"] for row in found} <= {row["seq"] for row in own}
        assert found
    count = len(rows(tasklog, log, "query", "--key", name))
    assert count == sum(len(rows(tasklog, log, "query", "--key", e)) for e in types.values())


def test_a_summary_of_many_long_prefixes_is_short_for_people_only(log: Path, tasklog: Any) -> None:
    shown = tasklog(log, "summary", "--format", "table")
    assert len(shown.encode()) < 100_000
    assert "more; --format jsonl has all" in shown
    prefixes = rows(tasklog, log, "summary", "--table", "prefixes")
    assert len(prefixes) > 300
    assert "k" * 200_000 in {row["prefix"] for row in prefixes}


def test_a_story_of_a_key_of_another_type_is_not_told(log: Path, tasklog: Any) -> None:
    assert "no key" in tasklog(log, "story", "json:2", code=1)
