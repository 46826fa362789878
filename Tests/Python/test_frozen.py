"""Logs of every released version of the file format are replayed through plugins in Python."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from conftest import REPOSITORY
from replaying import Replay

FROZEN = sorted((REPOSITORY / "Tests/CommandTests/Frozen").glob("*.db"))
COUNTER = """
from distributed.diagnostics.plugin import SchedulerPlugin


class Counter(SchedulerPlugin):
    def __init__(self):
        self.counter = 0
        self.states = {}

    def start(self, scheduler):
        self.scheduler = scheduler

    def transition(self, key, start, finish, *args, **kwargs):
        if start == "processing" and finish == "memory":
            self.counter += 1
        task = self.scheduler.tasks.get(key)
        self.states[str(key)] = task.state if task else "forgotten"
"""


@pytest.mark.parametrize("frozen", FROZEN, ids=lambda path: path.stem)
def test_a_frozen_log_is_replayed(frozen: Path, tasklog: Any, tmp_path: Path) -> None:
    log = tmp_path / "log.db"
    shutil.copy(frozen, log)
    (tmp_path / "counter.py").write_text(COUNTER)
    plugin = f"{tmp_path / 'counter.py'}:Counter"
    done = Replay(tasklog.program, log).run(
        "--plugin", plugin, "--result", "counter", "--result", "states"
    )
    # A state that only a later Dask has is reported, and is drift.
    is_known = not frozen.stem.endswith("future")
    assert done.returncode == (0 if is_known else 3), done.stderr
    assert ("drift" in done.stderr) != is_known and ("levitating" in done.stderr) != is_known
    counter, states = map(json.loads, done.stdout.splitlines())
    with sqlite3.connect(f"file:{frozen}?mode=ro&immutable=1", uri=True) as connection:
        (wanted,) = connection.execute(
            "SELECT count(*) FROM transitions WHERE source = 'scheduler'"
            " AND start = 'processing' AND finish = 'memory'"
        ).fetchone()
        keys = {
            key
            for (key,) in connection.execute(
                "SELECT DISTINCT key FROM transitions WHERE source = 'scheduler'"
                " AND finish != 'enlightened'"
            )
        }
    connection.close()
    assert counter == wanted > 5
    assert set(states) == keys
    assert set(states.values()) <= {"memory", "erred", "forgotten", "released"}
