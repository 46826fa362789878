"""Fragments of HTML for notebooks.

They have no scripts and load nothing, and are readable on a light and on a dark background: text
has the colour of its surroundings, and lines and areas are half transparent. Styles are at the
elements: JupyterLab removes style sheets from a notebook that is not trusted.
"""

from __future__ import annotations

import datetime
import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Categorical colours that are distinct on white and on black.
COLORS = (
    "#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#76b7b2", "#edc948", "#9c755f", "#ff9da7",
    "#86bcb6", "#8cd17d", "#d4a6c8", "#a0785a",
)  # fmt: skip
FAILED = "#e5393a"
_FAINT = "rgba(128,128,128,0.35)"
_MONO = "font-family:ui-monospace,Menlo,Consolas,monospace"
#: Longer texts in cells are cut.
_LONGEST = 120


@dataclass(frozen=True)
class Span:
    """A stretch of work in a lane of the task stream, in seconds from the beginning of the run."""

    lane: str
    start: float
    stop: float
    kind: str
    #: The share of the stretch in which there was work.
    density: float = 1.0
    has_failed: bool = False


def text(value: Any) -> str:
    """A value of a cell, escaped."""
    return html.escape(plain(value))


def plain(value: Any) -> str:
    """A value as text."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else str(value)
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    if isinstance(value, bool) or not isinstance(value, int):
        found = _visible(str(value))
        return found if len(found) <= _LONGEST else found[: _LONGEST - 1] + "…"
    return f"{value:,}"


def _visible(text: str) -> str:
    """Shows characters that would change the direction of text or are invisible as codes."""
    return "".join(
        each if each.isprintable() or each in "\n\t" else f"\\u{{{ord(each):x}}}" for each in text
    )


def seconds(value: float | None) -> str:
    """A duration in a readable unit."""
    if value is None:
        return ""
    if value < 0:
        return "-" + seconds(-value)
    for unit, length in (("µs", 1e-6), ("ms", 1e-3), ("s", 1.0)):
        if value < 1000 * length or unit == "s":
            break
    if unit != "s" or value < 60:
        return f"{value / length:.3g} {unit}"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def bytes_(value: int | None) -> str:
    """A size in a readable unit."""
    if value is None:
        return ""
    size = float(value)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.3g} {unit}"


_TITLES = {"nbytes": "size", "count(*)": "count"}
_SECONDS = {
    "seconds", "duration", "elapsed", "compute", "busy", "p50", "p95", "max", "compute1",
    "compute2", "p50_1", "p50_2", "max1", "max2",
}  # fmt: skip
_BYTES = {"nbytes", "nbytes1", "nbytes2", "bytes"}
_SHARES = {"share", "utilization", "occupancy"}


def cell(column: str, value: Any) -> str:
    """A cell's text, escaped, in the unit of its column."""
    if value is not None and not isinstance(value, (str, datetime.datetime)):
        try:
            if column in _SECONDS:
                return html.escape(seconds(float(value)))
            if column in _BYTES:
                return html.escape(bytes_(int(value)))
            if column in _SHARES:
                return html.escape(f"{float(value):.0%}")
        except (TypeError, ValueError):
            pass
    return text(value)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "", more: str = ""
) -> str:
    """A table; columns without values are left out."""
    rows = [list(row) for row in rows]
    shown = [
        index
        for index in range(len(columns))
        if not rows or any(row[index] is not None for row in rows)
    ]
    head = "".join(
        f'<th style="text-align:left;padding:2px 10px 2px 0;border-bottom:1px solid {_FAINT};'
        f'white-space:nowrap">{text(columns[index])}</th>'
        for index in shown
    )
    body = []
    for row in rows:
        cells = []
        for index in shown:
            value = row[index]
            side = "right" if isinstance(value, (int, float)) else "left"
            cells.append(
                f'<td style="text-align:{side};padding:1px 10px 1px 0;vertical-align:top;'
                f'white-space:pre;{_MONO};font-size:90%">{cell(columns[index], value)}</td>'
            )
        body.append(f'<tr style="background:transparent">{"".join(cells)}</tr>')
    title = (
        f'<div style="font-weight:600;margin:6px 0 2px">{text(caption)}</div>' if caption else ""
    )
    rest = f'<div style="opacity:0.7">{text(more)}</div>' if more else ""
    if not rows:
        return f'{title}<div style="opacity:0.7">no rows</div>'
    return (
        f'{title}<div style="overflow-x:auto"><table style="border-collapse:collapse;margin:0;'
        f'color:inherit;border:none"><thead><tr style="background:transparent">{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>{rest}"
    )


def card(title: str, *parts: str) -> str:
    """A block with a title, of parts that are HTML already."""
    return (
        f'<div class="tasklog" style="color:inherit;border:1px solid {_FAINT};border-radius:6px;'
        'padding:10px 14px;margin:4px 0;max-width:1000px;line-height:1.4">'
        f'<div style="font-weight:600;font-size:110%;margin-bottom:4px">{text(title)}</div>'
        f"{''.join(parts)}</div>"
    )


def figures(values: Mapping[str, Any], bad: Iterable[str] = ()) -> str:
    """Numbers side by side, each above its name."""
    bad = set(bad)
    blocks = []
    for name, value in values.items():
        if value in (None, ""):
            continue
        color = FAILED if name in bad else "inherit"
        blocks.append(
            '<div style="margin-right:26px">'
            f'<div style="font-size:125%;color:{color}">{text(value)}</div>'
            f'<div style="opacity:0.7;font-size:85%">{text(name)}</div></div>'
        )
    return f'<div style="display:flex;flex-wrap:wrap;margin:4px 0 8px">{"".join(blocks)}</div>'


def pairs(values: Mapping[str, Any]) -> str:
    """Names with their values in one line."""
    shown = [
        f'<span style="margin-right:16px"><span style="opacity:0.7">{text(name)}</span> '
        f'<span style="{_MONO};font-size:90%">{text(value)}</span></span>'
        for name, value in values.items()
        if value not in (None, "", {})
    ]
    return f'<div style="margin:2px 0">{"".join(shown)}</div>' if shown else ""


def folded(title: str, body: str) -> str:
    """Text behind a title that opens it, without a script."""
    return (
        f'<details style="margin:2px 0"><summary style="cursor:pointer">{text(title)}</summary>'
        f'<pre style="{_MONO};font-size:85%;margin:4px 0 4px 14px;color:inherit;'
        f'background:transparent;white-space:pre-wrap">{html.escape(_visible(body))}</pre></details>'
    )


def paragraph(words: str, color: str = "inherit") -> str:
    return f'<div style="color:{color};margin:2px 0">{text(words)}</div>'


_WIDTH, _LEFT, _LANE, _GAP = 900, 150, 14, 3


def stream(spans: Sequence[Span], lanes: Sequence[str], length: float, hidden: int = 0) -> str:
    """A small task stream as SVG: one lane for each worker.

    spans:
        What is drawn.
    lanes:
        The names of the lanes, from the top.
    length:
        The length of the run in seconds.
    hidden:
        The number of workers that have no lane.
    """
    if not spans or length <= 0:
        return ""
    kinds: dict[str, float] = {}
    for span in spans:
        kinds[span.kind] = kinds.get(span.kind, 0) + (span.stop - span.start) * span.density
    order = sorted(kinds, key=lambda kind: -kinds[kind])
    colors = {
        kind: COLORS[place] if place < len(COLORS) else "#888888"
        for place, kind in enumerate(order)
    }
    scale = (_WIDTH - _LEFT) / length
    height = len(lanes) * (_LANE + _GAP)
    rows = {lane: place * (_LANE + _GAP) for place, lane in enumerate(lanes)}
    parts = []
    for lane, top in rows.items():
        name = lane if len(lane) <= 22 else "…" + lane[-21:]
        parts.append(
            f'<text x="0" y="{top + 11}" font-size="11" fill="currentColor" opacity="0.8">'
            f"{text(name)}</text>"
            f'<rect x="{_LEFT}" y="{top}" width="{_WIDTH - _LEFT}" height="{_LANE}" '
            'fill="#808080" opacity="0.12"/>'
        )
    for span in spans:
        if span.lane not in rows:
            continue
        left = _LEFT + max(0.0, span.start) * scale
        width = max(0.6, (min(span.stop, length) - max(0.0, span.start)) * scale)
        color = FAILED if span.has_failed else colors[span.kind]
        shade = f' fill-opacity="{max(0.25, min(1.0, span.density)):.2f}"'
        parts.append(
            f'<rect x="{left:.1f}" y="{rows[span.lane]}" width="{width:.1f}" height="{_LANE}" '
            f'fill="{color}"{shade if span.density < 1 else ""}/>'
        )
    axis = (
        f'<text x="{_LEFT}" y="{height + 12}" font-size="11" fill="currentColor" opacity="0.7">0'
        f'</text><text x="{_WIDTH}" y="{height + 12}" font-size="11" fill="currentColor" '
        f'opacity="0.7" text-anchor="end">{text(seconds(length))}</text>'
    )
    legend = "".join(
        f'<span style="margin-right:14px;white-space:nowrap"><span style="display:inline-block;'
        f'width:10px;height:10px;margin-right:5px;background:{colors[kind]}"></span>'
        f"{text(kind)}</span>"
        for kind in order[: len(COLORS)]
    )
    if any(span.has_failed for span in spans):
        legend += (
            f'<span style="white-space:nowrap"><span style="display:inline-block;width:10px;'
            f'height:10px;margin-right:5px;background:{FAILED}"></span>failed</span>'
        )
    words = "1 more worker is" if hidden == 1 else f"{hidden:,} more workers are"
    note = paragraph(f"{words} not shown") if hidden else ""
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height + 16}" role="img" aria-label="Task stream" '
        f'style="width:100%;max-width:{_WIDTH}px;height:auto;display:block;color:inherit" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}{axis}</svg>'
        f'<div style="font-size:85%;margin:2px 0 6px">{legend}</div>{note}'
    )
