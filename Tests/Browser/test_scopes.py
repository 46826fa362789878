"""A page of a part of a run says what the other commands say of this part."""

from __future__ import annotations

import subprocess
from collections import Counter
from datetime import datetime, timezone

import pytest

from test_analyses import near, pieces

PARTS = {
    "prefix": lambda bounds: ["--prefix", bounds["prefix"]],
    "worker": lambda bounds: ["--worker", bounds["worker"]],
    "since": lambda bounds: ["--since", bounds["early"]],
    "until": lambda bounds: ["--until", bounds["late"]],
    "window": lambda bounds: ["--since", bounds["early"], "--until", bounds["late"]],
    "window of a worker": lambda bounds: [
        "--worker", bounds["worker"], "--since", bounds["early"], "--until", bounds["late"],
    ],
}  # fmt: skip
CASES = [(name, part) for name in ("engine", "dask", "sample") for part in PARTS]


@pytest.fixture
def options(rows, verb):
    """The filters of a part of a log's latest run."""

    def ask(name: str, part: str) -> list[str]:
        (run,) = rows(name, "SELECT max(id) FROM run")[0]
        times = [
            time
            for (time,) in rows(
                name,
                "SELECT event.time FROM event JOIN source ON source.id = event.source"
                " WHERE source.run = ? AND source.kind = 'scheduler' ORDER BY event.time",
                run,
            )
        ]
        prefixes = sorted(
            verb(name, "summary", "--table", "prefixes"), key=lambda row: row["tasks"]
        )
        workers = sorted(verb(name, "workers"), key=lambda row: row["tasks"])
        return PARTS[part](
            {
                "prefix": prefixes[-1]["prefix"],
                "worker": workers[-1]["worker"],
                "early": moment(times[len(times) // 4]),
                "late": moment(times[3 * len(times) // 4]),
            }
        )

    return ask


def moment(nanoseconds: int) -> str:
    whole, rest = divmod(nanoseconds, 10**9)
    # Without a zone it is UTC.
    return f"{datetime.fromtimestamp(whole, timezone.utc):%Y-%m-%dT%H:%M:%S}.{rest:09}"


def visible(name: str) -> str:
    """A name as a page shows it: letters that could hide others as codes."""
    return "".join(f"\\u{ord(c):04x}" if c in "\n\t\u202e\u200b\x1b" else c for c in name)


@pytest.mark.parametrize(("name", "part"), CASES)
def test_a_part_has_the_figures_of_the_other_commands(name, part, report, verb, options):
    filters = options(name, part)
    page = report(name, *filters)
    shown = page.run("tasklogReport.sides[0].prefixFigures()")
    told = verb(name, "summary", "--table", "prefixes", *filters)
    assert len(shown) == len(told) > 0
    for row in told:
        [ours] = [each for each in shown if each["name"] == visible(row["prefix"] or "")]
        figures = ["tasks", "done", "failed", "retried", "nbytes"]
        assert [ours[each] for each in figures] == [row[each] for each in figures]
        assert ours["compute"] / 1e6 == near(row["compute"])
    page.run("tasklogReport.panels.show('workers')")
    lines = page.run("document.querySelectorAll('#panel tbody tr').length")
    assert lines == len(verb(name, "workers", *filters))
    page.run("tasklogReport.panels.show('slowest')")
    shown = page.run(
        "[...document.querySelectorAll('#panel tbody')].slice(0, 1).flatMap((body) =>"
        " [...body.rows].map((row) => [row.cells[0].textContent, row.cells[1].textContent]))"
    )
    told = verb(name, "slowest", "-n", "300", *filters)
    assert len(shown) == len(told)
    # Which of equally long spans come last in a cut table is open.
    edge = told[-1]["seconds"] + 2e-6 if len(told) == 300 else -1
    sure = Counter((visible(row["key"]), row["action"]) for row in told if row["seconds"] > edge)
    assert sure <= Counter(map(tuple, shown))
    errors = page.run("tasklogReport.sides[0].totals().failed")
    assert errors == len(verb(name, "errors", "--table", "errors", *filters))


@pytest.mark.parametrize(("name", "part"), CASES)
def test_the_critical_path_of_a_part_is_that_of_critical_path(name, part, report, verb, options):
    filters = options(name, part)
    page = report(name, *filters)
    # A phase shorter than a microsecond has no length in a page; a computation out of the window
    # has none either.
    ours = [each for each in pieces(name, page) if round((each[4] - each[3]) * 1e6) > 2]
    told = verb(name, "critical-path", *filters)
    assert [each[:3] for each in ours] == [
        (visible(row["key"]), row["phase"], row["worker"]) for row in told if row["seconds"] > 2e-6
    ]
    page.run("tasklogReport.panels.show('path')")
    assert page.run("document.getElementById('panel').textContent")


@pytest.mark.parametrize(("name", "part"), CASES)
def test_every_task_of_a_part_can_be_opened(name, part, report, options):
    page = report(name, *options(name, part))
    page.wait("document.documentElement.dataset.ready")
    count = page.run("tasklogReport.sides[0].count")
    assert count > 0
    # Nothing throws: stories, attempts and chains of all tasks can be read.
    read = page.run(
        "(() => { const side = tasklogReport.sides[0]; let read = 0;"
        " for (let task = 0; task < side.count; task++) {"
        "   tasklogReport.inspector.show(side, task); side.story(task); side.attemptsOf(task);"
        "   side.criticalPath(task); read++; } return read; })()"
    )
    assert read == count


@pytest.mark.parametrize("part", ["prefix", "window of a worker"])
def test_the_head_says_how_much_of_the_run_is_shown(
    part, report, options, program, logs, tab, tmp_path
):
    filters = options("dask", part)
    page = report("dask", *filters)
    command = [program, "summary", "--log", logs["dask"], *filters]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stderr
    [share] = [line for line in told.splitlines() if "shows" in line]
    shown = page.run("[...document.querySelectorAll('main > .notice')].map((p) => p.textContent)")
    assert [f"tasklog: {line}" for line in shown] == [share]
    command = [program, "report", "--log", logs["dask"], "-o", tmp_path / "page.html", *filters]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stderr
    assert share in told.splitlines()


def test_a_filter_that_matches_nothing_is_one_line_and_no_page(tasklog, logs, tmp_path):
    path = tmp_path / "report.html"
    told = tasklog("report", "--log", logs["dask"], "-o", path, "--prefix", "nope", code=1)
    assert told.endswith("has no key with the prefix 'nope'\n")
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
