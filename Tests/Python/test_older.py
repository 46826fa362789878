"""An older version of Dask is recorded as well as the newest.

Its tests run beside those of the newest, from the beginning: both mostly wait for processes.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

OLDER = os.environ.get("TASKLOG_TEST_OLDER")

#: Of what is tested here with the newest version.
TESTS = [
    "test_equality.py", "test_snapshot.py", "test_commands.py", "test_limits.py",
    "test_turning_on.py::test_preload_of_the_scheduler_command",
    "test_turning_on.py::test_register_plugin_in_the_middle_of_a_run",
    "test_turning_on.py::test_workers_need_not_have_the_package",
    "test_turning_on.py::test_redacted_arguments_are_not_in_the_log",
    "test_registering.py", "test_removed_spools.py", "test_closing_workers.py",
    "test_endings.py::test_clusters_of_pytest_lose_nothing",
    "test_endings.py::test_what_was_seen_is_in_the_log[Ctrl-C, processes]",
    "test_endings.py::test_what_was_seen_is_in_the_log[the script ends, threads]",
    "test_endings.py::test_what_was_seen_is_in_the_log[shutdown, commands]",
]  # fmt: skip


@pytest.fixture(scope="session")
def older(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen, Path]]:
    """The tests of the older version, which have been running for a while."""
    here = Path(__file__).parent
    output = tmp_path_factory.mktemp("older") / "output"
    with output.open("w") as file:
        process = subprocess.Popen(
            [OLDER, "-m", "pytest", "-q", "--tb=short", "--show-capture=no",
             "-p", "no:cacheprovider", *(str(here / test) for test in TESTS)],
            env={name: value for name, value in os.environ.items() if name != "TASKLOG_TEST_OLDER"},
            stdout=file,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    yield process, output
    process.kill()


@pytest.mark.skipif(not OLDER, reason="TASKLOG_TEST_OLDER names no Python with an older Dask")
def test_the_older_version_is_tested_beside_this_one(older: tuple[subprocess.Popen, Path]) -> None:
    assert older[0].returncode is None


@pytest.mark.skipif(not OLDER, reason="TASKLOG_TEST_OLDER names no Python with an older Dask")
def test_the_same_holds_for_an_older_version(older: tuple[subprocess.Popen, Path]) -> None:
    process, output = older
    code = process.wait(timeout=600)
    told = output.read_text()
    assert code == 0, told[-5000:]
    assert " passed" in told
