"""A copy of real runs under other names has none of the names, and is otherwise the same."""

from __future__ import annotations

import base64
import json
import logging
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client, Event, Lock, Scheduler, SpecCluster, Variable, Worker, span, wait

import tasklog

HERE = Path(__file__).resolve().parent
RUNS = 10
NAMES_PER_RUN = 20


def _names() -> list[str]:
    """Names that do not occur anywhere by chance."""
    letters = random.Random(24)
    return [
        "Pl" + "".join(letters.choices("abcdefghijklmnopqrstuvwxyz", k=10))
        for _ in range(RUNS * NAMES_PER_RUN)
    ]


NAMES = _names()


class Settings:
    """Something that only a pickle can hold."""

    def __init__(self, name: str) -> None:
        self.name = name


def _function(folder: Path, name: str, body: str) -> Callable[..., Any]:
    """A function of this name, whose source is in a file."""
    path = folder / f"{name}.py"
    path.write_text(f"def {name}(x):\n    {body}\n")
    found: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(path.read_text(), str(path), "exec"), found)
    return found[name]


def _run(log: Path, folder: Path, sources: Path, names: list[str]) -> None:
    """One run of a cluster in this process, with each of the names somewhere."""
    (
        key, part, error, code, worker, client_name, span_name, label, lock, event,
        variable, annotation, wide, encoded, percent, pickled, resource, message, directory, job,
    ) = names  # fmt: skip
    (folder / directory).mkdir()
    cluster = SpecCluster(
        scheduler={"cls": Scheduler, "options": {"dashboard_address": ":0"}},
        workers={
            name: {
                "cls": Worker,
                "options": {
                    "nthreads": 1, "resources": {resource: 1},
                    "local_directory": str(folder / directory),
                },
            }
            for name in (worker, 7)
        },
    )  # fmt: skip
    with cluster, Client(cluster, name=client_name) as client:
        recorder = tasklog.Recorder(
            log, labels={"team": label}, pickle=True, messages="INFO",
            worker_spool=str(folder / directory),
        )  # fmt: skip
        client.register_plugin(recorder)
        add = _function(sources, key, "return x + 1")
        fail = _function(sources, "fail", f"raise ValueError('{error} of {{}}'.format(x))")
        work = _function(sources, "work", f"return x[0].map(x[1], range(6))  # {code}")
        numbers = work((client, add))
        total = client.submit(sum, numbers, key=("total", part))
        failed = client.submit(fail, total, key=f"{part}-1")
        after = client.submit(add, failed)
        with Lock(lock), span(span_name), tasklog.job(job):
            Variable(variable).set(1)
            Event(event).set()
            notes = {
                annotation: [wide.encode("utf-16"), wide.encode("utf-16-be"), wide],
                "text": base64.b64encode(encoded.encode()).decode() + encoded,
                "path": urllib.parse.quote(f"/daten/übung/{percent}") + f" /{percent}/x",
                "object": Settings(pickled),
            }
            with dask.annotate(**notes, resources={resource: 1}):
                client.submit(add, total, key=f"noted-{part}").result()
        wait([after, failed])
        logging.getLogger("distributed.scheduler").info("%s is in %s", message, directory)
        cluster.scheduler.log_event(["all", message], {"file": f"/x/{message}", "note": message})


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A log of ten runs."""
    folder = tmp_path_factory.mktemp("planted")
    log = folder / "runs.db"
    logger = logging.getLogger("distributed.scheduler")
    before = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False
    settings = {
        "distributed.scheduler.preload": [], "distributed.worker.preload": [],
        "distributed.diagnostics.computations.nframes": 2,
    }  # fmt: skip
    try:
        # Dask records no code of files that it takes for those of pytest.
        with dask.config.set(settings), tempfile.TemporaryDirectory() as sources:
            for run in range(RUNS):
                names = NAMES[run * NAMES_PER_RUN : (run + 1) * NAMES_PER_RUN]
                _run(log, folder, Path(sources), names)
    finally:
        logger.setLevel(before[0])
        logger.propagate = before[1]
    yield log


@pytest.fixture(scope="module")
def copy(original: Path, tasklog: Any) -> Path:
    path = original.parent / "copy.db"
    said = tasklog(original, "anonymize", "all", "-o", str(path))
    assert "10 runs" in said and "kept: order, times" in said
    return path


def _found(path: Path) -> set[str]:
    """The names that are in a file, in any form that text has in a log."""
    content = path.read_bytes()
    lower = content.lower()
    found = set()
    for name in NAMES:
        plain = name.lower().encode()
        forms = [plain, name.lower().encode("utf-16-le"), name.lower().encode("utf-16-be")]
        forms += [plain.hex().encode(), urllib.parse.quote(name.lower()).encode()]
        inner = []
        for text in (name.encode(), name.encode("utf-16-le"), name.encode("utf-16-be")):
            for shift in range(3):
                # Without the characters that depend on the neighbours.
                coded = base64.b64encode(bytes(shift) + text)
                inner.append(coded[4 if shift else 0 : 4 * ((shift + len(text)) // 3)])
        if any(form in lower for form in forms) or any(form in content for form in inner):
            found.add(name)
    return found


def test_ten_runs_hold_none_of_200_names(original: Path, copy: Path) -> None:
    assert len(set(NAMES)) == 200
    print(sorted({NAMES.index(n) % 20 for n in set(NAMES) - _found(original)}))
    assert _found(original) == set(NAMES)
    assert _found(copy) == set()
    place = os.path.basename(original.parent).encode()
    assert place in original.read_bytes() and place not in copy.read_bytes()
    # Nor has it an address of this machine, or a file that was not finished.
    addresses = {address for (address,) in _rows(original, "SELECT address FROM source")}
    hosts = {address.split("//")[1].rsplit(":")[0] for address in addresses} - {"127.0.0.1"}
    assert len(addresses) > RUNS
    assert not [host for host in hosts if host.encode() in copy.read_bytes()]
    assert not list(copy.parent.glob("copy.db?*"))


def _rows(path: Path, sql: str) -> list[tuple]:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        return connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def names(original: Path, copy: Path) -> dict[str, str]:
    """The name of each key, prefix, group and place in the copy."""
    found: dict[str, str] = {}
    for sql in (
        "SELECT key, prefix, key_group, worker, server_id, stimulus FROM events ORDER BY seq",
        "SELECT address, name ->> '$', server_id FROM source ORDER BY id",
        "SELECT key, exception, typename FROM tasks ORDER BY run, first_seen, key",
        "SELECT uuid, host, user FROM runs ORDER BY run",
        "SELECT l.key, value FROM run, json_each(metadata, '$.labels') AS l ORDER BY run.id",
    ):
        for row, own in zip(_rows(original, sql), _rows(copy, sql), strict=True):
            for name, other in zip(row, own, strict=True):
                if isinstance(name, str):
                    assert found.setdefault(name, other) == other, sql
    return found


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, list):
        return [_renamed(each, names) for each in value]
    if isinstance(value, dict):
        return {_renamed(name, names): _renamed(each, names) for name, each in value.items()}
    return value


@pytest.mark.parametrize(
    "command",
    [
        ["summary"], ["time"], ["slowest"], ["critical-path"], ["workers"], ["open"], ["runs"],
        ["compare", "#1", "#2"], ["check"], ["replay", "--plugin", "counter"],
        ["replay", "--plugin", f"{HERE}/documented_plugins.py:Counter", "--python", sys.executable],
        ["query", "SELECT key, prefix, state, nbytes, dispatch_count FROM tasks"],
        ["query", "SELECT prefix, state, count, seconds FROM prefix_states"],
        ["query", "SELECT key, cause_key, seq FROM failures"],
        ["query", "SELECT hook, count(*) FROM events GROUP BY hook"],
    ],
    ids=lambda command: " ".join(command[:3]).replace(str(HERE), ""),
)  # fmt: skip
def test_a_command_says_the_same_of_the_copy(
    command: list[str], original: Path, copy: Path, names: dict[str, str], tasklog: Any
) -> None:
    def rows(log: Path) -> list[Any]:
        done = subprocess.run(
            [tasklog.program, *command, "--log", log], capture_output=True, text=True, check=True
        )
        lines = done.stdout.splitlines()
        return [json.loads(line) if line.startswith("{") else line for line in lines]

    expected = rows(original)
    assert rows(copy) == [_renamed(row, names) for row in expected]
    assert expected or command[0] in ("check", "open")
