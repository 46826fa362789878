"""Notebooks that are executed, converted to HTML, and opened in JupyterLab."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BUILT = Path(__file__).resolve().parents[2] / ".build"
PATIENCE = float(os.environ.get("TASKLOG_TEST_PATIENCE") or 1)
DEADLINE_SECONDS = 60 * PATIENCE

#: Records a cluster with the magic, and shows what there is to show.
CELLS = [
    """
from distributed import Client, LocalCluster
client = Client(LocalCluster(
    n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None))
def load(x):
    return x
def fail(x):
    raise ValueError(f"<script>alert(1)</script> {x}")
""",
    "%load_ext tasklog",
    """
%%tasklog --log run.db --label pipeline=etl
loaded = client.map(load, range(40))
failed = client.submit(fail, 7, key="<b>bad</b>")
after = client.submit(sum, [failed], key="after-bad")
client.gather([*loaded[:5], after], errors="skip")
""",
    "tasklog_run",
    "tasklog_run.errors()",
    "tasklog_run.story('after-bad')",
    """
import tasklog
with tasklog.record("run.db", labels={"pipeline": "other"}) as run:
    client.gather(client.map(load, range(50, 90)))
run.log
""",
    "run",
    "run.compare('#1')",
    "run.show(height=500)",
    "run.show(largest=1000, path='report.html')",
]


def environment(folder: Path) -> dict[str, str]:
    """Jupyter's own folders are in the test's."""
    names = {
        "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime", "IPYTHONDIR": "ipython",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "TASKLOG_WORKER_SPOOL": "spool",
    }  # fmt: skip
    found = [BUILT / kind / "tasklog" for kind in ("debug", "release")]
    newest = max((each for each in found if each.exists()), key=lambda each: each.stat().st_mtime)
    program = os.environ.get("TASKLOG_TEST_PROGRAM") or newest
    own = {name: str(folder / ".jupyter" / value) for name, value in names.items()}
    return {**os.environ, **own, "TASKLOG_PROGRAM": str(program), "PYTHONWARNINGS": "ignore"}


def write(folder: Path, cells: list[str], name: str = "notebook.ipynb") -> Path:
    content: dict[str, Any] = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python", "language": ""}},
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {},
                "source": source.strip(),
                "outputs": [],
                "execution_count": None,
            }
            for number, source in enumerate(cells)
        ],
    }
    path = folder / name
    path.write_text(json.dumps(content))
    return path


def run(folder: Path, *command: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=300 * PATIENCE,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def execute(path: Path) -> list[list[dict[str, Any]]]:
    """Executes a notebook in place; returns the outputs of its cells."""
    run(path.parent, "nbconvert", "--to", "notebook", "--execute", "--inplace", path.name)
    cells = json.loads(path.read_text())["cells"]
    return [cell["outputs"] for cell in cells]


def convert(path: Path, theme: str) -> Path:
    """The notebook as a page, without what nbconvert would load from elsewhere."""
    name = f"{path.stem}-{theme}.html"
    run(
        path.parent, "nbconvert", "--to", "html", "--theme", theme, "--output", name,
        "--HTMLExporter.require_js_url=", "--HTMLExporter.mathjax_url=",
        "--HTMLExporter.jquery_url=", "--HTMLExporter.mermaid_js_url=", path.name,
    )  # fmt: skip
    return path.parent / name


@contextlib.contextmanager
def lab(folder: Path, theme: str) -> Iterator[str]:
    """JupyterLab on a folder; yields its address, with a token."""
    settings = folder / ".jupyter" / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True, exist_ok=True)
    chosen = {"theme": f"JupyterLab {theme.title()}", "adaptive-theme": False}
    (settings / "themes.jupyterlab-settings").write_text(json.dumps(chosen))
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
    output = folder / f"lab-{theme}.txt"
    with open(output, "wb") as file:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0",
                "--ServerApp.port_retries=0", "--IdentityProvider.token=token",
                "--LabApp.news_url=", "--LabApp.check_for_updates_class="
                "jupyterlab.NeverCheckForUpdate",
            ],
            cwd=folder, env=environment(folder), stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", output.read_text())):
            assert process.poll() is None and time.monotonic() < deadline, output.read_text()
            time.sleep(0.1)
        yield found[0]
    finally:
        process.terminate()
        try:
            process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
