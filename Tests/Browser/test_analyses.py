"""The analyses on the page equal the output of the commands: it computes none itself."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from conftest import REPOSITORY, SAMPLE

FROZEN = REPOSITORY / "Tests/CommandTests/Frozen"
LOGS = ["engine", "frozen", "lost", "backwards"]
# Times are in whole microseconds in a page.
TOLERANCE = 2.1e-6


@pytest.fixture(scope="session")
def lost_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lost") / "lost.db"
    job = [sys.executable, str(Path(__file__).with_name("lost_job.py")), str(path)]
    done = subprocess.run(job, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="session")
def logs(logs: dict[str, Path], lost_log: Path) -> dict[str, Path]:
    """Also a frozen log, one with lost workers, and the same with clocks that were set back."""
    backwards = lost_log.with_name("backwards.db")
    # A copy by SQLite, which includes what is in the write-ahead log.
    with sqlite3.connect(lost_log) as source, sqlite3.connect(backwards) as copy:
        source.backup(copy)
        # While the last third of the tasks is sent and computed; the time is data, never order.
        copy.execute(
            "UPDATE event SET time = time - 3600000000000"
            " WHERE seq > (SELECT min(seq) + (max(seq) - min(seq)) * 2 / 3 FROM event)"
        )
    source.close()
    copy.close()
    return logs | {
        "frozen": FROZEN / "v2-dask.db",
        "lost": lost_log,
        "backwards": backwards,
    }


def seconds(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()


def near(value: float | None, tolerance: float = TOLERANCE) -> object:
    return None if value is None else pytest.approx(value, abs=tolerance)


# Advice, the head and the tables of prefixes and workers


@pytest.mark.parametrize("name", LOGS)
def test_the_first_tab_has_the_advice_of_the_command(name, report, verb):
    page = report(name)
    assert page.run("document.querySelector('[role=tab][aria-selected=true]').id") == "tab-advice"
    items = page.run(
        "[...document.querySelectorAll('#panel .advice > li')].map((item) => [item.className,"
        " ...[...item.children].map((child) => child.textContent)])"
    )
    told = verb(name, "advice", "--run", "latest")
    assert [item[0] for item in items] == [row["severity"] for row in told]
    for (_, head, finding, action, evidence), row in zip(items, told, strict=True):
        assert head.startswith(f"{row['severity']} {row['kind']}")
        assert row["certainty"] in head
        assert (finding, action) == (row["finding"], row["action"])
        assert evidence == f"Shown by tasklog {row['evidence']}"
    warnings = page.run("document.querySelector('#tab-advice .count')?.textContent ?? '0'")
    assert int(warnings) == sum(row["severity"] == "warning" for row in told)


@pytest.mark.parametrize("name", LOGS)
def test_the_table_of_prefixes_is_that_of_summary(name, report, verb):
    page = report(name)
    shown = page.run("tasklogReport.sides[0].prefixFigures()")
    told = verb(name, "summary", "--table", "prefixes")
    assert {row["name"] for row in shown} == {row["prefix"] or "" for row in told}
    for row in told:
        [ours] = [each for each in shown if each["name"] == (row["prefix"] or "")]
        figures = ["tasks", "done", "failed", "retried", "nbytes"]
        assert [ours[each] for each in figures] == [row[each] for each in figures]
        assert ours["compute"] / 1e6 == near(row["compute"])


@pytest.mark.parametrize("name", LOGS)
def test_durations_of_prefixes_are_those_that_the_scheduler_knew(name, report, rows):
    page = report(name)
    lengths: dict[str, list[float]] = {}
    for prefix, length in rows(
        name,
        "SELECT prefix, duration FROM task_durations WHERE action = 'compute' ORDER BY 2",
    ):
        lengths.setdefault(prefix or "", []).append(length)
    shown = {row["name"]: row for row in page.run("tasklogReport.sides[0].prefixFigures()")}
    assert len(lengths) > 2
    for prefix, row in shown.items():
        own = lengths.get(prefix, [])
        assert row["runs"] == len(own)
        for figure, share in [("median", 0.5), ("high", 0.95), ("most", 1)]:
            place = max(0, -int(-len(own) * share // 1) - 1)
            assert (row[figure] is None) == (not own)
            if own:
                assert row[figure] / 1e6 == near(own[place])


@pytest.mark.parametrize("name", LOGS)
def test_the_head_has_the_sums_of_summary_and_errors(name, report, verb, rows):
    page = report(name)
    shown = page.run("tasklogReport.sides[0].totals()")
    prefixes = verb(name, "summary", "--table", "prefixes")
    workers = verb(name, "summary", "--table", "workers")
    assert shown["tasks"] == sum(row["tasks"] for row in prefixes)
    assert shown["compute"] / 1e6 == near(sum(row["compute"] for row in prefixes))
    assert shown["failed"] == len(verb(name, "errors", "--table", "errors"))
    assert shown["affected"] == len(verb(name, "errors", "--table", "affected"))
    assert shown["workers"] == len(workers)
    assert shown["threads"] == sum(row["nthreads"] or 0 for row in workers)
    # The share of all workers, from the shares of each.
    capacity = sum(row["busy"] / row["utilization"] for row in workers if row["utilization"])
    busy = sum(row["busy"] for row in workers if row["utilization"])
    idle = [row for row in workers if not row["utilization"]]
    assert shown["share"] <= busy / capacity * 1.01
    if not idle:
        assert shown["share"] == pytest.approx(busy / capacity, rel=0.05)
    [transfers] = rows(
        name,
        "SELECT count(*), coalesce(sum(duration), 0) FROM task_durations WHERE action = 'transfer'",
    )
    assert (shown["fetches"], shown["fetched"] / 1e6) == (
        transfers[0],
        near(transfers[1], 1e-4),
    )
    tiles = page.run(
        "Object.fromEntries([...document.querySelectorAll('.tile')].map("
        "(t) => [t.querySelector('span').textContent, t.querySelector('strong').textContent]))"
    )
    assert tiles["Tasks"] == f"{shown['tasks']:,}"
    assert tiles["Failed"] == f"{shown['failed']:,}"
    assert tiles["Workers"] == f"{shown['workers']:,}"


@pytest.mark.parametrize("name", LOGS)
def test_the_table_of_workers_is_that_of_workers(name, report, verb):
    page = report(name)
    shown = page.run(
        "(() => { const side = tasklogReport.sides[0];"
        " return side.workers.map(({ lanes, series, ...row }) => ({ ...row,"
        " joined: row.joined === null ? null : (side.origin + row.joined) / 1e6,"
        " left: row.left === null ? null : (side.origin + row.left) / 1e6 })); })()"
    )
    told = verb(name, "workers")
    known = {(row["address"], row["life"]): row for row in shown}
    assert len(told) > 1
    for row in told:
        ours = known[row["worker"], row["life"]]
        figures = ["tasks", "failed", "nbytes", "nthreads"]
        assert [ours[each] for each in figures] == [row[each] for each in figures]
        assert ours["busy"] / 1e6 == near(row["busy"])
        assert ours["utilization"] == near(row["utilization"], 1e-4)
        assert ours["occupancy"] == near(row["occupancy"], 1e-2)
        assert ours["joined"] == near(seconds(row["joined"]))
        assert ours["left"] == near(seconds(row["left"]))
    page.run("tasklogReport.panels.show('workers')")
    lines = page.run("document.querySelectorAll('#panel tbody tr').length")
    assert lines == len(told)


def test_a_computation_that_only_a_worker_knew_has_its_own_line(report, rows):
    page = report("lost")
    shown = page.run("tasklogReport.sides[0].totals()")
    spans = page.run(
        "tasklogReport.sides[0].lanes.reduce((sum, lane) => sum + lane.compute.count, 0)"
    )
    [(known,)] = rows("lost", "SELECT count(*) FROM task_durations WHERE action = 'compute'")
    assert shown["unreported"] == spans - known > 0
    page.run("tasklogReport.panels.show('about')")
    text = page.run("document.getElementById('panel').textContent")
    assert f"{shown['unreported']} computations" in text


@pytest.mark.parametrize("name", LOGS)
def test_the_slowest_are_those_of_slowest(name, report, verb):
    page = report(name)
    page.run("tasklogReport.panels.show('slowest')")
    shown = page.run(
        "[...document.querySelectorAll('#panel tbody')].slice(0, 1).flatMap((body) =>"
        " [...body.rows].map((row) => [row.cells[0].textContent, row.cells[1].textContent]))"
    )
    told = verb(name, "slowest", "-n", "300")
    assert Counter(map(tuple, shown)) == Counter((row["key"], row["action"]) for row in told)


# Failures


@pytest.mark.parametrize("name", LOGS)
def test_causes_of_failures_are_those_of_errors(name, report, verb):
    page = report(name)
    shown = page.run(
        "(() => { const side = tasklogReport.sides[0]; const { causes, texts } = side.failures;"
        " return causes.map((c) => [texts[c.exception] ?? null, c.tasks, c.dependents, c.workers,"
        " side.key(c.first), texts[c.traceback] ?? null]); })()"
    )
    told = verb(name, "errors", "--table", "causes")
    columns = [
        "exception",
        "tasks",
        "dependents",
        "workers",
        "first_key",
        "first_traceback",
    ]
    assert shown == [[row[each] for each in columns] for row in told]
    page.run("tasklogReport.panels.show('errors')")
    heads = page.run(
        "[...document.querySelectorAll('#panel summary b')].map((head) => head.textContent)"
    )
    assert heads == [row["exception"] for row in told]


@pytest.mark.parametrize("name", LOGS)
def test_failed_tasks_are_those_of_errors(name, report, verb):
    page = report(name)
    shown = page.run(
        "(() => { const side = tasklogReport.sides[0]; const { rows, causes, texts } ="
        " side.failures; return rows.map((r) => [side.key(r.task), (side.origin + r.time) / 1e6,"
        " side.workers[r.worker]?.address ?? null, texts[causes[r.cause].exception] ?? null,"
        " texts[r.traceback] ?? null, r.retries, r.dependents]); })()"
    )
    told = verb(name, "errors", "--table", "errors")
    assert shown == [
        [
            row["key"], near(seconds(row["time"])), row["worker"], row["exception"],
            row["traceback"], row["retries"], row["dependents"],
        ]
        for row in told
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["frozen", "lost", "backwards"])
def test_a_task_says_which_task_it_failed_because_of(name, report, verb):
    page = report(name)
    told = verb(name, "errors", "--table", "affected")
    assert told
    for row in told:
        shown = page.run(
            "(() => { const { sides, timeline } = tasklogReport; const side = sides[0];"
            f" timeline.select(side, side.find({json.dumps(row['key'])}, 1).found[0]);"
            " return document.querySelector('#inspector .failure').textContent; })()"
        )
        assert shown == f"Failed because of {row['cause_key']}"


@pytest.mark.parametrize("name", LOGS)
def test_failed_and_slow_tasks_are_explained_as_the_command_does(name, report, verb):
    page = report(name)
    explained = page.run(
        "(() => { const side = tasklogReport.sides[0]; return [...side.explanations].map("
        " ([task, told]) => [side.key(task), told]); })()"
    )
    failed = {row["key"] for row in verb(name, "errors", "--table", "errors")}
    slowest = {row["key"] for row in verb(name, "slowest", "-n", "20")}
    assert failed | slowest <= {key for key, _ in explained}
    for key, told in explained[:5]:
        # The page does not say why a worker was chosen, which takes the state of the scheduler.
        sentences = [row["sentence"] for row in verb(name, "explain", key, "--table", "sentences")]
        texts = [text for _, _, text in told]
        assert [sentence for sentence in sentences if sentence in texts] == texts
        shown = page.run(
            "(() => { const { sides, timeline } = tasklogReport; const side = sides[0];"
            f" timeline.select(side, side.find({json.dumps(key)}, 1).found[0]);"
            " return [...document.querySelectorAll('#inspector .explanation dd')].map("
            " (item) => item.lastChild.textContent); })()"
        )
        assert shown == texts


# Paths and attempts


def pieces(name: str, page, task: str = "") -> list[tuple]:
    return [
        tuple(each)
        for each in page.run(
            "(() => { const side = tasklogReport.sides[0];"
            f" return side.criticalPath({task}).flatMap((step) => step.phases.map("
            " ([name, from, to]) => [side.key(step.task), name,"
            " name === 'wait' || step.worker < 0 ? null : side.workers[step.worker].address,"
            " from === null ? null : (side.origin + from) / 1e6,"
            " to === null ? null : (side.origin + to) / 1e6])); })()"
        )
    ]


@pytest.mark.parametrize("name", LOGS)
def test_the_critical_path_is_that_of_critical_path(name, report, verb):
    page = report(name)
    shown = pieces(name, page)
    told = verb(name, "critical-path")
    assert len(told) > 1
    # A phase shorter than a microsecond has no length in a page.
    left = [each for each in shown if each[1] == "compute" or round((each[4] - each[3]) * 1e6) > 0]
    for row in told:
        if not left or left[0][:3] != (row["key"], row["phase"], row["worker"]):
            assert row["phase"] != "compute" and row["seconds"] < 2e-6, row
            continue
        each = left.pop(0)
        assert each[3] == near(seconds(row["started"]))
        assert each[4] == near(seconds(row["stopped"]))
    assert left == []
    page.run("tasklogReport.panels.show('path')")
    keys = page.run(
        "[...document.querySelectorAll('#panel tbody tr')].map((r) => r.cells[0].textContent)"
    )
    assert keys == list(dict.fromkeys(row["key"] for row in told))


class Oracle:
    """Attempts and chains by the events that `story` prints, and the view of dependencies."""

    def __init__(self, name: str, verb: Callable, rows: Callable) -> None:
        self.name, self.verb = name, verb
        self.stories: dict[str, list[dict]] = {}
        self.needs: dict[str, list[str]] = {}
        for key, need in rows(name, "SELECT key, dependency FROM dependencies"):
            self.needs.setdefault(key, []).append(need)
        self.keys = [key for (key,) in rows(name, "SELECT DISTINCT key FROM tasks")]

    def story(self, key: str) -> list[dict]:
        """The transitions of a task at the scheduler."""
        if key not in self.stories:
            self.stories[key] = [
                event
                for event in self.verb(self.name, "story", key)
                if event["source"] == "scheduler" and event["hook"] == "transition"
            ]
        return self.stories[key]

    def attempts(self, key: str) -> list[list]:
        """Worker, time sent, time ended and outcome of each attempt."""
        found: list[list] = []
        for event in self.story(key):
            if event["start"] == "processing" and event["start"] != event["finish"]:
                found[-1][2:] = [seconds(event["time"]), event["finish"]]
                if event["finish"] in ("memory", "erred"):
                    worker = (event["args"] or {}).get("worker")
                    found[-1][0] = worker or found[-1][0]
            if event["finish"] == "processing" and event["start"] != event["finish"]:
                found.append([event["worker"], seconds(event["time"]), None, "unfinished"])
        return found

    def outcomes(self, key: str) -> list[dict]:
        return [
            event
            for event in self.story(key)
            if event["start"] == "processing" and event["finish"] in ("memory", "erred")
        ]

    def chain(self, key: str) -> list[str]:
        """Back to the dependency that finished last before a task was sent, by seq."""
        outcome = max(self.outcomes(key), key=lambda event: event["seq"])
        found = [outcome]
        while True:
            sent = [
                event["seq"]
                for event in self.story(outcome["key"])
                if event["finish"] == "processing" and event["seq"] < outcome["seq"]
            ]
            results = [
                event
                for need in self.needs.get(outcome["key"], [])
                for event in self.outcomes(need)
                if event["finish"] == "memory" and event["seq"] < max(sent)
            ]
            if not results:
                return [event["key"] for event in reversed(found)]
            outcome = max(results, key=lambda event: event["seq"])
            found.append(outcome)


@pytest.mark.parametrize("name", LOGS)
def test_attempts_of_a_clicked_task_are_those_of_its_story(name, report, verb, rows):
    page = report(name)
    oracle = Oracle(name, verb, rows)
    compared = Counter()
    for key in sorted(oracle.keys)[:40]:
        shown = page.run(
            "(() => { const { sides: [side], timeline } = tasklogReport;"
            " const task = [...Array(side.count).keys()].find((t) =>"
            f" side.key(t) === {json.dumps(key)}); timeline.select(side, task);"
            " const at = (time) => (time === null ? null : (side.origin + time) / 1e6);"
            " return { rows: document.querySelectorAll('#inspector .attempts tbody tr').length,"
            " attempts: side.attemptsOf(task).filter((a) => a.sent !== null).map((a) =>"
            " [side.workers[a.worker]?.address ?? null, at(a.sent), at(a.ended), a.outcome])"
            "}; })()"
        )
        told = oracle.attempts(key)
        assert shown["attempts"] == [
            [worker, near(sent), near(ended), outcome] for worker, sent, ended, outcome in told
        ], key
        assert shown["rows"] >= len(told)
        compared.update(outcome for *_, outcome in told)
        compared["again"] += len(told) > 1
    assert compared["memory"] > 2
    if name in ("lost", "backwards"):
        assert compared["erred"] > 2 and compared["again"] > 2


@pytest.mark.parametrize("name", LOGS)
def test_the_chain_of_a_clicked_task_follows_the_rule_of_critical_path(name, report, verb, rows):
    page = report(name)
    oracle = Oracle(name, verb, rows)
    longest = 0
    # Tasks with dependencies first.
    for key in sorted(oracle.keys, key=lambda key: (key not in oracle.needs, key))[:20]:
        if not oracle.outcomes(key):
            continue
        task = (
            "[...Array(tasklogReport.sides[0].count).keys()].find((t) =>"
            f" tasklogReport.sides[0].key(t) === {json.dumps(key)})"
        )
        chain = list(dict.fromkeys(each[0] for each in pieces(name, page, task)))
        assert chain == oracle.chain(key)
        longest = max(longest, len(chain))
    assert longest > 1


LENGTH = 6000


@pytest.fixture(scope="session")
def chained_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log whose last run has a chain of tasks, each of which needs the one before."""
    path = tmp_path_factory.mktemp("chained") / "chained.db"
    path.write_bytes(SAMPLE.read_bytes())
    with sqlite3.connect(path) as log:

        def text(name: str) -> int:
            log.execute("INSERT OR IGNORE INTO text (text) VALUES (?)", [name])
            return log.execute("SELECT id FROM text WHERE text = ?", [name]).fetchone()[0]

        [(seq, time)] = log.execute("SELECT max(seq), max(time) FROM event")
        [(source, source_seq)] = log.execute(
            "SELECT source, max(source_seq) FROM event WHERE source = (SELECT max(source.id)"
            " FROM source WHERE kind = 'scheduler')"
        )
        events = []

        def add(hook: str, key: int | None, start: str | None, finish: str | None, snapshot=None):
            number = len(events) + 1
            states = [text(state) if state else None for state in (start, finish)]
            events.append(
                [seq + number, source, source_seq + number, time + number * 1_000_000, text(hook)]
                + [key, *states, snapshot]
            )

        graph = [
            {"key": f"link-{i}", "dependencies": [f"link-{i - 1}"] if i else []}
            for i in range(LENGTH)
        ]
        add("updateGraph", None, None, None, json.dumps({"graph": graph}))
        first = log.execute("SELECT max(id) + 1 FROM key").fetchone()[0]
        for i in range(LENGTH):
            log.execute(
                "INSERT INTO key (id, text, prefix, key_group) VALUES (?, ?, ?, ?)",
                [first + i, f"link-{i}", text("link"), text("link")],
            )
            add("transition", first + i, "waiting", "processing")
            add("transition", first + i, "processing", "memory")
        log.executemany(
            "INSERT INTO event (seq, source, source_seq, time, hook, key, start, finish, snapshot)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            events,
        )
        log.execute("INSERT INTO hook_event VALUES (?, ?)", [events[0][4], events[0][0]])
        log.execute(
            "UPDATE run SET last_seq = ?, events = events + ? WHERE id = (SELECT max(id) FROM run)",
            [events[-1][0], len(events)],
        )
    log.close()
    return path


def test_a_path_of_any_length_is_complete(chained_log, tasklog, tmp_path, tab):
    path = tmp_path / "report.html"
    tasklog("report", "--log", chained_log, "-o", path)
    told = tasklog("critical-path", "--log", chained_log, "--format", "jsonl").splitlines()
    keys = list(dict.fromkeys(json.loads(line)["key"] for line in told))
    assert len(keys) == LENGTH
    tab.open(path)
    tab.wait("window.tasklogReport")
    side = "tasklogReport.sides[0]"
    for task in ("", f"{side}.find('link-{LENGTH - 1}', 1).found[0]"):
        shown = tab.run(f"{side}.criticalPath({task}).map((step) => {side}.key(step.task))")
        assert shown == keys
