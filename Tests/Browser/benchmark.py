"""Measures the cost of the report page of a large run: writing, opening and zooming it.

    python Tests/Browser/benchmark.py [--tasks COUNT] [--rounds COUNT]

Each figure is printed next to a baseline that is measured in the same run: writing with `tasklog
summary`, which reads the same events; opening with a page of the same size without a script;
zooming with an empty frame.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from chromium import Chromium, Page

ROOT = Path(__file__).parents[2]

# Zooms in by a constant factor and out again, a step per frame, and records when frames came.
ZOOM = """(async () => {
  const { timeline } = window.tasklogReport;
  const frame = () => new Promise((go) => requestAnimationFrame(go));
  const at = timeline.view.whole * 0.37;
  timeline.view.fit();
  await new Promise((go) => setTimeout(go, 400));
  timeline.frames.length = 0;
  const times = [];
  for (let i = 0; i < 240; i++) {
    timeline.view.zoom(i < 120 ? 0.93 : 1 / 0.93, at);
    times.push(await frame());
  }
  return { between: times.slice(1).map((t, i) => t - times[i]), drawing: timeline.frames };
})()"""

EMPTY = """(async () => {
  const times = [];
  for (let i = 0; i < 120; i++) times.push(await new Promise((go) => requestAnimationFrame(go)));
  return times.slice(1).map((t, i) => t - times[i]);
})()"""


def run(*command: object) -> tuple[float, float]:
    """Seconds, and the peak memory of the process in MiB."""
    start = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"failed: {' '.join(map(str, command))}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def high(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def first_paint(page: Page) -> float:
    # A page that is loaded may not have been painted.
    page.wait("performance.getEntriesByName('first-contentful-paint').length > 0")
    return page.run("performance.getEntriesByName('first-contentful-paint')[0].startTime")


def writing(tasklog: Path, log: Path, report: Path, rounds: int) -> None:
    seconds, baseline = [], []
    memory = 0.0
    for _ in range(rounds):
        baseline.append(run(tasklog, "summary", "--log", log, "--format", "csv")[0])
        taken, used = run(tasklog, "report", "--log", log, "-o", report)
        seconds.append(taken)
        memory = max(memory, used)
    ours, other = statistics.median(seconds), statistics.median(baseline)
    print(
        f"tasklog report: {ours:.1f} s, {report.stat().st_size / 1e6:.1f} MB written, "
        f"{memory:.0f} MiB at most; tasklog summary: {other:.1f} s; ratio {ours / other:.2f}"
    )


def opening(chromium: Chromium, report: Path, rounds: int) -> None:
    plain = report.with_name("plain.html")
    size = report.stat().st_size
    plain.write_text(
        "<!doctype html><html data-ready='true'><title>plain</title><p>plain</p>"
        f"<script type='text/plain'>{'A' * size}</script>"
    )
    figures: dict[str, list[float]] = {"plain": [], "first": [], "painted": [], "ready": []}
    for _ in range(rounds):
        page = chromium.page()
        page.size(1440, 900)
        page.open(plain)
        figures["plain"].append(first_paint(page))
        page.open(report)
        page.wait("window.tasklogReport")
        figures["first"].append(first_paint(page))
        figures["painted"].append(page.run("tasklogReport.painted"))
        figures["ready"].append(page.run("tasklogReport.ready"))
        page.close()
    middle = {name: statistics.median(values) for name, values in figures.items()}
    print(
        f"Chromium: first paint {middle['first']:.0f} ms (a page of this size without a script: "
        f"{middle['plain']:.0f} ms), timeline {middle['painted']:.0f} ms, everything "
        f"{middle['ready']:.0f} ms"
    )


def zooming(chromium: Chromium, report: Path) -> None:
    page = chromium.page()
    page.size(1440, 900)
    page.open(report)
    page.wait("window.tasklogReport")
    first = page.run(ZOOM)
    again = page.run(ZOOM)
    empty = page.run(EMPTY)
    for name, result in [("first", first), ("again", again)]:
        between, drawing = result["between"], result["drawing"]
        print(
            f"zooming, {name}: a frame every {statistics.median(between):.1f} ms "
            f"(99 %: {high(between, 0.99):.1f} ms, an empty one every "
            f"{statistics.median(empty):.1f} ms), of which drawing "
            f"{statistics.median(drawing):.1f} ms (99 %: {high(drawing, 0.99):.1f} ms)"
        )
    drawn = page.run("tasklogReport.timeline.streams[0].drawn")
    memory = page.run("performance.memory.usedJSHeapSize") / 2**20
    print(f"{drawn['spans']:.0f} spans in {drawn['lanes']:.0f} lanes, {memory:.0f} MiB of heap")
    page.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--log", type=Path, help="a log that is there already")
    parser.add_argument("--programs", type=Path, default=ROOT / ".build/release")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = options.log or Path(folder) / "log.db"
        if options.log is None:
            tasks = ["--tasks", options.tasks, "--write-report-log", log]
            run(options.programs / "tasklog-bench", *tasks)
        report = Path(folder) / "report.html"
        writing(options.programs / "tasklog", log, report, options.rounds)
        chromium = Chromium()
        try:
            opening(chromium, report, options.rounds)
            zooming(chromium, report)
        finally:
            chromium.close()


if __name__ == "__main__":
    main()
