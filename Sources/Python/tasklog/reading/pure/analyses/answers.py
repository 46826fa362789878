"""The tables of each analysis."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from tasklog.reading.errors import LogError
from tasklog.reading.interrupting import stoppable
from tasklog.reading.pure import files
from tasklog.reading.pure.analyses import story
from tasklog.reading.pure.analyses.rows import Raw, rounded, table, time_text
from tasklog.reading.pure.analyses.run import RunRows
from tasklog.reading.pure.analyses.state import State

Rows = list[tuple[Any, ...]]

_PREFIXES = """
    SELECT prefix, tasks, done, failed, retried, nbytes, compute
    FROM prefixes WHERE run = ?1 AND tasks > 0 ORDER BY prefix
"""
_STATES = """
    SELECT prefix, source, state, count, seconds, p50, p95, max
    FROM prefix_states WHERE run = ?1 ORDER BY prefix, source, state
"""
_WORKERS = """
    SELECT worker, name, joined_ns, left_ns, nthreads, tasks, failed, nbytes, busy, utilization,
      occupancy, life, clock_offset, clock_uncertainty
    FROM workers WHERE run = ?1
    ORDER BY coalesce(joined_ns, first_seen) NULLS LAST, worker, life
"""
_SLOWEST = """
    SELECT seconds, action, key, prefix, worker, seq, start, stop, life
    FROM slowest WHERE run = ?1 AND (?2 IS NULL OR action = ?2) LIMIT ?3
"""
_CRITICAL_PATH = """
    SELECT step, key, phase, worker, seconds, share, start_ns, stop_ns, seq, life
    FROM critical_path WHERE run = ?1 ORDER BY step
"""
_ERRORS = """
    SELECT seq, time_ns, key, worker, retries, dependents, exception, traceback
    FROM errors WHERE run = ?1 ORDER BY seq
"""
_CAUSES = """
    SELECT exception, tasks, dependents, workers, first_key, first_seq, first_traceback
    FROM error_causes WHERE run = ?1 ORDER BY tasks DESC, first_seq
"""
_AFFECTED = """
    SELECT seq, time_ns, key, cause_key, cause_seq
    FROM failures WHERE run = ?1 AND cause_seq IS NOT seq ORDER BY seq
"""
_AT_WORKERS = """
    SELECT seq, time_ns, key, worker, start, exception, traceback
    FROM worker_errors WHERE run = ?1 ORDER BY seq
"""


def _select(run: RunRows, sql: str, *values: Any, times: Sequence[int] = ()) -> Rows:
    """The rows of a SELECT; columns of nanoseconds, given by their indexes, become text."""
    rows = run.connection.execute(sql, (run.number, *values)).fetchall()
    if not times:
        return rows
    return [
        tuple(time_text(value) if i in times else value for i, value in enumerate(row))
        for row in rows
    ]


def _summary(run: RunRows, _: Any) -> dict[str, Rows]:
    prefixes = [(*row, rounded(compute, 1e6)) for *row, compute in _select(run, _PREFIXES)]
    workers = [
        (
            address, Raw(name), *counts, rounded(busy, 1e6), rounded(share, 1e4),
            rounded(occupancy, 1e2), life, offset, uncertainty,
        )
        for address, name, *counts, busy, share, occupancy, life, offset, uncertainty
        in _select(run, _WORKERS, times=[2, 3])
    ]  # fmt: skip
    return {"prefixes": prefixes, "states": _select(run, _STATES), "workers": workers}


def _errors(run: RunRows, _: Any) -> dict[str, Rows]:
    return {
        "errors": _select(run, _ERRORS, times=[1]), "causes": _select(run, _CAUSES),
        "affected": _select(run, _AFFECTED, times=[1]),
        "at_workers": _select(run, _AT_WORKERS, times=[1]),
    }  # fmt: skip


def _slowest(run: RunRows, options: dict[str, Any]) -> dict[str, Rows]:
    limit = options["limit"]
    if limit < 0:
        raise LogError(f"tasklog slowest: --limit {limit}: expected 0 or more")
    return {"slowest": _select(run, _SLOWEST, options["action"], min(limit, 2**63 - 1))}


def _critical_path(run: RunRows, _: Any) -> dict[str, Rows]:
    return {"critical_path": _select(run, _CRITICAL_PATH, times=[6, 7])}


def _story(run: RunRows, options: dict[str, Any]) -> dict[str, Rows]:
    name = options["key"]
    rows = story.rows(run, name)
    if not rows:
        raise LogError(
            f"tasklog story: {options['log']}: no key or stimulus '{name}' in run #{run.number};"
            f' search for a part of a key with transitions(key="*{name}*")'
        )
    return {"story": rows}


def _state(run: RunRows, options: dict[str, Any]) -> dict[str, Rows]:
    from tasklog.reading.log import nanoseconds

    time = options.get("time")
    until = None if time is None else nanoseconds(time, is_end=True)
    state = State(run, options.get("seq"), until)
    return {"tasks": state.tasks(), "states": state.counts()}


ANALYSES: dict[str, Callable[[RunRows, dict[str, Any]], dict[str, Rows]]] = {
    "summary": _summary, "errors": _errors, "slowest": _slowest,
    "critical-path": _critical_path, "story": _story, "state": _state,
}  # fmt: skip


def tables(
    path: str, number: int, name: str, columns: dict[str, list[str]], options: dict[str, Any]
) -> dict[str, str]:
    """The tables of an analysis of a run, each as a JSON array of its rows.

    Parameters
    ----------
    path, number
        A file, and the number of the run in it.
    name
        One of `ANALYSES`.
    columns
        Those of each table; ``run`` is left out of the rows, which are all of one.
    options
        The rest of the request.

    Raises
    ------
    LogError
    """
    connection, _ = files.open_for_reading(path)
    with contextlib.closing(connection):

        def answer() -> dict[str, Rows]:
            # One state of a log that is being recorded.
            connection.execute("BEGIN")
            return ANALYSES[name](RunRows(connection, number), options)

        with files.naming_damage(connection, path):
            found = stoppable(answer)
            return {
                each: table([column for column in columns[each] if column != "run"], found[each])
                for each in columns
            }
