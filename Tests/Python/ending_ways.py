"""Ways in which a recorded cluster ends; ``test_endings.py`` has a table of them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import witness
from clusters import DASK, DASK_WORKER, HERE, PATIENCE, Process, wait_for
from log import Log

KINDS = ("processes", "threads", "commands")


class Program(Process):
    """A process in a separate process group that is controlled through its standard input."""

    def __init__(self, arguments: list[str], environment: dict[str, str], folder: Path) -> None:
        self.output = folder / f"output-{len(list(folder.glob('output-*')))}"
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                arguments,
                env={**os.environ, "PYTHONPATH": str(HERE), **environment},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                start_new_session=True,
            )

    def signal(self, number: int) -> None:
        """Sends a signal like a terminal: to it and its child processes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    @property
    def is_gone(self) -> bool:
        """Whether it and all of its child processes have ended."""
        if self.process.poll() is None:
            return False
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return False


class Ending:
    """A cluster of one kind with a witness, a program that works on it, and the end of both."""

    def __init__(self, folder: Path, kind: str, way: str, **environment: str) -> None:
        self.folder, self.kind, self.way = folder, kind, way
        self.log, self.spool = folder / "run.db", folder / "spool"
        self.environment = {
            "TASKLOG_LOG": str(self.log),
            "TASKLOG_WORKER_SPOOL": str(self.spool),
            "WITNESS_FOLDER": str(folder / "witness"),
            "DASK_DISTRIBUTED__SCHEDULER__PRELOAD": '["witness", "tasklog"]',
            # Processes must not wait for ended ones: it would take longer than the test's deadline.
            "TASKLOG_CLOSE_SECONDS": "1h",
            **environment,
        }
        self.programs: list[Program] = []
        if kind == "commands":
            self._start_commands()
        self.program = self.start([sys.executable, str(HERE / "ending_program.py"), kind, way])

    def start(self, arguments: list[str]) -> Program:
        program = Program(arguments, self.environment, self.folder)
        self.programs.append(program)
        return program

    def _start_commands(self) -> None:
        file = self.folder / "scheduler.json"
        scheduler = [*DASK, "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
        self.scheduler = self.start(scheduler)

        def address() -> str | None:
            with contextlib.suppress(OSError, ValueError):
                return json.loads(file.read_text())["address"]
            return None

        self.environment["SCHEDULER"] = wait_for(address, "address of the scheduler", 60 * PATIENCE)
        self.workers = [self.add_worker(nanny) for nanny in ("--nanny", "--no-nanny")]

    def add_worker(self, nanny: str = "--no-nanny") -> Program:
        return self.start(
            [*DASK_WORKER, self.environment["SCHEDULER"], "--no-dashboard", "--nthreads", "1",
             nanny, "--local-directory", str(self.folder)],
        )  # fmt: skip

    # Actions

    def wait_for_text(self, text: str, program: Program | None = None) -> None:
        program = program or self.program

        def has_come() -> bool:
            return text in program.text or program.process.poll() is not None

        wait_for(has_come, f"'{text}' of a program", 60 * PATIENCE)
        assert text in program.text, program.text

    def wait_until_gone(self, *programs: Program) -> None:
        for program in programs or self.programs:
            wait_for(lambda p=program: p.is_gone, f"end of {program.process.args}", 60 * PATIENCE)

    @property
    def cluster(self) -> list[Program]:
        """The processes of a cluster."""
        return [self.scheduler, *self.workers] if self.kind == "commands" else [self.program]

    def signal(self, number: int) -> None:
        for program in self.cluster:
            program.signal(number)

    def worker_processes(self) -> list[int]:
        """The ids of the processes that workers run in, as reported to the recorder."""
        rows = Log(self.log).rows(
            "SELECT json_extract(snapshot, '$.worker.pid') FROM events WHERE hook = 'setup'"
        )
        return [int(row[0]) for row in rows]

    def kill_leftovers(self) -> None:
        for program in self.programs:
            program.kill()

    # Results

    def leftover_spools(self) -> list[Path]:
        return [path for path in self.spool.rglob("*") if path.is_file()]

    def recover(self, tasklog: Callable[..., str]) -> None:
        """Recovers the events of killed processes."""
        tasklog(self.log, "recover")
        if self.leftover_spools():
            tasklog(self.log, "import", self.spool)

    def missing(self) -> int:
        return Log(self.log).one("SELECT coalesce(sum(count), 0) FROM gap")

    def incomplete_workers(self, tasklog: Callable[..., str]) -> list[dict[str, Any]]:
        """The findings of `tasklog check` about workers without an end."""
        lines = tasklog(self.log, "check", "--format", "jsonl").splitlines()
        findings = [json.loads(line) for line in lines]
        return [found for found in findings if found["finding"] == "incomplete-worker"]

    def has_ended(self, source: tuple[str, str]) -> bool:
        """Whether a source came to its end without being killed."""
        log = Log(self.log)
        if source[0] == "scheduler":
            return log.rows("SELECT end FROM run") == [("closed",)]
        return bool(
            log.one(
                "SELECT count(*) FROM events WHERE hook = 'teardown' AND server_id = ?", source[1]
            )
        )

    def assert_nothing_is_lost(self, is_gone: Callable[[tuple[str, str]], bool]) -> None:
        """Whether the log contains what was seen; a process that was killed may differ by the one
        call whose hook had not returned."""
        seen, logged = witness.seen(self.folder / "witness"), witness.logged(self.log)
        assert {kind for kind, _ in seen} == {"scheduler", "worker"}
        assert sum(map(len, seen.values())) > 100
        for source in sorted(set(seen) | set(logged)):
            theirs, ours = seen.get(source, []), logged.get(source, [])
            if is_gone(source):
                assert ours == theirs[: len(ours)], source
            elif self.has_ended(source):
                assert ours == theirs, (source, len(ours), len(theirs))
            else:
                assert abs(len(ours) - len(theirs)) <= 1, (source, len(ours), len(theirs))
                both = min(len(ours), len(theirs))
                assert ours[:both] == theirs[:both], source

    def lost(self) -> dict[tuple[str, str], int]:
        """The number of transitions of each source that were seen and are not in the log."""
        seen, logged = witness.seen(self.folder / "witness"), witness.logged(self.log)
        lost = {source: len(seen[source]) - len(logged.get(source, [])) for source in seen}
        return {source: count for source, count in lost.items() if count > 1}

    def text(self) -> str:
        return "\n".join(program.text for program in self.programs)


# How a ready program ends


def by_itself(ending: Ending) -> None:
    """It ends at the end of its code."""


def signaled(number: int) -> Callable[[Ending], None]:
    return lambda ending: ending.signal(number)


def interrupted_twice(ending: Ending) -> None:
    """Dask, interrupted while it closes, leaves processes behind or hangs, also without a recorder:
    a user who has pressed Ctrl-C twice closes the terminal then."""
    ending.signal(signal.SIGINT)
    time.sleep(0.2)
    ending.signal(signal.SIGINT)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(p.process.poll() is None for p in ending.cluster):
        time.sleep(0.02)
    ending.signal(signal.SIGKILL)


def orchestrated(ending: Ending, grace: float = 30.0) -> None:
    """SIGTERM, a grace period that ends early when all have ended, SIGKILL of the group."""
    ending.signal(signal.SIGTERM)
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline and not all(program.is_gone for program in ending.cluster):
        time.sleep(0.02)
    ending.signal(signal.SIGKILL)


def kill_scheduler(ending: Ending) -> None:
    scheduler = ending.scheduler if ending.kind == "commands" else ending.program
    scheduler.process.send_signal(signal.SIGKILL)


def kill_worker(ending: Ending) -> None:
    """Kills one of them; then the cluster ends as usual."""
    _kill_worker(ending)
    _close(ending)


def lose_worker(ending: Ending) -> None:
    """Kills a worker with its nanny and removes its spool folder, as if its host was lost."""
    if ending.kind == "commands":
        ending.workers[0].signal(signal.SIGKILL)
        ending.workers[1].signal(signal.SIGKILL)
    else:
        for process in ending.worker_processes():
            os.kill(process, signal.SIGKILL)
    shutil.rmtree(ending.spool)
    _close(ending)


def kill_nanny(ending: Ending) -> None:
    """The worker ends immediately when its nanny does."""
    nanny = ending.workers[0]
    nanny.process.send_signal(signal.SIGKILL)
    wait_for(lambda: nanny.is_gone, "end of the nanny's worker", 60 * PATIENCE)
    _close(ending)


def _kill_worker(ending: Ending) -> None:
    process = wait_for(ending.worker_processes, "setup of a worker in the log", 60 * PATIENCE)[0]
    os.kill(process, signal.SIGKILL)


def _close(ending: Ending) -> None:
    if ending.kind == "commands":
        ending.scheduler.signal(signal.SIGTERM)
    else:
        ending.program.tell("close")


def notebook_restart(ending: Ending) -> None:
    """A kernel is requested to end, and killed after some seconds if it has not."""
    ending.program.process.stdin.close()  # type: ignore[union-attr]
    deadline = time.monotonic() + 5 * PATIENCE
    while time.monotonic() < deadline and not ending.program.is_gone:
        time.sleep(0.02)
    ending.program.signal(signal.SIGKILL)


def taken_off(ending: Ending) -> None:
    """The recording ends before the cluster does."""
    ending.program.tell("end the recording")
    ending.wait_for_text("has ended")
    # What the witness sees from here on is not recorded.
    shutil.copytree(ending.folder / "witness", ending.folder / "witness-then")
    ending.program.tell("go on")


Cell = tuple[str, Callable[[Ending], Any]]

#: For each way: the program, and what is done to it.
WAYS: dict[str, Cell] = {
    "the script ends": ("script_end", by_itself),
    "the script ends while busy": ("script_end_while_busy", by_itself),
    "an exception": ("exception", by_itself),
    "sys.exit": ("sys_exit", by_itself),
    "os._exit": ("os_exit", by_itself),
    "the last of several clusters": ("last_of_several", by_itself),
    "the loop ends": ("asyncio_end", by_itself),
    "Ctrl-C": ("wait_for_a_signal", signaled(signal.SIGINT)),
    "Ctrl-C twice": ("wait_for_a_signal", interrupted_twice),
    "SIGTERM": ("wait_for_a_signal", signaled(signal.SIGTERM)),
    "SIGTERM, then SIGKILL": ("wait_for_a_signal", orchestrated),
    "SIGKILL of everything": ("wait_for_a_signal", signaled(signal.SIGKILL)),
    "SIGKILL of the scheduler": ("wait_for_a_signal", kill_scheduler),
    "SIGKILL of a worker": ("wait_to_close", kill_worker),
    "SIGKILL of a nanny": ("wait_to_close", kill_nanny),
    "worker and spool gone": ("wait_to_close", lose_worker),
    "close": ("close", by_itself),
    "shutdown": ("shutdown", by_itself),
    "idle-timeout": ("idle_timeout", by_itself),
    "unregister": ("unregister", taken_off),
    "detach": ("detach", taken_off),
    "adaptive to zero": ("adaptive_to_zero", by_itself),
    "notebook kernel restart": ("notebook", notebook_restart),
}

_CLIENT = "a client's end is not the cluster's: see the test of clients"
_ONE_PROCESS = "worker and scheduler are one process"
_NANNY = "the nannies live in the scheduler's process"

#: Impossible cells, and the reason.
NONE: dict[tuple[str, str], str] = {
    **{
        (way, "commands"): _CLIENT
        for way in (
            "the script ends", "the script ends while busy", "an exception", "sys.exit",
            "os._exit", "the last of several clusters", "the loop ends", "close",
            "notebook kernel restart",
        )
    },
    ("the loop ends", "processes"): "Dask hangs there, without a recorder, too",
    ("SIGKILL of a worker", "threads"): _ONE_PROCESS,
    ("worker and spool gone", "threads"): _ONE_PROCESS,
    ("SIGKILL of a nanny", "processes"): _NANNY,
    ("SIGKILL of a nanny", "threads"): "there is no nanny",
    ("adaptive to zero", "commands"): "see `adaptive_commands` in conftest.py",
}  # fmt: skip

#: Ways that kill processes, so that there may be something to recover.
KILLS = {
    "os._exit", "SIGTERM", "SIGTERM, then SIGKILL", "Ctrl-C twice", "SIGKILL of everything",
    "SIGKILL of the scheduler", "SIGKILL of a worker", "SIGKILL of a nanny",
    "worker and spool gone", "notebook kernel restart",
}  # fmt: skip
