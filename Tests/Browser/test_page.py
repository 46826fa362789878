"""The page as a person uses it: it loads, draws, zooms, searches, and is operated by keys."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from chromium import Page
from dask_job import HOSTILE

VIEW = "[tasklogReport.timeline.view.from, tasklogReport.timeline.view.to]"
STREAM = ".pane canvas.over"


def length(page: Page) -> float:
    page.settle()
    return page.run("tasklogReport.timeline.view.length")


def still(page: Page) -> None:
    """Waits until the view is at rest."""
    page.run(
        f"""(async () => {{
          let last = "";
          for (let same = 0; same < 4; ) {{
            await new Promise((go) => requestAnimationFrame(go));
            const now = String({VIEW});
            same = now === last ? same + 1 : 0;
            last = now;
          }}
        }})()"""
    )


@pytest.mark.parametrize("name", ["engine", "dask", "sample"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_loads_without_an_error_and_asks_the_network_for_nothing(name, scheme, report, tab):
    tab.scheme(scheme)
    page = report(name, "--run", "all")
    page.settle()
    assert page.problems == []
    assert page.dialogs == 0
    asked = [url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))]
    assert asked == []
    assert page.run("document.getElementById('loading').hidden")


@pytest.mark.parametrize("name", ["engine", "dask"])
def test_as_many_spans_are_drawn_as_the_log_holds(name, report, rows):
    page = report(name)
    drawn = page.run("tasklogReport.timeline.streams[0].drawn")
    spans = dict(rows(name, "SELECT action, count(*) FROM task_durations GROUP BY action"))
    open_ = page.run(
        "tasklogReport.sides[0].lanes.flatMap((l) => [...l.compute.what])"
        ".filter((w) => (w & 3) === 2).length"
    )
    assert drawn["computing"] - open_ == spans["compute"]
    assert drawn["others"] == sum(spans.values()) - spans["compute"]
    assert (
        page.run("tasklogReport.sides[0].totals().tasks")
        == rows(name, "SELECT count(*) FROM tasks")[0][0]
    )


def test_a_task_whose_worker_died_is_drawn_with_an_open_end(report):
    page = report("dask")
    task = page.run("tasklogReport.sides[0].find('die-1', 1).found[0]")
    spans = page.run(f"tasklogReport.sides[0].spansOf({task}).map((s) => [s.action, s.outcome])")
    assert ["compute", 2] in spans


def test_pixels_of_the_stream_have_the_colours_of_prefixes(report):
    page = report("engine")
    share = page.run(
        """(() => {
          const { canvas, context } = tasklogReport.timeline.streams[0].raster;
          const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
          let count = 0;
          for (let i = 0; i < data.length; i += 4) {
            if (Math.abs(data[i] - 0x4e) + Math.abs(data[i + 1] - 0x79) < 24) count++;
          }
          return count / (data.length / 4);
        })()"""
    )
    assert share > 0.02


# Zooming and moving


def test_the_wheel_with_ctrl_zooms_at_the_pointer(report):
    page = report("engine")
    whole = length(page)
    box = page.box(STREAM)
    x, y = box["x"] + box["width"] / 4, box["y"] + 10
    under = "tasklogReport.timeline.view.from + tasklogReport.timeline.view.length / 4"
    before = page.run(under)
    for _ in range(10):
        page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-50, modifiers=2)
    assert length(page) < whole / 10
    assert page.run(under) == pytest.approx(before, abs=whole / 500)


def test_the_wheel_alone_leaves_the_timeline_as_it_is(report):
    page = report("engine")
    before = page.run(VIEW)
    box = page.box(STREAM)
    page.mouse("mouseWheel", box["x"] + 50, box["y"] + 10, deltaX=0, deltaY=50)
    page.settle()
    assert page.run(VIEW) == before


def test_dragging_moves_and_dragging_with_shift_zooms_to_a_part(report):
    page = report("engine")
    page.run("tasklogReport.timeline.view.set(20000, 120000)")
    box = page.box(STREAM)
    left, y, width = box["x"], box["y"] + 12, box["width"]

    def drag(start: float, end: float, modifiers: int = 0) -> None:
        page.mouse("mousePressed", left + start * width, y, button="left", modifiers=modifiers)
        for place in (start + (end - start) / 2, end):
            page.mouse("mouseMoved", left + place * width, y, button="left", modifiers=modifiers)
        page.mouse("mouseReleased", left + end * width, y, button="left", modifiers=modifiers)
        still(page)

    drag(0.2, 0.5)
    assert page.run(VIEW) == pytest.approx([-4000, 96000], abs=8000)
    page.run("tasklogReport.timeline.view.set(20000, 120000)")
    drag(0.25, 0.75, modifiers=8)
    assert page.run(VIEW) == pytest.approx([45000, 95000], abs=2000)


def test_buttons_zoom_and_show_the_whole_run(report):
    page = report("engine")
    whole = length(page)
    page.run("document.querySelector('[data-do=in]').click()")
    still(page)
    assert length(page) == pytest.approx(whole / 2, rel=0.01)
    page.run("document.querySelector('[data-do=fit]').click()")
    still(page)
    assert length(page) == pytest.approx(whole, rel=0.02)


def test_zooming_in_shows_fewer_spans_and_their_names(report):
    page = report("engine")
    all_ = page.run("tasklogReport.timeline.streams[0].drawn.spans")
    page.run(
        "(() => { const t = tasklogReport; const s = t.sides[0];"
        " t.timeline.select(s, s.lanes[0].compute.task[5], {zoom: true}); })()"
    )
    still(page)
    assert 0 < page.run("tasklogReport.timeline.streams[0].drawn.spans") < all_ / 3


def test_a_prefix_can_be_seen_alone(report):
    page = report("engine")
    page.run(
        "[...document.querySelectorAll('.chip')].find((c) => /merge/.test(c.textContent)).click()"
    )
    page.settle()
    assert page.run("tasklogReport.timeline.alone") == "merge"
    assert page.run("document.querySelectorAll('.chip[aria-pressed=true]').length") == 1


# Pointing


def test_pointing_at_a_task_tells_its_key_and_a_click_its_story(report):
    page = report("engine")
    page.run(
        "(() => { const t = tasklogReport; const s = t.sides[0]; const c = s.lanes[0].compute;"
        " t.timeline.view.set(c.start[3] - s.first - 100, c.stop[3] - s.first + 100); })()"
    )
    still(page)
    key = page.run("tasklogReport.sides[0].key(tasklogReport.sides[0].lanes[0].compute.task[3])")
    box = page.box(STREAM)
    x, y = box["x"] + box["width"] / 2, box["y"] + 8
    page.mouse("mouseMoved", x, y)
    page.settle()
    assert page.run("document.querySelector('#tip b').textContent") == key
    page.click(x, y)
    page.settle()
    assert page.run("document.querySelector('#inspector h2').textContent") == key


def test_a_gap_behind_the_last_event_is_in_view(tasklog, logs, tmp_path, tab):
    log, path = tmp_path / "late.db", tmp_path / "late.html"
    shutil.copy(logs["sample"], log)
    with sqlite3.connect(log) as connection:
        connection.execute(
            """
            INSERT INTO gap (source, source_seq, count, time, reason)
            SELECT source.id, 1000, 7, (SELECT max(time) FROM event) + 3600000000000, 'host lost'
            FROM source JOIN run ON run.id = source.run WHERE kind = 'worker'
            ORDER BY run DESC LIMIT 1
            """
        )
    connection.close()
    tasklog("report", "--log", log, "-o", path, "--run", "latest")
    tab.open(path)
    tab.wait("window.tasklogReport")
    x, width, count = tab.run(
        """(() => { const { timeline, sides } = tasklogReport; const stream = timeline.streams[0];
          const gap = sides[0].gaps.find((gap) => gap.reason === "host lost");
          return [stream.x(gap.after ?? gap.time), timeline.width, gap.count]; })()"""
    )
    assert count == 7
    assert 0 < x <= width


def test_a_gap_in_the_log_is_marked_and_told(report):
    page = report("sample", "--run", "#2")
    assert "gap in the log" in page.run("document.getElementById('legend').textContent")
    lane = page.run(
        """(() => { const { timeline, sides } = tasklogReport; const stream = timeline.streams[0];
          const gap = sides[0].gaps[0]; const lane = sides[0].workers[gap.worker].lanes[0];
          return [stream.x(gap.before) + 1, lane.y + 6]; })()"""
    )
    box = page.box(STREAM)
    page.mouse("mouseMoved", box["x"] + lane[0], box["y"] + lane[1])
    page.settle()
    said = page.run("document.getElementById('tip').textContent")
    assert "3 events missing" in said
    assert "spool limit reached" in said
    page.run("tasklogReport.panels.show('about')")
    assert "3 events in 1 gap" in page.run("document.getElementById('panel').textContent")


# Finding


def test_a_key_is_found_and_its_story_told(report, rows):
    page = report("dask")
    page.key("/")
    page.type("needs-BRO".lower())
    page.settle()
    assert page.run("document.querySelectorAll('#matches li').length") == 1
    assert page.run("document.getElementById('search').getAttribute('aria-expanded')") == "true"
    page.key("Enter")
    still(page)
    assert page.run("document.querySelector('#inspector h2').textContent") == "needs-broken"
    assert "Failed because of" in page.run("document.getElementById('inspector').textContent")
    told = page.run("document.querySelectorAll('#inspector .story tbody tr').length")
    assert told == rows("dask", "SELECT count(*) FROM events WHERE key = 'needs-broken'")[0][0]


def test_what_is_not_there_is_not_found(report):
    page = report("engine")
    page.key("/")
    page.type("no such key")
    page.settle()
    assert "No key" in page.run("document.getElementById('found-count').textContent")


# Hostile text


def shown(key: str) -> str:
    """As the page shows it: characters that could reorder or hide text are made visible."""
    for letter in "\n\t\u202e\u200b":
        key = key.replace(letter, f"\\u{ord(letter):04x}")
    return key


def test_hostile_keys_are_text_everywhere(report):
    page = report("dask")
    keys = page.run(
        "[...Array(tasklogReport.sides[0].count).keys()].map((t) => tasklogReport.sides[0].key(t))"
    )
    for key in HOSTILE:
        assert shown(key) in keys
        # A text field accepts no line breaks: what is typed is what is shown.
        typed = json.dumps(shown(key))
        page.run(f"tasklogReport.search.input.value = {typed}; tasklogReport.search.find()")
        page.run("tasklogReport.search.go()")
        still(page)
        assert page.run("document.querySelector('#inspector h2').textContent") == shown(key)
    for tab in ["advice", "prefixes", "slowest", "errors", "path", "workers", "about"]:
        page.run(f"tasklogReport.panels.show('{tab}')")
        page.settle()
    assert page.run("document.querySelectorAll('main img, main b b, main script').length") == 0
    assert page.dialogs == 0
    assert page.problems == []


def test_line_breaks_and_tabs_in_a_prefix_are_shown_as_codes(report, rows):
    breaks = "prefix LIKE '%' || char(10) || '%' AND prefix LIKE '%' || char(9) || '%'"
    assert rows("dask", f"SELECT count(*) FROM tasks WHERE {breaks}") == [(1,)]
    page = report("dask")
    prefixes = page.run("tasklogReport.sides[0].prefixes")
    assert "line\\u000abreak\\u0009tab" in prefixes
    assert [prefix for prefix in prefixes if "\n" in prefix or "\t" in prefix] == []


def test_an_error_is_shown_with_its_traceback_as_text(report):
    page = report("dask")
    page.run("tasklogReport.panels.show('errors')")
    said = page.run("document.getElementById('panel').textContent")
    assert "ValueError(\"</pre><script>alert('1')</script>\")" in said
    assert "in broken" in said
    assert "needs-broken" in said
    assert "Its worker died" in said or "its worker died" in said or "KilledWorker" in said


# Colours, keys and names


def test_both_colour_schemes_draw_with_their_own_colours(report):
    page = report("engine")
    colours = {}
    for scheme in ["light", "dark"]:
        page.scheme(scheme)
        page.settle()
        page.settle()
        colours[scheme] = page.run(
            """(() => { const { context, canvas } = tasklogReport.timeline.streams[0].raster;
              return [getComputedStyle(document.body).backgroundColor,
                ...context.getImageData(2, canvas.height - 2, 1, 1).data]; })()"""
        )
    assert colours["light"] != colours["dark"]
    assert colours["light"][1] > 200 > 60 > colours["dark"][1]


def test_a_reader_may_choose_the_colours(report):
    page = report("engine")
    for choice in ["light", "dark", "auto"]:
        page.run("document.getElementById('theme').click()")
        assert page.run("tasklogReport.theme.choice") == choice
    page.run("tasklogReport.theme.set('dark')")
    assert page.run("tasklogReport.theme.isDark")


def test_the_page_can_be_used_by_keys_alone(report):
    page = report("engine")
    for _ in range(60):
        page.key("Tab")
        if page.run("document.activeElement.id") == "tracks":
            break
    else:
        raise AssertionError("the timeline is not reached with Tab")
    whole = length(page)
    page.key("+")
    still(page)
    assert length(page) < whole * 0.7
    before = page.run(VIEW)
    page.key("ArrowRight")
    still(page)
    assert page.run(VIEW)[0] > before[0]
    page.key("0")
    still(page)
    assert length(page) == pytest.approx(whole, rel=0.02)
    page.key(".")
    page.key(".")
    page.settle()
    assert "on " in page.run("document.getElementById('spoken').textContent")
    page.key("Enter")
    page.settle()
    assert page.run("document.activeElement.id") == "inspector"
    page.key("Escape")
    assert page.run("document.getElementById('inspector').hidden")
    assert page.run("document.activeElement.id") == "tracks"
    page.run("document.getElementById('tab-advice').focus()")
    page.key("ArrowRight")
    assert page.run("document.activeElement.id") == "tab-prefixes"
    assert (
        page.run("document.getElementById('tab-prefixes').getAttribute('aria-selected')") == "true"
    )


def test_everything_that_can_be_worked_has_a_name(report):
    page = report("sample", "--run", "#1")
    page.call("Accessibility.enable")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "tab", "combobox", "searchbox", "link", "tabpanel", "img"}
    worked = [node for node in nodes if node.get("role", {}).get("value") in roles]
    assert len(worked) > 15
    nameless = [node for node in worked if not node.get("name", {}).get("value")]
    assert nameless == []


@pytest.mark.parametrize("width", [360, 800, 1600])
def test_a_page_fits_windows_of_any_width(width, report):
    page = report("dask")
    page.size(width, 800)
    page.settle()
    page.settle()
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.problems == []


# More than one run


def test_two_runs_stand_side_by_side(report):
    page = report("sample", "--run", "#1", "--compare", "#2")
    # The last task of the second run has no end in the log.
    assert page.run("tasklogReport.timeline.streams.map((s) => s.drawn.computing)") == [6, 3]
    page.run("tasklogReport.panels.show('prefixes')")
    heads = page.run("[...document.querySelectorAll('#panel thead th')].map((h) => h.textContent)")
    assert "computed A" in heads and "computed B" in heads
    page.run("document.querySelectorAll('#sides button')[1].disabled")
    page.run("tasklogReport.panels.show('workers')")
    page.run("document.querySelectorAll('#sides button')[1].click()")
    assert page.run("tasklogReport.panels.side.letter") == "B"
    assert page.problems == []


def test_runs_of_several_logs_are_shown_as_one(report, logs, rows):
    page = report("engine", "--log", logs["sample"])
    runs = page.run("tasklogReport.sides[0].runs.map((r) => r.engine)")
    # In the order in which they began: the sample is an old one.
    assert runs == ["dask", "tasklog"]
    engine = rows("engine", "SELECT count(*) FROM tasks")[0][0]
    sample = rows("sample", "SELECT count(*) FROM tasks WHERE run = 2")[0][0]
    assert page.run("tasklogReport.sides[0].totals().tasks") == engine + sample


def test_the_same_run_from_two_logs_is_there_once(report, logs, rows, tmp_path: Path):
    copy = tmp_path / "copy.db"
    copy.write_bytes(logs["engine"].read_bytes())
    page = report("engine", "--log", copy)
    count = rows("engine", "SELECT count(*) FROM events")[0][0]
    assert page.run("tasklogReport.sides[0].totals().events") == count
    assert page.run("tasklogReport.sides[0].runs.length") == 1


Report = Callable[..., Page]
