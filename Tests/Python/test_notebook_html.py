"""The fragments of HTML that notebooks show, on literals."""

from __future__ import annotations

import datetime
from html.parser import HTMLParser

import pytest

from tasklog.notebook import html

HOSTILE = "\"'><script>alert(1)</script>&amp;\u202egnp\x1b[31m\x00"


class Parsed(HTMLParser):
    """The tags and the text of a fragment, whose tags are balanced."""

    VOID = {"br", "rect"}

    def __init__(self, fragment: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.open: list[str] = []
        self.feed(fragment)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    "fragment",
    [
        html.table(["key", HOSTILE], [[HOSTILE, 1]], HOSTILE, HOSTILE),
        html.card(HOSTILE, html.paragraph(HOSTILE), html.folded(HOSTILE, HOSTILE)),
        html.figures({HOSTILE: HOSTILE}, [HOSTILE]),
        html.pairs({HOSTILE: HOSTILE}),
        html.stream([html.Span(HOSTILE, 0, 1, HOSTILE)], [HOSTILE], 2, 3),
    ],
    ids=["table", "card", "figures", "pairs", "stream"],
)
def test_recorded_text_stays_text(fragment: str) -> None:
    parsed = Parsed(fragment)
    assert "script" not in parsed.tags and "<script>" in parsed.text or "…" in parsed.text
    for character in "\u202e\x1b\x00":
        assert character not in fragment
    assert "\\u{202e}" in parsed.text


def test_long_text_in_a_cell_is_cut() -> None:
    shown = Parsed(html.table(["key"], [["x" * 1000]])).text
    assert shown.endswith("…") and len(shown) < 200


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0 µs"),
        (0.0000015, "1.5 µs"),
        (0.0123, "12.3 ms"),
        (1.5, "1.5 s"),
        (59.94, "59.9 s"),
        (61, "1 min 01 s"),
        (7265, "2 h 01 min"),
        (-0.5, "-500 ms"),
        (None, ""),
    ],
)
def test_durations_are_in_a_readable_unit(value: float | None, shown: str) -> None:
    assert html.seconds(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 40, "3 TiB")]
)
def test_sizes_are_in_a_readable_unit(value: int, shown: str) -> None:
    assert html.bytes_(value) == shown


def test_cells_are_in_the_unit_of_their_column() -> None:
    time = datetime.datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=datetime.timezone.utc)
    assert html.cell("nbytes", 2048) == "2 KiB"
    assert html.cell("duration", 0.25) == "250 ms"
    assert html.cell("share", 0.126) == "13%"
    assert html.cell("time", time) == "2026-01-02 03:04:05.678"
    assert html.cell("tasks", 12345) == "12,345"
    assert html.cell("nbytes", None) == ""
    # What is not a number in such a column is shown as it is.
    assert html.cell("nbytes", "many") == "many"


def test_columns_without_values_are_left_out() -> None:
    parsed = Parsed(html.table(["key", "exception", "run"], [["a", None, 1], ["b", None, 1]]))
    assert "exception" not in parsed.text and "key" in parsed.text and "run" in parsed.text
    assert "no rows" in Parsed(html.table(["key"], [])).text


def test_the_stream_has_a_lane_for_each_worker_and_work_within_it() -> None:
    spans = [
        html.Span("one", 0, 5, "load"),
        html.Span("two", 5, 20, "sum", has_failed=True),
        html.Span("two", -1, 0.01, "load", density=0.5),
        html.Span("three", 1, 2, "load"),
    ]
    fragment = html.stream(spans, ["one", "two"], 10, 1)
    parsed = Parsed(fragment)
    # Two lanes and three stretches of work; a worker without a lane has none.
    assert fragment.count("<rect") == 5 and "1 more worker is not shown" in parsed.text
    assert html.FAILED in fragment and "failed" in parsed.text and "10 s" in parsed.text
    for part in fragment.split("<rect ")[1:]:
        left, width = (float(part.split(f'{name}="')[1].split('"')[0]) for name in ("x", "width"))
        assert 150 <= left <= 900 and 0 < width <= 750.1
    assert html.stream([], ["one"], 10) == ""
