"""The command that replays."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from clusters import HERE

WATCHERS = str(HERE / "watchers.py")


class Replay:
    """`tasklog replay` on a log."""

    def __init__(self, program: Path, log: Path | str) -> None:
        self.program = program
        self.log = log

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        command = [self.program, "replay", "--log", self.log]
        if "--python" not in arguments:
            command += ["--python", sys.executable]
        return subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "PYTHONPATH": str(HERE), **environment},
        )

    def results(self, plugins: list[str], wanted: list[tuple[str, str]], *more: str) -> list[str]:
        """The attributes of plugins of `watchers`, a line of JSON each."""
        arguments = [f"--plugin={WATCHERS}:{name}" for name in plugins]
        arguments += [f"--result={WATCHERS}:{name}:{path}" for name, path in wanted]
        done = self.run(*arguments, *more)
        assert "drift" not in done.stderr, done.stderr
        assert "forbidden" not in done.stderr, done.stderr
        return done.stdout.splitlines()

    def results_of(self, file: str, name: str, path: str) -> Any:
        """An attribute of a plugin at the end."""
        done = self.run(f"--plugin={file}:{name}", f"--result={file}:{name}:{path}")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


def without_an_assignment(log: Path, copy: Path) -> Path:
    """Copies a log but for one task's transition to processing: what follows does not fit."""
    with sqlite3.connect(log) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    with sqlite3.connect(copy) as connection:
        connection.execute(
            """
            DELETE FROM event WHERE seq = (
              SELECT seq FROM event JOIN source ON source.id = source
              WHERE kind = 'scheduler' AND hook = (SELECT id FROM text WHERE text = 'transition')
                AND finish = (SELECT id FROM text WHERE text = 'processing') LIMIT 1 OFFSET 40)
            """
        )
    return copy
