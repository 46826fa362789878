"""Other versions of SQLite can query the views: newer ones refuse statements nested too deeply."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLE = REPOSITORY / "Tests/CommandTests/Logs/sample.db"


def log() -> apsw.Connection:
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    connection = apsw.Connection(f"file:{SAMPLE}?immutable=1", flags=flags)
    # In 3.54 views, subqueries and tables of WITH count up to about 1,000 in a statement.
    assert tuple(map(int, apsw.sqlite_lib_version().split("."))) >= (3, 54)
    return connection


VIEWS = [name for (name,) in log().execute("SELECT name FROM sqlite_schema WHERE type = 'view'")]


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_can_be_asked_and_joined(view: str) -> None:
    connection = log()
    (count,) = connection.execute(f"SELECT count(*) FROM {view}").fetchone()
    assert count >= 0
    joined = f"SELECT count(*) FROM {view} AS a JOIN (SELECT count(*) AS count FROM {view}) AS b"
    assert connection.execute(joined).fetchone() == (count,)


def test_there_are_views() -> None:
    assert {"errors", "failures", "critical_path", "dependencies", "events"} <= set(VIEWS)
