"""Logs of sizes that no cluster makes but a stranger may, and what commands need for them.

    python Tests/Python/sizes.py                     # a table: command, case, seconds, MiB
    python Tests/Python/sizes.py --case runs --command summary --command check

Exits with 1 if a command keeps a processor busy for more than 10 s, does not end within 10 s (both
scaled by TASKLOG_TEST_PATIENCE), takes more than 1 GiB of memory, or crashes. To be measured with a
release build (TASKLOG_TEST_PROGRAM).
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import hostile
from mutations import FROZEN

COMMANDS = [
    *("runs", "runs --runs 'tasks>0'", "summary", "errors", "errors --runs 'tasks>0'", "advice"),
    *("slowest", "critical-path", "open", "workers", "workers --resources", "workers --deaths"),
    *("jobs", "time", "time --by prefix", "messages", "status", "inspect", "check", "story top-20"),
    *("sizing", "explain top-20", "explain --stuck", "state --at 60", "trend tasks"),
    *("compare latest latest", "compare --baseline 'tasks>=0' latest", "query -n 20"),
    *("query --key 'top*'", "query --hook '*' --run all --count", "query --arg 'nbytes>0' --count"),
    *("query --grep xyz --count", "query 'SELECT count(*) FROM tasks'"),
    *(f"export --to {to} -o out" for to in ("perfetto", "chrome", "otlp-json", "dask")),
    *(f"export --to {to} -o out" for to in ("jsonl", "csv", "speedscope")),
    *("report -o out.html", "anonymize -o other.db", "replay --plugin counter"),
    *("replay --plugin errors", "prune --keep-runs 0 --dry-run", "merge log.db --into merged.db"),
    *("recover --into saved.db", "recover", "index", "index --drop", "prune --keep-runs 1"),
]

UUID = "01a22337-74bc-7236-99bc-{:012x}"


def runs(log: sqlite3.Connection, count: int) -> None:
    """Many runs in one log, each with one event."""
    log.executemany(
        "INSERT INTO run (id, uuid, engine, engine_version, recorder_version, mode, started, ended,"
        " end, first_seq, last_seq, events) VALUES (?, ?, 'dask', '1', '1', 'full', ?, ?, 'closed',"
        " ?, ?, 1)",
        (
            (run, UUID.format(run), 10**18 + run, 10**18 + run + 1, 1000 + run, 1000 + run)
            for run in range(2, count + 2)
        ),
    )
    log.executemany(
        "INSERT INTO source (id, run, kind, server_id, address, number)"
        " VALUES (?, ?, 'scheduler', ?, 'tcp://a:1', 0)",
        ((run + 100, run, f"Scheduler-{run}") for run in range(2, count + 2)),
    )
    (hook,) = log.execute("SELECT id FROM text WHERE text = 'transition'").fetchone()
    log.executemany(
        "INSERT INTO event (seq, source, source_seq, time, hook, key, start, finish)"
        " SELECT ?, ?, 1, ?, ?, 1, start, finish FROM event WHERE seq = 14",
        ((1000 + run, run + 100, 10**18 + run, hook) for run in range(2, count + 2)),
    )
    log.execute("UPDATE meta SET value = ? WHERE name = 'next_seq'", (count + 1010,))
    log.execute("DELETE FROM sqlite_stat1")
    # What a recorder counts: without it, readers count on their own.
    log.execute("INSERT INTO source_total (source, events) SELECT id, 1 FROM source WHERE id > 100")
    log.execute("INSERT INTO run_total (run, tasks, failed) SELECT id, 1, 0 FROM run WHERE id > 1")
    log.execute(
        "INSERT INTO event_total (run, source_kind, hook, events)"
        " SELECT id, 'scheduler', ?, 1 FROM run WHERE id > 1",
        (hook,),
    )


def uncounted(log: sqlite3.Connection, count: int) -> None:
    """Many runs in one log that does not have their totals."""
    runs(log, count)
    for table in ("source_total", "run_total", "event_total"):
        log.execute(f"DELETE FROM {table}")


def key(log: sqlite3.Connection, count: int) -> None:
    """A key of many bytes."""
    log.execute("UPDATE key SET text = ? WHERE id = 1", ("k" * count,))


def arg(log: sqlite3.Connection, count: int) -> None:
    """An argument of many bytes."""
    log.execute(
        "UPDATE event SET args = json_set(args, '$.big', ?) WHERE args LIKE '%startstops%'"
        " AND seq = (SELECT min(seq) FROM event WHERE args LIKE '%startstops%')",
        ("a" * count,),
    )


def spans(log: sqlite3.Connection, count: int) -> None:
    """Many spans of work in one event."""
    span = '{"action":"compute","start":1795887166.7252796,"stop":1795887166.725612}'
    args = (
        '{"worker":"inproc://localhost/31865/0","nbytes":83,"startstops":['
        + ",".join([span] * count)
        + "]}"
    )
    log.execute(
        "UPDATE event SET args = ? WHERE seq ="
        " (SELECT min(seq) FROM event WHERE args LIKE '%startstops%')",
        (args,),
    )


def gaps(log: sqlite3.Connection, count: int) -> None:
    """Many gaps."""
    log.executemany(
        "INSERT INTO gap (source, source_seq, count, time, reason) VALUES (?, ?, 1, ?, 'lost')",
        ((number % 3 + 1, 1000 + 2 * number, 10**18) for number in range(count)),
    )


def deep(log: sqlite3.Connection, count: int) -> None:
    """Deeply nested args and snapshot, lists and objects."""
    lists = '{"startstops":' + "[" * count + "]" * count + "}"
    objects = '{"a":' * count + "1" + "}" * count
    log.execute("UPDATE event SET args = ? WHERE seq % 3 = 0 AND seq < 60", (lists,))
    log.execute("UPDATE event SET args = ? WHERE seq % 3 = 1 AND seq < 60", (objects,))
    log.execute("UPDATE event SET snapshot = ? WHERE seq % 5 = 0 AND seq < 60", (objects,))


Case = Callable[[sqlite3.Connection, int], None]
CASES: dict[str, tuple[Case, int]] = {
    "runs": (runs, 100_000),
    "uncounted": (uncounted, 20_000),
    "key": (key, 50_000_000),
    "arg": (arg, 50_000_000),
    "spans": (spans, 1_000_000),
    "gaps": (gaps, 1_000_000),
    "deep": (deep, 100_000),
    "pipe": (lambda log, count: None, 1),
}


def make(name: str, path: Path, divisor: int = 1) -> None:
    """Writes the log of a case, or one that is smaller by a factor."""
    path.write_bytes((FROZEN / "v2-demo.db").read_bytes())
    path.chmod(0o600)
    with closing(sqlite3.connect(path, isolation_level=None)) as log:
        log.execute("BEGIN")
        case, count = CASES[name]
        case(log, count // divisor)
        log.execute("COMMIT")


@dataclass
class Measured:
    """How a command ends, and what it takes: seconds, those of a processor, and bytes."""

    end: str
    seconds: float
    busy: float = 0
    memory: int = 0

    @property
    def is_wrong(self) -> bool:
        return "exit" not in self.end or self.memory > hostile.MEMORY or self.busy > hostile.SECONDS

    def __str__(self) -> str:
        numbers = f"{self.seconds:7.2f} {self.busy:6.2f} {self.memory >> 20:5}"
        return f"{self.end:<9} {numbers}{' !' if self.is_wrong else ''}"


def measure(command: str, folder: Path) -> Measured:
    with tempfile.TemporaryFile() as errors:
        begin = time.monotonic()
        usage = hostile.wait(hostile.start(hostile.arguments(command), folder, None, errors))
        seconds = time.monotonic() - begin
    if usage is None:
        return Measured("too long", seconds)
    status, used = usage
    signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    end = f"exit {os.WEXITSTATUS(status)}" if signal is None else f"signal {signal}"
    return Measured(end, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss << 10)


def measured(name: str, commands: list[str], divisor: int) -> Iterator[tuple[str, Measured]]:
    """What commands take for a case."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make(name, folder / "original", divisor)
        if name == "pipe":
            os.mkfifo(folder / "log.db-wal")
        for command in commands:
            if command in hostile.WRITING or not (folder / "log.db").exists():
                subprocess.run(["cp", "-p", folder / "original", folder / "log.db"], check=True)
            hostile.add_healthy(folder)
            yield command, measure(command, folder)
            for left in ("other.db", "merged.db", "saved.db"):
                (folder / left).unlink(missing_ok=True)


def table(found: dict[tuple[str, str], Measured], cases: list[str], commands: list[str]) -> str:
    """A table of Markdown."""
    rows = [["command", *cases], ["---", *("---:" for _ in cases)]]
    for command in commands:
        cells = [found[case, command] for case in cases]
        rows.append(
            [f"`{command}`", *(f"{each.busy:.1f} s, {each.memory >> 20}" for each in cells)]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", action="append", choices=list(CASES))
    parser.add_argument("--command", action="append")
    parser.add_argument("--divisor", type=int, default=1, help="make the logs smaller")
    parser.add_argument("--markdown", type=Path, help="also write a table into this file")
    options = parser.parse_args()
    cases, commands = options.case or list(CASES), options.command or COMMANDS
    print(f"{'case':<9} {'command':<40} {'end':<9} {'seconds':>7} {'busy':>6} {'MiB':>5}")
    found: dict[tuple[str, str], Measured] = {}
    for name in cases:
        for command, each in measured(name, commands, options.divisor):
            found[name, command] = each
            print(f"{name:<9} {command:<40} {each}", flush=True)
    if options.markdown:
        options.markdown.write_text(table(found, cases, commands) + "\n")
    return 1 if any(each.is_wrong for each in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
