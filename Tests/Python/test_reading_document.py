"""Every example of the page about reading logs runs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from documents import CATALOG
from test_reading import FROZEN

PAGE = (CATALOG / "ReadingInPython.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)


def test_every_example_runs(
    tmp_path: Path,
    tasklog: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TASKLOG_PROGRAM", str(tasklog.program))
    monkeypatch.chdir(tmp_path)
    (recorded, other) = (path for path in FROZEN if path.name in ("v2-dask.db", "v2-demo.db"))
    shutil.copy(recorded, "run.db")
    Path("logs").mkdir()
    shutil.copy(other, "logs/other.db")
    # As it is named by a recorder with `logs/{run}.db`.
    shutil.copy(recorded, "logs/01a22337-e14b-7b31-b9cd-721d1df3336c.db")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    assert len(EXAMPLES) > 8
    for example in EXAMPLES:
        exec(compile(example, "ReadingInPython.md", "exec"), namespace)
    assert namespace["counter"].count > 5
    assert len(namespace["frame"]) == len(namespace["table"]) == 9
    printed = capsys.readouterr().out
    assert "no.db: there is no such log" in printed and "increment" in printed
    assert Path("report.html").stat().st_size > 10_000 and Path("run.pftrace").exists()


def test_the_page_lists_every_table() -> None:
    import tasklog

    listed = set(re.findall(r"^\| `run\.(\w+)", PAGE, re.M))
    others = {
        "id", "number", "labels", "replay", "state_at", "report", "export", "anonymize", "sql",
        "log", "info", "show",
    }  # fmt: skip
    public = {name for name in vars(tasklog.Run) if not name.startswith("_")}
    assert listed == public - others
