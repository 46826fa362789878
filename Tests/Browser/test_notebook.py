"""What a notebook shows, in pages of nbconvert and in JupyterLab, light and dark."""

from __future__ import annotations

import html
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

import notebooks
from chromium import Chromium, Page
from conftest import keep_picture

HTML = "text/html"


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list[dict[str, Any]]]]:
    folder = tmp_path_factory.mktemp("notebook")
    path = notebooks.write(folder, notebooks.CELLS)
    return path, notebooks.execute(path)


def shown(outputs: list[dict[str, Any]]) -> str:
    """The HTML of the last output of a cell."""
    found = [each["data"][HTML] for each in outputs if HTML in each.get("data", {})]
    assert found, outputs
    text = found[-1]
    return text if isinstance(text, str) else "".join(text)


def words(fragment: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", " ", fragment))


def test_fragments_have_no_scripts_and_load_nothing(executed: Any) -> None:
    _, outputs = executed
    fragments = [shown(outputs[cell]) for cell in (3, 4, 5, 6, 7, 8)]
    for fragment in fragments:
        tags = set(re.findall(r"<(\w+)", fragment))
        assert tags <= {
            "div", "span", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "pre",
            "svg", "rect", "text",
        }, tags  # fmt: skip
        assert not re.search(r"\son\w+=|javascript:|url\(|\ssrc=|\shref=|@import", fragment)
    # A key and an exception with tags in them are text.
    assert "&lt;b&gt;bad" in fragments[1] and "&lt;script&gt;alert(1)" in fragments[1]


def test_a_run_shows_its_totals_failures_and_task_stream(executed: Any) -> None:
    _, outputs = executed
    fragment = shown(outputs[3])
    text = words(fragment)
    for figure in ("42 tasks", "2 failed", "2 workers", "closed end", "pipeline etl"):
        assert re.search(r"\b" + figure.replace(" ", r"\s+") + r"\b", text), (figure, text)
    assert "ValueError" in text and "alert(1)" in text
    # Two lanes and their names, and at least one rectangle for work in each.
    assert fragment.count('opacity="0.12"') == 2 and fragment.count("<rect") > 4


def test_a_log_a_story_errors_and_a_comparison_are_tables(executed: Any) -> None:
    _, outputs = executed
    log = words(shown(outputs[6]))
    assert log.count("closed") == 2 and "etl" in log and "other" in log
    story = words(shown(outputs[5]))
    assert "after-bad" in story and "waiting" in story and "erred" in story
    errors = words(shown(outputs[4]))
    assert "Tasks that failed because of them" in errors and ", in fail" in errors
    comparison = words(shown(outputs[8]))
    assert "load" in comparison and "fail" in comparison or "bad" in comparison


def test_the_report_is_in_a_frame_without_rights_up_to_a_size(executed: Any) -> None:
    path, outputs = executed
    for cell in (2, 9):
        fragment = shown(outputs[cell])
        assert re.match(r'<iframe sandbox="allow-scripts" srcdoc="', fragment)
        assert fragment.count("<iframe") == 1 and "allow-same-origin" not in fragment
    assert str(path.parent / "report.html") in shown(outputs[10])
    assert (path.parent / "report.html").stat().st_size > 1000


def magic(folder: Path, line: str, cell: str, before: str = "", code: int = 1) -> str:
    """The output of IPython that runs a cell with the magic."""
    program = (
        f"{before}\n%load_ext tasklog\nget_ipython().run_cell_magic('tasklog', {line!r}, {cell!r})"
    )
    return notebooks.run(folder, "IPython", "--colors=NoColor", "-c", program, code=code)


def test_an_error_in_a_recorded_cell_is_the_error_of_the_cell(tmp_path: Path) -> None:
    output = magic(tmp_path, "--log run.db", "found = client\n1 / 0", notebooks.CELLS[0])
    assert "ZeroDivisionError" in output
    with sqlite3.connect(tmp_path / "run.db") as log:
        assert log.execute("SELECT end FROM run").fetchall() == [("closed",)]


def test_the_value_of_the_last_expression_is_the_result_of_the_cell(tmp_path: Path) -> None:
    cell = "kept = client.submit(load, 41).result() + 1\nkept"
    before = notebooks.CELLS[0]
    output = magic(tmp_path, "--log run.db --label a=b", cell, before, code=0)
    # A terminal gets the path of the page.
    (page,) = re.findall(r"open (/\S+\.html) in a browser", output)
    Path(page).unlink()
    assert re.search(r"Out\[\d+\]: 42|^42$", output, re.M)
    with sqlite3.connect(tmp_path / "run.db") as log:
        assert log.execute("SELECT labels FROM runs").fetchall() == [('{"a":"b"}',)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--label pipeline", "expected NAME=VALUE"),
        ("--nonsense", "unrecognized arguments: --nonsense"),
        ("--height tall", "invalid int value: 'tall'"),
    ],
)
def test_a_wrong_option_of_the_magic_is_a_usage_error(
    tmp_path: Path, line: str, message: str
) -> None:
    output = magic(tmp_path, line, "1")
    assert "UsageError" in output and message in output


def contrast(tab: Page, selector: str) -> float:
    """The lowest contrast of the text of elements against what is behind the notebook's output."""
    return tab.run(
        f"""(() => {{
          const probe = document.createElement("canvas").getContext("2d");
          const rgba = (color) => {{
            probe.clearRect(0, 0, 1, 1); probe.fillStyle = color; probe.fillRect(0, 0, 1, 1);
            return [...probe.getImageData(0, 0, 1, 1).data];
          }};
          const light = (color) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, index) => {{
            const value = color[index] / 255;
            return sum + weight * (value <= 0.03928 ? value / 12.92
              : ((value + 0.055) / 1.055) ** 2.4);
          }}, 0);
          const behind = (element) => {{
            for (let each = element; each; each = each.parentElement) {{
              const color = rgba(getComputedStyle(each).backgroundColor);
              if (color[3] > 250) return color;
            }}
            return [255, 255, 255, 255];
          }};
          let lowest = 21;
          for (const element of document.querySelectorAll({selector!r})) {{
            if (!element.textContent.trim()) continue;
            const style = getComputedStyle(element);
            const color = style.fill && element.tagName === "text" ? style.fill : style.color;
            const [one, two] = [light(rgba(color)), light(behind(element))];
            const [high, low] = one > two ? [one, two] : [two, one];
            lowest = Math.min(lowest, (high + 0.05) / (low + 0.05));
          }}
          return lowest;
        }})()"""
    )


TEXTS = ".tasklog td, .tasklog th, .tasklog svg text, .tasklog > div:first-child"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nbconvert_makes_a_page_that_is_readable(executed: Any, tab: Page, theme: str) -> None:
    path, _ = executed
    page = notebooks.convert(path, theme)
    tab.scheme(theme)
    tab.call("Page.navigate", url=page.resolve().as_uri())
    tab.wait("document.readyState === 'complete' && document.querySelectorAll('.tasklog').length")
    assert contrast(tab, TEXTS) > 4.5
    elsewhere = [url for url in tab.requests if not url.startswith(("file:", "data:", "about:"))]
    assert elsewhere == [] and tab.dialogs == 0
    tab.wait_in_frames("document.body?.innerText.includes('load')", 2)
    keep_picture(tab, f"nbconvert-{theme}")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_jupyterlab_shows_a_notebook_that_is_readable(
    executed: Any, chromium: Chromium, tab: Page, tmp_path: Path, theme: str
) -> None:
    path, _ = executed
    shutil.copy(path, tmp_path / "notebook.ipynb")
    notebooks.run(tmp_path, "jupyter", "trust", "notebook.ipynb")
    with notebooks.lab(tmp_path, theme) as address:
        tab.size(1280, 2600)
        tab.scheme(theme)
        tab.call("Page.navigate", url=f"{address}/lab/tree/notebook.ipynb?token=token&reset")
        tab.wait("document.querySelectorAll('.jp-OutputArea .tasklog').length >= 4")
        is_dark = f"document.body.dataset.jpThemeLight === '{str(theme == 'light').lower()}'"
        tab.wait(is_dark)
        assert contrast(tab, ".jp-OutputArea " + TEXTS.replace(", ", ", .jp-OutputArea ")) > 4.5
        origins = {re.match(r"\w+:(//[^/]*)?", url)[0] for url in tab.requests}
        assert {each for each in origins if each.startswith("http")} == {address}
        assert tab.dialogs == 0
        keep_picture(tab, f"jupyterlab-{theme}")
        tab.call("Page.navigate", url="about:blank")
