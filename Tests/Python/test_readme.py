"""What the README tells Dask's users to type, and what it lists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from tasklog.options import Options

from log import Log

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()

#: What has been done before this test is run.
INSTALLING = ("python3 -m venv", "pip install", "swift build")


def test_the_example_works(tmp_path: Path, tasklog) -> None:
    (block,) = [b for b in re.findall(r"```bash\n(.*?)```", README, re.S) if "PRELOAD" in b]
    lines = [line for line in block.splitlines() if not line.startswith(INSTALLING)]
    assert len(lines) < len(block.splitlines()) - 2
    (tmp_path / ".build" / "release").mkdir(parents=True)
    (tmp_path / ".build" / "release" / "tasklog").symlink_to(tasklog.program)
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", "\n".join(lines)],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    mean, *rest = done.stdout.splitlines()
    assert 0.9 < float(mean) < 1.1
    log = Log(tmp_path / "dask.db")
    computed = log.one(
        "SELECT count(*) FROM transitions WHERE source = 'scheduler' "
        "AND start = 'processing' AND finish = 'memory'"
    )
    assert computed > 64
    assert f"  counter: {computed}" in rest
    assert sum('"mean_agg' in line or "'mean_agg" in line for line in rest) > 5
    assert log.rows("SELECT end FROM run") == [("closed",)]
    assert log.rows("SELECT * FROM gap") == []


def test_every_option_is_listed() -> None:
    for option in fields(Options):
        if "read" not in option.metadata:
            continue
        variable = f"TASKLOG_{option.name.upper()}"
        config = f"tasklog.{option.name.replace('_', '-')}"
        assert f"| `{option.name}` | `{variable}` | `{config}` |" in README
