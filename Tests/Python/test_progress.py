"""What long work shows on a terminal, and what it leaves behind when it is ended."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from clusters import wait_for
from watched import Watched

COMMANDS = [
    ["report"],
    ["export", "--to", "jsonl"],
    ["export", "--to", "perfetto"],
    ["export", "--to", "otlp-json"],
]
#: Work that takes less shows nothing.
SHORT_SECONDS = 0.5


@pytest.fixture(params=COMMANDS, ids=lambda command: command[-1])
def stopped(
    request: pytest.FixtureRequest, watched_in_processes: Watched, tasklog: Any, tmp_path: Path
) -> Iterator[Callable]:
    """Starts a command, and stops it in the middle, once its file has been begun."""
    running = []

    def start(stderr: int) -> tuple[subprocess.Popen, Path]:
        output = tmp_path / "out"
        while True:
            began = time.monotonic()
            process = subprocess.Popen(
                [tasklog.program, *request.param, "--log", watched_in_processes.log, "-o", output],
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
            running.append(process)
            # Without a pause: it does not take long.
            while process.poll() is None and not any(tmp_path.glob("*.part")):
                pass
            process.send_signal(signal.SIGSTOP)
            if process.poll() is None and any(tmp_path.glob("*.part")):
                break
            # It was done before it could be stopped.
            process.wait()
        wait_for(lambda: time.monotonic() - began > SHORT_SECONDS, "end of short work")
        return process, output

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_a_terminal_shows_how_far_it_is(stopped: Callable) -> None:
    ours, theirs = pty.openpty()
    process, output = stopped(theirs)
    os.close(theirs)
    process.send_signal(signal.SIGCONT)
    shown = b""
    try:
        while part := os.read(ours, 1 << 16):
            shown += part
    except OSError:
        # The other end is closed.
        pass
    os.close(ours)
    assert process.wait(60) == 0
    lines = shown.split(b"\r")
    bars = [line for line in lines if line.startswith(b"[")]
    assert bars, shown
    assert all(b" %  " in bar and b" events/s  " in bar and b" left" in bar for bar in bars)
    # It takes itself away.
    assert lines[-1] == b"\x1b[K"
    assert output.stat().st_size > 1000


def test_a_pipe_shows_nothing(stopped: Callable) -> None:
    process, output = stopped(subprocess.PIPE)
    process.send_signal(signal.SIGCONT)
    told, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert errors == b""
    assert b"\r" not in told and b"\x1b" not in told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_is_ended_in_the_middle_leaves_the_file_as_it_was(
    stopped: Callable, number: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("before")
    process, output = stopped(subprocess.PIPE)
    process.send_signal(number)
    process.send_signal(signal.SIGCONT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -number
    assert errors == b""
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert output.read_text() == "before"
