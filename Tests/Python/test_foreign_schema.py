"""Something else in the place of a table, an index or a view of a log: none of its SQL runs.

What every reader says of such a log is compared in three: the command, the native library, and
Python's own SQLite in the wheel without a native part.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

import hostile
from mutations import FROZEN
from tasklog.reading.errors import LogError
from tasklog.reading.native import NativeLog
from tasklog.reading.pure.log import PureLog

#: Never ends.
LOOP = "(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n)"

FOREIGN = {
    f"CREATE TRIGGER bad AFTER INSERT ON event BEGIN SELECT {LOOP}; END": "the trigger 'bad'",
    f"DROP TABLE task_move; CREATE VIEW task_move AS SELECT {LOOP}": "the table 'task_move'",
    "DROP VIEW tasks; CREATE TABLE tasks (key)": "the view 'tasks'",
    "CREATE TABLE worker_metrics (name)": "the view 'worker_metrics'",
    "ALTER TABLE gap ADD COLUMN x ANY AS (hex(zeroblob(100000000)))": "the table 'gap'",
    "DROP TABLE gap; CREATE VIRTUAL TABLE gap USING fts5 (source)": "the table 'gap'",
    "DROP INDEX gap_source; CREATE INDEX gap_source ON gap (hex(reason))": "'gap_source'",
    "DROP INDEX event_failure; CREATE INDEX event_failure ON event (finish) "
    "WHERE finish IN (1, length('a'))": "the index 'event_failure'",
}

#: What other programs add.
OTHERS = {
    "Datasette": "CREATE TABLE _memory (a); CREATE TABLE [found] ([key] TEXT);"
    "CREATE VIRTUAL TABLE [found_fts] USING FTS5 ([key], content=[found]);"
    "CREATE TRIGGER [found_ai] AFTER INSERT ON [found] BEGIN SELECT 1; END;",
    "sqlite-utils": "CREATE INDEX [idx_event_time]\n    ON [event] ([time]);"
    "CREATE VIEW [mine] AS SELECT * FROM events; ANALYZE;",
}


def log_with(sql: str, folder: Path, frozen: str = "v2-demo") -> Path:
    path = folder / "log.db"
    shutil.copy(FROZEN / f"{frozen}.db", path)
    path.chmod(0o600)
    with closing(sqlite3.connect(path, isolation_level=None)) as log:
        log.executescript(sql)
    return path


def end(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [hostile.program(), *hostile.arguments(command)],
        cwd=folder, capture_output=True, text=True, timeout=hostile.SECONDS,
    )  # fmt: skip


@pytest.mark.parametrize("sql", FOREIGN)
def test_all_readers_refuse_a_schema_of_others_in_the_same_words(sql: str, tmp_path: Path) -> None:
    path = log_with(sql, tmp_path)
    expected = f"{path}: is not used, as it may run SQL of others: "
    with pytest.raises(LogError) as native:
        NativeLog([str(path)])
    with pytest.raises(LogError) as pure:
        PureLog([str(path)])
    assert str(native.value).startswith(expected) and FOREIGN[sql] in str(native.value)
    assert str(pure.value) == str(native.value)
    for command in ("summary", "index", "prune --keep-runs 0", "migrate log.db", "import nothing",
                    "merge log.db --into other.db", "recover"):  # fmt: skip
        done = end(command, tmp_path)
        assert done.returncode == 1, command
        assert FOREIGN[sql] in done.stderr and done.stderr.count("\n") == 1, done.stderr
    done = end("check", tmp_path)
    assert done.returncode == 2 and "foreign-schema" in done.stdout and FOREIGN[sql] in done.stdout


@pytest.mark.parametrize("program", OTHERS)
@pytest.mark.parametrize("command", ["summary", "index", "check --strict", "prune --keep-runs 0"])
def test_what_other_programs_add_is_left_alone(program: str, command: str, tmp_path: Path) -> None:
    path = log_with(OTHERS[program], tmp_path)
    done = end(command, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert NativeLog([str(path)]).describe()["parts"]
    assert PureLog([str(path)]).describe()["parts"]
    found = end("check", tmp_path)
    assert "other-object" in found.stdout and found.returncode == 0
    # A migration leaves it alone, too.
    older = tmp_path / "older"
    older.mkdir()
    log_with(OTHERS[program], older, "v1-demo")
    assert end("migrate log.db", older).returncode == 0


def test_the_view_of_a_log_is_not_run_if_its_sql_is_another(tmp_path: Path) -> None:
    path = log_with(f"DROP VIEW runs; CREATE VIEW runs AS SELECT {LOOP} AS run", tmp_path)
    for log in (NativeLog([str(path)]), PureLog([str(path)])):
        batches = log.batches({"sql": "SELECT engine FROM runs"})
        assert [list(batch.column(0)) for batch in batches] == [["tasklog"]]
    done = end('query "SELECT engine FROM runs" --format csv', tmp_path)
    assert done.stdout == "engine\ntasklog\n"


@pytest.mark.parametrize("log", sorted(FROZEN.glob("v2-*.db")), ids=lambda path: path.stem)
def test_python_reads_every_frozen_log(log: Path) -> None:
    assert PureLog([str(log)]).describe()["parts"]
