"""The command that comes with the package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasklog import binary


def module(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m tasklog`."""
    return subprocess.run(
        [sys.executable, "-m", "tasklog", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **variables},
    )


def installed(folder: Path) -> Path:
    """A copy of the module as `pip` puts it below a prefix."""
    package = folder / "lib" / "python3.11" / "site-packages" / "tasklog"
    package.mkdir(parents=True)
    return package / "binary.py"


def command(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_command_is_found_where_pip_puts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TASKLOG_PROGRAM", raising=False)
    # --prefix, and an environment.
    monkeypatch.setattr(binary, "__file__", str(installed(tmp_path / "prefix")))
    expected = command(tmp_path / "prefix" / "bin" / "tasklog")
    assert binary.find_binary() == expected
    # --target has the scripts in a folder next to the packages.
    (tmp_path / "target" / "tasklog").mkdir(parents=True)
    monkeypatch.setattr(binary, "__file__", str(tmp_path / "target" / "tasklog" / "binary.py"))
    expected = command(tmp_path / "target" / "bin" / "tasklog")
    assert binary.find_binary() == expected


def test_a_variable_names_another_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKLOG_PROGRAM", str(tmp_path / "mine"))
    assert binary.find_binary() == tmp_path / "mine"


def test_a_package_without_the_command_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TASKLOG_PROGRAM", raising=False)
    monkeypatch.setattr(binary, "__file__", str(installed(tmp_path)))
    monkeypatch.setattr(binary.sysconfig, "get_path", lambda *_: str(tmp_path / "scripts"))
    # Something else of that name is not the command.
    (tmp_path / "scripts" / "tasklog").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="TASKLOG_PROGRAM") as error:
        binary.find_binary()
    assert str(tmp_path / "bin") in str(error.value) and "\n" not in str(error.value)


def test_the_module_runs_the_command_in_its_place(tasklog) -> None:
    program = str(tasklog.program)
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    done = module("--version", TASKLOG_PROGRAM=program)
    assert (done.returncode, done.stdout, done.stderr) == (0, shown.stdout, "")
    # Arguments and exit codes are those of the command.
    done = module("query", "--log", "/no/log.db", TASKLOG_PROGRAM=program)
    assert done.returncode == 1 and "/no/log.db" in done.stderr


def test_a_reader_that_ends_early_ends_the_command_quietly(tasklog, in_process) -> None:
    line = f"{sys.executable} -m tasklog query --log {in_process.log} | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "TASKLOG_PROGRAM": str(tasklog.program)},
    )
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_a_command_that_cannot_be_run_is_one_line(tmp_path: Path) -> None:
    done = module("--version", TASKLOG_PROGRAM=str(tmp_path / "none"))
    assert done.returncode == 1
    assert done.stderr.startswith("tasklog: ") and str(tmp_path / "none") in done.stderr
    assert len(done.stderr.splitlines()) == 1
