"""Sends mutated logs through the commands that read or repair logs.

Run as a program, it tries mutations until a number of them is done, and continues where it was
stopped:

    python Tests/Python/hostile.py --count 20000 --state /var/tmp/hostile
    python Tests/Python/hostile.py --in-process --count 100000 --state /var/tmp/reading
    python Tests/Python/hostile.py --seed 4711 --keep /tmp/it     # one again, with its log

With `--in-process` the library for Python reads many logs in one process, not a command each.

The state folder has the number of mutations that are done, and a line for every fault.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import select
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mutations import FROZEN, Mutation

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = float(os.environ.get("TASKLOG_TEST_PATIENCE", "1"))
SECONDS = 10 * PATIENCE
MEMORY = 1 << 30

READING = [
    *("runs", "summary", "summary --table states", "summary --format json", "errors"),
    *("errors --table causes", "slowest -n 5", "critical-path", "open", "workers", "jobs"),
    *("workers --resources", "workers --resources --over-time", "workers --deaths", "advice"),
    *("sizing", "explain --worker '*' --at 40", "explain --placements"),
    *("explain --stuck", "explain --stuck --at 60", "explain top-20", "explain \"('total', 1)\""),
    *("time", "time --by prefix", "time --by function", "messages", "messages --reverse -n 5"),
    *("runs --runs 'tasks>0'", "errors --runs 'events>0'", "status"),
    *("trend tasks makespan failed", "trend work 'p95(prefix=top)' --runs 'not running'"),
    *("runs --log log.db --log healthy.db", "trend tasks --log log.db --log healthy.db"),
    "errors --runs 'tasks>0' --log log.db --log healthy.db",
    "compare --baseline 'tasks>=0' latest --log log.db --log healthy.db",
    "compare latest latest --log log.db --log2 healthy.db --fail-if makespan>90s",
    *("inspect", "inspect --table kinds", "check", "check --quick --strict", "story top-20"),
    *("story moonrise-1", "story \"('total', 1)\"", "state --at 60", "compare latest latest"),
    *("query -n 20", "query --hook '*' --run all --format jsonl", "query --count --hook '*'"),
    *("query --group-by hook,finish --hook '*'", "query --columns key,args.worker --reverse"),
    *("query --arg 'nbytes>0' --count", "query --since seq:5 --until -1d", "query --worker '*a*'"),
    *("query --grep 'a.*b' --count", "query --key '*1*' --show-cursor"),
    *(f"export --to {to} -o out" for to in ("perfetto", "chrome", "otlp-json", "dask")),
    *(f"export --to {to} -o out" for to in ("jsonl", "csv", "speedscope", "dask --rectangles")),
    *("anonymize -o other.db", "anonymize -o other2.db --keep keys"),
    *("report -o out.html", "replay --plugin counter", "replay --plugin errors"),
    *("replay --plugin counter --verify", "replay --plugin counter --from 20 --to 60"),
    *("migrate log.db --dry-run", "prune --keep-runs 0 --dry-run"),
    *(f"query 'SELECT * FROM {view}'" for view in ("events", "tasks", "workers", "prefix_states")),
    *(f"query 'SELECT * FROM {view}'" for view in ("critical_path", "errors", "dependencies")),
]
WRITING = [
    *("merge log.db --into merged.db", "recover --into saved.db", "recover", "migrate log.db"),
    "merge healthy.db log.db --into both.db",
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
    status, used = usage
    memory = used.ru_maxrss << 10
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


def wait(child: subprocess.Popen) -> tuple[int, resource.struct_rusage] | None:
    """How a process ended and what it took; `None` if it had to be killed."""
    deadline = time.monotonic() + SECONDS
    pause = 0.001
    while time.monotonic() < deadline:
        ended, status, usage = os.wait4(child.pid, os.WNOHANG)
        if ended:
            child.returncode = os.waitstatus_to_exitcode(status)
            return status, usage
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


def add_healthy(folder: Path) -> None:
    """Adds another log, for commands that read several."""
    shutil.copyfile(FROZEN / "v2-dask.db", folder / "healthy.db")
    (folder / "healthy.db").chmod(0o600)


def faults(seed: int, count: int | None = None, folder: Path | None = None) -> list[Fault]:
    """The faults of some or all commands with one mutated log."""
    with tempfile.TemporaryDirectory() as scratch:
        place = folder or Path(scratch)
        mutation = Mutation(seed, place)
        add_healthy(place)
        results = [(command, run(command, place)) for command in chosen(seed, count)]
    return [Fault(str(mutation), command, what) for command, what in results if what]


def many(seeds: range, count: int | None, jobs: int) -> Iterator[tuple[int, list[Fault]]]:
    """The faults of many mutations, in the order of their seeds."""
    with ThreadPoolExecutor(jobs) as pool:
        for first in range(seeds.start, seeds.stop, 100):
            some = range(first, min(first + 100, seeds.stop))
            found = pool.map(lambda seed: faults(seed, count), some)
            yield from zip(some, found, strict=True)


#: So many mutations share a process of this program.
BLOCK = 200
READER = Path(__file__).with_name("hostile_reader.py")


def read_block(block: range, *, is_all: bool = False) -> list[tuple[int, list[Fault]]]:
    """The faults of some mutations in one process; after one that ends it in another one.

    With `is_all` all of each log is read, with both readers.
    """
    found: dict[int, list[Fault]] = {seed: [] for seed in block}
    first = block.start
    while first < block.stop:
        first = _read(first, block.stop, found, ["all"] if is_all else [])
    return list(found.items())


def _read(first: int, end: int, found: dict[int, list[Fault]], more: list[str]) -> int:
    """Reads mutated logs until the process ends; the seed to go on from."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            [sys.executable, READER, str(first), str(end), *more],
            env={**os.environ, "SWIFT_BACKTRACE": "enable=no", "TMPDIR": folder},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, preexec_fn=limit,
        )  # fmt: skip
        assert child.stdout
        seed, mutation, is_done, what = first, "", False, None
        for line in _lines(child.stdout):
            if line is None:
                what = f"more than {SECONDS:g} s"
                child.kill()
                break
            kind, _, rest = line.partition(" ")
            if kind == "seed":
                seed, mutation = int(rest), f"seed {rest}"
            elif kind == "log":
                mutation = rest
            elif kind == "fault":
                found[seed].append(Fault(mutation, "reading", rest))
            elif kind == "grown":
                found[seed].append(Fault(mutation, "reading", f"{int(rest) >> 20} MiB more"))
            elif kind == "memory":
                is_done = True
                if int(rest) > MEMORY:
                    text = f"{int(rest) >> 20} MiB up to this log"
                    found[seed].append(Fault(mutation, "reading", text))
        status = child.wait()
        child.stdout.close()
        if is_done and status == 0:
            return end
        errors.seek(0)
        text = errors.read().decode(errors="replace")[-300:]
        found[seed].append(Fault(mutation, "reading", what or f"ended with {status}: {text}"))
        return seed + 1


def _lines(output: BinaryIO) -> Iterator[str | None]:
    """The lines of a process; `None` if it writes none for too long."""
    rest = b""
    while True:
        ready, _, _ = select.select([output], [], [], SECONDS)
        # Not buffered: what is in a buffer is not seen by `select`.
        new = os.read(output.fileno(), 65536) if ready else b""
        if not ready:
            yield None
        if not new:
            return
        *lines, rest = (rest + new).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines)


def many_in_process(seeds: range, jobs: int) -> Iterator[tuple[int, list[Fault]]]:
    """The same with the library for Python, which reads many logs in one process."""
    blocks = [
        range(first, min(first + BLOCK, seeds.stop))
        for first in range(seeds.start, seeds.stop, BLOCK)
    ]
    with ThreadPoolExecutor(jobs) as pool:
        for found in pool.map(read_block, blocks):
            yield from found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="how many mutations in all")
    parser.add_argument("--commands", type=int, help="how many commands for each; default all")
    parser.add_argument(
        "--in-process", action="store_true", help="read with the library, many logs in a process"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--state", type=Path, help="folder to continue from")
    parser.add_argument("--seed", type=int, help="only this mutation")
    parser.add_argument("--keep", type=Path, help="folder for the log of that mutation")
    options = parser.parse_args()
    if options.seed is not None:
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
        if options.in_process:
            ((_, found),) = read_block(range(options.seed, options.seed + 1), is_all=True)
        else:
            found = faults(options.seed, options.commands, options.keep)
        print(*found, sep="\n")
        return 1 if found else 0
    done = 0
    state: Path = options.state or Path(tempfile.mkdtemp())
    state.mkdir(parents=True, exist_ok=True)
    if (state / "done").exists():
        done = int((state / "done").read_text())
    number = 0
    seeds = range(done, options.count)
    tried = (
        many_in_process(seeds, options.jobs)
        if options.in_process
        else many(seeds, options.commands, options.jobs)
    )
    for seed, found in tried:
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
