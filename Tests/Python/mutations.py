"""Mutations of logs: what a crashed disk leaves, and what a stranger may send.

A mutation is determined by its seed: the log it starts from, and what it changes, in the values
of rows (numbers, text, JSON, wrong types), in the bytes of the file, or in those of its
write-ahead log.
"""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

FROZEN = Path(__file__).resolve().parents[1] / "CommandTests" / "Frozen"
BASES = ["v1-dask", "v1-demo", "v1-future", "v2-dask", "v2-demo", "v2-future"]

INTEGERS = [
    *(sign * 2**63 + more for sign, more in ((1, -1), (1, -2), (-1, 0), (-1, 1))),
    *(sign * 2**power for sign in (1, -1) for power in (31, 32, 53, 60, 62)),
    *(0, 1, -1, 2, 3, -2, 7, 1000, 1023, 1024, 10**9, -(10**9), 10**18, 9 * 10**18, -(10**18)),
]
NUMBERS = [
    *(str(integer) for integer in INTEGERS),
    *("1e999", "-1e999", "1e308", "-1e308", "1e19", "9.3e18", "-9.3e18", "1e-320", "0.5", "-0.0"),
    *("NaN", "Infinity", "-Infinity", "99999999999999999999", "null", "true", '"text"', "[]"),
    *("{}", "[[]]", '{"$tuple": []}', '{"$float": "nan"}', '{"$float": "inf"}'),
    *('{"$bytes": "!"}', '{"$int": "9999999999999999999999"}', '{"$blob": 1}'),
]
TEXTS = [
    *("", " ", "\0", "a\0b", "x" * 10_000, "\U0010ffff", "\x1b[31m", "<script>", "%s%n", "null"),
    *("{}", "[]", "{", "[1", '{"a": ', "1e999", "nan", "-1", "9" * 40, "../../x", "tcp://[::1]:0"),
    *("transition", "memory", "erred", "processing", "addWorker", "removeWorker", "scheduler"),
]
BLOBS = [b"", b"\0", b"\xff\xfe\xfd", b"\xc3", b"\x80" * 100, b"{\xff}", b'{"a": "\xed\xa0\x80"}']
JSON_NUMBER = re.compile(r"(?<=[:\[, ])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?=[,\]} ])")
ANY_VALUE = re.compile(r'(?<=[:\[,])(?:-?\d[\d.eE+-]*|"[^"\\]*"|null|true|false|\[\]|\{\})')

# The tables of a log without what would keep a wrong value out of them.
LOOSE = [(r"\) STRICT", ")"), (r" NOT NULL", ""), (r"CHECK \([^()]*\([^()]*\)\)", "")]


class Mutation:
    """A mutated log in a folder, determined by its seed."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.path = folder / "log.db"
        self.changes: list[str] = []
        self.base = self.random.choice(BASES)
        shutil.copyfile(FROZEN / f"{self.base}.db", self.path)
        self.path.chmod(0o600)
        kinds: list[tuple[Callable[[], None], int]] = [
            (self.change_values, 12),
            (self.flip_bytes, 2),
            (self.cut_or_clear, 1),
            (self.damage_wal, 1),
        ]
        (kind,) = self.random.choices([k for k, _ in kinds], [weight for _, weight in kinds])
        kind()

    # Values

    def change_values(self) -> None:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as log:
            log.text_factory = lambda text: text.decode(errors="replace")
            strict = self.replace_schema(log, None)
            log.close()
        with closing(sqlite3.connect(self.path, isolation_level=None)) as log:
            log.text_factory = lambda text: text.decode(errors="replace")
            log.execute("PRAGMA ignore_check_constraints = 1")
            log.execute("PRAGMA synchronous = 0")
            log.execute("BEGIN")
            tables = [name for name in strict if not name.startswith("sqlite")]
            for _ in range(self.random.choice([1, 1, 1, 2, 3, 5])):
                # Most of what is read is in the events.
                table = "event" if self.random.random() < 0.5 else self.random.choice(tables)
                self.change_column(log, table)
            log.execute("COMMIT")
        with closing(sqlite3.connect(self.path, isolation_level=None)) as log:
            self.replace_schema(log, strict)

    @staticmethod
    def replace_schema(log: sqlite3.Connection, tables: dict[str, str] | None) -> dict[str, str]:
        found = dict(
            log.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql != ''")
        )
        log.execute("PRAGMA writable_schema = 1")
        log.execute("BEGIN")
        for name, sql in (tables or found).items():
            for pattern, loose in LOOSE if tables is None else ():
                sql = re.sub(pattern, loose, sql)
            log.execute(
                "UPDATE sqlite_schema SET sql = ? WHERE type = 'table' AND name = ?", (sql, name)
            )
        log.execute("COMMIT")
        log.execute("PRAGMA writable_schema = 0")
        return found

    def change_column(self, log: sqlite3.Connection, table: str) -> None:
        columns = [row[1] for row in log.execute(f'PRAGMA table_info("{table}")')]
        column = self.random.choice(columns)
        where, what = self.rows(log, table)
        old = [row[0] for row in log.execute(f'SELECT "{column}" FROM "{table}"{where} LIMIT 1')]
        value, expression = self.new_value(column, old[0] if old else None)
        self.changes.append(f"{table}.{column}{what} = {expression} {value!r:.80}")
        try:
            log.execute(
                f'UPDATE OR REPLACE "{table}" SET "{column}" = {expression}{where}',
                (value,) if "?" in expression else (),
            )
        except sqlite3.Error as error:
            # A datatype that a rowid cannot have, a number that is too large.
            self.changes[-1] += f": {error}"

    def rows(self, log: sqlite3.Connection, table: str) -> tuple[str, str]:
        (count,) = log.execute(f'SELECT count(*) FROM "{table}"').fetchone()
        choice = self.random.random()
        if choice < 0.25 or not count:
            return "", ""
        # The first column of a table without row ids.
        sql = log.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]
        first = log.execute(f'PRAGMA table_info("{table}")').fetchone()[1]
        key = first if "WITHOUT ROWID" in sql else "rowid"
        if choice < 0.5:
            step = self.random.choice([2, 3, 10])
            return f" WHERE unicode({key} || '0') % {step} = 0", f" (about each {step}.)"
        offset = self.random.randrange(count)
        row = f'(SELECT {key} FROM "{table}" LIMIT 1 OFFSET {offset})'
        operator = self.random.choice(["=", "=", ">=", "<="])
        return f" WHERE {key} {operator} {row}", f" ({operator} row {offset})"

    def new_value(self, column: str, old: Any) -> tuple[Any, str]:
        choice = self.random.random()
        if isinstance(old, str) and old.startswith(("{", "[")) and choice < 0.85:
            return self.changed_json(old), "?"
        if isinstance(old, bytes) and old and choice < 0.8:
            return self.changed_bytes(old), "?"
        if isinstance(old, int) and choice < 0.75:
            if self.random.random() < 0.2:
                number = self.random.choice([1, -1, 2, 10**9, -(10**9), 2**62])
                return None, f'"{column}" {self.random.choice("+-*")} {number}'
            return self.random.choice(INTEGERS), "?"
        if isinstance(old, str) and choice < 0.7:
            return self.random.choice(TEXTS), "?"
        kind = self.random.randrange(6)
        if kind == 0:
            return None, "NULL"
        if kind == 1:
            return self.random.choice([1e300, -1e300, 0.5, float("inf"), float("-inf"), 1e19]), "?"
        if kind == 2:
            return self.random.choice(BLOBS), "?"
        if kind == 3:
            return self.random.choice(BLOBS), "CAST(? AS TEXT)"
        if kind == 4:
            return self.random.choice(TEXTS), "?"
        return self.random.choice(INTEGERS), "?"

    def changed_json(self, text: str) -> str:
        choice = self.random.randrange(10)
        if choice == 0:
            return text[: self.random.randrange(len(text))]
        if choice == 1:
            depth = self.random.choice([10, 100, 1000, 3000])
            return text[:-1] + ', "deep": ' + "[" * depth + "]" * depth + "}"
        if choice == 2:
            depth = self.random.choice([100, 1000, 3000])
            return '{"a":' * depth + "1" + "}" * depth
        pattern = JSON_NUMBER if choice < 8 else ANY_VALUE
        found = list(pattern.finditer(text))
        if not found:
            return self.random.choice(["{}", "[]", '{"startstops": 1}', "null", "[[[1]]]"])
        all_of_them = self.random.random() < 0.3
        number = self.random.choice(NUMBERS)
        for match in reversed(found if all_of_them else [self.random.choice(found)]):
            text = text[: match.start()] + number + text[match.end() :]
        return text

    def changed_bytes(self, old: bytes) -> bytes:
        new = bytearray(old)
        for _ in range(self.random.choice([1, 2, 10])):
            new[self.random.randrange(len(new))] = self.random.choice(
                [0, 0xFF, 0x80, 0x7F, self.random.randrange(256)]
            )
        return bytes(new[: self.random.randrange(len(new))] if self.random.random() < 0.2 else new)

    # Bytes

    def flip_bytes(self) -> None:
        content = bytearray(self.path.read_bytes())
        start = 0 if self.random.random() < 0.4 else self.random.randrange(len(content))
        for _ in range(self.random.choice([1, 3, 20, 200])):
            near = start + self.random.randrange(4096)
            place = near if self.random.random() < 0.6 else self.random.randrange(len(content))
            content[place % len(content)] ^= 1 << self.random.randrange(8)
        self.path.write_bytes(content)
        self.changes.append("flipped bits")

    def cut_or_clear(self) -> None:
        content = bytearray(self.path.read_bytes())
        page = int.from_bytes(content[16:18], "big")
        if self.random.random() < 0.5:
            length = self.random.randrange(len(content))
            content = content[: length - length % page if self.random.random() < 0.5 else length]
            self.changes.append(f"cut to {len(content)}")
        else:
            start = self.random.randrange(len(content) // page) * page
            other = self.random.randrange(len(content) // page) * page
            zeros = self.random.random() < 0.5
            content[start : start + page] = bytes(page) if zeros else content[other : other + page]
            self.changes.append(f"page at {start} {'zeroed' if zeros else f'is that at {other}'}")
        self.path.write_bytes(content)

    def damage_wal(self) -> None:
        """A log with a write-ahead log whose bytes were changed."""
        log = sqlite3.connect(self.path, isolation_level=None)
        log.execute("PRAGMA journal_mode = WAL")
        log.execute("PRAGMA wal_autocheckpoint = 0")
        log.execute("UPDATE event SET time = time + 1")
        log.execute("UPDATE run SET events = events + 1")
        wal = self.path.with_name("log.db-wal")
        content = bytearray(wal.read_bytes())
        main = self.path.read_bytes()
        log.close()
        self.path.write_bytes(main)
        if self.random.random() < 0.4:
            content = content[: self.random.randrange(len(content))]
        for _ in range(self.random.choice([0, 1, 5, 100])):
            if content:
                content[self.random.randrange(len(content))] ^= 1 << self.random.randrange(8)
        wal.write_bytes(content)
        self.changes.append(f"write-ahead log of {len(content)} bytes")

    def __str__(self) -> str:
        return f"seed {self.seed}: {self.base}, {'; '.join(self.changes)}"
