"""Many runs from Python: the same selections, comparisons and replays as the command has."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster

import tasklog as package
from log import Log

FROZEN = Path(__file__).parent.parent / "CommandTests" / "Frozen"


class Counter:
    """A plugin that counts transitions to memory, and fails if there are too many."""

    def __init__(self, most: int = 10**9) -> None:
        self.count, self.most = 0, most

    def transition(self, key: str, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        self.count += finish == "memory"
        if self.count > self.most:
            raise ValueError(f"more than {self.most}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tasklog: Any) -> Path:
    """Four logs, one of them in a subfolder, of two engines; three with labels."""
    folder = tmp_path_factory.mktemp("archive")
    (folder / "old").mkdir()
    for name in ("v2-demo", "v2-future", "old/v1-future", "v2-dask"):
        shutil.copy(FROZEN / f"{Path(name).name}.db", folder / f"{name}.db")
    for name, label in (("v2-demo", "a"), ("v2-future", "a"), ("v2-dask", "b")):
        tasklog(folder / f"{name}.db", "runs", "--label", "latest", f"kind={label}")
    return folder


@pytest.fixture
def rows_of(folder: Path, tasklog: Any) -> Callable[..., list[dict[str, str]]]:
    """The rows that a command prints about the folder."""

    def rows(*arguments: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(tasklog(folder, *arguments, "--format", "csv"))))

    return rows


@pytest.mark.parametrize(
    "expression",
    [
        "label.kind=a",
        "engine=dask",
        "failed and not label.kind=b",
        "closed last 2",
        "died",
        "tasks>8",
    ],
)
def test_an_expression_selects_the_same_runs(folder: Path, rows_of: Any, expression: str) -> None:
    log = package.open(folder)
    assert len(log.runs) == 4
    found = [row.run for row in log.runs.where(expression)]
    assert found == [row["id"] for row in rows_of("runs", "--runs", expression)]


def test_a_wrong_expression_says_so(folder: Path) -> None:
    runs = package.open(folder).runs
    with pytest.raises(package.LogError, match="--runs 'speed>1': 'speed' is nothing"):
        runs.where("speed>1")
    with pytest.raises(package.LogError, match="these runs are those of 'closed' already"):
        runs.where("closed").where("failed")
    with pytest.raises(package.LogError, match="the expression is empty; write such as"):
        runs.where("")
    with pytest.raises(TypeError, match="expression is 7, a int"):
        runs.where(7)  # type: ignore[arg-type]


def test_runs_are_compared_with_a_baseline(folder: Path, rows_of: Any) -> None:
    runs = package.open(folder).runs.where("engine=dask")
    report = runs.compare("engine=tasklog")
    given = ("compare", "--runs", "engine=dask", "--baseline", "engine=tasklog", "--table")
    for name in ("measures", "runs"):
        expected = rows_of(*given, name)
        assert report[name].columns == [{"id": "run"}.get(n, n) for n in expected[0]]
        assert len(report[name]) == len(expected) > 3
    tasks = [row for row in report.measures if row.measure == "tasks" and row.prefix is None]
    assert [row.verdict for row in tasks] == ["above all 3"]
    assert tasks[0].value == 9
    with pytest.raises(package.LogError, match="--baseline 'died': selects no run"):
        runs.compare("died")


def test_numbers_and_errors_over_runs(folder: Path) -> None:
    runs = package.open(folder).runs
    trend = runs.trend("makespan", "failed")
    assert [row.measure for row in trend] == ["makespan"] * 4 + ["failed"] * 4
    assert all(row.value > 0 for row in trend)
    assert [row.number for row in trend][:4] == [1, 2, 3, 4]
    assert {row.run for row in trend} == {row.run for row in runs}
    groups = {row.frame: row.runs for row in runs.errors()}
    assert groups == {"tasklog/WordCount.swift:37": 3, "<dynamic-code>, broken": 1}
    with pytest.raises(package.LogError, match="trend 'p95': p95 is of something"):
        runs.trend("p95")


def test_each_run_is_replayed_and_failures_are_named(folder: Path) -> None:
    log = package.open(folder)
    results = log.runs.replay(Counter)
    ids = [row.run for row in log.runs]
    assert [result.run for result in results] == ids
    for result in results:
        assert result.error is None
        single = log.run(result.run).replay(Counter)
        assert result.plugin.count == single.count > 0
    counts = [result.plugin.count for result in results]
    limited = log.runs.replay(Counter, most=min(counts))
    assert [result.error is None for result in limited] == [c == min(counts) for c in counts]
    failed = next(result for result in limited if result.error is not None)
    assert failed.plugin is None and "more than" in str(failed.error)


def test_a_folder_is_read_as_the_command_reads_it(
    folder: Path, rows_of: Any, tmp_path: Path
) -> None:
    listed = {row["log"] for row in rows_of("runs")}
    assert {row.log for row in package.open(folder).runs} == listed
    with pytest.raises(package.LogError, match="there is no log in it"):
        package.open(tmp_path)
    (tmp_path / "notes.txt").write_text("no log")
    with pytest.raises(package.LogError, match="none of 1 files is a tasklog log"):
        package.open(tmp_path)


def test_a_run_gets_labels_while_it_is_recorded(tmp_path: Path, tasklog: Any) -> None:
    def listed(*arguments: str) -> list[dict[str, str]]:
        text = tasklog(tmp_path, "runs", "--format", "csv", *arguments)
        return list(csv.DictReader(io.StringIO(text)))

    with (
        LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.register_plugin(package.Recorder(tmp_path / "run.db", labels={"by": "start"}))
        for number in range(5):
            client.gather(client.map(abs, range(20 * number, 20 * number + 20), pure=False))
            tasklog(tmp_path / "run.db", "runs", "--label", "latest", f"step={number}")
            # A run that is recorded is never answered from what was known of it.
            (row,) = listed("--runs", f"label.step={number} and label.by=start and running")
            assert int(row["tasks"]) >= 20 * number
    (row,) = listed("--runs", "label.step=4 and closed")
    assert (row["tasks"], row["missing"], row["incomplete"]) == ("100", "0", "0")
    tasklog(tmp_path / "run.db", "check", "--strict")
    changes = Log(tmp_path / "run.db").one(
        "SELECT count(*) FROM event JOIN text ON text.id = event.hook WHERE text.text = 'label'"
    )
    assert changes == 5
