"""Records in this process, reads the log here through a library, which may have its own SQLite,
while another process writes into it.

python two_copies.py READER SECONDS   works in the current folder; prints a JSON object.
"""

from __future__ import annotations

import glob
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

QUERY = "SELECT count(*) FROM event"
#: Of pandas and polars, which read the rows.
ROWS = "SELECT seq, source, args FROM event ORDER BY seq DESC LIMIT 1000"
# A process without tasklog.
OTHER = """
import sqlite3
connection = sqlite3.connect("run.db", timeout=60, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("CREATE TABLE IF NOT EXISTS other (a)")
connection.execute("INSERT INTO other VALUES (1)")
connection.execute("COMMIT")
connection.close()
"""


def read_with_sqlite3() -> Any:
    connection = sqlite3.connect("run.db", timeout=60)
    try:
        return connection.execute(QUERY).fetchone()
    finally:
        connection.close()


def read_with_pysqlite3() -> Any:
    import pysqlite3

    connection = pysqlite3.connect("run.db", timeout=60)
    try:
        return connection.execute(QUERY).fetchone()
    finally:
        connection.close()


def read_with_apsw() -> Any:
    import apsw

    connection = apsw.Connection("run.db", flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(60_000)
    try:
        return list(connection.execute(QUERY))
    finally:
        connection.close()


def read_with_duckdb() -> Any:
    import duckdb
    import duckdb_extension_sqlite_scanner as scanner

    folder = f"{os.path.dirname(scanner.__file__)}/extensions/v{duckdb.__version__}"
    (extension,) = glob.glob(f"{folder}/*.duckdb_extension")
    with duckdb.connect(config={"allow_unsigned_extensions": "true"}) as connection:
        connection.execute(f"LOAD '{extension}'")
        connection.execute("ATTACH 'run.db' AS log (TYPE sqlite)")
        return connection.execute("SELECT count(*) FROM log.event").fetchone()


def read_with_pandas() -> Any:
    import pandas

    connection = sqlite3.connect("run.db", timeout=60)
    try:
        return len(pandas.read_sql_query(ROWS, connection))
    finally:
        connection.close()


def read_with_polars() -> Any:
    import polars

    # As its documentation has it: from a connection that its user opens.
    connection = sqlite3.connect("run.db", timeout=60)
    try:
        return polars.read_database(ROWS, connection, infer_schema_length=None).height
    finally:
        connection.close()


def read_with_tasklog() -> Any:
    """The reading API, and its data frames."""
    import tasklog

    with tasklog.open("run.db") as log:
        run = log.run()
        newest = run.sql("SELECT * FROM transitions ORDER BY seq DESC LIMIT 1000")
        return len(newest.df()), newest.pl().height, len(run.tasks()), run.info.end


READERS: dict[str, Callable[[], Any]] = {
    "tasklog": read_with_tasklog,
    "sqlite3": read_with_sqlite3,
    "pysqlite3": read_with_pysqlite3,
    "apsw": read_with_apsw,
    "duckdb": read_with_duckdb,
    "pandas": read_with_pandas,
    "polars": read_with_polars,
}


class Repeating(threading.Thread):
    """Does something repeatedly; counts how often, and keeps the errors."""

    def __init__(self, what: Callable[[], Any]) -> None:
        super().__init__()
        self.what, self.done, self.failures = what, 0, list[str]()
        self.is_over = threading.Event()

    def run(self) -> None:
        while not self.is_over.wait(0.005):
            try:
                self.what()
            except Exception as error:
                self.failures.append(f"{type(error).__name__}: {error}")
            self.done += 1

    def end(self) -> None:
        self.is_over.set()
        self.join()


def write_from_another_process() -> None:
    done = subprocess.run([sys.executable, "-c", OTHER], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])


def main(reader: str, seconds: float) -> None:
    from distributed import Client, LocalCluster

    import tasklog

    tasks = 0
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(tasklog.Recorder(os.path.abspath("run.db")))
        reading, writing = Repeating(READERS[reader]), Repeating(write_from_another_process)
        threads = [reading, writing]
        for thread in threads:
            thread.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end or not (reading.done and writing.done):
            client.gather(client.map(lambda x: x, range(tasks, tasks + 300)))
            tasks += 300
        for thread in threads:
            thread.end()
    print(
        json.dumps(
            {
                "tasks": tasks,
                "reads": reading.done,
                "failed reads": reading.failures[:3],
                "writes": writing.done,
                "failed writes": writing.failures[:3],
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
