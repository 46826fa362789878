"""Older versions of Dask are recorded and replayed as well as the newest.

Their tests run in parallel with those of the newest, one version after the other, from the start:
all mostly wait for processes. ``TASKLOG_TEST_OLDER`` names their Pythons, separated by ``:``.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

OLDER = [path for path in os.environ.get("TASKLOG_TEST_OLDER", "").split(os.pathsep) if path]

#: The tests of the newest version that are run for every older one.
REPLAYED = ["test_worker_replay.py", "test_nested_transitions.py"]
#: And for the first one.
TESTS = [
    *REPLAYED,
    "test_equality.py", "test_snapshot.py", "test_commands.py", "test_limits.py",
    "test_fields.py", "test_failures.py", "test_jobs.py",
    "test_turning_on.py::test_preload_of_the_scheduler_command",
    "test_turning_on.py::test_register_plugin_in_the_middle_of_a_run",
    "test_turning_on.py::test_workers_need_not_have_the_package",
    "test_turning_on.py::test_redacted_arguments_are_not_in_the_log",
    "test_registering.py", "test_removed_spools.py", "test_closing_workers.py",
    "test_endings.py::test_clusters_of_pytest_lose_nothing",
    "test_endings.py::test_what_was_seen_is_in_the_log[Ctrl-C, processes]",
    "test_endings.py::test_what_was_seen_is_in_the_log[the script ends, threads]",
    "test_endings.py::test_what_was_seen_is_in_the_log[shutdown, commands]",
    "test_deaths.py",
]  # fmt: skip


class Runs:
    """Runs the tests of one version after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.codes: dict[str, int] = {}
        self._process: subprocess.Popen | None = None
        self._is_over = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def output(self, python: str) -> Path:
        return self.folder / f"output-{OLDER.index(python)}"

    def wait(self, seconds: float) -> None:
        self._thread.join(seconds)

    def kill(self) -> None:
        with self._lock:
            self._is_over = True
            if self._process is not None:
                self._process.kill()

    def _run(self) -> None:
        for python in OLDER:
            with self.output(python).open("w") as file, self._lock:
                if self._is_over:
                    return
                self._process = self._start(python, file)
            self.codes[python] = self._process.wait()

    def _start(self, python: str, file: object) -> subprocess.Popen:
        here = Path(__file__).parent
        tests = TESTS if python == OLDER[0] else REPLAYED
        return subprocess.Popen(
            [python, "-m", "pytest", "-q", "--tb=short", "--show-capture=no",
             "-p", "no:cacheprovider", *(str(here / test) for test in tests)],
            env={name: value for name, value in os.environ.items() if name != "TASKLOG_TEST_OLDER"},
            stdout=file,
            stderr=subprocess.STDOUT,
        )  # fmt: skip


@pytest.fixture(scope="session")
def older(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """The tests of the older versions, which have been running for a while."""
    runs = Runs(tmp_path_factory.mktemp("older"))
    yield runs
    runs.kill()


@pytest.mark.skipif(not OLDER, reason="TASKLOG_TEST_OLDER names no Python with an older Dask")
def test_the_older_versions_are_tested_beside_this_one(older: Runs) -> None:
    assert not older.codes


@pytest.mark.skipif(not OLDER, reason="TASKLOG_TEST_OLDER names no Python with an older Dask")
@pytest.mark.parametrize("python", OLDER)
def test_the_same_holds_for_an_older_version(older: Runs, python: str) -> None:
    older.wait(900)
    told = older.output(python).read_text() if older.output(python).exists() else "not begun"
    assert older.codes.get(python) == 0, told[-5000:]
    assert " passed" in told
