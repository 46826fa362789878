"""Logs of both engines, the pages that tasklog makes of them, and a browser that opens them."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chromium import Chromium, Page

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLE = REPOSITORY / "Tests/CommandTests/Logs/sample.db"


@pytest.fixture(scope="session")
def program() -> Path:
    named = os.environ.get("TASKLOG_TEST_PROGRAM")
    candidates = [REPOSITORY / ".build" / kind / "tasklog" for kind in ("debug", "release")]
    built = [path for path in candidates if path.exists()]
    return Path(named) if named else max(built, key=lambda path: path.stat().st_mtime)


@pytest.fixture(scope="session")
def tasklog(program: Path) -> Callable[..., str]:
    """Runs the command line, and returns its output; on an error, also its error message."""

    def run(*arguments: object, code: int = 0) -> str:
        words = [str(program), *map(str, arguments)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + (done.stderr if code else "")

    return run


@pytest.fixture(scope="session")
def logs(tasklog: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By name: a run of our engine, one of Dask, and the small log with a gap."""
    folder = tmp_path_factory.mktemp("logs")
    tasklog("demo", "--input", REPOSITORY / "Sources", "--log", folder / "engine.db")
    job = [sys.executable, str(Path(__file__).with_name("dask_job.py")), str(folder / "dask.db")]
    done = subprocess.run(job, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    return {"engine": folder / "engine.db", "dask": folder / "dask.db", "sample": SAMPLE}


@pytest.fixture(scope="session")
def rows(logs: dict[str, Path]) -> Callable[..., list[tuple]]:
    """Queries a log with SQL."""

    def ask(name: str, sql: str, *parameters: Any) -> list[tuple]:
        with sqlite3.connect(f"file:{logs[name]}?mode=ro&immutable=1", uri=True) as connection:
            return connection.execute(sql, parameters).fetchall()

    return ask


@pytest.fixture(scope="session")
def verb(tasklog: Callable[..., str], logs: dict[str, Path]) -> Callable[..., list[dict]]:
    """Returns the output of a verb of the command line for a log."""

    def ask(name: str, *arguments: object) -> list[dict]:
        lines = tasklog(*arguments, "--log", logs[name], "--format", "jsonl").splitlines()
        return [json.loads(line) for line in lines]

    return ask


def keep_picture(tab: Page, name: str) -> None:
    """Keeps a picture of the page in the folder TASKLOG_TEST_PICTURES, if there is one."""
    folder = os.environ.get("TASKLOG_TEST_PICTURES")
    if folder:
        tab.picture(Path(folder) / f"{name}.png", whole=True)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    browser = Chromium()
    yield browser
    browser.close()


@pytest.fixture
def tab(chromium: Chromium) -> Iterator[Page]:
    page = chromium.page()
    page.size(1280, 900)
    page.scheme("light")
    yield page
    page.close()


@pytest.fixture
def report(
    tasklog: Callable[..., str], logs: dict[str, Path], tmp_path: Path, tab: Page
) -> Callable[..., Page]:
    """Makes a page of a log, and opens it."""

    def open_(name: str, *arguments: object) -> Page:
        path = tmp_path / "report.html"
        tasklog("report", "--log", logs[name], "-o", path, *arguments)
        tab.open(path)
        tab.wait("window.tasklogReport")
        return tab

    return open_
