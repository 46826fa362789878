"""Mutated logs end every command with an answer or with an error.

`hostile.py` tries as many mutations as one likes; here are some, and those that once ended a
command in another way.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

import hostile
from mutations import BASES, FROZEN, Mutation

# As many as take about a minute.
MUTATIONS = 40
COMMANDS_EACH = 5

# What a command must not do, and the word for it.
FAULTS = {
    "kill -SEGV $$": "signal 11",
    "kill -ILL $$": "signal 4",
    "echo 'Fatal error: Index out of range' >&2; exit 1": "crash",
    "printf 'Traceback (most recent call last)' >&2; exit 1": "crash",
    "exit 7": "exit code 7",
    "exit 1": "without a word",
    "sleep 1000": "more than",
    "exec python3 -c 'bytearray(1100 << 20)'": "of memory",
}

# Mutations that once ended a command in another way.
FOUND = [
    (80, "merge log.db --into merged.db"),
    (1485, "export --to otlp-json -o out"),
    (2634, "trend tasks makespan failed"),
    (2634, "report -o out.html"),
]

# Commands about what the demo does not have.
WITHOUT_ANSWER = {
    "explain \"('total', 1)\"",
    "story moonrise-1",
    "story \"('total', 1)\"",
    "replay --plugin counter --verify",
}


@pytest.mark.parametrize("block", range(4))
def test_no_mutation_crashes_a_command(block: int) -> None:
    size = MUTATIONS // 4
    seeds = range(block * size, (block + 1) * size)
    tried = list(hostile.many(seeds, COMMANDS_EACH, jobs=2))
    assert [seed for seed, _ in tried] == list(seeds)
    found = [str(fault) for _, faults in tried for fault in faults]
    assert not found, "\n".join(found)


def test_no_mutation_crashes_the_library() -> None:
    tried = list(hostile.many_in_process(range(80), jobs=2))
    assert [seed for seed, _ in tried] == list(range(80))
    found = [str(fault) for _, faults in tried for fault in faults]
    assert not found, "\n".join(found)


# Names in the schema that are no text, of which Python's SQLite makes a `UnicodeDecodeError`; an
# id of a run that is a number; times that are bytes, texts, or too large, of events and of runs.
@pytest.mark.parametrize("seed", [696, 859, 1296, 507, 48, 68, 85, 95, 357])
def test_a_mutation_that_ended_a_reader_with_a_wrong_error_does_so_no_more(seed: int) -> None:
    ((tried, found),) = hostile.read_block(range(seed, seed + 1), is_all=True)
    assert tried == seed
    assert not found, "\n".join(map(str, found))


# What a reader of many logs does at its third one, and the word for it.
READER_FAULTS = {
    "os.kill(os.getpid(), 11)": "ended with -11",
    "time.sleep(1000)": "more than",
    "print('fault KeyError')": "KeyError",
    "sys.exit('out of range')": "ended with 1: out of range",
    f"print('grown', {300 << 20})": "300 MiB more",
}


@pytest.mark.parametrize("script", READER_FAULTS)
def test_a_fault_of_the_library_is_seen_and_the_others_are_read(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "sleep" in script:
        monkeypatch.setattr(hostile, "SECONDS", 2 * hostile.PATIENCE)
    reader = tmp_path / "reader.py"
    reader.write_text(
        "import os, sys, time\n"
        "for seed in range(int(sys.argv[1]), int(sys.argv[2])):\n"
        "    print('seed', seed, flush=True)\n"
        f"    if seed == 3: {script}\n"
        "print('memory 1')\n"
    )
    monkeypatch.setattr(hostile, "READER", reader)
    found = hostile.read_block(range(1, 6))
    assert [seed for seed, faults in found if faults] == [3]
    assert len(found) == 5 and READER_FAULTS[script] in str(found[2][1][0])


@pytest.mark.parametrize(("seed", "command"), FOUND)
def test_a_mutation_that_crashed_a_command_does_so_no_more(
    seed: int, command: str, tmp_path: Path
) -> None:
    mutation = Mutation(seed, tmp_path)
    what = hostile.run(command, tmp_path)
    assert what is None, f"{mutation}: {what}"


def test_a_mutation_is_determined_by_its_seed(tmp_path: Path) -> None:
    contents: list[tuple[bytes, list[str]]] = []
    for copy in range(2):
        folder = tmp_path / str(copy)
        folder.mkdir()
        # With a write-ahead log, there are random salts in it.
        changes = [str(Mutation(seed, folder)) for seed in range(12)]
        contents.append(
            {"log": (folder / "log.db").read_bytes(), "changes": repr(changes).encode()}
        )
    assert contents[0] == contents[1]
    assert len({Mutation(seed, tmp_path).base for seed in range(60)}) == len(BASES)


@pytest.mark.parametrize("script", FAULTS)
def test_a_fault_is_seen(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if script.startswith("sleep"):
        monkeypatch.setattr(hostile, "SECONDS", 0.2)
    program = tmp_path / "tasklog"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    what = hostile.run("summary", tmp_path, program)
    assert what is not None and FAULTS[script] in what


@pytest.mark.parametrize("code", [0, 1, 2, 3, 64])
def test_an_answer_and_an_error_are_no_faults(code: int, tmp_path: Path) -> None:
    program = tmp_path / "tasklog"
    program.write_text(f"#!/bin/sh\necho words >&2; exit {code}\n")
    program.chmod(0o700)
    assert hostile.run("summary", tmp_path, program) is None


def test_the_commands_have_an_answer_for_a_healthy_log(tmp_path: Path) -> None:
    # A typing mistake in a command would make it end early, whatever the log.
    healthy = FROZEN / "v2-demo.db"
    for command in hostile.COMMANDS:
        folder = tmp_path / str(len(os.listdir(tmp_path)))
        folder.mkdir()
        (folder / "log.db").write_bytes(healthy.read_bytes())
        (folder / "log.db").chmod(0o600)
        hostile.add_healthy(folder)
        done = subprocess.run(
            [hostile.program(), *hostile.arguments(command)],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=hostile.SECONDS,
        )
        expected = 1 if command in WITHOUT_ANSWER else 0
        assert done.returncode == expected, f"{command}: {done.stderr}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a healthy log."""
    (tmp_path / "log.db").write_bytes((FROZEN / "v2-demo.db").read_bytes())
    (tmp_path / "log.db").chmod(0o600)
    return tmp_path


def end(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """How a command ends; it must end."""
    return subprocess.run(
        [hostile.program(), *hostile.arguments(command)],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=hostile.SECONDS,
    )


@pytest.mark.parametrize("name", ["log.db", "log.db-wal", "log.db-journal", "log.db-shm"])
@pytest.mark.parametrize(
    "command", ["summary", "check", "recover --into saved.db", "prune --keep-runs 1", "index"]
)
def test_a_named_pipe_in_the_place_of_a_log_is_an_error(
    command: str, name: str, folder: Path
) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    done = end(command, folder)
    # What can be saved of a log does not need the files of SQLite next to it.
    is_enough = command.startswith("recover") and name in ("log.db-journal", "log.db-shm")
    assert done.returncode == (0 if is_enough else 1), done.stdout + done.stderr
    assert is_enough or name in done.stderr


@pytest.mark.parametrize("name", ["lock", "control", "1", "end", "status", "publisher.json"])
@pytest.mark.parametrize("command", ["summary", "status", "recover"])
def test_a_named_pipe_in_a_spool_does_not_make_a_command_wait(
    command: str, name: str, folder: Path
) -> None:
    with closing(sqlite3.connect(folder / "log.db")) as log:
        (run,) = log.execute("SELECT uuid FROM run").fetchone()
        log.execute("UPDATE run SET end = NULL, ended = NULL")
        log.commit()
    spool = folder / "log.db.spool" / run
    spool.mkdir(parents=True, mode=0o700)
    (spool / "lock").touch()
    (spool / name).unlink(missing_ok=True)
    os.mkfifo(spool / name)
    assert end(command, folder).returncode in (0, 1)


def test_a_named_pipe_in_the_place_of_a_checkpoint_is_not_one(folder: Path) -> None:
    command = "replay --plugin counter --checkpoint-every 20"
    healthy = end(command, folder)
    assert healthy.returncode == 0
    files = [path for path in (folder / "cache").rglob("*") if path.is_file()]
    assert files, "no checkpoint was made"
    for path in files:
        path.unlink()
        os.mkfifo(path)
    done = end(command, folder)
    assert (done.returncode, done.stdout) == (0, healthy.stdout)
