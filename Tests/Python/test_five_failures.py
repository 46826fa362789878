"""Runs that failed in five ways, examined as a new user does: at a terminal, with at most three
commands that the help and the output of the previous command name."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

import failed_runs
from clusters import PATIENCE, Recording


class Terminal:
    """The output of a command at a terminal."""

    def __init__(self, program: Path, log: Path, columns: int = 100) -> None:
        self.program, self.log, self.columns = program, log, columns

    def run(self, *arguments: str) -> str:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, self.columns, 0, 0))
        process = subprocess.Popen(
            [self.program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TASKLOG_LOG": str(self.log), "NO_COLOR": "1"},
        )
        os.close(theirs)
        pieces = []
        while True:
            try:
                piece = os.read(ours, 1 << 16)
            except OSError:  # how the end of a terminal is reported
                break
            if not piece:
                break
            pieces.append(piece)
        os.close(ours)
        code = process.wait(60 * PATIENCE)
        shown = b"".join(pieces).decode().replace("\r\n", "\n")
        assert code == 0, shown
        return shown


@pytest.fixture(scope="module")
def failed(new_recording: Callable[[str], Recording], tasklog: Callable) -> Callable:
    """The terminal of a user with the log of a run that failed; each is recorded once."""
    recorded: dict[str, Terminal] = {}

    def get(kind: str) -> Terminal:
        if kind not in recorded:
            recording = new_recording(kind.replace("_", "-"))
            failed_runs.KINDS[kind](recording)
            recorded[kind] = Terminal(tasklog.program, recording.log)
        return recorded[kind]

    return get


#: What a user must have read after `summary`, and after the two commands that it leads to.
LEADS = {
    "an_exception": (
        ["1 task failed, and 30 because of it (ValueError: row 7 has no price)"],
        [
            "ValueError: row 7 has no price\n", 'raise ValueError("row 7 has no price")',
            "30 other tasks failed because of it: total-", "… and 25 more",
        ],
    ),
    "a_killed_worker": (
        ["1 task failed, and 5 because of it (KilledWorker: ", "workers were lost"],
        [
            "KilledWorker: Attempted to run task 'deadly' on 4 different workers", "In deadly\n",
            "1 task was assigned to it: deadly", "5 other tasks failed because of it: after-",
        ],
    ),
    "lost_data": (
        ["1 worker was lost, and ", "cancelled with its data"],
        [
            "1 worker was lost\n", " (holder).",
            "Data was lost that cannot be computed again; cancelled with it: prices",
        ],
    ),
    "a_killed_scheduler": (
        ["the scheduler died; ", "tasks were unfinished"],
        ["The scheduler died\n", "tasks were unfinished: clean-"],
    ),
    "data_that_cannot_be_unpickled": (
        ["1 failure that only a worker saw (ImportError: libmodel.so: version 3 needed)"],
        [
            "ImportError: libmodel.so: version 3 needed\n", "Only at the worker tcp://",
            "In 1 task: make-model", "in _fail_to_read",
        ],
    ),
}  # fmt: skip


def test_every_kind_has_its_leads() -> None:
    assert set(LEADS) == set(failed_runs.KINDS)


@pytest.mark.parametrize("kind", LEADS)
def test_three_commands_lead_to_the_cause(kind: str, failed: Callable) -> None:
    terminal = failed(kind)
    # The first is the command that the help names for inspecting a run.
    assert re.search(r"^ +summary +Summarize a run: ", terminal.run("--help"), re.MULTILINE)
    first = terminal.run("summary")
    in_words, shown = LEADS[kind]
    head = " ".join(first.split("\n\n")[0].split())
    for words in in_words:
        assert words in head, first
    # The second is one that the first names.
    assert re.search(r"^tasklog errors\b", first, re.MULTILINE), first
    second = terminal.run("errors")
    in_prose = " ".join(second.split())
    for words in shown:
        assert words in second or words in in_prose, second
    # Everything that it names can be typed.
    commands = re.findall(r"^ *tasklog (.*?)(?:  # .*)?$", second, re.MULTILINE)
    assert commands, second
    for command in commands:
        words = subprocess.run(
            ["sh", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        assert terminal.run(*words).strip(), command


@pytest.mark.parametrize("kind", LEADS)
@pytest.mark.parametrize("columns", [60, 100])
def test_what_people_read_has_no_pickles_and_no_empty_tables(
    kind: str, columns: int, failed: Callable
) -> None:
    terminal = failed(kind)
    narrow = Terminal(terminal.program, terminal.log, columns)
    for command in ("summary", "errors", "slowest", "critical-path", "workers", "open", "runs"):
        shown = narrow.run(command)
        assert not re.search(r"\$bytes|\$serialized|gASV|\x1b", shown), shown
        # A title is followed by a header and at least a row.
        assert not re.search(r"\n\n[A-Z][^\n]*\n[^\n]*(\n\n|\n?$)", shown), shown
        # Times are clock times, and durations have units.
        assert not re.search(r"\b0\.\d{4,}|\d\dZ\b|\d\d:\d\d:\d\d\.\d{4,}", shown), shown


def test_a_run_without_failures_says_so_in_a_line(
    new_recording: Callable, tasklog: Callable
) -> None:
    from distributed import Client, LocalCluster

    import workloads

    recording = new_recording("no-failures")
    with (
        recording.applied(),
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        assert client.submit(workloads.increment, 1).result() == 2
    terminal = Terminal(tasklog.program, recording.log)
    assert terminal.run("errors") == "Run #1: no task failed, and no worker was lost.\n"
    assert "\nNothing went wrong.\n" in terminal.run("summary")
    assert terminal.run("open") == "no unfinished tasks\n"


def test_a_pipe_has_the_numbers(failed: Callable, tasklog: Callable) -> None:
    log = failed("an_exception").log
    assert '"exception":"ValueError(\'row 7 has no price\')"' in tasklog(log, "errors")
    piped = tasklog(log, "errors", "--format", "table")
    assert "Causes\nrun  exception  " in piped and "ValueError('row 7 has no price')" in piped
    assert "seconds" in tasklog(log, "slowest", "--format", "table").split("\n")[0]
