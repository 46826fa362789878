"""Serves the log of a recording to the process that requested it, over Dask's own connection.

The scheduler has the handler ``tasklog_log`` once `tasklog.record` was used. It answers about
recordings that were requested through it, and hands out copies of their logs, by pieces.
"""

from __future__ import annotations

import asyncio
import contextlib
import glob
import hashlib
import logging
import os
import re
import socket
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasklog.calling import Caller
from tasklog.library import copy_log

logger = logging.getLogger("tasklog")

HANDLER = "tasklog_log"
#: The largest piece of a copy, in bytes.
PIECE = 4 << 20
#: Seconds after which a copy that is not read is closed.
IDLE_SECONDS = 600.0
#: Seconds that recorded events may take into the log before it is copied.
_FLUSH_SECONDS = 30.0


@dataclass
class Recorded:
    """A recording, and after its end what is known about it."""

    recorder: Any
    run: str
    #: The options' name of the log, absolute; a template if it has ``{run}``.
    template: str
    #: The first segment.
    log: str
    #: The recording that was requested, and those that have joined it.
    callers: dict[str, Caller] = field(default_factory=dict)
    owner: str | None = None
    #: Those of them that are over. The last one ends the recording.
    over: set[str] = field(default_factory=set)
    #: The last counts, once the recording has ended.
    last: dict[str, Any] = field(default_factory=dict)

    @property
    def is_recording(self) -> bool:
        return getattr(self.recorder, "run", None) == self.run

    @property
    def is_over(self) -> bool:
        """Whether none of these needs a recording that was begun for one of them."""
        return self.owner is not None and self.over >= self.callers.keys()

    def segments(self) -> list[str]:
        """The files of the run, in their order."""
        head, mark, tail = os.path.basename(self.template).partition("{run}")
        if not mark:
            return [self.log]
        folder = os.path.dirname(self.log)
        number = re.compile(rf"{re.escape(head + self.run)}(?:\.(\d+))?{re.escape(tail)}")
        pattern = os.path.join(glob.escape(folder), f"{glob.escape(head)}{self.run}*")
        found = []
        for path in glob.glob(pattern):
            match = number.fullmatch(os.path.basename(path))
            if match:
                found.append((int(match[1] or 1), path))
        return [path for _, path in sorted(found)]


class Copy:
    """A copy of a log as it was at one moment; the file has no name and ends with the process."""

    def __init__(self, log: str) -> None:
        self.name = os.path.basename(log)
        self.used = time.monotonic()
        try:
            made, path = tempfile.mkstemp(prefix=".tasklog-copy-", dir=os.path.dirname(log))
        except OSError:
            made, path = tempfile.mkstemp(prefix=".tasklog-copy-")
        os.close(made)
        try:
            copy_log(log, path)
            self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            for name in (path, f"{path}-journal", f"{path}-wal"):
                with contextlib.suppress(OSError):
                    os.unlink(name)
        self.size = os.fstat(self.descriptor).st_size
        digest = hashlib.sha256()
        for place in range(0, self.size, PIECE):
            digest.update(os.pread(self.descriptor, PIECE, place))
        self.sha256 = digest.hexdigest()

    def read(self, place: int, length: int) -> bytes:
        self.used = time.monotonic()
        return os.pread(self.descriptor, min(length, PIECE), place)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self.descriptor)


class LogService:
    """The handler of one scheduler."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._recorded: dict[str, Recorded] = {}
        self._copies: dict[str, Copy] = {}

    def add(self, recorder: Any, caller: Caller) -> None:
        """Adds a recording that was requested, or joined."""
        native = recorder._native
        recorded = self._recorded.get(native.run)
        if recorded is None:
            log = os.path.abspath(native.log)
            # Where a log is not safe on a network file system, the folder is another one.
            name = os.path.basename(recorder._options.log or log)
            template = os.path.join(os.path.dirname(log), name)
            recorded = Recorded(recorder, native.run, template, log)
            self._recorded[native.run] = recorded
        recorded.callers[caller.token] = caller
        if recorder.caller is not None and recorder.caller.token == caller.token:
            recorded.owner = caller.token

    # A keyword for each, as Dask passes them from the message.
    async def answer(
        self,
        action: str = "",
        token: str = "",
        copy: str = "",
        place: int = 0,
        length: int = 0,
        remove: bool = False,
        **_: Any,
    ) -> dict[str, Any]:
        """Answers a request; a failure is an answer with ``error``."""
        try:
            if action == "read":
                piece = await asyncio.to_thread(self._copies[copy].read, place, length)
                return {"piece": piece}
            recorded = self._of(token)
            if recorded is None:
                return {"error": "this scheduler has no such recording"}
            if action == "end":
                recorded.over.add(token)
            if action == "end" and recorded.is_over and recorded.is_recording:
                counts = await asyncio.to_thread(self._counts, recorded)
                await recorded.recorder.detach()
                recorded.last = await asyncio.to_thread(_counts_at_the_end, recorded, counts)
            if action in ("copy", "end", "flush"):
                await self._flush(recorded)
            if action == "copy":
                return {**await self._status(recorded, token), "files": await self._copy(recorded)}
            if action == "drop":
                await asyncio.to_thread(self._drop, recorded, token, copy, remove)
                return {}
            return await self._status(recorded, token)
        except Exception as error:
            return {"error": str(error) or repr(error)}

    def _of(self, token: str) -> Recorded | None:
        return next((each for each in self._recorded.values() if token in each.callers), None)

    async def _flush(self, recorded: Recorded) -> None:
        """Waits until what was recorded is in the log."""
        if recorded.is_recording:
            await asyncio.to_thread(recorded.recorder.flush, _FLUSH_SECONDS)

    async def _status(self, recorded: Recorded, token: str) -> dict[str, Any]:
        counts = recorded.last
        if recorded.is_recording:
            counts = await asyncio.to_thread(self._counts, recorded)
        return {
            "run": recorded.run,
            "host": socket.gethostname(),
            "log": recorded.template,
            "segments": recorded.segments(),
            "shared": recorded.callers[token].shares_the_log(),
            "owner": recorded.owner == token,
            "recording": recorded.is_recording,
            **counts,
        }

    def _counts(self, recorded: Recorded) -> dict[str, Any]:
        """How far the log is behind, and what the spool holds."""
        native = recorded.recorder._native
        if native is None:
            return recorded.last
        recorder = recorded.recorder
        numbers = {recorder._scheduler.id: recorder._source, **recorder._sources}
        counters = {server: native.counters(number) for server, number in numbers.items()}
        stored = _stored(recorded)
        waiting = 0
        for server, counts in counters.items():
            known = stored.get(server, _Stored())
            # A gap is in the log when the next event is.
            pending = max(0, counts["lost"] - known.missing)
            waiting += max(0, counts["events"] - known.last - pending)
        newest = max((each.time for each in stored.values()), default=0)
        return {
            "events": sum(each["events"] for each in counters.values()),
            "waiting": waiting,
            "lag": max(0.0, time.time() - newest / 1e9) if waiting and newest else 0.0,
            "spool_bytes": _spool_bytes(recorded),
            "dropped": sum(each["lost"] for each in counters.values()),
        }

    async def _copy(self, recorded: Recorded) -> list[dict[str, Any]]:
        """Copies every segment; the run may start a new one meanwhile."""
        copies: dict[str, str] = {}
        last: str | None = None
        while True:
            segments = recorded.segments()
            if not segments:
                raise FileNotFoundError(f"{recorded.log} is gone")
            if last == segments[-1]:
                break
            for path in segments:
                if path in copies and path != last:
                    continue
                if path in copies:
                    # It was the last one, and now tells which one follows.
                    self._close(copies[path])
                made = await asyncio.to_thread(Copy, path)
                copies[path] = uuid.uuid4().hex
                self._copies[copies[path]] = made
            last = segments[-1]
        asyncio.get_running_loop().call_later(IDLE_SECONDS, self._close_idle)
        return [
            {
                "copy": each,
                "name": self._copies[each].name,
                "size": self._copies[each].size,
                "sha256": self._copies[each].sha256,
            }
            for each in copies.values()
        ]

    def _close(self, copy: str) -> None:
        found = self._copies.pop(copy, None)
        if found is not None:
            found.close()

    def _close_idle(self) -> None:
        now = time.monotonic()
        for copy, each in list(self._copies.items()):
            if now - each.used > IDLE_SECONDS / 2:
                self._close(copy)
        if self._copies:
            asyncio.get_running_loop().call_later(IDLE_SECONDS, self._close_idle)

    def _drop(self, recorded: Recorded, token: str, copy: str, remove: bool) -> None:
        """Closes a copy, and removes a log that has been fetched and is not used otherwise."""
        self._close(copy)
        if not remove or not recorded.is_over or recorded.is_recording:
            return
        if recorded.callers[token].is_temporary():
            for path in recorded.segments():
                wal = Path(f"{path}-wal")
                # Not if the recorder could not write everything in time. What a reader leaves is
                # empty.
                if os.path.exists(f"{path}.spool") or (wal.exists() and wal.stat().st_size):
                    continue
                for name in (path, f"{path}-wal", f"{path}-shm"):
                    Path(name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                os.rmdir(os.path.dirname(recorded.log))


def _spool_bytes(recorded: Recorded) -> int:
    total = 0
    for log in recorded.segments():
        with contextlib.suppress(OSError), os.scandir(f"{log}.spool/{recorded.run}") as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    total += entry.stat().st_blocks * 512
    return total


def _counts_at_the_end(recorded: Recorded, counts: dict[str, Any]) -> dict[str, Any]:
    stored = _stored(recorded).values()
    # Segments also have a gap for what the earlier ones have.
    missing = sum(each.missing for each in stored) if len(recorded.segments()) == 1 else 0
    return {
        "events": sum(each.last for each in stored),
        "waiting": 0,
        "lag": 0.0,
        "spool_bytes": _spool_bytes(recorded),
        "dropped": max(counts["dropped"], missing),
    }


@dataclass
class _Stored:
    """What a log has of a source: its last number, the missing events before it, and the time of
    its last event in nanoseconds since 1970."""

    last: int = 0
    missing: int = 0
    time: int = 0


def _stored(recorded: Recorded) -> dict[str, _Stored]:
    """What the log has of each source, by the id of its server."""
    sql = """
        SELECT server_id,
          max(
            coalesce((SELECT max(source_seq) FROM event WHERE source = source.id), 0),
            coalesce((SELECT max(source_seq + count - 1) FROM gap WHERE source = source.id), 0)),
          coalesce((SELECT sum(count) FROM gap WHERE source = source.id), 0),
          coalesce(
            (SELECT time FROM event WHERE source = source.id ORDER BY source_seq DESC LIMIT 1), 0)
        FROM source JOIN run ON run.id = source.run WHERE run.uuid = ?
    """
    stored: dict[str, _Stored] = {}
    for path in recorded.segments():
        with _reading(path) as log:
            for server, last, missing, newest in log.execute(sql, [recorded.run]):
                known = stored.setdefault(server, _Stored())
                known.last = max(known.last, last)
                known.missing += missing
                known.time = max(known.time, newest)
    return stored


@contextlib.contextmanager
def _reading(path: str) -> Iterator[sqlite3.Connection]:
    uri = f"{Path(path).as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, timeout=10)
    try:
        yield connection
    finally:
        connection.close()


def serve(scheduler: Any, recorder: Any, caller: Caller | None) -> None:
    """Lets a caller ask about a recording, and fetch its log, also after its end."""
    if caller is None:
        return
    service = getattr(scheduler.handlers.get(HANDLER), "__self__", None)
    if not isinstance(service, LogService):
        service = LogService(scheduler)
        scheduler.handlers[HANDLER] = service.answer
    service.add(recorder, caller)
