"""Reports of a part of a run, compared with what plain Python computes from the events."""

from __future__ import annotations

import calendar
import csv
import json
import re
import sqlite3
import subprocess
import time
from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import scopes
from scopes import Events, Part

FROZEN = Path(__file__).resolve().parents[1] / "CommandTests" / "Frozen"
COMMANDS = ("summary", "errors", "workers", "slowest", "critical-path", "open")


class Shared:
    """A log of a cluster that two clients share, and functions to query it."""

    def __init__(self, log: Path, program: Path) -> None:
        self.log = log
        self.program = program
        self.events = Events(log)
        alice, bob = sorted({client for found in self.events.clients.values() for client in found})
        times = sorted(row["time_ns"] for row in self.events.transitions("scheduler"))
        third = len(times) // 3
        self.early, self.late = times[third], times[2 * third]
        self.address, other = sorted(self.events.worker_names)
        (ident,) = (i for i in self.events.spans["slow-0"] if re.fullmatch(r"[0-9a-f-]{36}", i))
        self.parts = {
            "prefix": Part(prefix="increment"),
            "prefix pattern": Part(prefix="s*"),
            "client": Part(client=alice),
            "client pattern": Part(client="*bob*"),
            "span": Part(span="load"),
            "outer span": Part(span="training"),
            "default span": Part(span="default"),
            "span id": Part(span=ident),
            "worker": Part(worker=self.address),
            "worker name": Part(worker=str(self.events.worker_names[other])),
            "since": Part(since=self.late),
            "until": Part(until=self.early),
            "window": Part(since=self.early, until=self.late),
            "window of a worker": Part(worker="0", since=self.early, until=self.late),
            "span in a window": Part(span="training", since=self.early),
            "prefix of a client": Part(prefix="slow", client=bob),
        }

    def run(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        done = subprocess.run(
            [self.program, *arguments, "--log", self.log],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stdout, done.stderr

    def rows(self, *arguments: str) -> list[dict]:
        return json.loads(self.run(*arguments, "--format", "json")[0])

    def options(self, part: Part) -> list[str]:
        options = []
        for option in ("prefix", "client", "span", "worker"):
            if getattr(part, option) is not None:
                options += [f"--{option}", getattr(part, option)]
        for option in ("since", "until"):
            if getattr(part, option) != getattr(Part(), option):
                options += [f"--{option}", moment(getattr(part, option))]
        return options


def moment(nanoseconds: int) -> str:
    whole, rest = divmod(nanoseconds, 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{rest:09}"


def nanoseconds(shown: str) -> int:
    whole, rest = shown.removesuffix("Z").split(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) * 10**9 + int(
        rest.ljust(9, "0")
    )


@pytest.fixture(scope="session")
def shared(new_recording: Any, tasklog: Any) -> Shared:
    from distributed import Client, LocalCluster, span, wait

    import workloads

    recording = new_recording("shared")
    with (
        recording.applied(),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster, name="alice") as alice,
        Client(cluster, name="bob", set_as_default=False) as bob,
    ):
        alice.wait_for_workers(2, timeout=60)
        with span("training"):
            with span("load"):
                numbers = alice.map(workloads.increment, range(12))
            total = alice.submit(sum, numbers, key="sum-1")
            slow = [
                alice.submit(workloads.slow, 0.1, n, key=f"slow-{n}", pure=False) for n in range(6)
            ]
        wait([total, *slow])
        # Keys that are forgotten early are not in late parts.
        del slow
        # Bob requests what Alice has computed, and his own.
        others = bob.map(workloads.increment, range(8, 20))
        failed = bob.submit(workloads.fail, 3, key="fail-3")
        after = bob.submit(sum, [failed], key="sum-after")
        long = bob.submit(workloads.slow, 0.5, 1, key="slow-77")
        wait([*others, after, long])
        wait(alice.map(workloads.increment, range(30, 40)))
    return Shared(recording.log, tasklog.program)


NAMES = [
    "prefix", "prefix pattern", "client", "client pattern", "span", "outer span", "default span",
    "span id", "worker", "worker name", "since", "until", "window", "window of a worker",
    "span in a window", "prefix of a client",
]  # fmt: skip


@pytest.fixture(params=NAMES)
def part(shared: Shared, request: pytest.FixtureRequest) -> Part:
    return shared.parts[request.param]


def test_every_kind_of_part_is_tried_and_selects_some_tasks(shared: Shared) -> None:
    assert list(shared.parts) == NAMES
    everything = shared.events.tasks(Part())
    for name, part in shared.parts.items():
        assert 0 < len(shared.events.tasks(part)) <= len(everything), name
    whole = [name for name, part in shared.parts.items()
             if shared.events.tasks(part) == everything]  # fmt: skip
    assert whole == []


def test_a_report_says_how_much_of_the_run_it_shows(shared: Shared, part: Part) -> None:
    count, whole = len(shared.events.tasks(part)), len(shared.events.tasks(Part()))
    for command in COMMANDS:
        output, errors = shared.run(command, *shared.options(part))
        lines = [line for line in errors.splitlines() if "shows" in line]
        assert len(lines) == 1, errors
        assert lines[0].startswith(f"tasklog: shows {count} of {whole} tasks ("), lines
        assert ("of 2 workers" in lines[0]) == (part.worker is not None)
        assert ("of the run's time" in lines[0]) == (
            part.since != Part().since or part.until != Part().until
        )
        assert "shows" not in output


def test_a_summary_of_a_part(shared: Shared, part: Part) -> None:
    told = json.loads(shared.run("summary", *shared.options(part), "--format", "json")[0])
    ours = shared.events.prefixes(part)
    assert [row["prefix"] for row in told["prefixes"]] == [row["prefix"] for row in ours]
    for row, own in zip(told["prefixes"], ours, strict=True):
        for column, value in own.items():
            if column == "compute":
                assert scopes.close(value, row[column]), (own, row)
            else:
                assert row[column] == value, (column, own, row)
    states = shared.events.states(part)
    assert {(r["prefix"], r["source"], r["state"]) for r in told["states"]} == set(states)
    for row in told["states"]:
        count, seconds, longest = states[row["prefix"], row["source"], row["state"]]
        assert row["count"] == count, row
        assert scopes.close(row["seconds"], seconds), row
        assert scopes.close(row["max"], longest), row


def test_the_workers_of_a_part(shared: Shared, part: Part) -> None:
    ours = shared.events.workers(part)
    for told in (
        shared.rows("workers", *shared.options(part)),
        json.loads(shared.run("summary", *shared.options(part), "--format", "json")[0])["workers"],
    ):
        assert {row["worker"] for row in told} == set(ours)
        for row in told:
            tasks, failed, nbytes, busy = ours[row["worker"]]
            assert (row["tasks"], row["failed"], row["nbytes"]) == (tasks, failed, nbytes), row
            assert scopes.close(row["busy"], busy), row
            assert 0 <= row["utilization"] <= 1.01 and row["occupancy"] >= 0


def test_the_errors_of_a_part(shared: Shared, part: Part) -> None:
    def told(*options: str) -> dict:
        return json.loads(shared.run("errors", *options, "--format", "json")[0])

    whole, some = told(), told(*shared.options(part))
    assert len(whole["errors"]) == 1 and len(whole["affected"]) == 1
    tasks = shared.events.tasks(part)
    for table in ("errors", "affected", "at_workers"):
        wanted = [
            row
            for row in whole[table]
            if row["key"] in tasks
            and part.holds(nanoseconds(row["time"]))
            and (table == "affected" or shared.events.is_worker(part, row["worker"]))
        ]
        assert some[table] == wanted, table
    assert sum(cause["tasks"] for cause in some["causes"]) == len(some["errors"])


def test_the_slowest_spans_of_a_part(shared: Shared, part: Part) -> None:
    ours = shared.events.work(part)
    for limit in (3, 1000, 20_000):
        told = shared.rows("slowest", "-n", str(limit), *shared.options(part))
        assert len(told) == min(limit, len(ours))
        for row, own in zip(told, ours, strict=False):
            assert scopes.close(row["seconds"], own[3]), (row, own)
            assert part.cut(row["start"], row["stop"], 1e9)
        if limit >= len(ours):
            assert Counter((r["key"], r["action"], r["worker"]) for r in told) == Counter(
                own[:3] for own in ours
            )
    compute = shared.rows("slowest", "-n", "1", "--action", "compute", *shared.options(part))
    wanted = [own for own in ours if own[1] == "compute"]
    assert scopes.close(compute[0]["seconds"], wanted[0][3])


def test_what_a_part_left_open(shared: Shared, part: Part) -> None:
    told = {
        (row["source"], row["key"], row["state"])
        for row in shared.rows("open", *shared.options(part))
    }
    assert told == shared.events.open(part)


def test_some_tasks_are_open_in_the_middle(shared: Shared) -> None:
    assert shared.events.open(shared.parts["until"])


def test_the_critical_path_ends_with_the_last_task_of_a_part(shared: Shared, part: Part) -> None:
    path = shared.rows("critical-path", *shared.options(part))
    last = shared.events.last_outcome(part)
    if last is None:
        assert path == []
        return
    assert path[-1]["key"] == last["key"]
    assert path[-1]["seq"] == last["seq"]
    edges = [(nanoseconds(row["started"]), nanoseconds(row["stopped"])) for row in path]
    # Times are shown in microseconds.
    assert all(part.holds(t) or part.holds(t + 999) for edge in edges for t in edge)
    assert all(before[1] == after[0] for before, after in zip(edges, edges[1:], strict=False))
    assert abs(sum(row["share"] for row in path) - 1) < 0.01


def test_the_events_of_a_part_are_exported(shared: Shared, part: Part) -> None:
    whole = shared.run("export", "--to", "jsonl")[0].splitlines()
    tasks = shared.events.tasks(part)
    selects = part.prefix or part.client or part.span

    def is_in(event: dict) -> bool:
        about = event.get("worker")
        if not part.holds(event["time_ns"]):
            return False
        if event.get("key") is None:
            return not selects and shared.events.is_worker(part, about)
        if event["key"] not in tasks:
            return False
        return event["source"] == "scheduler" or shared.events.is_worker(part, about)

    wanted = [line for line in whole if is_in(json.loads(line))]
    assert 0 < len(wanted) < len(whole)
    output, errors = shared.run("export", "--to", "jsonl", *shared.options(part))
    assert output.splitlines() == wanted
    assert f"shows {len(tasks)} of " in errors
    rows = csv.DictReader(StringIO(shared.run("export", "--to", "csv", *shared.options(part))[0]))
    assert [int(row["seq"]) for row in rows] == [json.loads(line)["seq"] for line in wanted]


def test_the_work_of_a_part_is_exported(shared: Shared, part: Part) -> None:
    tasks, work = shared.events.tasks(part), shared.events.work(part)
    records = [
        json.loads(line)
        for line in shared.run("export", "--to", "dask", *shared.options(part))[0].splitlines()
    ]
    assert Counter(r["key"] for r in records) == Counter({key for key, *_ in work})
    drawn = [
        json.loads(line)
        for line in shared.run("export", "--to", "dask", "--rectangles", *shared.options(part))[
            0
        ].splitlines()
    ]
    assert len(drawn) == len(work)
    assert scopes.close(
        sum(r["duration"] for r in drawn) / 1000, sum(seconds for *_, seconds in work)
    )
    trace = json.loads(shared.run("export", "--to", "chrome", *shared.options(part))[0])
    slices = [
        event
        for event in trace["traceEvents"]
        if event["ph"] == "X" and "key" in event.get("args", {})
    ]
    assert Counter(event["args"]["key"] for event in slices) == Counter(key for key, *_ in work)
    assert scopes.close(
        sum(event["dur"] for event in slices) / 1e6, sum(seconds for *_, seconds in work)
    )
    names = {
        event["args"]["name"]
        for event in trace["traceEvents"]
        if event["ph"] == "M" and event["name"] == "process_name"
    }
    assert len([name for name in names if "worker" in name]) == (1 if part.worker else 2), names
    spans = otlp(shared.run("export", "--to", "otlp-json", *shared.options(part))[0])
    attempts = [span for span in spans if "tasklog.key" in span["attributes"]]
    assert {span["attributes"]["tasklog.key"] for span in attempts} <= tasks
    assert {span["attributes"]["tasklog.key"] for span in attempts} >= {key for key, *_ in work}
    known = {span["spanId"] for span in spans}
    assert all(span["parentSpanId"] in known for span in attempts)
    for span in attempts:
        assert part.since <= int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
        assert int(span["endTimeUnixNano"]) <= part.until


def otlp(text: str) -> list[dict]:
    spans = []
    for line in text.splitlines():
        for resource in json.loads(line)["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                spans += scope["spans"]
    for span in spans:
        span["attributes"] = {
            entry["key"]: next(iter(entry["value"].values())) for entry in span["attributes"]
        }
    return spans


def test_the_tasks_of_a_span_are_queried(shared: Shared) -> None:
    for name in ("span", "outer span", "default span", "span id"):
        part = shared.parts[name]
        tasks = shared.events.tasks(part)
        wanted = [r["seq"] for r in shared.events.rows
                  if r["hook"] == "transition" and r["key"] in tasks]  # fmt: skip
        assert wanted
        told = shared.rows("query", "--span", part.span, "-n", "100000")
        assert [row["seq"] for row in told] == wanted
        (count,) = shared.rows("query", "--span", part.span, "--count")
        assert count == {"count": len(wanted)}
        groups = shared.rows("query", "--span", part.span, "--group-by", "prefix")
        assert sum(group["count"] for group in groups) == len(wanted)
        followed = shared.run("query", "--span", part.span, "--follow", "--format", "jsonl")[0]
        assert [json.loads(line)["seq"] for line in followed.splitlines()] == wanted
        both = shared.rows("query", "--span", part.span, "--finish", "memory", "-n", "100000")
        assert [r["seq"] for r in both] == [r["seq"] for r in told if r["finish"] == "memory"]


EVERYTHING = [
    ["--prefix", "*"], ["--client", "*"], ["--span", "*"], ["--since", "1970-01-01"],
    ["--until", "2200-01-01"], ["--since", "seq:0"], ["--prefix", "*", "--since", "1970-01-01"],
]  # fmt: skip


@pytest.mark.parametrize("options", EVERYTHING, ids=" ".join)
def test_what_selects_everything_changes_nothing(shared: Shared, options: list[str]) -> None:
    for command in (*COMMANDS, "slowest -n 20000", "export --to dask", "export --to otlp-json"):
        assert shared.run(*command.split(), *options)[0] == shared.run(*command.split())[0], command
    if options[0] in ("--since", "--until"):
        for kind in ("jsonl", "csv", "chrome"):
            command = ["export", "--to", kind]
            assert shared.run(*command, *options)[0] == shared.run(*command)[0], kind


def test_every_worker_is_all_of_the_work(shared: Shared) -> None:
    for command in ("workers", "slowest"):
        assert shared.run(command, "--worker", "*")[0] == shared.run(command)[0]


def test_a_partition_by_prefix_adds_up_to_the_whole(shared: Shared) -> None:
    def told(*options: str) -> dict:
        return json.loads(shared.run("summary", *options, "--format", "json")[0])

    whole = told()
    parts = [told("--prefix", row["prefix"]) for row in whole["prefixes"]]
    for table in ("prefixes", "states"):
        assert [row for part in parts for row in part[table]] == whole[table]
    for place, row in enumerate(whole["workers"]):
        same = [part["workers"][place] for part in parts]
        assert {other["worker"] for other in same} == {row["worker"]}
        for column in ("tasks", "failed", "nbytes"):
            assert sum(other[column] for other in same) == row[column]
        assert scopes.close(sum(other["busy"] for other in same), row["busy"])


def test_the_windows_of_a_partition_of_time_add_up_to_the_whole(shared: Shared) -> None:
    def unfinished(*options: str) -> float:
        rows = shared.rows("summary", "--table", "states", *options)
        return sum(
            row["seconds"]
            for row in rows
            if row["source"] == "scheduler" and row["state"] in ("waiting", "queued", "processing")
        )

    early, late = moment(shared.early), moment(shared.late)
    parts = [
        unfinished("--until", early),
        unfinished("--since", early, "--until", late),
        unfinished("--since", late),
    ]
    assert all(parts)
    assert scopes.close(sum(parts), unfinished())


def test_two_values_of_an_option_mean_or_and_two_options_and(shared: Shared) -> None:
    def keys(*options: str) -> set[str]:
        rows = shared.run("export", "--to", "jsonl", *options)[0].splitlines()
        return {json.loads(row)["key"] for row in rows}

    one, two = keys("--prefix", "slow"), keys("--prefix", "sum")
    assert keys("--prefix", "slow", "--prefix", "sum") == one | two
    bob = keys("--client", "*bob*")
    assert keys("--prefix", "slow", "--client", "*bob*") == one & bob


def test_a_seq_stands_for_the_time_of_the_scheduler_s_event(shared: Shared) -> None:
    events = [row for row in shared.events.rows if row["source"] == "scheduler"]
    first, last = events[len(events) // 3], events[2 * len(events) // 3]
    for command in ("summary", "slowest"):
        by_seq = shared.run(command, "--since", f"seq:{first['seq']}",
                            "--until", f"seq:{last['seq']}")  # fmt: skip
        by_time = shared.run(command, "--since", moment(first["time_ns"]),
                             "--until", moment(last["time_ns"]))  # fmt: skip
        assert by_seq == by_time


@pytest.mark.parametrize("command", [*COMMANDS, "export --to jsonl"])
def test_what_matches_nothing_is_said_in_one_line(shared: Shared, command: str) -> None:
    clients = ", ".join(sorted({c for found in shared.events.clients.values() for c in found}))
    for options, message in (
        (["--prefix", "nothing"], "run #1 has no key with the prefix 'nothing'"),
        (["--prefix", "nothing", "--prefix", "n?"],
         "run #1 has no key with the prefix 'nothing' or 'n?'"),
        (["--client", "carol"],
         f"no client of run #1 with tasks is 'carol'; clients are {clients}"),
        (["--span", "nothing"],
         "no span of run #1 is 'nothing'; spans are default, load, training"),
        (["--worker", "nobody"], "no worker of run #1 is 'nobody'"),
        (["--since", "2100-01-01"], "run #1 has no event in this time; it lasted from "),
        (["--until", "1990-01-01"], "run #1 has no event in this time; it lasted from "),
        (["--prefix", "fail", "--client", "*alice*"],
         "no task of run #1 matches all of these filters"),
    ):  # fmt: skip
        # A table would have only headers; a program still gets output that it can parse.
        formats = [] if command.startswith("export") else ["--format", "table"]
        output, errors = shared.run(*command.split(), *options, *formats)
        if formats:
            assert output == "", (options, output)
        lines = [line for line in errors.splitlines() if "run #1" in line]
        assert len(lines) == 1 and lines[0].startswith(f"tasklog: {message}"), errors
        if formats:
            json.loads(shared.run(*command.split(), *options, "--format", "json")[0])


def test_a_live_run_is_followed_in_a_span(new_recording: Any, tasklog: Any) -> None:
    from distributed import Client, LocalCluster, span, wait

    import workloads

    recording = new_recording("followed-span")
    command = ["query", "--span", "late", "--format", "jsonl", "--log", recording.log]
    with (
        recording.applied(),
        LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        wait(client.map(workloads.increment, range(5)))
        follower = subprocess.Popen(
            [tasklog.program, *command, "--follow"], stdout=subprocess.PIPE, text=True
        )
        assert follower.stdout is not None
        for first in (10, 20):
            with span("late"):
                wait(client.map(workloads.slow, [0.01] * 5, range(first, first + 5)))
            # Its first line shows that it follows while the second graph does not exist yet.
            if first == 10:
                lines = [follower.stdout.readline()]
    lines += follower.stdout.readlines()
    follower.wait(timeout=60)
    assert follower.returncode == 0
    after = subprocess.run([tasklog.program, *command], capture_output=True, text=True, check=True)
    assert lines == after.stdout.splitlines(keepends=True)
    assert len({json.loads(line)["key"] for line in lines}) == 10


def test_a_query_says_that_there_is_no_such_span(shared: Shared) -> None:
    output, errors = shared.run("query", "--span", "nothing")
    assert output == ""
    assert errors.splitlines()[0] == (
        "tasklog: no span of run #1 is 'nothing'; spans are default, load, training"
    )


@pytest.mark.parametrize("command", [*COMMANDS, "export --to jsonl", "query"])
def test_what_a_log_does_not_record_is_said_in_one_line(
    shared: Shared, command: str, tmp_path: Path
) -> None:
    def failure(log: Path, *options: str) -> str:
        done = subprocess.run(
            [shared.program, *command.split(), *options, "--log", log],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 1 and done.stdout == "", done.stdout + done.stderr
        return done.stderr

    spans = "tasklog: --span: run #1 records no task in a span; only runs of Dask have spans\n"
    for name in ("v1-demo", "v2-demo"):
        assert failure(FROZEN / f"{name}.db", "--span", "x") == spans
    if command == "query":
        return
    without = tmp_path / "without.db"
    with sqlite3.connect(shared.log) as connection:
        connection.execute("VACUUM INTO ?", (str(without),))
    with sqlite3.connect(without) as connection:
        connection.execute(
            "DELETE FROM event WHERE hook = (SELECT id FROM text WHERE text = 'updateGraph')"
        )
    assert failure(without, "--client", "*") == (
        "tasklog: --client: run #1 records no client that submitted a task\n"
    )


@pytest.mark.parametrize("command", ["summary", "query", "export --to csv"])
def test_a_run_that_cannot_answer_leaves_the_others_their_answer(
    shared: Shared, command: str, tmp_path: Path
) -> None:
    both = tmp_path / "both.db"
    subprocess.run(
        [shared.program, "merge", shared.log, FROZEN / "v2-demo.db", "--into", both],
        check=True,
        capture_output=True,
    )
    words = [shared.program, *command.split(), "--run", "all", "--span", "load", "--log", both]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    prefixes = {shared.events.prefix_of[key] for key in shared.events.tasks(Part(span="load"))}
    assert prefixes and all(prefix in done.stdout for prefix in prefixes), done.stdout
    if command != "query":
        assert "records no task in a span" in done.stderr
        assert re.search(r"run #\d: shows \d+ of \d+ tasks", done.stderr), done.stderr


@pytest.mark.parametrize("command", [*COMMANDS, "export --to jsonl"])
def test_a_time_that_is_none_is_invalid_usage(shared: Shared, command: str) -> None:
    for option in ("--since", "--until"):
        output, errors = shared.run(*command.split(), option, "soon", code=64)
        assert output == ""
        assert errors.startswith(f"tasklog: {option} soon: not a time; ")
        assert len(errors.splitlines()) == 1
    for option in ("--prefix", "--client", "--span", "--worker", "--since", "--until"):
        output, errors = shared.run(*command.split(), option, code=64)
        assert output == "" and len(errors.splitlines()) == 1, errors


def test_logs_of_older_formats_and_of_our_engine_have_parts(tasklog: Any) -> None:
    for name in ("v1-dask", "v2-dask"):
        events = Events(FROZEN / "v2-dask.db")
        log = FROZEN / f"{name}.db"
        told = tasklog(log, "summary", "--client", "*", "--format", "csv", "--table", "prefixes")
        assert "after-broken" in told
        assert len(events.tasks(Part(client="*"))) == 9
        assert "shows 9 of 9 tasks (100 %)" in told
        told = tasklog(log, "summary", "--span", "default", "--table", "prefixes")
        assert "shows 9 of 9 tasks (100 %)" in told
    for name in ("v1-demo", "v2-demo"):
        told = tasklog(FROZEN / f"{name}.db", "summary", "--client", "*", "--table", "prefixes")
        assert "shows 7 of 7 tasks (100 %)" in told
