"""What runs are selected by, as ``RunEntry`` of the Swift side has it."""

from __future__ import annotations

import contextlib
import functools
import json
import sqlite3
from typing import TYPE_CHECKING, Any

from tasklog.reading.pure import files

if TYPE_CHECKING:
    from tasklog.reading.log import RunInfo

_PREFIXES = """
    SELECT DISTINCT text FROM text WHERE id IN (SELECT prefix FROM key WHERE id IN (
      SELECT key FROM event WHERE source IN (SELECT id FROM source WHERE run = ?)))
"""
_IDENTITY = ("hostname", "node", "containerID", "pod", "namespace")


class Entry:
    """A run, of which more is read when an expression needs it."""

    def __init__(self, info: RunInfo) -> None:
        self.info = info

    @property
    def info_labels(self) -> dict[str, str]:
        """The labels; what is no text is as in JSON."""
        return {
            name: value
            if isinstance(value, str)
            else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
            for name, value in self.info.labels.items()
        }

    @functools.cached_property
    def prefixes(self) -> list[str]:
        """The prefixes of its tasks."""
        return [text for (text,) in self._rows(_PREFIXES)]

    @functools.cached_property
    def places(self) -> list[str]:
        """Where its scheduler ran: host, node, container, pod, namespace and batch job."""
        ((text,),) = self._rows("SELECT metadata FROM run WHERE id = ?")
        try:
            metadata = json.loads(text)
        except (TypeError, ValueError):
            return []
        if not isinstance(metadata, dict):
            return []
        identity = metadata.get("identity")
        known: dict[str, Any] = identity if isinstance(identity, dict) else {}
        job = known.get("job")
        values = [metadata.get("host"), *(known.get(name) for name in _IDENTITY)]
        values += job.values() if isinstance(job, dict) else ()
        return [value for value in values if isinstance(value, str) and value]

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        connection, _ = files.open_for_reading(self.info.path)
        with contextlib.closing(connection):
            try:
                return connection.execute(sql, (self.info.number_in_part,)).fetchall()
            except sqlite3.Error as problem:
                version = files.version_of(connection)
                raise files.error(problem, self.info.path, version) from None
