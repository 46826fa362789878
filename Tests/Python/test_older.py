"""An older version of Dask is recorded as well as the newest."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

OLDER = os.environ.get("TASKLOG_TEST_OLDER")

#: Of what is tested here with the newest version.
TESTS = [
    "test_equality.py", "test_snapshot.py", "test_commands.py",
    "test_turning_on.py::test_preload_of_the_scheduler_command",
    "test_turning_on.py::test_register_plugin_in_the_middle_of_a_run",
    "test_turning_on.py::test_workers_need_not_have_the_package",
]  # fmt: skip


@pytest.mark.skipif(not OLDER, reason="TASKLOG_TEST_OLDER names no Python with an older Dask")
def test_the_same_holds_for_an_older_version() -> None:
    here = Path(__file__).parent
    done = subprocess.run(
        [OLDER, "-m", "pytest", "-q", "--tb=short", "--show-capture=no", "-p", "no:cacheprovider",
         *(str(here / test) for test in TESTS)],
        env={name: value for name, value in os.environ.items() if name != "TASKLOG_TEST_OLDER"},
        capture_output=True,
        text=True,
        timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    assert " passed" in done.stdout
