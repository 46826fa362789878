"""Kills commands at random moments: nothing may be lost, and nothing left behind.

    python kills.py FOLDER COUNT [--seed N]

Continues where it has ended (FOLDER/next is the number of the next kill). A kill depends on
the seed and its number alone, but for the moment in which the machine gets to it. A fault ends it
with the number of the kill and a folder with all that was there.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("TASKLOG_TEST_PROGRAM", REPOSITORY / ".build/debug/tasklog"))
VICTIM = PROGRAM.with_name("recording-victim")
FROZEN = REPOSITORY / "Tests/CommandTests/Frozen"
THREADS = 3


class Fault(Exception):
    """Something was lost or left behind."""


class Bench:
    """The inputs of the commands, and how long each command takes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inputs = folder / "inputs"
        self.scratch = folder / "scratch"
        self.scratch.mkdir(parents=True, exist_ok=True)
        self.seconds: dict[str, float] = {}
        if not (self.inputs / "done").exists():
            self._prepare()

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "TMPDIR": str(self.scratch),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "TASKLOG_LOG": "",
        }

    def run(self, *words: object, cwd: Path, codes: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run(
            [str(word) for word in words], cwd=cwd, env=self.environment(), capture_output=True,
            text=True, timeout=300,
        )  # fmt: skip
        if done.returncode not in codes:
            raise Fault(f"{words}: exit code {done.returncode}: {done.stderr or done.stdout}")
        return done.stdout

    def start(self, *words: object, cwd: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(word) for word in words], cwd=cwd, env=self.environment(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def _prepare(self) -> None:
        shutil.rmtree(self.inputs, ignore_errors=True)
        self.inputs.mkdir(parents=True)
        for number, events in enumerate((2_000, 6_000)):
            folder = self.inputs / f"dead{number}"
            folder.mkdir()
            record(self, folder, events)
            whole = self.inputs / f"whole{number}"
            shutil.copytree(folder, whole)
            self.run(PROGRAM, "recover", "--log", "log.db", cwd=whole)
        # Two runs in one log, to be pruned.
        both = self.inputs / "both"
        both.mkdir()
        logs = [self.inputs / f"whole{number}" / "log.db" for number in range(2)]
        self.run(PROGRAM, "merge", *logs, "--into", "log.db", cwd=both)
        (self.inputs / "done").touch()


def record(bench: Bench, folder: Path, events: int) -> list[int]:
    """Records until so many calls have returned, and kills the recorder; the calls by thread."""
    counters = folder / "counters"
    counters.write_bytes(bytes(4096))
    victim = bench.start(VICTIM, "log.db", counters, THREADS, cwd=folder)
    deadline = time.monotonic() + 120
    try:
        while sum(returned(counters)) < events or 0 in returned(counters):
            if victim.poll() is not None or time.monotonic() > deadline:
                raise Fault("the recorder has not recorded")
            time.sleep(0.0002)
    finally:
        kill(victim)
    counts = returned(counters)
    counters.unlink()
    return counts


def returned(counters: Path) -> list[int]:
    content = counters.read_bytes()
    return [int.from_bytes(content[64 * n : 64 * n + 8], "little") for n in range(THREADS)]


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kills it with those that it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def events(log: Path) -> dict[str, int]:
    """The events of each run, by its id; the numbers of each source are without a hole."""
    with sqlite3.connect(f"file:{log}?mode=ro", uri=True) as connection:
        if connection.execute("SELECT count(*) FROM gap").fetchone()[0]:
            raise Fault(f"{log} has gaps")
        rows = connection.execute(
            """
            SELECT uuid, count(*), max(source_seq) FROM event
            JOIN source ON source.id = source JOIN run ON run.id = run GROUP BY source
            """
        ).fetchall()
    counts: dict[str, int] = {}
    for run, count, last in rows:
        if count != last:
            raise Fault(f"{log}: {count} events of a source that has {last}")
        counts[run] = counts.get(run, 0) + count
    return counts


def only(folder: Path, *names: str) -> None:
    """Nothing but these files is in a folder."""
    # Those of SQLite go with the last connection; a killed one leaves them for the next.
    found = {path.name for path in folder.iterdir()}
    allowed = {f"{name}{end}" for name in names for end in ("", "-wal", "-shm")}
    if not set(names) <= found or found - allowed:
        raise Fault(f"{folder} has {sorted(found)}, expected {names}")


#: What is found about the events of `recording-victim`, which are no tasks of a scheduler.
MADE_UP = {"impossible-transition", "broken-chain", "wrong-time"}


def checked(bench: Bench, folder: Path) -> None:
    text = bench.run(PROGRAM, "check", "--log", "log.db", cwd=folder, codes=(0, 1, 2))
    findings = [json.loads(line) for line in text.splitlines()]
    wrong = [f for f in findings if f["severity"] == "error" and f["finding"] not in MADE_UP]
    if wrong:
        raise Fault(f"{folder}/log.db: {wrong}")


class Command:
    """A command that is killed and then run again."""

    def __init__(self, name: str, source: str | None, *words: object) -> None:
        self.name, self.source, self.words = name, source, words

    def prepare(self, bench: Bench, folder: Path) -> None:
        if self.source is not None:
            shutil.copytree(bench.inputs / self.source, folder, dirs_exist_ok=True)

    def seconds(self, bench: Bench) -> float:
        if self.name not in bench.seconds:
            folder = bench.folder / "kills" / "timed"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self.prepare(bench, folder)
            begin = time.monotonic()
            bench.run(PROGRAM, *self.words, cwd=folder)
            bench.seconds[self.name] = time.monotonic() - begin
            shutil.rmtree(folder)
        return bench.seconds[self.name]

    def kill_once(self, bench: Bench, folder: Path, chance: random.Random) -> None:
        self.prepare(bench, folder)
        seconds = self.seconds(bench) * chance.uniform(0.05, 1.05)
        process = bench.start(PROGRAM, *self.words, cwd=folder)
        time.sleep(seconds)
        kill(process)
        self.after(bench, folder)
        bench.run(PROGRAM, *self.words, cwd=folder)
        self.finally_(bench, folder)
        # One that is killed in the instant before it locks its folder leaves it for a minute.
        # SQLite removes the name of a temporary file once it has opened it: that is empty.
        left = [
            path.name
            for path in bench.scratch.iterdir()
            if not path.name.startswith("tasklog-new-scratch-")
            and not (path.name.startswith("etilqs_") and path.stat().st_size == 0)
        ]
        if left and self.name == "joined":
            raise Fault(f"the folder for temporary files has {left}")

    def after(self, bench: Bench, folder: Path) -> None:
        """What has to hold after the kill."""

    def finally_(self, bench: Bench, folder: Path) -> None:
        """What has to hold once the command has run again."""


class Recorder(Command):
    def kill_once(self, bench: Bench, folder: Path, chance: random.Random) -> None:
        counts = record(bench, folder, chance.randrange(10, 20_000))
        bench.run(PROGRAM, "recover", "--log", "log.db", cwd=folder)
        (found,) = events(folder / "log.db").values()
        # A call may have stored its event and not yet have returned.
        if not sum(counts) <= found <= sum(counts) + THREADS:
            raise Fault(f"{found} events of {sum(counts)}")
        checked(bench, folder)
        only(folder, "log.db")


class SameEvents(Command):
    """Events are those of a log of the inputs."""

    def __init__(self, name: str, source: str, whole: str, *words: object) -> None:
        super().__init__(name, source, *words)
        self.whole = whole

    def finally_(self, bench: Bench, folder: Path) -> None:
        if events(folder / "log.db") != events(bench.inputs / self.whole / "log.db"):
            raise Fault("events are lost")
        checked(bench, folder)
        only(folder, "log.db")


class Prune(Command):
    def after(self, bench: Bench, folder: Path) -> None:
        whole = events(bench.inputs / "both" / "log.db")
        bench.run(PROGRAM, "runs", "--log", "log.db", cwd=folder)
        with sqlite3.connect(folder / "log.db") as log:
            (count,) = log.execute(
                "SELECT sum(events) FROM run WHERE uuid = ?", (max(whole),)
            ).fetchone()
        if count != whole[max(whole)]:
            raise Fault("events of a run that was to stay are lost")

    def finally_(self, bench: Bench, folder: Path) -> None:
        whole = events(bench.inputs / "both" / "log.db")
        with sqlite3.connect(folder / "log.db") as log:
            (count,) = log.execute("SELECT count(*) FROM event").fetchone()
        if count != whole[max(whole)]:
            raise Fault("the wrong events are left")
        checked(bench, folder)
        only(folder, "log.db")


class Migrate(Command):
    def prepare(self, bench: Bench, folder: Path) -> None:
        shutil.copyfile(FROZEN / "v1-dask.db", folder / "log.db")

    def finally_(self, bench: Bench, folder: Path) -> None:
        with (
            sqlite3.connect(folder / "log.db") as log,
            sqlite3.connect(FROZEN / "v1-dask.db") as before,
        ):
            count = "SELECT count(*), max(seq) FROM event"
            if log.execute(count).fetchone() != before.execute(count).fetchone():
                raise Fault("events are lost")
            if log.execute("PRAGMA user_version").fetchone() == (1,):
                raise Fault("it is not migrated")
        only(folder, "log.db")


class Written(Command):
    """A file is complete or absent."""

    def after(self, bench: Bench, folder: Path) -> None:
        file = folder / "written"
        if file.exists() and not self.is_complete(bench, file):
            raise Fault(f"{file} is not complete")

    def is_complete(self, bench: Bench, file: Path) -> bool:
        # A page says when it was made.
        if self.name == "report":
            return file.read_text().rstrip().endswith("</html>")
        return file.stat().st_size == self.size(bench)

    def size(self, bench: Bench) -> int:
        key = f"size of {self.name}"
        if key not in bench.seconds:
            folder = bench.folder / "kills" / "sized"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self.prepare(bench, folder)
            bench.run(PROGRAM, *self.words, cwd=folder)
            bench.seconds[key] = (folder / "written").stat().st_size
            shutil.rmtree(folder)
        return int(bench.seconds[key])

    def finally_(self, bench: Bench, folder: Path) -> None:
        self.after(bench, folder)
        only(folder, "log.db", "written")


class Salvage(Command):
    """What looks like a salvaged log has everything."""

    def after(self, bench: Bench, folder: Path) -> None:
        saved = folder / "saved.db"
        if saved.exists():
            self.compare(bench, saved)
            saved.unlink()

    def compare(self, bench: Bench, saved: Path) -> None:
        if events(saved) != events(bench.inputs / "whole1" / "log.db"):
            raise Fault("events are lost")

    def finally_(self, bench: Bench, folder: Path) -> None:
        self.compare(bench, folder / "saved.db")
        only(folder, "log.db", "saved.db")


class Joined(Command):
    """Several logs as one, which are merged in the folder for temporary files."""


WHOLE = ("../../inputs/whole0/log.db", "../../inputs/whole1/log.db")
COMMANDS: list[Command] = [
    Recorder("recorder", None),
    SameEvents("recover", "dead1", "whole1", "recover", "--log", "log.db"),
    Prune("prune", "both", "prune", "--log", "log.db", "--keep-runs", "1"),
    SameEvents("merge", "whole0", "both", "merge", WHOLE[1], "--into", "log.db"),
    Migrate("migrate", None, "migrate", "--log", "log.db"),
    SameEvents("index", "whole1", "whole1", "index", "--log", "log.db"),
    Written("chrome", "whole1", "export", "--log", "log.db", "--to", "chrome", "-o", "written"),
    Written("perfetto", "whole1", "export", "--log", "log.db", "--to", "perfetto", "-o", "written"),
    Written("report", "whole1", "report", "--log", "log.db", "-o", "written"),
    Salvage("salvage", "whole1", "recover", "--log", "log.db", "--into", "saved.db"),
    Joined("joined", None, "inspect", "--log", WHOLE[0], "--log", WHOLE[1]),
]  # fmt: skip


def kills(folder: Path, count: int, seed: int, say: Callable[[str], None] = print) -> None:
    """Kills until `count` have been done in all; raises `Fault`."""
    bench = Bench(folder)
    state = folder / "next"
    number = int(state.read_text()) if state.exists() else 0
    while number < count:
        command = COMMANDS[number % len(COMMANDS)]
        place = folder / "kills" / str(number)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        try:
            command.kill_once(bench, place, random.Random(f"{seed}/{number}"))
        except Fault as fault:
            raise Fault(
                f"kill {number} ({command.name}, seed {seed}) in {place}: {fault}"
            ) from None
        shutil.rmtree(place)
        number += 1
        state.write_text(str(number))
        if number % 100 == 0:
            say(f"{number} kills")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    try:
        kills(given.folder.resolve(), given.count, given.seed)
    except Fault as fault:
        sys.exit(str(fault))
