"""The spool of a worker: its events until the scheduler's recorder has acknowledged them.

A source has files of one size, `FOLDER/RUN-ID/SOURCE-ID.N`, mapped into memory: what has been
stored survives the death of the process by any signal. A file is locked as long as its worker
lives. Layout:

    0   "tlworker"
    8   records, each a header of eight bytes (length of the content, CRC-32 of it, both little
        endian) and the content in MessagePack; a length of 0 is the end

The first record of a file is a map that identifies its worker. The header of a record is stored
after its content, so a torn record has none.

This module is sent to workers by value: it imports nothing of this package.
"""

from __future__ import annotations

import contextlib
import importlib.util
import mmap
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import msgpack

MAGIC = b"tlworker"
HEADER = "<II"
HEADER_BYTES = 8
SEGMENT_BYTES = 1 << 20


class Segment:
    """One file of a spool, or memory if there is no disk space."""

    def __init__(self, path: str | None, size: int) -> None:
        self.path = path
        self.descriptor = -1
        if path is None:
            self.map = mmap.mmap(-1, size)
        else:
            # Under another name until it is locked: else it would look like a dead worker's.
            fresh = path + ".new"
            flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
            self.descriptor = os.open(fresh, flags, 0o600)
            try:
                _lock(self.descriptor)
                _allocate(self.descriptor, size)
                self.map = mmap.mmap(self.descriptor, size)
                os.rename(fresh, path)
            except BaseException:
                os.close(self.descriptor)
                os.unlink(fresh)
                raise
        self.size = size
        self.end = len(MAGIC)
        self.shipped = self.end
        self.map[: self.end] = MAGIC

    def has_room(self, count: int) -> bool:
        return self.end + HEADER_BYTES + count <= self.size

    def put(self, content: bytes) -> None:
        start, body = self.end, self.end + HEADER_BYTES
        self.end = body + len(content)
        self.map[body : self.end] = content
        struct.pack_into(HEADER, self.map, start, len(content), zlib.crc32(content))

    @property
    def is_removed(self) -> bool:
        """Whether another program has removed the file."""
        return self.path is not None and os.fstat(self.descriptor).st_nlink == 0

    def restore(self) -> None:
        """Copies the content to a new file at the same path."""
        fresh = Segment(self.path, self.size)
        fresh.map[: self.end] = self.map[: self.end]
        self.map.close()
        os.close(self.descriptor)
        self.map, self.descriptor = fresh.map, fresh.descriptor

    def remove(self) -> None:
        self.map.close()
        if self.path is not None:
            # A cleaner of temporary files may have been faster.
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(self.path)
            os.close(self.descriptor)


def _has_locks() -> bool:
    """Whether files can be locked. Windows cannot: files of living and dead workers would look the
    same, so that events stay in memory there."""
    # Where this module is sent to, an import at its top would fail.
    return importlib.util.find_spec("fcntl") is not None


def _lock(descriptor: int) -> None:
    """Locks a file, or raises `OSError`."""
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _allocate(descriptor: int, size: int) -> None:
    """Makes a new file large; a full disk is an error here, and not a SIGBUS later."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    # macOS.
    written = 0
    while written < size:
        written += os.write(descriptor, bytes(min(size - written, SEGMENT_BYTES)))


class WorkerSpool:
    """The spool of one source. Its events are numbered; those before `shipped` can be removed."""

    def __init__(
        self, folder: str | None, run: str, header: dict[str, Any], limit: int = 256 << 20
    ) -> None:
        self.header = dict(header, run=run)
        self.folder = None if folder is None else os.path.join(folder, run)
        self.limit = limit
        self.segments: list[Segment] = []
        self.problem: str | None = None
        self._number = 0
        #: The number of events since the spool has been full.
        self._missing = 0
        self._sequence = 0
        if self.folder is not None:
            try:
                if not _has_locks():
                    raise OSError("this system has no locks of files by flock")
                os.makedirs(self.folder, mode=0o700, exist_ok=True)
            except OSError as error:
                self._give_up_disk(error)
        self._roll(0)

    def _give_up_disk(self, error: OSError) -> None:
        self.folder = None
        self.problem = f"{error}"

    def _roll(self, count: int) -> bool:
        """Begins the next file; false if the limit is reached."""
        if sum(segment.size for segment in self.segments) >= self.limit:
            return False
        # The number of its first event: a file without events says how many there were before.
        header = dict(self.header, first=max(1, self._sequence))
        first = msgpack.packb(header, default=repr)
        size = max(SEGMENT_BYTES, count + len(first) + 64)
        self._number += 1
        segment = None
        if self.folder is not None:
            path = os.path.join(self.folder, f"{self.header['id']}.{self._number}")
            try:
                segment = self._new_segment(path, size)
            except OSError as error:
                self._give_up_disk(error)
        if segment is None:
            segment = Segment(None, size)
        segment.put(first)
        segment.shipped = segment.end
        self.segments.append(segment)
        return True

    def _new_segment(self, path: str, size: int) -> Segment:
        try:
            return Segment(path, size)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            return Segment(path, size)

    def restore(self) -> bool:
        """Creates files again that another program has removed; true if there were any."""
        if self.folder is None:
            return False
        removed = [segment for segment in self.segments if segment.is_removed]
        try:
            for segment in removed:
                os.makedirs(self.folder, mode=0o700, exist_ok=True)
                segment.restore()
        except OSError as error:
            self._give_up_disk(error)
        return bool(removed)

    # The worker's side

    @property
    def next_sequence(self) -> int:
        return self._sequence + 1

    def put(self, content: bytes) -> bool:
        """Stores an event, encoded with the number `next_sequence`; false if there is no room."""
        self._sequence += 1
        if (not self._missing or self._put_gap()) and self._store(content):
            return True
        self._missing += 1
        return False

    def lose(self, reason: str, time: int) -> None:
        """Stores a gap for an event that could not be encoded."""
        self._sequence += 1
        self._store(msgpack.packb([self._sequence, 1, time, reason]))

    def _put_gap(self) -> bool:
        first = self._sequence - self._missing
        gap = [first, self._missing, 0, "spool limit of the worker reached"]
        if not self._store(msgpack.packb(gap)):
            return False
        self._missing = 0
        return True

    def _store(self, content: bytes) -> bool:
        segment = self.segments[-1]
        if not segment.has_room(len(content)):
            if not self._roll(len(content)):
                return False
            segment = self.segments[-1]
        segment.put(content)
        return True

    # Shipping

    @property
    def has_unshipped(self) -> bool:
        return self.segments[0].shipped < self.segments[0].end or len(self.segments) > 1

    def batch(self) -> tuple[Segment, int, bytes] | None:
        """Records to ship: their segment, the offset where they end, and their bytes."""
        for segment in self.segments:
            if segment.shipped < segment.end:
                return segment, segment.end, segment.map[segment.shipped : segment.end]
        return None

    def acknowledge(self, segment: Segment, end: int) -> None:
        segment.shipped = end
        while len(self.segments) > 1 and self.segments[0].shipped == self.segments[0].end:
            self.segments.pop(0).remove()

    def close(self) -> None:
        """Closes the files, and removes those whose events have all been shipped."""
        for segment in self.segments:
            if segment.shipped == segment.end:
                segment.remove()
            elif segment.path is not None:
                segment.map.close()
                os.close(segment.descriptor)
        self.segments = []
        if self.folder is not None:
            remove_folder(self.folder)


class Orphan:
    """All files of a dead worker, locked by this process."""

    def __init__(self, files: list[OrphanFile]) -> None:
        self.files = files
        self.path = files[0].path
        self.header: dict[str, Any] = next(f.header for f in files if f.header is not None)
        #: The number of its last event.
        self.last = max(file.last for file in files)

    @property
    def has_ended(self) -> bool:
        """Whether its last record is the mark that its events are complete."""
        return any(file.has_ended for file in self.files)

    def batches(self) -> list[bytes]:
        """Its records, one batch for each file, and a mark that they are complete."""
        batches = [file.batch for file in self.files if file.batch]
        if not self.has_ended:
            # So that `check` does not report that more may be missing.
            mark = [self.last + 1, time.time(), _DETACH, *[None] * 6, [[], {"left": True}], None]
            content = msgpack.packb(mark)
            batches.append(struct.pack(HEADER, len(content), zlib.crc32(content)) + content)
        return batches

    @property
    def batch(self) -> bytes:
        """All of them at once."""
        return b"".join(self.batches())

    def release(self, remove: bool) -> None:
        for file in self.files:
            file.release(remove)
        if remove:
            remove_folder(os.path.dirname(self.path))


#: The index of the mark `detach` among the hooks.
_DETACH = 15
#: A gap is the first number, the number of events, a time and a reason; an event has more.
_GAP_FIELDS = 4


class OrphanFile:
    """A file of a dead worker, locked by this process."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        with mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) as content:
            self.content = bytes(content)
        contents = iter(records(self.content))
        first = next(contents, None)
        self.header: dict[str, Any] | None = None
        self.start = self.end = self.last = 0
        self.has_ended = False
        if first is not None:
            header = msgpack.unpackb(first[1], strict_map_key=False)
            if isinstance(header, dict) and "run" in header:
                self.header = header
                self.start = self.end = first[0]
                self.last = header.get("first", 1) - 1
        last: bytes | None = None
        for self.end, body in contents:
            last = body
        if last is not None:
            self._read_last(last)

    def _read_last(self, body: bytes) -> None:
        # Only the first fields: the others may have types that only the worker had.
        unpacker = msgpack.Unpacker(max_buffer_size=0)
        unpacker.feed(body)
        count, self.last = unpacker.read_array_header(), unpacker.unpack()
        if count == _GAP_FIELDS:
            self.last += unpacker.unpack() - 1
        elif count > _GAP_FIELDS:
            unpacker.skip()
            self.has_ended = unpacker.unpack() == _DETACH

    @property
    def batch(self) -> bytes:
        return self.content[self.start : self.end]

    def release(self, remove: bool) -> None:
        if remove:
            os.unlink(self.path)
        os.close(self._descriptor)


def records(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The complete records of a file: the offset where each ends, and its content."""
    if content[: len(MAGIC)] != MAGIC:
        return
    position = len(MAGIC)
    while position + HEADER_BYTES <= len(content):
        length, checksum = struct.unpack_from(HEADER, content, position)
        end = position + HEADER_BYTES + length
        if length == 0 or end > len(content):
            return
        body = content[position + HEADER_BYTES : end]
        if zlib.crc32(body) != checksum:
            return
        yield end, body
        position = end


#: A file under its first name is being created; an older one was not finished.
_STALE_SECONDS = 60.0


def orphans(
    folder: str, run: str, takes: Callable[[dict[str, Any]], bool] | None = None
) -> Iterator[Orphan]:
    """Locks the spools of dead workers on this host: of this run first, then of other runs.

    takes:
        Whether to lock files of another run with this header; by default none are.
    """
    if not _has_locks():
        return
    try:
        runs = sorted(os.listdir(folder), key=lambda name: (name != run, name))
    except OSError:
        return
    for name in runs:
        path = os.path.join(folder, name)
        for files in _files(path).values():
            orphan = _claim(files, takes if name != run else None, name == run)
            if orphan is not None:
                yield orphan
        remove_folder(path)


def _files(folder: str) -> dict[str, list[str]]:
    """The files of each worker in the folder of a run, in their order."""
    try:
        names = os.listdir(folder)
    except OSError:
        return {}
    numbered = []
    for name in names:
        source, _, number = name.rpartition(".")
        if number.isdecimal():
            numbered.append((source, int(number), os.path.join(folder, name)))
        elif number == "new":
            _remove_stale(os.path.join(folder, name))
    files: dict[str, list[str]] = {}
    for source, _, path in sorted(numbered):
        files.setdefault(source, []).append(path)
    return files


def _claim(
    paths: list[str], takes: Callable[[dict[str, Any]], bool] | None, own: bool
) -> Orphan | None:
    """Locks all files of a worker, or none: a living worker has them locked."""
    files: list[OrphanFile] = []
    try:
        if not own:
            header = _header(paths[0])
            if header is not None and not (takes and takes(header)):
                return None
        for path in paths:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                _lock(descriptor)
                # Another one may have shipped and removed it in between.
                if os.fstat(descriptor).st_nlink == 0:
                    raise OSError
                files.append(OrphanFile(path, descriptor))
            except BaseException:
                os.close(descriptor)
                raise
        if any(file.header is not None for file in files):
            return Orphan(files)
        # Killed before it had recorded anything.
        empty = all(file.content[: len(MAGIC)] in (MAGIC, bytes(len(MAGIC))) for file in files)
    except Exception:
        # Not a spool, or damaged: `tasklog import` reports why.
        empty = False
    for file in files:
        file.release(remove=empty)
    return None


#: The size that holds the first record of any file.
_HEADER_BYTES = 1 << 16


def _header(path: str) -> dict[str, Any] | None:
    """The header of a file, without reading more of it; None if it has none."""
    with open(path, "rb") as file:
        first = next(records(file.read(_HEADER_BYTES)), None)
    header = None if first is None else msgpack.unpackb(first[1], strict_map_key=False)
    return header if isinstance(header, dict) else None


def _remove_stale(path: str) -> None:
    """Removes a file whose worker was killed while it created it."""
    try:
        if time.time() - os.stat(path).st_mtime > _STALE_SECONDS:
            os.unlink(path)
    except OSError:
        pass


def remove_folder(path: str) -> None:
    """Removes the folder of a run if it is empty."""
    try:
        os.rmdir(path)
    except OSError:
        pass
