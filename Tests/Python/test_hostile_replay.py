"""Replays in a folder of strangers, and of their logs: nothing that is there is run, and a log
that cannot be replayed ends with one line that names the event."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

#: What a Python program imports, the host of plugins, and Python itself when it starts.
NAMES = [
    "json", "numpy", "asyncio", "msgpack", "distributed", "dask", "tasklog", "os", "signal",
    "collections", "typing", "encodings", "sitecustomize", "usercustomize", "inspect", "logging",
    "cloudpickle", "resource", "gc", "tornado", "yaml",
]  # fmt: skip

COUNTER = """
import json
import helper

class Counter:
    def __init__(self):
        self.counter = 0
        self.helper = helper.VALUE
        self.json = json.dumps([1])

    def transition(self, key, start, finish, *args, **kwargs):
        self.counter += 1

class Reading(Counter):
    def transition(self, key, start, finish, *args, **kwargs):
        super().transition(key, start, finish)
        self.last = kwargs

class Looking(Counter):
    def start(self, scheduler):
        self.scheduler = scheduler

    def transition(self, key, start, finish, *args, **kwargs):
        super().transition(key, start, finish)
        self.tasks = len(self.scheduler.tasks)
"""


@pytest.fixture
def traps(tmp_path: Path) -> Path:
    """A folder with modules that leave a mark when they are run."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.py").write_text(
            f"import os\nopen({str(tmp_path / 'run')!r}, 'a').write({name!r} + '\\n')\n"
        )
    (folder / "counter.py").write_text(COUNTER)
    (folder / "helper.py").write_text("VALUE = 7\n")
    return folder


def _replay(
    program: Path, log: Path, folder: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    return subprocess.run(
        [program, "replay", "--log", log, "--python", sys.executable, *arguments],
        cwd=folder,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"PYTHONPATH": ""},
        {"PYTHONPATH": os.pathsep},
        {"PYTHONPATH": "/no/such/folder" + os.pathsep},
        {"PYTHONPATH": "."},
        {"PYTHONPATH": f".{os.sep}{os.pathsep}/no/such/folder"},
        {"PYTHONSAFEPATH": "1"},
    ],
    ids=str,
)
@pytest.mark.parametrize("plugin", ["counter:Counter", "counter.py:Counter"])
def test_modules_in_the_current_folder_do_not_replace_others(
    demo: Path, tasklog: Any, traps: Path, environment: dict[str, str], plugin: str
) -> None:
    done = _replay(
        tasklog.program, demo, traps, f"--plugin={plugin}", "--result=counter",
        f"--result={plugin}:helper", **environment,
    )  # fmt: skip
    assert not (traps.parent / "run").exists(), (traps.parent / "run").read_text()
    assert done.returncode == 0, done.stderr
    counter, helper = done.stdout.split()
    assert int(counter) > 20 and helper == "7"


def test_what_is_not_installed_is_not_taken_from_the_current_folder(
    demo: Path, tasklog: Any, traps: Path
) -> None:
    """A plugin from elsewhere does not open the current folder, not even for names that are
    nowhere else."""
    (traps / "helper.py").unlink()
    (traps / "optional_module.py").write_text(f"open({str(traps.parent / 'run')!r}, 'w').close()\n")
    elsewhere = traps.parent / "installed"
    elsewhere.mkdir()
    (elsewhere / "mine.py").write_text(
        "try:\n    import optional_module\nexcept ImportError:\n    pass\n"
        "class Counter:\n    counter = 0\n"
        "    def transition(self, *args, **kwargs): self.counter += 1\n"
    )
    done = _replay(
        tasklog.program, demo, traps, "--plugin=mine:Counter", "--result=counter",
        PYTHONPATH=str(elsewhere),
    )  # fmt: skip
    assert done.returncode == 0 and int(done.stdout) > 20, done.stderr
    assert not (traps.parent / "run").exists()


def test_a_plugin_sent_from_python_does_not_open_the_current_folder(
    demo: Path, tasklog: Any, traps: Path
) -> None:
    """`Run.replay` in a program of another folder, such as a notebook's kernel."""
    script = traps.parent / "script.py"
    script.write_text(
        "import os, sys, tasklog, msgpack, json, distributed, asyncio, numpy\n"
        "class Counter:\n    counter = 0\n"
        "    def transition(self, *args, **kwargs): self.counter += 1\n"
        # As in an interactive session.
        "sys.path.insert(0, '')\n"
        f"print(tasklog.open({str(demo)!r}).run().replay(Counter).counter)\n"
    )
    done = subprocess.run(
        [sys.executable, script], cwd=traps, capture_output=True, text=True, timeout=120,
        env={**os.environ, "TASKLOG_PROGRAM": str(tasklog.program)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20
    assert not (traps.parent / "run").exists(), (traps.parent / "run").read_text()


def _damaged(demo: Path, copy: Path, column: str, value: str) -> int:
    """Copies the log with another value in the 30th transition of the scheduler; its seq."""
    with sqlite3.connect(demo) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    with sqlite3.connect(copy) as connection:
        ((seq, key),) = connection.execute(
            """
            SELECT seq, key FROM event JOIN source ON source.id = source
            WHERE kind = 'scheduler' AND hook = (SELECT id FROM text WHERE text = 'transition')
            ORDER BY seq LIMIT 1 OFFSET 30
            """
        )
        if column == "key":
            connection.execute("UPDATE key SET typed = ? WHERE id = ?", (value, key))
            ((seq,),) = connection.execute("SELECT min(seq) FROM event WHERE key = ?", (key,))
        else:
            connection.execute(f"UPDATE event SET {column} = ? WHERE seq = ?", (value, seq))
    return seq


HOSTILE = {
    "deep args": ("args", '{"$args":[' + "[" * 100_000 + "]" * 100_000 + "]}"),
    "a deep snapshot": ("snapshot", '{"a":' * 100_000 + "1" + "}" * 100_000),
    "args that are no object": ("args", "[1]"),
    "an unhashable element": ("args", '{"$args":[{"$set":[[1]]}]}'),
    "an unhashable key": ("key", "[1]"),
    "a deep key": ("key", '{"$tuple":[' * 50_000 + "]}" * 50_000),
    "tens of gigabytes by a number": ("args", '{"a":{"$bytearray":30000000000}}'),
    "a number without end": ("args", '{"a":{"$int":"' + "9" * 100_000 + '"}}'),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_event_ends_a_replay_with_its_seq_in_one_line(
    demo: Path, tasklog: Any, traps: Path, what: str
) -> None:
    log = traps.parent / "log.db"
    seq = _damaged(demo, log, *HOSTILE[what])
    name = "Looking" if what in ("a deep snapshot", "an unhashable key") else "Reading"
    done = _replay(tasklog.program, log, traps, f"--plugin=counter.py:{name}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line]
    assert len(lines) == 1 and len(lines[0]) < 600, done.stderr[:2000]
    assert f"seq {seq}" in lines[0], lines[0]


def test_the_memory_of_a_replay_is_bounded(demo: Path, tasklog: Any, traps: Path) -> None:
    """A hundred times a text that takes twenty times its size as objects."""
    log = traps.parent / "log.db"
    text = json.dumps({"$args": [[]] * 1_000_000}, separators=(",", ":"))
    _damaged(demo, log, "args", text)
    with sqlite3.connect(log) as connection:
        connection.execute("UPDATE event SET args = ? WHERE seq > 20", (text,))
    (traps / "keeping.py").write_text(
        "class Keeping:\n    def __init__(self): self.kept = []\n"
        "    def transition(self, key, start, finish, *args, **kwargs): self.kept.append(args)\n"
    )
    done = _replay(
        tasklog.program, log, traps, "--plugin=keeping.py:Keeping", "--memory-limit=500MiB"
    )
    assert done.returncode == 1, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line]
    assert "500 MiB" in line and "--memory-limit" in line and "seq " in line
