"""Runs one workload on its own recorded cluster, and reads what tasklog says about it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import re
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster

import tasklog
from clusters import DEADLINE

REPOSITORY = Path(__file__).resolve().parents[2]
#: Workers that are neither paused nor restarted, and write nothing to disk.
UNBOUND = {
    f"distributed.worker.memory.{part}": False for part in ("target", "spill", "pause", "terminate")
}


@dataclass(frozen=True)
class Situation:
    """A workload, and what is to be said about it."""

    name: str
    #: Runs to its end; or, of a run that hangs, yields as long as it does.
    run: Callable[[Client, Path], Any]
    #: Kinds of advice or causes of hanging, any of which is right.
    expected: tuple[str, ...]
    hangs: bool = False
    #: What `tasklog explain` is asked, if not `--stuck`; `expected` are then patterns of sentences,
    #: in their order.
    asks: tuple[str, ...] = ()
    #: Other warnings that are true as well.
    also: tuple[str, ...] = ()
    cluster: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    recorder: dict[str, Any] = field(default_factory=dict)
    #: A package without which it cannot be run.
    needs: str | None = None

    @property
    def can_run(self) -> bool:
        return self.needs is None or importlib.util.find_spec(self.needs) is not None


def program() -> Path:
    named = os.environ.get("TASKLOG_TEST_PROGRAM")
    if named:
        return Path(named)
    candidates = [REPOSITORY / ".build" / kind / "tasklog" for kind in ("release", "debug")]
    return max((each for each in candidates if each.exists()), key=lambda p: p.stat().st_mtime)


def answer(log: Path, *arguments: str) -> list[dict[str, Any]]:
    """The rows that a command prints."""
    done = subprocess.run(
        [program(), *arguments, "--format", "json", "--log", log],
        capture_output=True, text=True, timeout=DEADLINE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout or "[]")


@contextlib.contextmanager
def recorded(planted: Situation, folder: Path) -> Iterator[tuple[Client, Path]]:
    log = folder / "run.db"
    options = {"n_workers": 2, "threads_per_worker": 2, "processes": False} | planted.cluster
    with (
        dask.config.set(UNBOUND | planted.config),
        warnings.catch_warnings(),
        LocalCluster(
            dashboard_address=":0", silence_logs=logging.CRITICAL, memory_limit=options.pop(
                "memory_limit", "1GB"
            ), **options,
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        warnings.simplefilter("ignore")
        client.register_plugin(
            tasklog.Recorder(log, worker_spool=str(folder / "spool"), **planted.recorder)
        )
        yield client, log


def observe(planted: Situation, folder: Path) -> list[dict[str, Any]]:
    """The advice about a run, or the causes for which it hangs; those first that matter most."""
    if not planted.hangs:
        with recorded(planted, folder) as (client, log):
            planted.run(client, folder)
        return asked(planted, log) if planted.asks else answer(log, "advice")
    with recorded(planted, folder) as (client, log), contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.contextmanager(planted.run)(client, folder))
        # Events of workers arrive a moment later.
        deadline = time.monotonic() + DEADLINE
        while True:
            with contextlib.suppress(AssertionError):
                rows = asked(planted, log)
                if not mistake(planted, rows) or time.monotonic() > deadline:
                    return rows
            time.sleep(0.2)


def told(planted: Situation, keep: Path | None = None) -> tuple[list[dict[str, Any]], float]:
    """What is said about a run, whose log may be kept in a folder, and the seconds that it took."""
    begin = time.monotonic()
    if keep:
        return observe(planted, keep), time.monotonic() - begin
    with tempfile.TemporaryDirectory(prefix="planted") as folder:
        rows = observe(planted, Path(folder))
    return rows, time.monotonic() - begin


def asked(planted: Situation, log: Path) -> list[dict[str, Any]]:
    rows: Any = answer(log, "explain", *(planted.asks or ("--stuck",)))
    return rows["sentences"] if isinstance(rows, dict) else rows


def mistake(planted: Situation, rows: list[dict[str, Any]]) -> str:
    """What is wrong with what is said of a situation; empty if nothing is."""
    if planted.asks:
        rest = iter(row["sentence"] for row in rows)
        for pattern in planted.expected:
            if not any(re.search(pattern, sentence) for sentence in rest):
                return f"expected '{pattern}' in {[row['sentence'] for row in rows]}"
        return ""
    if kinds(rows)[:1] != list(planted.expected[:1]):
        return f"expected {planted.expected[0]}"
    others = set(warned(rows)) - set(planted.expected) - set(planted.also)
    return f"also warned of {', '.join(sorted(others))}" if others else ""


def kinds(rows: list[dict[str, Any]]) -> list[str]:
    return [row.get("kind") or row.get("cause") or row.get("reason") or "told" for row in rows]


def warned(rows: list[dict[str, Any]]) -> list[str]:
    return [row["kind"] for row in rows if row.get("severity") == "warning"]
