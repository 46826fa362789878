"""Nothing is lost silently, in whatever way a recording ends.

A table of ways to end and kinds of clusters. In each cell what an independent witness has seen is in
the log, or recovered into it afterwards; each process that was killed may differ by the one call
whose hook had not returned.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import ending_ways
from ending_ways import KILLS, KINDS, NONE, WAYS, Ending
from log import Log

#: What runs where time is short: each way once, and each kind several times.
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
    spool_is_gone = way == "worker and spool gone"
    ending.assert_nothing_is_lost(is_worker if spool_is_gone else lambda _: False)
    assert ending.missing() == 0 or spool_is_gone
    # Dask's own are none of ours.
    assert not [part for part in ending.text().split("Traceback")[1:] if "tasklog/" in part]
