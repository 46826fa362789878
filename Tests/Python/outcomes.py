"""The outcome of a program of ``cases/``: the facts that the table in ``test_cases.py`` names."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import witness
from clusters import HERE, PATIENCE
from log import Log
from replaying import Replay

PROGRAMS = HERE / "cases"
VERBS = ["inspect", "summary", "errors", "slowest", "critical-path", "workers", "open"]
HEARTBEATS_A_DAY = 2 * 24 * 60 * 60


def _as_in_a_log(key: str) -> str:
    return key.replace("\0", "\\u0000").encode("utf-8", "backslashreplace").decode()


class Outcome:
    """A program that was run with a witness, and its log. Each public name is a fact."""

    def __init__(self, program: str, folder: Path, tasklog: Callable[..., str]) -> None:
        self._folder, self._tasklog = folder, tasklog
        self._log = folder / "run.db"
        environment = {
            "PYTHONPATH": str(HERE),
            "TASKLOG_LOG": str(self._log),
            "TASKLOG_WORKER_SPOOL": str(folder / "spool"),
            "WITNESS_FOLDER": str(folder / "witness"),
            "DASK_DISTRIBUTED__SCHEDULER__PRELOAD": '["witness", "tasklog"]',
            "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "critical",
        }
        self._done = subprocess.run(
            [sys.executable, str(PROGRAMS / program)],
            env={**os.environ, **environment},
            cwd=folder, capture_output=True, text=True, timeout=120 * PATIENCE,
        )  # fmt: skip

    @property
    def text(self) -> str:
        """The output of the program, for debugging."""
        return self._done.stdout + self._done.stderr

    @property
    def code(self) -> int:
        return self._done.returncode

    @property
    def printed(self) -> Any:
        """The last line of the program, which is JSON."""
        lines = self._done.stdout.splitlines()
        return json.loads(lines[-1]) if lines else self._done.stderr[-2000:]

    # Of any log

    @property
    def ends(self) -> list[str | None]:
        """The end of each run."""
        return [end for (end,) in Log(self._log).rows("SELECT end FROM run ORDER BY id")]

    @cached_property
    def _seen(self) -> dict[tuple[str, str], witness.Transitions]:
        """By the witness; a text in a log has no NUL and no lone surrogate."""
        found = witness.seen(self._folder / "witness")
        assert sum(map(len, found.values())) > 0
        return {
            source: [(_as_in_a_log(key), *states) for key, *states in transitions]
            for source, transitions in found.items()
        }

    @property
    def lost(self) -> list[str]:
        """Sources for which the log does not contain, in order, exactly the transitions that the
        witness saw."""
        return [
            f"{d.source[0]}: {d.seen} seen, {d.logged} in the log; {d.words}"
            for d in witness.differences(self._seen, witness.logged(self._log))
        ]

    @property
    def lost_by_the_kill(self) -> list[str]:
        """The same after the spools have been recovered. Each process that was killed may differ by
        the one call whose hook had not returned."""
        self._tasklog(self._log, "recover")
        if any(path.is_file() for path in (self._folder / "spool").rglob("*")):
            self._tasklog(self._log, "import", self._folder / "spool")
        logged, found = witness.logged(self._log), []
        for source in sorted({*self._seen, *logged}):
            ours, theirs = logged.get(source, []), self._seen.get(source, [])
            both = min(len(ours), len(theirs))
            if abs(len(ours) - len(theirs)) > 1 or ours[:both] != theirs[:both]:
                found.append(f"{source[0]}: {len(theirs)} seen, {len(ours)} in the log")
        return found

    @property
    def missing(self) -> int:
        """The number of missing events according to the log."""
        return Log(self._log).one("SELECT coalesce(sum(count), 0) FROM gap")

    @property
    def findings(self) -> list[str]:
        """The output of `tasklog check`."""
        lines = self._tasklog(self._log, "check", "--format", "jsonl").splitlines()
        return sorted(json.loads(line)["finding"] for line in lines)

    @property
    def replayed(self) -> str:
        """Whether plugins are called in a replay with what the witness saw."""
        names = [f"{PROGRAMS / 'seen.py'}:{name}" for name in ("OnScheduler", "OnWorkers")]
        replay = Replay(self._tasklog.program, self._log)  # type: ignore[attr-defined]
        done = replay.run(
            *(f"--plugin={name}" for name in names), *(f"--result={name}:seen" for name in names)
        )
        if done.returncode or "drift" in done.stderr:
            return f"code {done.returncode}: {done.stderr}"
        scheduler, workers = (json.loads(line) for line in done.stdout.splitlines())
        live = {"scheduler": [], "worker": []}
        for (kind, _), transitions in witness.seen(self._folder / "witness").items():
            live[kind].append([list(transition) for transition in transitions])
        same = [scheduler] == live["scheduler"]
        same = same and sorted(workers.values()) == sorted(live["worker"])
        return "as live" if same else "other calls than live"

    # Of one case

    @property
    def summary_is_short(self) -> bool:
        return len(self._tasklog(self._log, "summary", "--format", "table").encode()) < 100_000

    @property
    def keys_of_the_text_1(self) -> list[str | None]:
        lines = self._tasklog(self._log, "story", "1", "--format", "jsonl").splitlines()
        return sorted({json.loads(line).get("table") for line in lines}, key=str)

    @property
    def raw_controls(self) -> list[str]:
        """The commands whose output contains terminal controls or reorders text."""
        found = []
        for verb in VERBS:
            text = self._tasklog(self._log, verb, "--format", "table")
            if any(character in text for character in "\x1b\u202e\u202c\u2028\0\t"):
                found.append(verb)
        return found

    @property
    def copied_without_its_wal(self) -> tuple[int, str]:
        done = subprocess.run(
            [self._tasklog.program, "runs", "--log", "copy.db"],  # type: ignore[attr-defined]
            cwd=self._folder, capture_output=True, text=True,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    @property
    def is_at_most_2_MB(self) -> bool:
        return self._log.stat().st_size <= 2_000_000

    @property
    def heartbeats(self) -> int:
        return Log(self._log).one("SELECT count(*) FROM events WHERE hook = 'heartbeat'")

    @property
    def is_at_most_25_MB_a_day(self) -> bool:
        """The size of heartbeats in the file, for a worker that sends two per second."""
        sizes = []
        for change in (
            "SELECT 1",
            "DELETE FROM event WHERE hook = (SELECT id FROM text WHERE text = 'heartbeat')",
        ):
            shutil.copy(self._log, self._folder / "copy.db")
            with sqlite3.connect(self._folder / "copy.db", isolation_level=None) as copy:
                copy.execute(change)
                copy.execute("VACUUM")
            sizes.append((self._folder / "copy.db").stat().st_size)
        of_each = (sizes[0] - sizes[1]) / self.heartbeats
        assert of_each > 0
        return of_each * HEARTBEATS_A_DAY <= 25_000_000

    @property
    def failed_with_each(self) -> dict[int, int]:
        """How many groups of tasks failed by themselves together, by the size of the group."""
        lines = self._tasklog(self._log, "errors", "--table", "errors", "--format", "jsonl")
        return Counter(json.loads(line)["dependents"] for line in lines.splitlines())

    @property
    def blamed(self) -> dict[str, int]:
        """How many tasks that failed with another one are blamed on it."""
        lines = self._tasklog(self._log, "errors", "--table", "affected", "--format", "jsonl")
        return Counter(json.loads(line)["cause_key"] for line in lines.splitlines())
