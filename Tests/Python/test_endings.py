"""Nothing is lost silently, in whatever way a recording ends.

A table of ways to end and kinds of clusters. In each cell, everything that an independent witness
has seen is in the log, or is recovered into it afterwards; each process that was killed may differ
by the one call whose hook had not returned.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ending_ways
import witness
from clusters import HERE, wait_for
from ending_ways import KILLS, KINDS, NONE, PATIENCE, WAYS, Ending
from log import Log

#: The cells for a short run: each way once, and each kind several times.
SHORT = {
    "processes": {
        "the script ends while busy", "os._exit", "Ctrl-C", "SIGKILL of a worker",
        "worker and spool gone", "unregister", "notebook kernel restart",
    },
    "threads": {
        "the script ends", "an exception", "sys.exit", "the last of several clusters",
        "the loop ends", "Ctrl-C twice", "close", "idle-timeout", "adaptive to zero",
        "SIGKILL of everything",
    },
    "commands": {
        "SIGTERM", "SIGTERM, then SIGKILL", "SIGKILL of the scheduler", "SIGKILL of a nanny",
        "shutdown", "idle-timeout", "detach", "worker and spool gone",
    },
}  # fmt: skip


def cells() -> Iterator:
    for way in WAYS:
        for kind in KINDS:
            reason = NONE.get((way, kind))
            marks = [pytest.mark.skip(reason=f"–: {reason}")] if reason else []
            if not reason and way not in SHORT[kind]:
                is_short = os.environ.get("TASKLOG_TEST_ENDINGS") != "all"
                words = "TASKLOG_TEST_ENDINGS=all runs this"
                marks = [pytest.mark.skipif(is_short, reason=words)]
            yield pytest.param(way, kind, marks=marks, id=f"{way}, {kind}")


def is_worker(source: tuple[str, str]) -> bool:
    return source[0] == "worker"


@pytest.mark.parametrize(("way", "kind"), list(cells()))
def test_what_was_seen_is_in_the_log(tmp_path: Path, way: str, kind: str, tasklog) -> None:
    program, end = WAYS[way]
    ending = Ending(tmp_path, kind, program)
    try:
        ending.wait_for_text("ready to end")
        end(ending)
        ending.wait_until_gone(*ending.cluster)
    finally:
        ending.kill_leftovers()
    if end is ending_ways.taken_off:
        (tmp_path / "witness").rename(tmp_path / "witness-later")
        (tmp_path / "witness-then").rename(tmp_path / "witness")
    if way in KILLS:
        ending.recover(tasklog)
    else:
        assert Log(ending.log).rows("SELECT DISTINCT end FROM run") == [("closed",)]
        assert ending.leftover_spools() == []
    incomplete = ending.incomplete_workers(tasklog)
    if way == "worker and spool gone":
        ending.assert_nothing_is_lost(is_worker)
        lost = ending.lost()
        assert sum(lost.values()) > 0 and len(incomplete) >= len(lost)
        # As many as ended for the scheduler, which is at most the number that was lost.
        assert 0 < sum(found["count"] for found in incomplete) <= sum(lost.values())
    else:
        ending.assert_nothing_is_lost(lambda _: False)
        assert incomplete == []
        assert ending.missing() == 0
    # Dask's own are not ours.
    assert not [part for part in ending.text().split("Traceback")[1:] if "tasklog/" in part]


@pytest.mark.parametrize("way", ["script_end_while_busy", "exception", "sys_exit", "os_exit"])
def test_the_end_of_a_client_is_not_the_end_of_its_cluster(
    commands_ending: Ending, way: str
) -> None:
    ending = commands_ending
    client = ending.start([sys.executable, str(HERE / "ending_program.py"), "commands", way])
    ending.wait_for_text("ready to end", client)
    client.process.wait(60 * PATIENCE)

    def is_all_there() -> bool:
        seen = witness.seen(ending.folder / "witness")
        return sum(map(len, seen.values())) > 0 and not witness.differences(
            seen, witness.logged(ending.log)
        )

    wait_for(is_all_there, "all transitions in the log", 60 * PATIENCE)
    assert Log(ending.log).rows("SELECT end FROM run") == [(None,)]
    assert ending.missing() == 0


@pytest.fixture(scope="module")
def commands_ending(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ending]:
    """`dask scheduler` and `dask worker`s that many clients connect to."""
    ending = Ending(tmp_path_factory.mktemp("clients"), "commands", "script_end")
    yield ending
    ending.kill_leftovers()


def test_clusters_of_pytest_lose_nothing(tmp_path: Path) -> None:
    """Clusters of Dask's own fixture, which many projects test with."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(HERE),
        "TASKLOG_LOG": str(tmp_path / "run.db"),
        "TASKLOG_WORKER_SPOOL": str(tmp_path / "spool"),
        "WITNESS_FOLDER": str(tmp_path / "witness"),
        "DASK_DISTRIBUTED__SCHEDULER__PRELOAD": '["witness", "tasklog"]',
    }
    arguments = ["-q", "-p", "no:cacheprovider", str(HERE / "gen_clusters.py")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120 * PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0 and "3 passed" in done.stdout, done.stdout + done.stderr
    seen, logged = witness.seen(tmp_path / "witness"), witness.logged(tmp_path / "run.db")
    assert len([source for source in seen if is_worker(source)]) == 5
    assert witness.differences(seen, logged) == []
    assert Log(tmp_path / "run.db").rows("SELECT end FROM run") == [("closed",)] * 3
    assert [path for path in (tmp_path / "spool").rglob("*") if path.is_file()] == []


def test_orchestrated_endings_are_never_wrong(tasklog) -> None:
    """A few rounds of `endings.py`, which runs any number of them."""
    rounds = os.environ.get("TASKLOG_TEST_ENDING_ROUNDS", "3")
    done = subprocess.run(
        [sys.executable, str(HERE / "endings.py"), rounds],
        env={**os.environ, "TASKLOG_TEST_PROGRAM": str(tasklog.program)},
        capture_output=True, text=True, timeout=60 * int(rounds) * PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{rounds} endings, 0 wrong" in done.stdout
