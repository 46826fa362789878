"""What a part of a run is, computed from the view `events` alone; see `test_scopes.py`."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import inf
from pathlib import Path
from typing import Any

FINISHED = {"memory", "erred", "error", "released", "forgotten"}


def name(key: Any) -> str:
    """A key in JSON as the column `key` shows it."""
    if isinstance(key, dict):
        parts = [repr(part) for part in key["$tuple"]]
        return f"({', '.join(parts)})"
    return key if isinstance(key, str) else str(key)


def elements(value: Any) -> list:
    if isinstance(value, dict):
        value = value.get("$tuple") or value.get("$set") or []
    return value or []


def spans(args: dict) -> list[dict]:
    return elements(args.get("startstops"))


@dataclass
class Part:
    """The options of a command, and what they select."""

    prefix: str | None = None
    client: str | None = None
    span: str | None = None
    worker: str | None = None
    since: int = 0
    until: int = 1 << 62

    def cut(self, start: float, stop: float, unit: float = 1) -> tuple[float, float] | None:
        # Nanoseconds as a float are not exact.
        low, high = (self.since, self.until)
        if unit != 1:
            low, high = low / unit, high / unit
        if start > high or stop < low:
            return None
        return max(start, low), min(stop, high)

    def holds(self, time: int) -> bool:
        return self.since <= time <= self.until


class Events:
    """The events of one run of one log."""

    def __init__(self, log: Path) -> None:
        connection = sqlite3.connect(f"file:{log}?mode=ro", uri=True)
        connection.row_factory = sqlite3.Row
        self.rows = [dict(row) for row in connection.execute("SELECT * FROM events ORDER BY seq")]
        for row in self.rows:
            row["args"] = json.loads(row["args"] or "{}")
            row["snapshot"] = json.loads(row["snapshot"] or "{}")
        self.prefix_of = {row["key"]: row["prefix"] for row in self.rows if row["key"] is not None}
        self.group_of = {
            row["key"]: row["key_group"] for row in self.rows if row["key"] is not None
        }
        self.worker_names = {
            row["worker"]: json.loads(row["name"])
            for row in connection.execute("SELECT worker, name FROM workers")
        }
        self.end = max(row["time_ns"] for row in self.rows)
        self.clients: dict[str, set[str]] = defaultdict(set)
        self.spans: dict[str, set[str]] = defaultdict(set)
        self._submissions()

    def _submissions(self) -> None:
        of_group: dict[str, str] = {}
        for row in self.rows:
            if row["hook"] != "updateGraph":
                continue
            args, names = row["args"], [name(key) for key in elements(row["args"]["tasks"])]
            for key in elements(args["keys"]):
                self.clients[name(key)].add(args["client"])
            for key, task in zip(names, row["snapshot"]["graph"], strict=True):
                if "known" not in task:
                    self.clients[key].add(args["client"])
                group = self.group_of[key]
                if "span" in task:
                    of_group[group] = task["span"]
                annotation = (task.get("annotations") or {}).get("span")
                if annotation is None:
                    if group in of_group:
                        self.spans[key] |= {"default", of_group[group]}
                    continue
                annotation = annotation["$shared"][1]
                self.spans[key] |= set(elements(annotation["name"]))
                self.spans[key] |= set(elements(annotation["ids"]))

    def transitions(self, source: str | None = None) -> list[dict]:
        return [
            row
            for row in self.rows
            if row["hook"] == "transition"
            and row["start"] != row["finish"]
            and source in (None, row["source"])
        ]

    def is_worker(self, part: Part, address: str | None) -> bool:
        if part.worker is None:
            return True
        return address is not None and (
            fnmatchcase(address, part.worker) or str(self.worker_names.get(address)) == part.worker
        )

    # The tasks of a part

    def tasks(self, part: Part) -> set[str]:
        names = {row["key"] for row in self.rows if row["key"] is not None}
        if part.prefix is not None:
            names = {key for key in names if fnmatchcase(self.prefix_of[key], part.prefix)}
        for pattern, values in ((part.client, self.clients), (part.span, self.spans)):
            if pattern is not None:
                names = {
                    key
                    for key in names
                    if any(fnmatchcase(value, pattern) for value in values.get(key, ()))
                }
        if part.worker is not None:
            return names & self._on_workers(part)
        return names & self._in_window(part)

    def _in_window(self, part: Part) -> set[str]:
        found = {r["key"] for r in self.rows if r["key"] is not None and part.holds(r["time_ns"])}
        for key, state, _, start, stop in self.intervals("scheduler"):
            stop = self.end if stop is None else stop
            if state not in FINISHED and part.cut(start, max(start, stop)):
                found.add(key)
        return found

    def _on_workers(self, part: Part) -> set[str]:
        found = set()
        for key, state, worker, start, stop in self.intervals("scheduler"):
            stop = self.end if stop is None else stop
            if state == "processing" and self.is_worker(part, worker):
                if part.cut(start, max(start, stop)):
                    found.add(key)
        for row in self.transitions("worker"):
            if row["finish"] in ("executing", "long-running") and part.holds(row["time_ns"]):
                if self.is_worker(part, row["worker"]):
                    found.add(row["key"])
        return found

    def intervals(self, source: str) -> list[tuple]:
        """Key, state, worker, start and stop (None if it did not end) of each stay in a state."""
        last: dict[tuple, dict] = {}
        found = []
        for row in self.transitions(source):
            place = (row["server_id"], row["key"])
            if place in last:
                before = last[place]
                found.append(
                    (before["key"], before["finish"], before["worker"], before["time_ns"],
                     row["time_ns"])
                )  # fmt: skip
            last[place] = row
        for row in last.values():
            found.append((row["key"], row["finish"], row["worker"], row["time_ns"], None))
        return found

    # Figures

    def outcomes(self) -> list[dict]:
        return [
            row
            for row in self.transitions("scheduler")
            if row["start"] == "processing" and row["finish"] in ("memory", "erred")
        ]

    def prefixes(self, part: Part) -> list[dict]:
        tasks = self.tasks(part)
        figures: dict[str, dict] = {}
        seen: dict[str, set] = defaultdict(set)
        for row in self.rows:
            if row["hook"] == "transition" and row["source"] == "scheduler":
                if row["key"] in tasks:
                    seen[row["prefix"]].add(row["key"])
        for prefix, keys in seen.items():
            figures[prefix] = {
                "prefix": prefix, "tasks": len(keys), "done": 0, "failed": 0, "retried": 0,
                "nbytes": 0, "compute": 0.0,
            }  # fmt: skip
        sent: dict[str, int] = defaultdict(int)
        happened: dict[str, set] = defaultdict(set)
        for row in self.transitions("scheduler"):
            if row["key"] not in tasks:
                continue
            what = {"memory": "done", "erred": "failed"}.get(row["finish"])
            if row["finish"] == "processing":
                sent[row["key"]] += 1
                what = "retried" if sent[row["key"]] > 1 else None
            if what and part.holds(row["time_ns"]) and row["key"] not in happened[what]:
                happened[what].add(row["key"])
                figures[row["prefix"]][what] += 1
        last: dict[str, int] = {}
        for row in self.outcomes():
            if row["key"] not in tasks:
                continue
            if part.holds(row["time_ns"]):
                last[row["key"]] = row["args"].get("nbytes", 0) or 0
            if self.is_worker(part, row["args"].get("worker")):
                for span in spans(row["args"]):
                    piece = part.cut(span["start"], span["stop"], 1e9)
                    if span["action"] == "compute" and piece:
                        figures[row["prefix"]]["compute"] += piece[1] - piece[0]
        for key, nbytes in last.items():
            figures[self.prefix_of[key]]["nbytes"] += nbytes
        return [figures[prefix] for prefix in sorted(figures, key=lambda p: p.encode())]

    def states(self, part: Part) -> dict[tuple, tuple]:
        """The count and the seconds of the stays of each prefix, source and state."""
        tasks = self.tasks(part)
        found: dict[tuple, tuple] = defaultdict(lambda: (0, 0.0, 0.0))
        for source in ("scheduler", "worker"):
            for key, state, worker, start, stop in self.intervals(source):
                if key not in tasks or stop is None or state == "forgotten":
                    continue
                if source == "worker" and not self.is_worker(part, worker):
                    continue
                piece = part.cut(start, stop)
                if piece:
                    place = (self.prefix_of[key], source, state)
                    count, seconds, longest = found[place]
                    taken = (piece[1] - piece[0]) / 1e9
                    found[place] = count + 1, seconds + taken, max(longest, taken)
        return dict(found)

    def workers(self, part: Part) -> dict[str, tuple]:
        """Tasks, failures, bytes and seconds computed of each worker."""
        tasks = self.tasks(part)
        found = {
            address: [0, 0, 0, 0.0]
            for address in self.worker_names
            if self.is_worker(part, address)
        }
        for row in self.outcomes():
            address = row["args"].get("worker")
            if row["key"] not in tasks or address not in found:
                continue
            figures = found[address]
            if part.holds(row["time_ns"]):
                figures[0] += row["finish"] == "memory"
                figures[1] += row["finish"] == "erred"
                figures[2] += row["args"].get("nbytes", 0) if row["finish"] == "memory" else 0
            for span in spans(row["args"]):
                piece = part.cut(span["start"], span["stop"], 1e9)
                if span["action"] == "compute" and piece:
                    figures[3] += piece[1] - piece[0]
        return {address: tuple(figures) for address, figures in found.items()}

    def work(self, part: Part) -> list[tuple]:
        """Key, action, worker and seconds of each span of work, the longest first."""
        tasks = self.tasks(part)
        found = []
        for row in self.transitions("scheduler"):
            worker = row["args"].get("worker")
            if row["key"] not in tasks or not self.is_worker(part, worker):
                continue
            for span in spans(row["args"]):
                piece = part.cut(span["start"], span["stop"], 1e9)
                if piece:
                    found.append((row["key"], span["action"], worker, piece[1] - piece[0]))
        return sorted(found, key=lambda span: -span[3])

    def open(self, part: Part) -> set[tuple]:
        """Source, key and state of what is unfinished at the end of the part."""
        tasks = self.tasks(part)
        last: dict[tuple, dict] = {}
        gone = {
            row["server_id"]
            for row in self.rows
            if row["hook"] == "teardown" and row["time_ns"] <= part.until
        }
        for row in self.transitions():
            if row["time_ns"] <= part.until:
                last[row["server_id"], row["key"]] = row
        found = set()
        for (server, key), row in last.items():
            if key not in tasks or row["finish"] in FINISHED or server in gone:
                continue
            if row["worker"] is None or self.is_worker(part, row["worker"]):
                found.add((row["source"], key, row["finish"]))
        return found

    def last_outcome(self, part: Part) -> dict | None:
        tasks = self.tasks(part)
        found = [
            row
            for row in self.outcomes()
            if row["key"] in tasks
            and part.holds(row["time_ns"])
            and self.is_worker(part, row["worker"])
        ]
        return found[-1] if found else None

    def select(self, part: Part, rows: list[dict], key: Callable[[dict], Any]) -> list[dict]:
        """The rows of a table whose task is in a part."""
        tasks = self.tasks(part)
        return [row for row in rows if key(row) in tasks]


def close(ours: float, theirs: float) -> bool:
    return abs(ours - theirs) <= 2e-6 + 1e-6 * max(abs(ours), abs(theirs)) and ours != inf
