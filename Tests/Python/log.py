"""Reads a log with only SQLite and the package's decoder.

Only the args of heartbeats, which are packed, are decoded by the program.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasklog.decoding import Decoder

BUILT = Path(__file__).resolve().parents[2] / ".build"


@dataclass
class Event:
    number: int
    time: float
    nanoseconds: int
    hook: str
    key: Any
    start: str | None
    finish: str | None
    stimulus: str | None
    worker: str | None
    run: int | None
    args: tuple
    kwargs: dict[str, Any]
    snapshot: Any


class Log:
    def __init__(self, path: Path | str, **decoding: Any) -> None:
        self.path = path
        self._heartbeats: dict[str, dict[int, str]] = {}
        self.connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self.decoder = Decoder(blob=self._blob, **decoding)

    def _blob(self, hash: str) -> bytes:
        return self.one("SELECT bytes FROM blob WHERE hash = ?", hash)

    def rows(self, sql: str, *parameters: Any) -> list[tuple]:
        return self.connection.execute(sql, parameters).fetchall()

    def one(self, sql: str, *parameters: Any) -> Any:
        return self.rows(sql, *parameters)[0][0]

    def servers(self, kind: str) -> list[str]:
        return [r[0] for r in self.rows("SELECT server_id FROM source WHERE kind = ?", kind)]

    def _heartbeat(self, server: str, number: int) -> str:
        """The args of a heartbeat, as JSON."""
        if server not in self._heartbeats:
            named = os.environ.get("TASKLOG_TEST_PROGRAM")
            kinds = [BUILT / kind / "tasklog" for kind in ("release", "debug")]
            program = named or next(path for path in kinds if path.exists())
            sql = (
                "SELECT source_seq, tasklog_args(args, time_ns) AS args FROM events"
                " WHERE hook = 'heartbeat' AND server_id = :server"
            )
            command = [program, "query", sql, "-p", f"server={server}", "--format", "jsonl"]
            done = subprocess.run(
                [*command, "--log", self.path], capture_output=True, text=True, check=True
            )
            rows = [json.loads(line) for line in done.stdout.splitlines()]
            self._heartbeats[server] = {r["source_seq"]: json.dumps(r["args"]) for r in rows}
        return self._heartbeats[server][number]

    def events(self, server: str) -> Iterator[Event]:
        """The events of one source, in the order of occurrence."""
        decoder = self.decoder
        for row in self.connection.execute(
            """
            SELECT source_seq, time, hook.text, key.text, key.typed, start.text, finish.text,
              stimulus.text, worker.text, task_run, args, snapshot
            FROM event JOIN source ON source.id = event.source JOIN text AS hook ON hook.id = hook
            LEFT JOIN key ON key.id = event.key
            LEFT JOIN text AS start ON start.id = event.start
            LEFT JOIN text AS finish ON finish.id = event.finish
            LEFT JOIN text AS stimulus ON stimulus.id = event.stimulus
            LEFT JOIN text AS worker ON worker.id = event.worker
            WHERE server_id = ? ORDER BY source_seq
            """,
            (server,),
        ):
            is_packed = row[10] is not None and row[10].startswith('"')
            args, kwargs = decoder.args(self._heartbeat(server, row[0]) if is_packed else row[10])
            yield Event(
                number=row[0],
                time=row[1] / 10**9,
                nanoseconds=row[1],
                hook=row[2],
                key=None if row[3] is None else decoder.key(row[3], row[4]),
                start=row[5],
                finish=row[6],
                stimulus=row[7],
                worker=row[8],
                run=row[9],
                args=args,
                kwargs=kwargs,
                snapshot=None if row[11] is None else decoder.loads(row[11]),
            )
