"""What a notebook shows of a log, a run and its tables."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from tasklog.notebook import html
from tasklog.reading.args import Args

if TYPE_CHECKING:
    from tasklog.reading import Errors, Log, Report, Run, Table

#: The largest number of rows of a table that is shown.
ROWS = 20
#: The largest number of workers with a lane in the task stream, and of the stretches of a lane.
LANES = 24
STRETCHES = 300

#: Of a run with more tasks, only the report page has the task stream: it takes too long.
STREAMED_TASKS = 200_000

# Work is drawn as it was if it is long enough to be seen, else as the sum of a stretch.
_WORK = """
    SELECT worker, prefix, min(start) AS start, max(stop) AS stop, sum(duration) AS busy,
      min(key) AS key, duration >= :stretch AS is_long,
      CAST((start - :first) / :stretch AS INTEGER) AS place
    FROM task_durations
    WHERE action = 'compute' AND worker IS NOT NULL
    GROUP BY worker, prefix, place, CASE WHEN duration >= :stretch THEN seq END
"""
_FAILED = "SELECT key, worker FROM errors LIMIT 10000"


def table(rows: Table, caption: str = "", limit: int = ROWS) -> str:
    """The first rows of a table."""
    found = list(itertools.islice(iter(rows), limit + 1))
    more = f"only the first {limit} rows are shown" if len(found) > limit else ""
    columns = rows.columns
    shown = [tuple(map(_shown, row)) for row in found[:limit]]
    # What is about one run need not name it in each row.
    if "run" in columns and _OF_A_RUN.intersection(columns):
        place = columns.index("run")
        if len({row[place] for row in shown}) == 1:
            columns = columns[:place] + columns[place + 1 :]
            shown = [row[:place] + row[place + 1 :] for row in shown]
    return html.table(columns, shown, caption, more)


_OF_A_RUN = {"key", "seq", "prefix", "worker"}


def _shown(value: Any) -> Any:
    """A value of a cell; args as their JSON."""
    return value.json if isinstance(value, Args) else value


def rows(rows: Table) -> str:
    """A table alone."""
    return f'<div class="tasklog" style="color:inherit">{table(rows)}</div>'


def log(log: Log) -> str:
    """A log: its runs."""
    names = ", ".join(log.paths[:3]) + (", …" if len(log.paths) > 3 else "")
    return html.card(f"Log {names}", table(log.runs))


_TITLES = {
    "summary": "Summary",
    "state": "State",
    "compare": "Comparison",
    "prefixes": "Tasks by prefix",
    "states": "Seconds in each state",
    "workers": "Workers",
    "first_difference": "The first difference",
}


def report(report: Report) -> str:
    """Several tables."""
    parts = (table(report[name], _TITLES.get(name, name)) for name in report)
    return html.card(_TITLES.get(report._name, report._name), *parts)


def errors(errors: Errors) -> str:
    """What failed: each cause with its traceback, and the tasks that failed because of it."""
    parts = []
    causes = list(errors.causes)
    for cause in causes[:ROWS]:
        parts.append(html.paragraph(cause.exception or "an unknown exception", html.FAILED))
        parts.append(
            html.pairs(
                {
                    "tasks": cause.tasks,
                    "failed because of them": cause.dependents,
                    "workers": cause.workers,
                    "first": cause.first_key,
                }
            )
        )
        if cause.first_traceback:
            parts.append(html.folded("traceback", cause.first_traceback))
    if len(causes) > ROWS:
        parts.append(html.paragraph(f"{len(causes) - ROWS:,} more causes are not shown"))
    for name, rows in (
        ("Tasks that failed on their own", errors),
        ("Tasks that failed because of them", errors.affected),
        ("Failures seen only by a worker", errors.at_workers),
    ):
        if rows:
            parts.append(table(rows, name))
    if not parts:
        parts.append(html.paragraph("No task failed."))
    return html.card("Errors", *parts)


def run(run: Run) -> str:
    """A run: totals, failures, and a small task stream."""
    info = run.info
    figures: dict[str, Any] = {
        "duration": html.seconds(info.duration) if info.duration is not None else "running",
        "end": info.end
        if info.as_of is None
        else f"{info.end}, as of {info.as_of:%Y-%m-%d %H:%M:%S} UTC",
        "tasks": info.tasks,
        "failed": info.failed,
        "workers": info.workers,
        "events": info.events,
        "missing events": info.missing or None,
    }
    bad = [name for name in ("failed", "missing events") if figures[name]]
    if info.end == "died":
        bad.append("end")
    parts = [html.figures(figures, bad), html.pairs(_origin(run)), _stream(run)]
    if info.failed:
        for cause in itertools.islice(run.errors().causes, 3):
            words = f"{cause.tasks:,} × {cause.exception}"
            parts.append(html.paragraph(words, html.FAILED))
            if cause.first_traceback:
                parts.append(html.folded(f"traceback of {cause.first_key}", cause.first_traceback))
    return html.card(f"Run #{info.number} of {info.log}", *parts)


def _origin(run: Run) -> dict[str, Any]:
    info = run.info
    revision = info.git_revision
    return {
        "started": info.started.strftime("%Y-%m-%d %H:%M:%S UTC"),
        **info.labels,
        "engine": f"{info.engine} {info.engine_version}",
        "host": info.host,
        "user": info.user,
        "revision": revision and revision[:12] + ("-dirty" if revision.endswith("-dirty") else ""),
        "id": info.id,
    }


def _stream(run: Run) -> str:
    info = run.info
    if not info.tasks:
        return ""
    if info.tasks > STREAMED_TASKS:
        return html.paragraph(
            "The task stream of a run of this size is in its report page: run.show()"
        )
    first = info.started_ns / 1e9
    last = info.ended_ns / 1e9 if info.ended_ns is not None else _last(run)
    length = max(last - first, 1e-6)
    stretch = length / STRETCHES
    spans = []
    stretches: dict[tuple[str, int], dict[str, float]] = {}
    failed = set()
    if info.failed:
        failed = {(row.key, row.worker) for row in run.sql(_FAILED)}
    for row in run.sql(_WORK, first=first, stretch=stretch):
        prefix = row.prefix or ""
        if row.is_long:
            begin, end = _seconds(row.start) - first, _seconds(row.stop) - first
            has_failed = (row.key, row.worker) in failed
            spans.append(html.Span(row.worker, begin, end, prefix, has_failed=has_failed))
        else:
            stretches.setdefault((row.worker, row.place), {})[prefix] = row.busy
    for (worker, place), shares in stretches.items():
        # The prefix with the most work gives the colour.
        prefix = max(shares, key=lambda each: shares[each])
        density = min(1.0, sum(shares.values()) / stretch)
        spans.append(html.Span(worker, place * stretch, (place + 1) * stretch, prefix, density))
    spans.sort(key=lambda span: span.start)
    lanes = sorted({span.lane for span in spans})
    return html.stream(spans, lanes[:LANES], length, max(0, len(lanes) - LANES))


def _last(run: Run) -> float:
    """The time of the last transition of a run that is being recorded."""
    (row,) = run.sql("SELECT max(last_seen) / 1e9 AS seconds FROM workers")
    return float(row.seconds) if row.seconds is not None else run.info.started_ns / 1e9


def _seconds(value: Any) -> float:
    return float(value.timestamp()) if hasattr(value, "timestamp") else float(value)
