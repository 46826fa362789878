"""The analyses of the ``tasklog`` command, the one place that computes them."""

from __future__ import annotations

import datetime
import json
import subprocess
from pathlib import Path
from typing import Any

from tasklog import library
from tasklog.binary import find_binary
from tasklog.elsewhere import sentence
from tasklog.reading.errors import LogError

_PREFIX = "tasklog: "

_MEASURES = [
    "measure", "class", "prefix", "unit", "baseline", "value", "change", "verdict",
    "baseline_runs", "runs", "p", "p_corrected", "baseline_min", "baseline_max", "min", "max",
]  # fmt: skip

_WORKERS = [
    "run", "worker", "name", "joined", "left", "nthreads", "tasks", "failed", "nbytes", "busy",
    "utilization", "occupancy", "life", "clock_offset", "clock_uncertainty",
]  # fmt: skip
#: The columns of each table of each command, in case a table has no rows.
TABLES: dict[str, dict[str, list[str]]] = {
    "story": {
        "story": [
            "run", "seq", "time", "elapsed", "source", "worker", "hook", "key", "start", "finish",
            "stimulus", "args", "raw_time", "life",
        ],
    },
    "critical-path": {
        "critical_path": [
            "run", "step", "key", "phase", "worker", "seconds", "share", "started", "stopped",
            "seq", "life",
        ],
    },
    "slowest": {
        "slowest": [
            "run", "seconds", "action", "key", "prefix", "worker", "seq", "start", "stop", "life",
        ],
    },
    "workers": {
        "workers": [*_WORKERS, "end"],
    },
    "jobs": {
        "jobs": [
            "run", "kind", "name", "clients", "started", "seconds", "tasks", "failed",
            "unfinished", "compute",
        ],
    },
    "errors": {
        "errors": [
            "run", "seq", "time", "key", "worker", "retries", "dependents", "exception",
            "traceback",
        ],
        "causes": [
            "run", "exception", "tasks", "dependents", "workers", "first_key", "first_seq",
            "first_traceback",
        ],
        "affected": ["run", "seq", "time", "key", "cause_key", "cause_seq"],
        "at_workers": [
            "run", "seq", "time", "key", "worker", "start", "exception", "traceback",
        ],
    },
    "summary": {
        "prefixes": [
            "run", "prefix", "tasks", "done", "failed", "retried", "nbytes", "compute",
        ],
        "states": [
            "run", "prefix", "source", "state", "count", "seconds", "p50", "p95", "max",
        ],
        "workers": _WORKERS,
    },
    "compare": {
        "prefixes": [
            "prefix", "tasks1", "tasks2", "done1", "done2", "failed1", "failed2", "retried1",
            "retried2", "nbytes1", "nbytes2", "compute1", "compute2",
        ],
        "states": [
            "prefix", "source", "state", "count1", "count2", "p50_1", "p50_2", "max1", "max2",
        ],
        "first_difference": [
            "side", "event", "seq", "time", "hook", "key", "start", "finish",
        ],
        "measures": _MEASURES,
    },
    "advice": {
        "advice": [
            "run", "severity", "kind", "subject", "seconds", "bytes", "certainty", "finding",
            "action", "evidence",
        ],
    },
    "sizing": {
        "prefixes": [
            "run", "prefix", "tasks", "memory_low", "memory_high", "memory_seen", "basis",
            "sampled_tasks", "samples", "left_out", "held", "cpu_share", "busy", "bytes", "moved",
        ],
        "workers": [
            "run", "threads", "workers", "memory_low", "memory_high", "limit", "covered", "seen",
        ],
        "hours": ["run", "kind", "name", "used_hours", "wasted_hours", "idle_hours"],
    },
    "explain": {
        "sentences": ["run", "attempt", "time", "sentence", "evidence"],
        "candidates": [
            "run", "attempt", "seq", "rule", "worker", "chosen", "best", "threads", "occupancy",
            "processing", "waiting", "fetch_bytes", "start_in", "nbytes",
        ],
    },
    "stuck": {
        "causes": [
            "run", "cause", "key", "tasks", "waiting", "wanted", "worker", "since", "sentence",
            "chain", "evidence", "disagreed",
        ],
    },
    "state": {
        "tasks": ["run", "source", "worker", "key", "state", "since", "seq", "life"],
        "states": ["run", "source", "worker", "state", "tasks", "life"],
    },
}  # fmt: skip
#: The commands of analyses that are not named as theirs.
_COMMANDS = {"stuck": ["explain", "--stuck"]}


def program(name: str) -> Path:
    """The path of the command, for one of its subcommands."""
    try:
        return find_binary()
    except FileNotFoundError as error:
        if not library.is_there():
            raise LogError(sentence(f"'tasklog {name}'")) from None
        raise LogError(f"this needs the command 'tasklog': {error}") from None


def run(*arguments: str) -> str:
    """Runs the command, and returns its output.

    Raises
    ------
    LogError
        With what it says, if it fails.
    """
    return _run(arguments, (0,)).stdout


def run_with_words(*arguments: str, accepted: tuple[int, ...], env: dict[str, str]) -> list[str]:
    """Runs the command, and returns the lines of its messages."""
    done = _run(arguments, accepted, env)
    lines = done.stderr.splitlines()
    return [line.removeprefix(_PREFIX) for line in lines if line.startswith(_PREFIX)]


def _run(
    arguments: tuple[str, ...], accepted: tuple[int, ...], env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    path = program(arguments[0])
    try:
        done = subprocess.run(
            [path, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=env,
        )
    except OSError as error:
        raise LogError(f"{path} cannot be run: {error}; set TASKLOG_PROGRAM to another") from error
    if done.returncode not in accepted:
        said = last_words(done.stderr) or f"it ended with exit code {done.returncode}"
        raise LogError(f"tasklog {arguments[0]}: {said}")
    return done


def compared(path: str, arguments: list[str]) -> dict[str, str]:
    """The tables of two runs, each as a JSON array of its rows."""
    found: Any = json.loads(run("compare", *arguments, "--log", path, "--format", "json"))
    return {table: json.dumps(found.get(table, [])) for table in TABLES["compare"]}


def _options(asked: dict[str, Any]) -> list[str]:
    options = [
        f"--{name}={asked[name]}" for name in ("limit", "action") if asked.get(name) is not None
    ]
    if "seq" in asked:
        options.append(f"--at=seq:{asked['seq']}")
    if "time" in asked:
        options.append(f"--at={_time(asked['time'])}")
    return [*options, "--", asked["key"]] if "key" in asked else options


def _time(time: datetime.datetime) -> str:
    if time.tzinfo is not None:
        time = time.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    # The whole microsecond is meant unless there are nanoseconds, as in pandas.
    return time.isoformat(timespec="nanoseconds" if hasattr(time, "nanosecond") else "microseconds")


def last_words(text: str) -> str:
    """The last lines of what a command says."""
    lines = [line.removeprefix(_PREFIX) for line in text.splitlines() if line.strip()]
    return "; ".join(lines[-3:])


def tables(name: str, path: str, run_id: str, asked: dict[str, Any]) -> dict[str, str]:
    """The tables of a command about a run, each as a JSON array of its rows.

    Parameters
    ----------
    asked
        The rest: ``limit`` and ``action``, the ``key`` of a task or story, ``seq`` or ``time``.
    """
    command = _COMMANDS.get(name, [name])
    output = run(*command, "--log", path, "--run", run_id, "--format", "json", *_options(asked))
    # Without rows a command may print nothing.
    parsed: Any = json.loads(output or "[]")
    names = list(TABLES[name])
    if isinstance(parsed, list):
        parsed = {names[0]: parsed}
    elif name == "story":
        # A table for each type of key with this text.
        parsed = {names[0]: [row for rows in parsed.values() for row in rows]}
    return {table: json.dumps(parsed.get(table, [])) for table in names}
