"""Cases from public reports of people who run Dask, and programs whose replay differed from live.

Each row has a description, its source, and what is expected of it: of a program of ``cases/``
the facts of `outcomes.Outcome`, else the tests that cover the case. The behaviour of the commit
54dd56b, before these were fixed, is the last field of a row.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import outcomes
from clusters import HERE
from outcomes import PATIENCE, Outcome


@dataclass(frozen=True)
class Case:
    name: str
    does: str
    #: A public report, and the part of the work that fixed it.
    comes_from: str
    #: The behaviour of 54dd56b.
    before: str
    program: str | None = None
    #: The facts that are expected of the program.
    expected: dict[str, Any] = field(default_factory=dict)
    #: The tests that cover the case.
    held: tuple[str, ...] = ()


#: No event is lost, nothing is wrong, and a replay equals live.
SOUND = {"code": 0, "ends": ["closed"], "lost": [], "missing": 0, "findings": []}
REPLAYED = {**SOUND, "replayed": "as live"}

_ENDING = "test_endings.py::test_what_was_seen_is_in_the_log"
_REGISTERING = "test_registering.py::test_"

CASES = [
    Case(
        "01-odd-keys",
        "keys that are no plain text, empty, very long, or two types of one text",
        "dask/distributed#8083, #8891, #4336, #9016; C8",
        "printed 45 MB",
        program="odd_keys.py",
        expected={
            **REPLAYED,
            "printed": {
                # An empty key and one that is not equal to itself fail without a recorder, too.
                "alone": {"IndexError": 1, "true": 34, "FutureCancelledError": 1},
                "together": {"error": 1, "finished": 33},
            },
            "summary_is_short": True,
            "keys_of_the_text_1": ["number", "text"],
            "raw_controls": [],
        },
    ),
    Case(
        "03-cannot-unpickle",
        "a result that one worker makes and no other can load",
        "dask/distributed#3558; C4",
        "hid it",
        held=("test_blame.py::test_a_failure_that_only_a_worker_had_is_shown",),
    ),
    Case(
        "04-same-address",
        "a worker that is killed and comes back at its address, twice",
        "dask/distributed#7798, #2145, dask-jobqueue#240; C1",
        "mixed them",
        held=("test_workers.py::test_a_worker_that_comes_back_is_another_one",),
    ),
    Case(
        "09-unique-keys",
        "a file name as key, so that nearly each task has its own prefix",
        "dask/distributed#5965, #8133, prefect#21697; C8",
        "printed 63 MB",
        held=("test_odd_keys.py::test_a_summary_of_many_long_prefixes_is_short_for_people_only",),
    ),
    Case(
        "13-preloads",
        "several preloads with an argument for one of them, and a client that shuts down",
        "dask/distributed#3122, #1634; A2",
        "lost 95 of 341",
        program="preloads.py",
        expected={
            **REPLAYED,
            "printed": {
                "result": 210,
                "foo": "baz",
                "codes": [0, 0],
                "said": ["teardown of baz"],
            },
        },
    ),
    Case(
        "14-plugin-names",
        "the same plugin twice, others of its name, taking it off and adding it again",
        "dask/distributed#5261, #4197, #8342; A5, A6",
        "went on",
        held=(
            f"{_REGISTERING}the_same_recorder_again_changes_nothing",
            f"{_REGISTERING}unregistering_ends_a_recording_on_workers_too",
            f"{_REGISTERING}a_recorder_that_is_removed_or_replaced_ends_its_recording"
            "[another of the name]",
            f"{_REGISTERING}a_plugin_of_the_workers_that_has_our_name_stays",
        ),
    ),
    Case(
        "17-idle-timeout",
        "a scheduler that ends itself when it is idle, with a client connected",
        "dask/distributed#5675, #3265, dask-gateway#279; A2",
        "left it in spools",
        held=(f"{_ENDING}[idle-timeout, commands]", f"{_ENDING}[idle-timeout, threads]"),
    ),
    Case(
        "22-clocks",
        "workers whose clocks are two hours ahead and three days behind",
        "dolphinscheduler#12170, gitea#39322, argus#704; C2",
        "74 hours long",
        held=(
            "test_workers.py::test_each_clock_is_known_with_its_uncertainty",
            "test_workers.py::test_times_of_all_workers_lie_within_the_run",
        ),
    ),
    Case(
        "30-short-logs",
        "logs in memory of length 0 in scheduler and workers",
        "dask/distributed#3898; C8",
        "lost stimuli",
        held=("test_blame.py::test_logs_of_length_0_lose_no_stimulus",),
    ),
    Case(
        "31-scheduler-killed",
        "a scheduler is killed: its workers go without waiting, what they have left is imported",
        "dask/distributed#3581, #2788; A4, A7",
        "waited, imported nothing",
        program="scheduler_killed.py",
        expected={
            "code": 0,
            "printed": {
                "said": [
                    [
                        "tasklog: the last events of this worker stay in SPOOL; 'tasklog import "
                        "SPOOL' adds them to the log (worker ADDRESS)"
                    ]
                ]
                * 2,
                "has waited": False,
            },
            "lost_by_the_kill": [],
            "missing": 0,
            "ends": ["died"],
            "findings": [],
        },
        held=(
            f"{_ENDING}[SIGKILL of the scheduler, commands]",
            "test_incomplete.py::test_import_puts_in_what_belongs_and_names_the_rest",
        ),
    ),
    Case(
        "33-annotations",
        "annotations that are objects, arrays and tables, nested deep, within themselves, or long",
        "dask/distributed#6930, #4560, dask#6217; C6",
        "200 reprs, 92 MB",
        program="odd_annotations.py",
        expected={
            **REPLAYED,
            "printed": {"odd": [1], "many": {"object": 5050, "text": 5050}, "reprs": 1},
            "is_at_most_2_MB": True,
        },
        held=("test_annotations.py::test_the_repr_of_an_object_is_made_once_a_graph[True]",),
    ),
    Case(
        "34-killed-job",
        "all is killed in the middle, and only a part of the log is copied",
        "spark#4848, temporal sdk-go#1670, spark#29350; C8",
        'said "nothing recorded"',
        program="killed_job.py",
        expected={
            "code": 0,
            "printed": {"said": "works", "code": -9},
            "copied_without_its_wal": (
                1,
                "tasklog: copy.db: is empty; if it is a copy, copy.db-wal is missing, which has "
                "what was recorded last: copy that to the same folder, too\n",
            ),
            "lost_by_the_kill": [],
            "missing": 0,
            "ends": ["died"],
            "findings": [],
        },
    ),
    Case(
        "35-gen-cluster",
        "Dask's own test fixtures, and subclasses of schedulers and workers of a project",
        "dask/distributed#1620, #6069, dask#6919; A1, A2",
        "lost a worker",
        program="own_classes.py",
        expected={**SOUND, "ends": ["closed"] * 6},
    ),
    Case(
        "37-idle",
        "workers that are left alone and tell how they are",
        "dask/distributed#3898, #5675; C7",
        "50 MB a day",
        program="idle_workers.py",
        expected={**REPLAYED, "printed": {"rounds": 100}, "is_at_most_25_MB_a_day": True},
        held=("test_heartbeats.py::test_every_value_of_every_heartbeat_comes_back",),
    ),
    Case(
        "39-mass-failure",
        "a task fails and thousands with it; hundreds fail, each in its own words",
        "dask/distributed#5497, #6539; C3",
        "blamed no task",
        program="mass_failure.py",
        expected={
            **REPLAYED,
            "printed": {"error": 2301},
            "failed_with_each": {2000: 1, 0: 300},
            "blamed": {"root-0": 2000},
        },
    ),
    Case(
        "41-never-closed",
        "a script that makes a client and never closes it",
        "dask/distributed#3581, #2486; A1",
        "left it in spools",
        held=(
            f"{_ENDING}[the script ends, threads]",
            f"{_ENDING}[the script ends while busy, processes]",
        ),
    ),
    Case(
        "44-blame",
        "tasks that were submitted after the failure; several that are lost with one worker",
        "dask/distributed#6539, #2694, dask-jobqueue#122; C3, C4",
        "blamed no task",
        held=(
            "test_blame.py::test_each_failed_task_blames_whom_the_scheduler_says",
            "test_blame.py::test_failures_that_the_scheduler_made_have_their_text",
        ),
    ),
    Case(
        "fields",
        "public fields that a plugin looks at, live and in a replay",
        "B5",
        "differed",
        held=(
            "test_fields.py::test_every_public_field_is_what_it_was_live[usual]",
            "test_fields.py::test_every_public_field_is_what_it_was_live[unqueued]",
        ),
    ),
    Case(
        "holders",
        "a worker fetches what several others hold",
        "B1",
        "drifted",
        held=(
            "test_worker_replay.py::test_worker_plugins_see_where_data_came_from[threads]",
            "test_worker_replay.py::test_worker_plugins_see_where_data_came_from[processes]",
        ),
    ),
    Case(
        "late-actor",
        "a recorder is attached when there is an actor",
        "B4",
        "differed",
        held=("test_fields.py::test_every_public_field_is_what_it_was_live[found]",),
    ),
    Case(
        "silently",
        "a second recorder with its own log and redaction",
        "A6",
        "ignored it",
        program="silently.py",
        expected={
            **REPLAYED,
            "printed": {
                "error": "RecordingError: nothing is recorded by this recorder: another one "
                "records this cluster to FOLDER/run.db: 'log' is 'FOLDER/run.db' there and "
                "'FOLDER/mine.db' here; 'messages' is ('WARNING',) there and ('off',) here; "
                "'redact' is () there and ('password',) here; to end that "
                "recording, call client.unregister_scheduler_plugin('tasklog')",
                "result": 3,
                "mine": False,
            },
        },
    ),
    Case(
        "too-big",
        "a task whose inputs exceed the memory of its worker",
        "B2",
        "drifted",
        held=(
            "test_nested_transitions.py::test_scheduler_plugins_end_as_they_did_live",
            "test_nested_transitions.py::test_a_check_finds_nothing_wrong",
        ),
    ),
    Case(
        "unregister",
        "a recording is ended by Dask's own call, and begun again",
        "A5",
        "went on",
        held=(f"{_REGISTERING}unregistering_ends_a_recording_on_workers_too",),
    ),
    Case(
        "two-copies",
        "a process that records reads its log through another copy of SQLite",
        "sqlite.org/howtocorrupt.html; the first part",
        "malformed",
        held=tuple(
            f"test_two_copies.py::test_a_log_stays_whole_beside_another_copy_of_sqlite[{reader}]"
            for reader in ("sqlite3", "pysqlite3", "apsw", "duckdb")
        ),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_case_comes_out_as_expected(
    case: Case, tmp_path: Path, tasklog: Callable[..., str], named_tests: dict[str, bool]
) -> None:
    assert case.expected or case.held
    assert {name: named_tests.get(name) for name in case.held} == dict.fromkeys(case.held, True)
    if case.program is not None:
        outcome = Outcome(case.program, tmp_path, tasklog)
        came = {name: getattr(outcome, name) for name in case.expected}
        assert came == case.expected, outcome.text


@pytest.fixture(scope="module")
def named_tests() -> dict[str, bool]:
    """The tests of the files that rows name, and whether each is run."""
    files = sorted({name.partition("::")[0] for case in CASES for name in case.held})
    done = subprocess.run(
        [sys.executable, str(HERE / "collecting.py"), *files],
        cwd=HERE, capture_output=True, text=True, timeout=120 * PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_each_case_has_one_row_and_each_program_one_case() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names)) == 24
    programs = [case.program for case in CASES if case.program]
    here = {path.name for path in outcomes.PROGRAMS.glob("*.py")} - {"seen.py"}
    assert sorted(programs) == sorted(here)
