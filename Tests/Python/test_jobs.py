"""Named jobs, and what tasks submit themselves, against what an independent plugin counted."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster, SchedulerPlugin, worker_client

import tasklog as package

#: The clients and the names of the jobs that they submit.
CLIENTS = {"first": ("etl", None), "second": ("train", "etl"), "third": (None, None)}


def leaf(x: int) -> int:
    return x + 1


def branch(x: int) -> int:
    with worker_client() as client:
        return sum(client.gather(client.map(leaf, range(x), pure=False)))


def root(x: int) -> int:
    """Submits tasks that submit tasks."""
    with worker_client() as client:
        return sum(client.gather(client.map(branch, [1, 2, x], pure=False)))


class Witness(SchedulerPlugin):
    """Notes by what a key's name tells, without any graph or annotation, which tasks ended."""

    name = "witness"

    def __init__(self) -> None:
        self.ended: Counter[str] = Counter()

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        if start == "processing" and finish == "memory":
            self.ended[key.split("-")[0]] += 1


@pytest.fixture(scope="module", params=[True, False], ids=["processes", "threads"])
def log(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, str], Counter[str]]:
    """A log, the ids of its clients by name, and how many tasks the witness saw end."""
    path = tmp_path_factory.mktemp("jobs") / "run.db"
    witness = Witness()
    names: dict[str, str] = {}
    with LocalCluster(
        n_workers=2, threads_per_worker=2, processes=request.param, dashboard_address=":0"
    ) as cluster:
        clients = {name: Client(cluster, set_as_default=False) for name in CLIENTS}
        clients["first"].register_plugin(package.Recorder(path))
        cluster.scheduler.add_plugin(witness)
        futures = []
        for name, client in clients.items():
            names[name] = client.id
            for place, job in enumerate(CLIENTS[name]):
                if job is None:
                    futures += client.map(root, [3 + place], pure=False)
                    continue
                with package.job(job):
                    futures += client.map(root, [3 + place], pure=False)
                    with package.job("inner"):
                        futures += client.map(leaf, range(5), pure=False)
        for future in futures:
            future.result()
        for client in clients.values():
            client.close()
    return path, names, witness.ended


def tree(x: int) -> int:
    """The number of tasks that `root(x)` amounts to."""
    return 1 + 3 + (1 + 2 + x)


def rows_of(output: str) -> list[dict[str, Any]]:
    """The rows, without the line about how much of the run the command shows."""
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


EXPECTED = {
    ("job", "etl"): tree(3) + tree(4),
    ("job", "train"): tree(3),
    ("job", "inner"): 15,
    ("client", "first"): tree(3) + 5 + tree(4),
    ("client", "second"): tree(3) + tree(4) + 10,
    ("client", "third"): tree(3) + tree(4),
}


def test_what_tasks_submit_counts_for_their_client_and_job(
    log: tuple[Path, dict[str, str], Counter[str]], tasklog: Callable[..., str]
) -> None:
    path, names, ended = log
    rows = rows_of(tasklog(path, "jobs"))
    shown = {client: name for name, client in names.items()}
    found = {
        (row["kind"], shown.get(row["name"], row["name"])): row["tasks"]
        for row in rows
        if row["kind"] != "span"
    }
    assert found == EXPECTED
    assert sum(ended.values()) == sum(n for (kind, _), n in found.items() if kind == "client")
    clients = {row["name"]: sorted(shown[one] for one in row["clients"]) for row in rows
               if row["kind"] == "job"}  # fmt: skip
    assert clients == {"etl": ["first", "second"], "train": ["second"],
                       "inner": ["first", "second"]}  # fmt: skip
    assert all(row["unfinished"] == 0 and row["failed"] == 0 for row in rows)


@pytest.mark.parametrize("command", ["summary", "query"])
def test_a_job_is_selected_with_what_its_tasks_submit(
    log: tuple[Path, dict[str, str], Counter[str]], tasklog: Callable[..., str], command: str
) -> None:
    path = log[0]
    if command == "summary":
        text = tasklog(path, "summary", "--job", "train", "--table", "prefixes")
        tasks = {row["prefix"]: row["tasks"] for row in rows_of(text)}
    else:
        text = tasklog(
            path, "query", "--job", "train", "--source", "scheduler", "--start", "processing",
            "--finish", "memory", "--format", "jsonl",
        )  # fmt: skip
        tasks = dict(Counter(row["key"].split("-")[0] for row in rows_of(text)))
    assert tasks == {"root": 1, "branch": 3, "leaf": 6}


def test_a_job_that_is_not_there_is_named(
    log: tuple[Path, dict[str, str], Counter[str]], tasklog: Any
) -> None:
    text = tasklog(log[0], "summary", "--job", "elt")
    assert "no job of run #1 is 'elt'; jobs are etl, inner, train" in text


def test_the_reading_api_lists_jobs(log: tuple[Path, dict[str, str], Counter[str]]) -> None:
    rows = package.open(log[0]).run().jobs()
    assert {row.name for row in rows if row.kind == "job"} == {"etl", "train", "inner"}


def work(x: int) -> int:
    time.sleep(0.002)
    return x


def fail(x: int) -> int:
    raise ValueError(f"bad {x}")


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run with the jobs etl-0 to etl-4, of 2 to 6 tasks; one of the last one's fails."""
    path = tmp_path_factory.mktemp("many") / "run.db"
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.register_plugin(package.Recorder(path))
        client.submit(work, 0).result()
        for number in range(5):
            with package.job(f"etl-{number}"):
                futures = client.map(work, range(number + 2), pure=False)
                if number == 4:
                    futures.append(client.submit(fail, 1))
                client.gather(futures, errors="skip")
    return path


def test_jobs_are_compared_as_runs_are(jobs: Path, tasklog: Callable[..., str]) -> None:
    def table(name: str, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        text = tasklog(jobs, "compare", "--table", name, "--format", "jsonl", *arguments, code=code)
        return rows_of(text)

    baseline = ["--baseline", "job=etl-*"]
    # The newest of them is compared with the others.
    sides = [(row["side"], row["job"]) for row in table("runs", *baseline)]
    assert sides == [("baseline", f"etl-{n}") for n in range(4)] + [("compared", "etl-4")]
    measures = {
        row["measure"]: row for row in table("measures", *baseline) if row["prefix"] is None
    }
    tasks = measures["tasks"]
    assert (tasks["baseline_min"], tasks["baseline_max"], tasks["value"]) == (2, 5, 7)
    assert measures["failed"]["value"] == 1 and measures["makespan"]["value"] > 0
    # Threads that were idle are not those of a job.
    assert measures["idle"]["value"] is None and measures["idle"]["baseline"] is None
    chosen = ["--runs", "job=etl-[12]", "--baseline", "job=etl-* and tasks>4 last 1"]
    sides = [(row["side"], row["job"]) for row in table("runs", *chosen)]
    assert sides == [("baseline", "etl-4"), ("compared", "etl-1"), ("compared", "etl-2")]
    table("limits", *baseline, "--fail-if", "failed > 0", code=2)
    # All of the run is another thing than a job of it.
    for arguments in (["--runs", "closed", *baseline], ["latest", *baseline]):
        assert tasklog(jobs, "compare", *arguments, code=64).count("\n") == 1


def test_jobs_are_selected_as_runs_are(jobs: Path, tasklog: Callable[..., str]) -> None:
    def rows(*arguments: str) -> list[dict[str, Any]]:
        return rows_of(tasklog(jobs, *arguments, "--format", "jsonl"))

    trend = rows("trend", "tasks", "--runs", "job=etl-* last 3")
    assert [(row["job"], row["value"]) for row in trend] == [
        ("etl-2", 4),
        ("etl-3", 5),
        ("etl-4", 7),
    ]
    groups = rows("errors", "--runs", "job")
    assert [(row["type"], row["runs"], row["tasks"]) for row in groups] == [("ValueError", 1, 1)]
    assert rows("errors", "--runs", "job=etl-3") == []
    prefixes = rows("summary", "--runs", "job=etl-3 or job=etl-1", "--table", "prefixes")
    assert [(row["prefix"], row["tasks"]) for row in prefixes] == [("work", 8)]
    slowest = rows("slowest", "--runs", "job last 1", "--action", "compute", "-n", "100")
    assert len(slowest) == 7
    assert len(rows("runs", "--runs", "job=etl-3")) == 1
    part = rows_of(tasklog(jobs, "export", "--to", "jsonl", "--runs", "job=etl-0"))
    assert 0 < len(part) < len(rows_of(tasklog(jobs, "export", "--to", "jsonl")))
    warned = tasklog(jobs, "query", "--count", "--runs", "job=etl-3")
    assert "--runs selects jobs, and this command reads all of their runs" in warned
    assert tasklog(jobs, "summary", "--runs", "job=none", code=1).count("\n") == 1
    assert "cannot be combined" in tasklog(
        jobs, "summary", "--runs", "job=etl-3", "--job", "etl-1", code=64
    )


@pytest.mark.parametrize("name", ["", "x" * 201, 7])
def test_a_name_is_checked(name: Any) -> None:
    with pytest.raises(ValueError, match="expected a name of 1 to 200 characters"):
        with package.job(name):
            pass
