"""Plugins of Dask's documentation in a replay, unmodified."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from clusters import HERE
from watched import Watched

DOCUMENTED = str(HERE / "documented_plugins.py")


@pytest.fixture(params=["watched_in_process", "watched_in_processes"])
def recorded(request: pytest.FixtureRequest) -> Watched:
    return request.getfixturevalue(request.param)


def test_the_counter_counts_as_it_did_live(recorded: Watched, replay: Callable) -> None:
    done = replay(recorded.log).run(f"--plugin={DOCUMENTED}:Counter", "--result=counter")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [recorded.scheduler["Counter.counter"]]


def test_the_error_logger_of_older_versions_logs_the_texts_of_exceptions(
    recorded: Watched, replay: Callable
) -> None:
    done = replay(recorded.log).run(f"--plugin={DOCUMENTED}:error_logger")
    assert done.returncode == 0, done.stderr
    logged = [line for line in done.stderr.splitlines() if line.startswith("ERROR:root:")]
    expected = [
        f"ERROR:root:Task '{key}' has failed with exception: {text}"
        for told in recorded.workers.values()
        for key, text, _ in json.loads(told["RepairedErrorLogger.errors"])
    ]
    assert len(expected) >= 3
    # A killed worker has not reported the state of its plugins.
    assert set(expected) <= set(logged)
    assert any("ValueError('not 12')" in line for line in logged)
    notices = [line for line in done.stderr.splitlines() if "Worker.exceptions is gone" in line]
    assert len(notices) == 1 and notices[0].startswith("tasklog: "), done.stderr


def test_a_report_shows_the_text_of_an_exception_and_no_pickle(
    recorded: Watched, replay: Callable
) -> None:
    done = replay(recorded.log).run(f"--plugin={DOCUMENTED}:Tracebacks")
    assert done.returncode == 0, done.stderr
    shown = [line.strip() for line in done.stdout.splitlines() if line.strip().startswith("kept:")]
    assert any("('not " in line for line in shown), done.stdout
    assert "$serialized" not in done.stdout and "$bytes" not in done.stdout, done.stdout
    assert "Worker.tracebacks is gone" in done.stderr
