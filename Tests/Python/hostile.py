"""Sends mutated logs through the commands that read or repair logs.

Run as a program, it tries mutations until a number of them is done, and continues where it was
stopped:

    python Tests/Python/hostile.py --count 20000 --state /var/tmp/hostile
    python Tests/Python/hostile.py --seed 4711 --keep /tmp/it     # one again, with its log

The state folder has the number of mutations that are done, and a line for every fault.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mutations import Mutation

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = float(os.environ.get("TASKLOG_TEST_PATIENCE", "1"))
SECONDS = 10 * PATIENCE
MEMORY = 1 << 30

READING = [
    *("runs", "summary", "summary --table states", "summary --format json", "errors"),
    *("errors --table causes", "slowest -n 5", "critical-path", "open", "workers", "jobs"),
    *("workers --resources", "workers --deaths", "time", "time --by prefix", "messages", "status"),
    *("inspect", "inspect --table kinds", "check", "check --quick --strict", "story top-20"),
    *("story moonrise-1", "story \"('total', 1)\"", "state --at 60", "compare latest latest"),
    *("query -n 20", "query --hook '*' --run all --format jsonl", "query --count --hook '*'"),
    *("query --group-by hook,finish --hook '*'", "query --columns key,args.worker --reverse"),
    *("query --arg 'nbytes>0' --count", "query --since seq:5 --until -1d", "query --worker '*a*'"),
    *("query --grep 'a.*b' --count", "query --key '*1*' --show-cursor"),
    *(f"export --to {to} -o out" for to in ("perfetto", "chrome", "otlp-json", "dask")),
    *(f"export --to {to} -o out" for to in ("jsonl", "csv", "speedscope", "dask --rectangles")),
    *("report -o out.html", "replay --plugin counter", "replay --plugin errors"),
    *("replay --plugin counter --verify", "replay --plugin counter --from 20 --to 60"),
    *("migrate log.db --dry-run", "prune --keep-runs 0 --dry-run"),
    *(f"query 'SELECT * FROM {view}'" for view in ("events", "tasks", "workers", "prefix_states")),
    *(f"query 'SELECT * FROM {view}'" for view in ("critical_path", "errors", "dependencies")),
]
WRITING = [
    *("merge log.db --into merged.db", "recover --into saved.db", "recover", "migrate log.db"),
    *("index", "index --drop", "prune --max-size 100kb", "prune --older-than 1d"),
    "prune --keep-runs 0 --keep-failures",
]
COMMANDS = READING + WRITING

# A process that ended like this has crashed, whatever its exit code.
CRASHES = ("Fatal error", "Traceback (most", "Stack dump", "Crash:", "Program crashed")


@dataclass
class Fault:
    mutation: str
    command: str
    what: str

    def __str__(self) -> str:
        return f"{self.mutation}\n  {self.command}: {self.what}"


def program() -> Path:
    named = os.environ.get("TASKLOG_TEST_PROGRAM")
    return Path(named) if named else REPOSITORY / ".build/debug/tasklog"


def arguments(command: str) -> list[str]:
    """The words of a command; it reads `log.db` in its folder."""
    words = shlex.split(command)
    return words if "log.db" in words else [*words, "--log", "log.db"]


def start(words: list[str], folder: Path, path: Path | None, errors: BinaryIO) -> subprocess.Popen:
    """Starts a command on a log in a folder."""
    environment = {**os.environ, "SWIFT_BACKTRACE": "enable=no", "TMPDIR": str(folder)}
    for name in ("TASKLOG_LOG", "XDG_CACHE_HOME"):
        environment.pop(name, None)
    return subprocess.Popen(
        [path or program(), *words],
        cwd=folder,
        env={**environment, "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        preexec_fn=limit,
    )


def run(command: str, folder: Path, path: Path | None = None) -> str | None:
    """What is wrong with how a command ends, if anything is."""
    with tempfile.TemporaryFile() as errors:
        usage = wait(start(arguments(command), folder, path, errors))
        errors.seek(0)
        text = errors.read().decode(errors="replace")
    if usage is None:
        return f"more than {SECONDS:g} s"
    status, memory = usage
    crash = next((line for line in text.splitlines() if any(c in line for c in CRASHES)), "")
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}: {crash or text[-300:]}"
    if crash:
        return f"crash: {crash}"
    if memory > MEMORY:
        return f"{memory >> 20} MiB of memory"
    code = os.WEXITSTATUS(status)
    if code not in (0, 1, 2, 3, 64):
        return f"exit code {code}: {text[-300:]}"
    return "an error without a word" if code in (1, 64) and not text.strip() else None


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    # A file that grows without end.
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 30, 2 << 30))


def wait(child: subprocess.Popen) -> tuple[int, int] | None:
    """How a process ended and what memory it took; `None` if it had to be killed."""
    deadline = time.monotonic() + SECONDS
    pause = 0.001
    while time.monotonic() < deadline:
        ended, status, usage = os.wait4(child.pid, os.WNOHANG)
        if ended:
            child.returncode = os.waitstatus_to_exitcode(status)
            return status, usage.ru_maxrss << 10
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
    child.kill()
    child.wait()
    return None


def chosen(seed: int, count: int | None) -> list[str]:
    """Commands for a mutation. Those that change a log come last."""
    if count is None:
        return COMMANDS
    picked = random.Random(-seed - 1).sample(range(len(COMMANDS)), min(count, len(COMMANDS)))
    return [COMMANDS[index] for index in sorted(picked)]


def faults(seed: int, count: int | None = None, folder: Path | None = None) -> list[Fault]:
    """The faults of some or all commands with one mutated log."""
    with tempfile.TemporaryDirectory() as scratch:
        place = folder or Path(scratch)
        mutation = Mutation(seed, place)
        results = [(command, run(command, place)) for command in chosen(seed, count)]
    return [Fault(str(mutation), command, what) for command, what in results if what]


def many(seeds: range, count: int | None, jobs: int) -> Iterator[tuple[int, list[Fault]]]:
    """The faults of many mutations, in the order of their seeds."""
    with ThreadPoolExecutor(jobs) as pool:
        for first in range(seeds.start, seeds.stop, 100):
            some = range(first, min(first + 100, seeds.stop))
            found = pool.map(lambda seed: faults(seed, count), some)
            yield from zip(some, found, strict=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="how many mutations in all")
    parser.add_argument("--commands", type=int, help="how many commands for each; default all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--state", type=Path, help="folder to continue from")
    parser.add_argument("--seed", type=int, help="only this mutation")
    parser.add_argument("--keep", type=Path, help="folder for the log of that mutation")
    options = parser.parse_args()
    if options.seed is not None:
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
        found = faults(options.seed, options.commands, options.keep)
        print(*found, sep="\n")
        return 1 if found else 0
    done = 0
    state: Path = options.state or Path(tempfile.mkdtemp())
    state.mkdir(parents=True, exist_ok=True)
    if (state / "done").exists():
        done = int((state / "done").read_text())
    number = 0
    for seed, found in many(range(done, options.count), options.commands, options.jobs):
        for fault in found:
            print(fault, flush=True)
            with open(state / "faults", "a") as file:
                print(fault, file=file)
        number += len(found)
        (state / "done").write_text(str(seed + 1))
    print(f"{options.count} mutations, {number} faults since {done}", file=sys.stderr)
    return 1 if number else 0


if __name__ == "__main__":
    sys.exit(main())
