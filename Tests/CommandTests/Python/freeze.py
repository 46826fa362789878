"""Makes the frozen logs of a version of the file format, once: when that version is released.

Usage: freeze.py PROGRAM LIBRARY

PROGRAM is a release build of tasklog, LIBRARY its libTaskLogC.so; the Python that runs this needs
`distributed`, and is in a folder that does not reveal its owner (`/opt/dask`), as pickles contain
its name. Frozen logs are never regenerated: other programs have written such files, and no later
change of ours may make them unreadable.
"""

import hashlib
import os
import platform
import socket
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "Frozen"
SOURCES = Path(__file__).resolve().parents[3] / "Sources"

JOB = """
import sys
import tasklog
from distributed import Client, LocalCluster


def increment(x):
    return x + 1


def total(xs):
    return sum(xs)


def broken(x):
    raise ValueError(f"cannot take {x}")


if __name__ == "__main__":
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster, Client(cluster) as client:
        client.register_plugin(tasklog.Recorder(sys.argv[1]))
        numbers = client.map(increment, range(5))
        assert client.submit(total, numbers, key=("total", 1)).result() == 15
        failed = client.submit(total, [client.submit(broken, 1, retries=1)], key="after-broken")
        assert isinstance(failed.exception(), ValueError)
        assert client.submit(bytes, 3000, key="bytes").result() == bytes(3000)
"""


#: Updates stored totals after events were changed here.
TOTALS = """
DELETE FROM event_total; DELETE FROM run_total; DELETE FROM hook_event;
INSERT INTO event_total (run, source_kind, hook, events, args_bytes, snapshot_bytes)
SELECT run, kind, hook, count(*), coalesce(sum(length(CAST(args AS BLOB))), 0),
  coalesce(sum(length(CAST(snapshot AS BLOB))), 0)
FROM event JOIN source ON source.id = event.source GROUP BY run, kind, hook;
UPDATE source_total SET events = (SELECT count(*) FROM event WHERE source = source_total.source);
INSERT INTO hook_event SELECT hook, seq FROM event WHERE hook NOT IN (
  SELECT id FROM text WHERE text IN ('transition', 'stimulus', 'heartbeat', 'clientDesiresKeys',
    'clientReleasesKeys', 'addReplica', 'removeReplica', 'report'));
INSERT INTO run_total
SELECT run, count(DISTINCT key), count(DISTINCT CASE WHEN kind = 'scheduler'
  AND hook = (SELECT id FROM text WHERE text = 'transition')
  AND finish = (SELECT id FROM text WHERE text = 'erred') AND start IS NOT finish THEN key END)
FROM event JOIN source ON source.id = event.source GROUP BY run;
UPDATE meta SET value = (SELECT count(*) FROM text) WHERE name = 'texts';
UPDATE meta SET value = (SELECT count(*) FROM key) WHERE name = 'keys';
"""


def record_demo(program: str, folder: Path) -> Path:
    texts = folder / "texts"
    texts.mkdir()
    for number in range(4):
        (texts / f"{number}.txt").write_text("one two three " * (number + 1))
    (texts / "no text.bin").write_bytes(b"\xff\x00\xfe")
    log = folder / "demo.db"
    command = [program, "demo", "--input", "texts", "--log", "demo.db", "--workers", "2"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return log


def record_dask(library: str, folder: Path) -> Path:
    (folder / "job.py").write_text(JOB)
    environment = {**os.environ, "TASKLOG_LIB": library, "PYTHONPATH": str(SOURCES / "Python")}
    command = [sys.executable, "job.py", "dask.db"]
    subprocess.run(command, cwd=folder, check=True, env=environment)
    return folder / "dask.db"


def anonymous(log: Path, folder: Path) -> None:
    """Removes the paths and the name of this machine from the recorded events."""
    places = sorted(
        {str(folder), str(SOURCES.parent), sys.prefix, sys.base_prefix, os.path.expanduser("~")},
        key=len,
        reverse=True,
    )
    names = [(place, "/home/alice") for place in places if place != "/"]
    names.append((socket.gethostname(), "alices-machine"))
    names.append((platform.release(), "6.1.0"))
    with sqlite3.connect(log) as connection:
        for table, column in [
            ("event", "args"), ("event", "snapshot"), ("run", "metadata"), ("text", "text"),
            ("source", "name"), ("source", "address"), ("source", "server_id"),
        ]:  # fmt: skip
            for name, other in names:
                connection.execute(
                    f"UPDATE {table} SET {column} = replace({column}, ?, ?)"
                    f" WHERE instr({column}, ?)",
                    (name, other, name),
                )
        connection.executescript(TOTALS)
    connection.close()
    with sqlite3.connect(log) as connection:
        connection.execute("VACUUM")
    connection.close()


def from_the_future(log: Path) -> None:
    """Adds events of a kind that this version does not know."""
    with sqlite3.connect(log) as connection:
        last_text = connection.execute("SELECT max(id) FROM text").fetchone()[0]
        texts = ["telepathy", "levitating", "enlightened", "moonrise-1"]
        for place, text in enumerate(texts, 1):
            connection.execute("INSERT INTO text VALUES (?, ?)", (last_text + place, text))
        hook, start, finish, stimulus = (last_text + place for place in range(1, 5))
        (transition,) = connection.execute(
            "SELECT id FROM text WHERE text = 'transition'"
        ).fetchone()
        source, source_seq, seq, time = connection.execute(
            "SELECT source, max(source_seq), (SELECT max(seq) FROM event), max(time) FROM event"
            " WHERE source = (SELECT min(id) FROM source WHERE kind = 'scheduler')"
        ).fetchone()
        key = connection.execute("SELECT min(id) FROM key").fetchone()[0]
        args = '{"$args":[1,{"$hologram":{"depth":3}}],"mood":"calm","$unheard":[null,{"$a":1}]}'
        snapshot = '{"aura":{"$colour":"ultraviolet"}}'
        for place, states in enumerate(
            [(hook, None, None), (hook, start, finish), (transition, start, finish)], 1
        ):
            connection.execute(
                "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, 1, ?, ?)",
                (
                    seq + place, source, source_seq + place, time + place, states[0], key,
                    *states[1:], stimulus, args, snapshot,
                ),
            )  # fmt: skip
        connection.execute("UPDATE meta SET value = ? WHERE name = 'next_seq'", (seq + 4,))
        connection.execute("UPDATE run SET last_seq = last_seq + 3, events = events + 3")
        connection.executescript(TOTALS)
    connection.close()


def of_a_later_version(log: Path) -> None:
    """Marks the log as version 99, with an additional column, table and view."""
    with sqlite3.connect(log) as connection:
        connection.executescript(
            """
            ALTER TABLE event ADD COLUMN mood TEXT;
            UPDATE event SET mood = 'calm' WHERE seq % 2;
            CREATE TABLE mood (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
            CREATE VIEW moods AS SELECT seq, mood FROM event WHERE mood IS NOT NULL;
            PRAGMA user_version = 99;
            """
        )
    connection.close()


def main() -> None:
    program, library = (os.path.abspath(path) for path in sys.argv[1:3])
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        demo, dask = record_demo(program, folder), record_dask(library, folder)
        for log in (demo, dask):
            anonymous(log, folder)
        with sqlite3.connect(demo) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.close()
        future, later = folder / "future.db", folder / "later.db"
        for log, change in ((future, from_the_future), (later, of_a_later_version)):
            log.write_bytes(demo.read_bytes())
            change(log)
        for log in (demo, dask, future, later):
            frozen = FOLDER / f"v{version}-{log.name}"
            if frozen.exists():
                print(f"{frozen.name} is frozen, and stays as it is")
                continue
            frozen.write_bytes(log.read_bytes())
            frozen.chmod(0o644)
            print(f'    "{frozen.stem}": "{hashlib.sha256(frozen.read_bytes()).hexdigest()}",')


if __name__ == "__main__":
    main()
