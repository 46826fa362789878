"""The examples of the page about recording from code, as they are."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from clusters import wait_for
from documents import CATALOG

PAGE = (CATALOG / "RecordFromCode.md").read_text()
SCRIPTS = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the examples leave, and what they print."""
    import duckdb
    import duckdb_extension_sqlite_scanner as scanner

    folder = tmp_path_factory.mktemp("documented")
    # As DuckDB keeps an extension that it has downloaded.
    (found,) = Path(scanner.__file__).parent.glob(f"extensions/v{duckdb.__version__}/*")
    version = f"v{duckdb.__version__}"
    platform = duckdb.sql("PRAGMA platform").fetchone()[0]
    kept = folder / ".duckdb" / "extensions" / version / platform
    kept.mkdir(parents=True)
    (kept / "sqlite_scanner.duckdb_extension").symlink_to(found)
    code = "\n".join(blocks("python"))
    script = folder / "examples.py"
    script.write_text(f"if __name__ == '__main__':\n    exec({code!r}, globals())\n")
    done = subprocess.run(
        [sys.executable, script],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "TASKLOG_WORKER_SPOOL": str(folder / "spool")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "printed").write_text(done.stdout)
    return folder


def test_the_examples_in_python_run_and_print_what_they_say(folder: Path) -> None:
    printed = (folder / "printed").read_text()
    assert "100 tasks in" in printed
    assert sum(map(int, re.findall(r"^tcp://\S+ (\d+)$", printed, re.M))) == 100
    assert f"{folder / 'run.db'} on" in printed and "0 events dropped" in printed
    assert re.search(r"Status\(run='[0-9a-f-]{36}', recording=True", printed)
    rows = re.findall(r"^\S{36} \{.*\} \S+ \S+ ", printed, re.M)
    assert len(rows) == 2 and "etl" in rows[0]
    # DuckDB's table.
    assert re.search(r"square +│ +200", printed)


def test_sqlite_utils_prints_a_view(folder: Path) -> None:
    (command,) = [each for each in blocks("bash") if each.startswith("sqlite-utils")]
    done = subprocess.run(
        [SCRIPTS / "sqlite-utils", *shlex.split(command)[1:]],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) == 7, done.stdout + done.stderr
    assert "key" in lines[0] and "memory" not in lines[0] and "square-" in lines[2]


def test_datasette_shows_a_view(folder: Path) -> None:
    (command,) = [each for each in blocks("bash") if each.startswith("datasette")]
    output = folder / "datasette"
    with open(output, "wb") as file:
        process = subprocess.Popen(
            [SCRIPTS / "datasette", *shlex.split(command)[1:], "--port", "0"],
            cwd=folder,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        found = wait_for(
            lambda: re.search(r"running on (http://\S+)", output.read_text()), "datasette"
        )
        url = f"{found[1].rstrip('/')}/run/tasks.json?_shape=array&_size=3"
        with urlopen(url, timeout=60) as answer:
            text = answer.read().decode()
        assert text.count('"prefix": "square"') == 3
    finally:
        process.terminate()
        process.wait(60)
