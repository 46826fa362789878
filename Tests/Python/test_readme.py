"""The commands for Dask's users in the README, and its cheat sheet."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from documents import REPOSITORY, code, table
from log import Log

README = (REPOSITORY / "README.md").read_text()

#: The commands that have been run before this test.
INSTALLING = ("python3 -m venv", "pip install")


def test_the_example_works(tmp_path: Path, tasklog) -> None:
    (block,) = [b for b in re.findall(r"```bash\n(.*?)```", README, re.S) if "PRELOAD" in b]
    lines = [line for line in block.splitlines() if not line.startswith(INSTALLING)]
    assert len(lines) == len(block.splitlines()) - len(INSTALLING)
    # The environment, with the command that is tested in front.
    folders = [str(tasklog.program.parent), str(Path(sys.executable).parent), os.environ["PATH"]]
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", "\n".join(lines)],
        cwd=tmp_path,
        env={**os.environ, "PATH": os.pathsep.join(folders)},
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


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 250


# The cheat sheet.

#: The sample log has a run that failed tasks, and one that died.
PLACEHOLDERS = {"KEY": "load-1", "SEQ": "30", "RUN1": "'#1'", "RUN2": "'#2'"}
QUESTIONS = table(README, "question")


def test_the_cheat_sheet_has_sixteen_questions() -> None:
    assert len(QUESTIONS) == 16
    assert all(question.endswith("?") and code(command) for question, command in QUESTIONS)


@pytest.mark.parametrize("command", [code(command) for _, command in QUESTIONS])
def test_a_command_of_the_cheat_sheet_answers(command: str, tmp_path: Path, tasklog) -> None:
    shutil.copy(REPOSITORY / "Tests" / "CommandTests" / "Logs" / "sample.db", tmp_path / "run.db")
    for name, value in PLACEHOLDERS.items():
        command = re.sub(rf"\b{name}\b", lambda _, value=value: value, command)
    environment = {
        **os.environ,
        "PATH": f"{tasklog.program.parent}:{os.environ['PATH']}",
        "TASKLOG_LOG": "run.db",
    }
    # A closed run has no unfinished tasks, and not every run has a failure.
    takes_a_run = command.split()[1] not in (
        "check", "compare", "query", "runs", "status", "trend",
    )  # fmt: skip
    answers = []
    for run in ("1", "2") if takes_a_run else (None,):
        done = subprocess.run(
            ["bash", "-c", command + (f" --run '#{run}'" if run else "")],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        answers.append(done.stdout)
    assert any(answers)
