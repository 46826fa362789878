"""The figures on the page equal those of the log and of the other verbs."""

from __future__ import annotations

from datetime import datetime

import pytest

STORIES = """(() => { const side = tasklogReport.sides[0];
  return [...Array(side.count).keys()].filter((t) => side.events[t]).map((task) =>
    [side.keys.slice(side.keyStart[task], side.keyStart[task + 1] - 1), side.story(task).map(
      (e) => [
        Math.round(side.origin + e.time), e.isScheduler ? "scheduler" : "worker",
        e.worker >= 0 ? side.workers[e.worker].address : null,
        e.hook, e.start || null, e.finish || null])]);
})()"""


def microseconds(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1e6)


def by_source(events: list) -> dict[tuple, list]:
    """The events of each source in its order; two independent workers have no common order.

    A scheduler's events name the workers that they are about.
    """
    seen: dict[tuple, list] = {}
    for event in events:
        seen.setdefault((event[1], event[2] if event[1] == "worker" else None), []).append(event)
    return seen


@pytest.mark.parametrize(("name", "run"), [("sample", "#1"), ("sample", "#2"), ("dask", "#1")])
def test_stories_are_those_of_tasklog_story(name, run, report, verb):
    page = report(name, "--run", run)
    stories = page.run(STORIES)
    assert len(stories) > 2
    for key, events in stories[:25] + stories[-25:]:
        told = [
            [microseconds(e["time"]), e["source"], e["worker"], e["hook"], e["start"], e["finish"]]
            for e in verb(name, "story", key, "--run", run)
        ]
        ours, theirs = by_source(events), by_source(told)
        assert {who: [event[3:] for event in ours[who]] for who in ours} == {
            who: [event[3:] for event in theirs[who]] for who in theirs
        }
        for who, own in ours.items():
            for event, other in zip(own, theirs[who], strict=True):
                assert abs(event[0] - other[0]) <= 1


@pytest.mark.parametrize(("name", "run"), [("sample", "#1"), ("engine", "#1"), ("dask", "#1")])
def test_prefixes_are_those_of_tasklog_summary(name, run, report, verb):
    page = report(name, "--run", run)
    ours = page.run(
        "tasklogReport.sides[0].prefixFigures().map((r) =>"
        " [r.name, r.tasks, r.failed, r.retried, r.nbytes, r.compute])"
    )
    theirs = verb(name, "summary", "--table", "prefixes", "--run", run)
    assert len(ours) == len(theirs)
    for row in theirs:
        ours_ = next((each for each in ours if _same(each[0], row["prefix"])), None)
        assert ours_, f"{row['prefix']!r} is not among {[each[0] for each in ours]}"
        assert ours_[1:5] == [row["tasks"], row["failed"], row["retried"], row["nbytes"]]
        # Each span is rounded to microseconds.
        assert ours_[5] / 1e6 == pytest.approx(row["compute"], abs=1.1e-6 * max(1, row["tasks"]))


def _same(shown: str, name: str) -> bool:
    """Whether a prefix is shown for a name: with letters that could hide others made visible."""
    hidden = "\n\t\u202e\u200b\x1b"
    return shown in (name, "".join(f"\\u{ord(c):04x}" if c in hidden else c for c in name or ""))


@pytest.mark.parametrize(("name", "run"), [("sample", "#1"), ("sample", "#2"), ("engine", "#1")])
def test_the_critical_path_is_that_of_tasklog_critical_path(name, run, report, verb):
    page = report(name, "--run", run)
    ours = page.run(
        "tasklogReport.sides[0].criticalPath().flatMap((s) =>"
        " s.phases.map(([p, from, to]) => [tasklogReport.sides[0].key(s.task), p, to - from]))"
    )
    theirs = [row for row in verb(name, "critical-path", "--run", run)]
    assert [each[:2] for each in ours if each[2] > 2 or each[1] == "compute"] == [
        [row["key"], row["phase"]]
        for row in theirs
        if row["seconds"] > 2e-6 or row["phase"] == "compute"
    ]
    for row in theirs:
        phase = [each[2] for each in ours if each[:2] == [row["key"], row["phase"]]]
        assert (
            any(abs(each / 1e6 - row["seconds"]) < 5e-6 for each in phase) or row["seconds"] < 3e-6
        )


def test_dependencies_of_a_dask_graph_are_known(report):
    page = report("dask")
    needs = page.run(
        "(() => { const s = tasklogReport.sides[0]; const t = s.find('needs-broken', 1).found[0];"
        " return [...s.needsOf(t)].map((n) => s.key(n)); })()"
    )
    assert needs == ["broken-1"]


@pytest.mark.parametrize("name", ["engine", "dask"])
def test_the_curve_of_states_is_that_of_the_log_at_every_moment(name, report, rows):
    page = report(name)
    ours = page.run(
        """(() => { const s = tasklogReport.sides[0]; const { times, values } = s.stateSeries;
          return { times: [...times], values: Object.fromEntries(
            s.states.slice(0, values.length).map((state, i) => [state, [...values[i]]])) }; })()"""
    )
    [(origin,)] = rows(name, "SELECT started FROM runs")
    moments: list[int] = []
    counts: list[dict[str, int]] = []
    state_of: dict[tuple, str] = {}
    now: dict[str, int] = {}
    for key, typed, finish, time in rows(
        name,
        "SELECT key, key_typed, finish, time_ns FROM events WHERE hook = 'transition'"
        " AND source = 'scheduler' AND start IS NOT finish ORDER BY source_seq",
    ):
        before = state_of.get((key, typed))
        if before:
            now[before] -= 1
        state_of[key, typed] = finish
        now[finish] = now.get(finish, 0) + 1
        # Points within one microsecond are one point with the last values; time never goes back.
        moment = max((time - origin) // 1000, moments[-1] if moments else 0)
        if moments and moments[-1] == moment:
            counts[-1] = dict(now)
        else:
            moments.append(moment)
            counts.append(dict(now))
    assert len(moments) > 10
    assert ours["times"] == moments
    for state, values in ours["values"].items():
        assert values == [each.get(state, 0) for each in counts], state


@pytest.mark.parametrize(("name", "run"), [("sample", "#1"), ("engine", "#1"), ("dask", "#1")])
def test_the_time_of_threads_is_that_of_tasklog_time(name, run, report, verb):
    page = report(name, "--run", run)
    time = page.run("tasklogReport.sides[0].threadTime")
    theirs = {row["class"]: row["seconds"] for row in verb(name, "time", "--run", run)}
    ours = {each: ns / 1e9 for each, _, ns in time["classes"] if ns}
    assert ours == theirs
    assert sum(ns for _, _, ns in time["classes"]) == time["total"] > 0
    assert sum(sum(row) for _, row in time["prefixes"]) == time["total"]
    page.run("tasklogReport.panels.show('time')")
    shown = page.run(
        "[...document.querySelectorAll('#panel table')][0].querySelectorAll('tbody th').length"
    )
    assert shown == len(theirs)


def test_the_curves_of_resources_are_what_the_workers_measured(report, verb):
    page = report("dask", "--run", "#1")
    peaks = page.run(
        """tasklogReport.sides[0].measured.slice(1).map((each) => [
          tasklogReport.sides[0].workers[each.worker].address, Math.max(...each.bands.memory.most),
          each.limit])"""
    )
    rows = verb("dask", "workers", "--resources", "--run", "#1")
    assert rows
    assert sorted(map(tuple, peaks)) == sorted(
        (row["worker"], row["memory_peak"], row["memory_limit"] or 0) for row in rows
    )
    together = page.run("Math.max(...tasklogReport.sides[0].measured[0].bands.memory.most)")
    assert max(row["memory_peak"] for row in rows) <= together
    assert together <= sum(row["memory_peak"] for row in rows)


def test_pointing_at_a_curve_tells_its_values_and_a_click_what_ran(report):
    page = report("dask", "--run", "#1")
    page.run("document.querySelector('.track.resource').scrollIntoView({ block: 'center' })")
    page.settle()
    box = page.box(".track.resource canvas")
    # The middle of the first task that ran while the workers measured themselves.
    x = page.run(
        """(() => { const { timeline, sides: [side] } = tasklogReport;
          const grid = side.resourceGrid;
          const times = side.lanes.flatMap((lane) => [...lane.compute.start].map(
            (start, i) => (start + lane.compute.stop[i]) / 2));
          const time = times.find((each) => {
            const at = Math.floor((each - grid.start) / grid.width);
            return side.measured[0].bands.memory.most[at] >= 0; });
          return ((time - side.first - timeline.view.from) / timeline.view.length) * timeline.width;
        })()"""
    )
    page.mouse("mouseMoved", box["x"] + x, box["y"] + 20)
    page.wait("!document.getElementById('tip').hidden")
    tip = page.run("document.getElementById('tip').textContent")
    assert "managed" in tip and "limit" in tip
    page.click(box["x"] + x, box["y"] + 20)
    page.wait("document.querySelector('#panel .moment')")
    assert "work" in page.run("document.querySelector('#panel .moment').textContent")


def test_a_worker_is_chosen_for_the_curves(report):
    page = report("dask", "--run", "#1")
    figure = "document.querySelector('.track.resource small').textContent"
    page.settle()
    before = page.run(figure)
    page.run(
        """(() => { const choice = document.querySelector('.worker-choice');
          choice.value = "1"; choice.dispatchEvent(new Event("change")); })()"""
    )
    page.settle()
    assert page.run("tasklogReport.timeline.resources[0].chosen") == 1
    assert page.run(figure) != before


def test_a_page_below_its_limit_holds_everything_and_has_nothing_to_say(report):
    page = report("dask", "--limit", "1")
    detail = page.run("tasklogReport.sides[0].detail")
    assert (detail["shortenedKeys"], detail["omittedEvents"]) == (0, 0)
    assert page.run("document.getElementById('notices').textContent") == ""


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["-o", "no/such/folder/report.html"], 1, "its folder does not exist"),
        (["-o", "."], 1, "is a folder"),
        (["--log2", "other.db"], 64, "--compare"),
        (["--limit", "0"], 64, "--limit 0"),
        (["--run", "nothing"], 1, "no run 'nothing'"),
        (["--log", "no-such.db"], 1, "no such log"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(arguments, code, said, tasklog, logs, tmp_path):
    output = [] if "-o" in arguments else ["-o", tmp_path / "report.html"]
    told = tasklog("report", "--log", logs["sample"], *output, *arguments, code=code)
    assert said in told
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_page_is_there_whole_or_not_at_all(tasklog, logs, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("before")
    tasklog("report", "--log", logs["sample"], "--run", "nothing", "-o", path, code=1)
    assert path.read_text() == "before"
    tasklog("report", "--log", logs["sample"], "-o", path)
    assert path.read_text().startswith("<!doctype html>")
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]
