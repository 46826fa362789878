"""A part of the situations of `situations.py`: each is the first thing that is said of its run.

The command runs all of them, `public_reports.py` those of public reports, and `ordinary.py` the
workloads of which nothing is to be said. Each runs in another process: workers within that of the
tests would share its memory, of which there is truthful advice.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import advised
import planting
from clusters import DEADLINE
from ordinary import ORDINARY
from public_reports import REPORTS
from situations import SITUATIONS

#: Those that take seconds, and are in no other test.
SOME = (
    "gaps",
    "large-arguments",
    "leaving-workers",
    "held-results",
    "waiting-clients",
    "stuck-no-worker",
    "stuck-paused-workers",
    "stuck-not-received",
    "stuck-disagreement",
    "stuck-not-sent",
    "stuck-released-input",
    "why-resource",
    "why-queue",
    "idle-resources",
)


@pytest.mark.parametrize("name", SOME)
def test_a_situation_is_the_first_thing_that_is_said_of_its_run(
    name: str, tasklog: Callable[..., str], tmp_path: Path
) -> None:
    program = tasklog.program  # type: ignore[attr-defined]
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("situations.py"), "--keep", tmp_path, name],
        capture_output=True, text=True, timeout=5 * DEADLINE,
        env={**os.environ, "TASKLOG_TEST_PROGRAM": str(program)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    if SITUATIONS[name].hangs or SITUATIONS[name].asks:
        return
    # The evidence is a command as one types it.
    log = tmp_path / "run.db"
    evidence = planting.answer(log, "advice")[0]["evidence"]
    command = f'"{program}" {evidence} --log "{log}"'
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout, command


def test_a_run_of_our_own_engine_is_worth_no_warning(
    demo: Path, tasklog: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planting, "program", lambda: tasklog.program)  # type: ignore[attr-defined]
    assert planting.warned(planting.answer(demo, "advice")) == []


def test_each_kind_has_a_situation() -> None:
    text = (planting.REPOSITORY / "Sources/TaskLogKit/TaskLogKit.docc/Advice.md").read_text()
    table = text.partition("## Kinds")[2].partition("## ")[0]
    kinds = {line.split("`")[1] for line in table.splitlines() if line.startswith("| `")}
    named = [each for each in SITUATIONS.values() if not each.asks]
    planted = {each.expected[0] for each in named if not each.hangs}
    assert kinds == planted
    source = (planting.REPOSITORY / "Sources/Explaining/Stuck/StuckCause.swift").read_text()
    cases = re.findall(r'^    case (\w+)(?: = "(.*)")?$', source, re.MULTILINE)
    hanging = {each.expected[0] for each in named if each.hangs}
    # A wait for a thread comes after what has the thread.
    assert {text or name for name, text in cases} - hanging == {"no-thread"}
    assert set(advised.MISTAKES) <= planted
    assert len(SITUATIONS) >= 25


def test_there_are_20_reports_and_50_ordinary_workloads() -> None:
    assert len(REPORTS) == 20
    assert all("https://github.com/" in (each.run.__doc__ or "") for each in REPORTS.values())
    assert len(ORDINARY) >= 50
