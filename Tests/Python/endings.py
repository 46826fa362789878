#!/usr/bin/env python3
"""Ends clusters as an orchestrator does, N times, and counts what is in their logs afterwards.

    python endings.py N [GRACE]

In each round `dask scheduler` and two `dask worker`s get SIGTERM at a random moment of their work,
in a random order. After a grace period (in seconds; by default a random one from 0 to 5) the rest
of each is killed, with its group. In every second round the folder of the workers' spools is
deleted, as that of a pod. Prints a line for each round, and fails if a log lacks events that its
witness saw and does not report that. ``TASKLOG_TEST_PROGRAM`` names the program that recovers.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import witness
from ending_ways import Ending
from log import Log


def end(ending: Ending, grace: float, chance: random.Random) -> bool:
    """SIGTERM to each, then SIGKILL to the groups that are left; true if one was killed."""
    programs = list(ending.cluster)
    chance.shuffle(programs)
    for program in programs:
        program.signal(signal.SIGTERM)
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline and not all(program.is_gone for program in programs):
        time.sleep(0.01)
    was_killed = [program for program in programs if not program.is_gone]
    for program in was_killed:
        program.signal(signal.SIGKILL)
    ending.wait_until_gone(*programs)
    return bool(was_killed)


def tasklog(log: Path, *arguments: str) -> str:
    program = os.environ["TASKLOG_TEST_PROGRAM"]
    return subprocess.run(
        [program, *arguments, "--log", log], capture_output=True, text=True, check=True
    ).stdout


def one_round(number: int, folder: Path, grace: float | None) -> str | None:
    """What is wrong with the log after an end; `None` if nothing is."""
    chance = random.Random(number)
    loses_spool = number % 2 == 1
    ending = Ending(folder, "commands", "wait_for_a_signal", TASKLOG_CLOSE_SECONDS="10s")
    try:
        ending.wait_for_text("ready to end")
        time.sleep(chance.uniform(0, 0.8))
        was_killed = end(ending, chance.uniform(0, 5) if grace is None else grace, chance)
    finally:
        ending.kill_leftovers()
    left = len(ending.leftover_spools())
    if loses_spool and ending.spool.exists():
        shutil.rmtree(ending.spool)
    ending.recover(tasklog)
    seen, logged = witness.seen(folder / "witness"), witness.logged(ending.log)
    lost = lost_of_ended = 0
    for source, theirs in seen.items():
        ours = logged.get(source, [])
        both = min(len(ours), len(theirs))
        if ours[:both] != theirs[:both]:
            return f"{source}: other transitions than were seen"
        difference = abs(len(theirs) - len(ours))
        if ending.has_ended(source):
            lost_of_ended += difference
        elif difference > 1:
            # A killed process may differ by the call whose hook had not returned.
            lost += difference
    ends = Log(ending.log).rows("SELECT end FROM run")
    print(
        f"round {number}: {'killed' if was_killed else 'went'}, {ends[0][0]}, "
        f"{sum(map(len, seen.values()))} seen, {sum(map(len, logged.values()))} in the log, "
        f"{lost} lost, {ending.missing()} counted as missing, {left} files in spools"
        f"{', deleted' if loses_spool else ''}",
        flush=True,
    )
    if lost_of_ended:
        return f"{lost_of_ended} transitions are lost of sources that came to their end"
    if lost and not loses_spool:
        return f"{lost} transitions are lost, and no spool was deleted"
    told = len(ending.incomplete_workers(tasklog))
    if lost and not told:
        return f"{lost} transitions are lost, and nothing says so"
    if told and not lost and not loses_spool:
        return f"{told} workers are said to miss something, and none does"
    if not lost and ending.missing():
        return f"{ending.missing()} events are counted as missing, and none is"
    return None


def main(count: int, grace: float | None = None) -> int:
    wrong = 0
    for number in range(count):
        with tempfile.TemporaryDirectory() as folder:
            problem = one_round(number, Path(folder), grace)
        if problem is not None:
            wrong += 1
            print(f"round {number}: WRONG: {problem}", flush=True)
    print(f"{count} endings, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else None))
