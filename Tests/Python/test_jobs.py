"""Named jobs, and what tasks submit themselves, against what an independent plugin counted."""

from __future__ import annotations

import json
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


@pytest.mark.parametrize("name", ["", "x" * 201, 7])
def test_a_name_is_checked(name: Any) -> None:
    with pytest.raises(ValueError, match="expected a name of 1 to 200 characters"):
        with package.job(name):
            pass
