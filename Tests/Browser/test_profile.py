"""The flame graph of the page, why workers left, and the scheduler's event loop."""

from __future__ import annotations

import json

import pytest

from conftest import keep_picture

BOXES = """[...document.querySelectorAll('.flame > div')].map((box) => ({
  name: box.textContent, level: Number(box.getAttribute('aria-level')),
  width: parseFloat(box.style.width), words: box.getAttribute('aria-label') }))"""
FOCUSED = "document.activeElement.getAttribute('aria-label')"


def open_tab(page, name: str) -> None:
    page.run(f"document.getElementById('tab-{name}').click()")
    page.settle()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_boxes_are_as_wide_as_their_shares(scheme, report, verb, tab):
    tab.scheme(scheme)
    page = report("dask")
    open_tab(page, "profile")
    page.run("document.querySelector('.flame').scrollIntoView({ block: 'center' })")
    keep_picture(page, f"profile-{scheme}")
    rows = {row["function"]: row for row in verb("dask", "time", "--by", "function")}
    boxes = page.run(BOXES)
    assert boxes[0]["level"] == 1 and boxes[0]["width"] == 100
    # It is called from nowhere else.
    (increment,) = [box for box in boxes if box["words"].startswith("increment · <")]
    assert increment["width"] == pytest.approx(100 * rows["increment"]["share"], abs=0.01)
    assert page.problems == []


def test_the_table_of_functions_is_that_of_the_command(report, verb):
    page = report("dask")
    open_tab(page, "profile")
    shown = page.run(
        """[...document.querySelectorAll('#panel tbody tr')].map((row) =>
             [row.cells[0].textContent, row.cells[4].textContent])"""
    )
    rows = verb("dask", "time", "--by", "function")
    assert sorted(map(tuple, shown)) == sorted(
        (row["function"], f"{row['file']}:{row['line']}") for row in rows
    )


def test_the_flame_graph_is_used_with_the_keyboard(report):
    page = report("dask")
    open_tab(page, "profile")
    page.run("document.querySelector('.flame [tabindex=\"0\"]').focus()")
    assert page.run(FOCUSED).startswith("all prefixes")
    before = len(page.run(BOXES))
    page.key("ArrowDown")
    first = page.run(FOCUSED)
    assert not first.startswith("all prefixes")
    page.key("ArrowDown")
    second = page.run(FOCUSED)
    assert second != first
    page.key("ArrowUp")
    assert page.run(FOCUSED) == first
    page.key("ArrowDown")
    assert page.run("document.querySelector('.flame-detail').textContent") == second
    page.key("Enter")
    zoomed = page.run(BOXES)
    assert [box["width"] for box in zoomed if box["words"] == second] == [100]
    assert page.run(FOCUSED) == second
    page.key("Escape")
    assert len(page.run(BOXES)) == before


def test_a_prefix_has_its_own_flame_graph(report, verb):
    page = report("dask")
    open_tab(page, "profile")
    page.run(
        """(() => {
          const choice = document.querySelector('.profile-choice');
          choice.value = [...choice.options].find((each) => each.text === 'increment').value;
          choice.dispatchEvent(new Event('change'));
        })()"""
    )
    rows = {
        row["function"]: row
        for row in verb("dask", "time", "--by", "function", "--prefix", "increment")
    }
    boxes = page.run(BOXES)
    assert boxes[0]["words"].startswith("increment · ")
    (increment,) = [box for box in boxes if box["words"].startswith("increment · <")]
    assert increment["width"] == pytest.approx(100 * rows["increment"]["share"], abs=0.01)


def test_without_a_profile_there_is_no_tab(report):
    page = report("engine")
    assert page.run("document.getElementById('tab-profile')") is None


# Workers that left


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_table_of_workers_says_why_they_left(scheme, report, verb, tab):
    tab.scheme(scheme)
    page = report("dask")
    open_tab(page, "workers")
    page.run("document.getElementById('panel').scrollIntoView({ block: 'center' })")
    keep_picture(page, f"ends-{scheme}")
    told = page.run(
        """tasklogReport.sides[0].workers.filter((each) => each.end).map((each) =>
             [each.address, each.end.cause, each.end.explanation, each.end.evidence])"""
    )
    rows = verb("dask", "workers", "--deaths")
    assert len(rows) > 2 and "exited" in {row["cause"] for row in rows}
    assert sorted(map(json.dumps, told)) == sorted(
        json.dumps([row["worker"], row["cause"], row["explanation"], row["evidence"]])
        for row in rows
    )
    text = page.run("document.getElementById('panel').textContent")
    assert all(row["explanation"] in text for row in rows)


def test_a_lane_says_why_its_worker_left(report, verb):
    page = report("dask")
    page.run("document.querySelector('.stream').scrollIntoView({ block: 'center' })")
    page.settle()
    # Where its first worker to leave is absent, near the end of the run.
    y = page.run(
        """(() => {
          const side = tasklogReport.sides[0];
          const worker = side.workers.filter((each) => each.end && each.lanes.length)
            .sort((a, b) => a.left - b.left)[0];
          return worker.lanes[0].y + 4;
        })()"""
    )
    box = page.box(".pane canvas.over")
    page.mouse("mouseMoved", box["x"] + box["width"] - 3, box["y"] + y)
    page.wait("!document.getElementById('tip').hidden")
    text = page.run("document.getElementById('tip').textContent")
    row = min(verb("dask", "workers", "--deaths"), key=lambda each: each["left"])
    assert row["cause"] in text and row["explanation"] in text


# The scheduler


def test_the_event_loop_of_the_scheduler_is_a_curve(report, rows):
    page = report("dask")
    late = rows("dask", "SELECT max(args ->> '$.late') FROM events WHERE hook = 'monitor'")[0][0]
    scheduler = page.run("tasklogReport.sides[0].resourceGrid.scheduler")
    assert max(scheduler["late"]) == pytest.approx(late * 1e6, abs=1)
    page.run("[...document.querySelectorAll('.track')].at(-1).scrollIntoView({ block: 'center' })")
    page.settle()
    labels = page.run("[...document.querySelectorAll('.track .label')].map((l) => l.textContent)")
    assert any(label.startswith("Scheduler's event loop") for label in labels)
