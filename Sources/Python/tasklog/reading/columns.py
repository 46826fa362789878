"""The types of the columns of views and analyses.

A result's own columns get the type of their first values. Those that are known here have it
without a value, too, and whatever the first thousands of rows are.
"""

from __future__ import annotations

#: The number of a type in a request; see `tl_column_type`.
UNKNOWN, INTEGERS, FLOATS, TEXT, BYTES = 0, 1, 2, 3, 4
TIME_NS, TIME_SECONDS, TIME_TEXT = 5, 6, 7

_NAMES = {
    INTEGERS: (
        "seq", "life", "count", "source_seq", "transitions", "dispatch_count", "done", "failures",
        "retries", "dependents", "first_seq", "cause_seq", "step", "nthreads", "tasks", "failed",
        "retried", "nbytes", "workers", "attempt", "waiting", "wanted", "bytes", "disagreed",
        "chosen", "best", "threads", "processing", "fetch_bytes", "memory_low", "memory_high",
        "memory_seen", "sampled_tasks", "samples", "left_out", "held", "moved", "limit", "seen",
    ),
    FLOATS: (
        "duration", "seconds", "share", "elapsed", "busy", "utilization", "occupancy",
        "clock_offset", "clock_uncertainty", "compute", "p50", "p95", "max", "start_in",
        "cpu_share", "covered", "used_hours", "wasted_hours", "idle_hours",
    ),
    TEXT: (
        "run", "key", "state", "prefix", "worker", "typename", "exception", "traceback",
        "key_group", "source", "start", "finish", "stimulus", "args", "action", "reason", "hook",
        "phase", "cause_key", "first_key", "first_traceback", "sentence", "evidence", "chain",
        "cause", "severity", "kind", "subject", "certainty", "finding", "rule", "basis",
    ),
}  # fmt: skip
_TYPES = {name: type for type, names in _NAMES.items() for name in names}
_TIMES = (
    "time", "raw_time", "first_seen", "last_seen", "joined", "left", "started", "stopped",
    "since",
)  # fmt: skip


def of_view(sql: str) -> list[tuple[int, int]]:
    """The types of the columns of a SELECT of plain columns, by index."""
    selected = sql.split("SELECT", 1)[1].split("FROM", 1)[0]
    names = [column.split(" AS ")[-1].strip().strip('"') for column in selected.split(",")]
    return _typed(names, TIME_NS)


def of_analysis(names: list[str]) -> list[tuple[int, int]]:
    """The types of the columns of a table of the command, by index."""
    return _typed(names, TIME_TEXT)


def _typed(names: list[str], time: int) -> list[tuple[int, int]]:
    types = dict(_TYPES)
    types.update(dict.fromkeys(_TIMES, time))
    if "stop" in names:
        types.update(dict.fromkeys(("start", "stop"), TIME_SECONDS))
    return [(index, types[name]) for index, name in enumerate(names) if name in types]
