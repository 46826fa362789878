"""How long it takes to read a million tasks from Python, and how much memory.

    reading_benchmark.py [--tasks N] [--rows N] [--log FILE]

Each way of reading runs in its own process, so that the peak of its memory is known; they are
compared with `pandas.read_sql_query` in the same run of this program. Exits with 1 if `.df()` is
slower than that, if `.arrow()` is not three times as fast, or if streaming needs memory.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FROZEN = Path(__file__).resolve().parents[1] / "CommandTests" / "Frozen" / "v2-dask.db"
PATH = ("released", "waiting", "processing", "memory", "released", "forgotten")
WORKERS = [f"tcp://10.0.0.{number}:4000" for number in range(8)]
PREFIXES = 20

WAYS = {
    "read_sql_query": """
        import sqlite3, pandas
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        result = pandas.read_sql_query("SELECT * FROM tasks", connection)
    """,
    "df": "result = run.tasks().df()",
    "arrow": "result = run.tasks().arrow()",
    "polars": "result = run.tasks().pl()",
    "rows": "result = [None for _ in run.tasks()]",
    "stream": """
        import pyarrow
        sql = (
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)"
            " SELECT i, 'key-' || (i % 1000) AS key, i * 0.5 AS seconds FROM n"
        )
        reader = pyarrow.RecordBatchReader.from_stream(run.sql(sql, rows=rows))
        before, count, size = peak(), 0, 0
        for batch in reader:
            count, size = count + batch.num_rows, size + batch.nbytes
        assert count == rows, count
        result = range(count)
        more = {"bytes": size, "extra": peak() - before}
    """,
}
PROGRAM = """
import json, resource, sys, time, warnings
path, rows = sys.argv[1], int(sys.argv[2])
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
import tasklog
for name in ("numpy", "pandas", "pyarrow", "polars"): __import__(name)
run = tasklog.open(path).run()
more, start, before = {}, time.perf_counter(), peak()
WAY
print(json.dumps({"seconds": time.perf_counter() - start, "rows": len(result), "peak": peak(),
    "before": before, **more}))
"""


def make(path: Path, tasks: int) -> None:
    """A log with so many more tasks than a recorded one has."""
    shutil.copy(FROZEN, path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")

    def text(value: str) -> int:
        connection.execute("INSERT OR IGNORE INTO text (text) VALUES (?)", (value,))
        return int(connection.execute("SELECT id FROM text WHERE text = ?", (value,)).fetchone()[0])

    (source,) = connection.execute("SELECT id FROM source WHERE kind = 'scheduler'").fetchone()
    (key,) = connection.execute("SELECT max(id) + 1 FROM key").fetchone()
    seq, time = connection.execute("SELECT max(seq), max(time) FROM event").fetchone()
    hook, stimulus = text("transition"), text("update-graph-1")
    states = [text(state) for state in PATH]
    workers = [text(worker) for worker in WORKERS]
    prefixes = [text(f"prefix-{number}") for number in range(PREFIXES)]
    connection.executemany(
        "INSERT INTO key VALUES (?, ?, '', ?, ?)",
        (
            (key + i, f"prefix-{i % PREFIXES}-{i:032x}", prefixes[i % PREFIXES], None)
            for i in range(tasks)
        ),
    )

    def events() -> Iterator[tuple[Any, ...]]:
        number = seq
        for i in range(tasks):
            begun, worker = time + i * 100_000, i % len(WORKERS)
            for step in range(len(states) - 1):
                number += 1
                args = None
                if PATH[step + 1] == "memory":
                    start = begun / 1e9
                    args = json.dumps(
                        {
                            "worker": WORKERS[worker], "nbytes": i % 4096,
                            "typename": "numpy.ndarray",
                            "startstops": [
                                {"action": "compute", "start": start, "stop": start + 0.001}
                            ],
                        },
                        separators=(",", ":"),
                    )  # fmt: skip
                yield (
                    number, source, number + 10_000_000, begun + step * 1000, hook, key + i,
                    states[step], states[step + 1], stimulus,
                    workers[worker] if step in (1, 2) else None, None, args, None,
                )  # fmt: skip

    marks = ", ".join("?" * 13)
    connection.executemany(f"INSERT INTO event VALUES ({marks})", events())
    connection.execute("UPDATE run SET last_seq = (SELECT max(seq) FROM event)")
    connection.execute("UPDATE run_total SET tasks = tasks + ?", (tasks,))
    connection.execute("COMMIT")
    connection.close()


def measure(way: str, path: Path, rows: int) -> dict[str, Any]:
    program = PROGRAM.replace("WAY", textwrap.dedent(WAYS[way]).strip())
    done = subprocess.run(
        [sys.executable, "-c", program, path, str(rows)], capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{way}: {done.stderr}")
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=10_000_000, help="of the stream")
    parser.add_argument("--log", type=Path, help="where the log is made, and left")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = given.log or Path(folder) / "benchmark.db"
        if not path.exists():
            make(path, given.tasks)
        print(f"{'':16} {'seconds':>9} {'rows':>10} {'peak MB':>9} {'extra MB':>9}")
        results = {}
        for way in WAYS:
            told = results[way] = measure(way, path, given.rows)
            extra = told.get("extra", told["peak"] - told["before"])
            print(
                f"{way:16} {told['seconds']:9.2f} {told['rows']:10,} "
                f"{told['peak'] / 1e6:9.0f} {extra / 1e6:9.0f}"
            )
    plain = results["read_sql_query"]["seconds"]
    factors = {way: plain / results[way]["seconds"] for way in ("df", "arrow")}
    stream = results["stream"]
    print(", ".join(f".{way}() is {factor:.1f} times as fast" for way, factor in factors.items()))
    print(f"a stream of {stream['bytes'] / 1e6:.0f} MB took {stream['extra'] / 1e6:.0f} MB extra")
    wrong = factors["df"] < 1 or factors["arrow"] < 3
    # A few batches of 65,536 rows.
    wrong = wrong or stream["extra"] > 64_000_000
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
