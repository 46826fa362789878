"""Fetches the log of a recording from the machine of its scheduler."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tasklog.library import LibraryError, combine_logs
from tasklog.serving import PIECE

#: Sends a request to the scheduler, and returns its answer.
Request = Callable[..., Awaitable[dict[str, Any]]]


class FetchError(Exception):
    """A log could not be fetched; the file that it was to be in is as it was."""


class Fetcher:
    """Puts copies of a log into the place where its caller wants it.

    A file that is there already and has other runs keeps them. A file is never there in part: a
    copy is written under another name, checked, and renamed.
    """

    def __init__(self, log: str) -> None:
        self._log = log
        #: The version of each file that was put there and has nothing else.
        self._own: dict[str, tuple[int, int]] = {}

    def check(self) -> None:
        """Raises `FetchError` if no log can be written there."""
        folder = os.path.dirname(self._log)
        if os.path.isdir(self._log):
            raise FetchError(f"{self._log}: is a folder, not a log; name a file")
        if not os.path.isdir(folder):
            raise FetchError(f"{self._log}: the folder {folder} does not exist")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise FetchError(f"{self._log}: the folder {folder} cannot be written to")

    async def fetch(self, request: Request, files: list[dict[str, Any]]) -> list[str]:
        """Fetches copies that the scheduler has made; returns the paths of the logs."""
        paths = []
        for file in files:
            path = self._place(file["name"], len(files))
            partial = await self._download(request, file, path)
            try:
                await asyncio.to_thread(self._install, partial, path)
            finally:
                with contextlib.suppress(OSError):
                    os.unlink(partial)
            paths.append(path)
        return paths

    def _place(self, name: str, count: int) -> str:
        """The segments of a run name each other: they keep their names."""
        if "{run}" not in self._log and count == 1:
            return self._log
        return os.path.join(os.path.dirname(self._log), os.path.basename(name))

    async def _download(self, request: Request, file: dict[str, Any], path: str) -> str:
        descriptor, partial = tempfile.mkstemp(
            prefix=f".{os.path.basename(path)}.", suffix=".part", dir=os.path.dirname(path)
        )
        try:
            with os.fdopen(descriptor, "wb") as output:
                digest = hashlib.sha256()
                while (place := output.tell()) < file["size"]:
                    answer = await request(
                        "read", copy=file["copy"], place=place, length=min(PIECE, file["size"])
                    )
                    piece = bytes(answer["piece"])
                    if not piece:
                        break
                    digest.update(piece)
                    await asyncio.to_thread(output.write, piece)
                is_whole = output.tell() == file["size"] and digest.hexdigest() == file["sha256"]
                output.flush()
                await asyncio.to_thread(os.fsync, output.fileno())
            if not is_whole:
                raise FetchError(f"{path}: what was received is not what was sent")
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise
        return partial

    def _install(self, partial: str, path: str) -> None:
        found = _version(path)
        if found is not None and self._own.get(path) != found:
            # Other runs, or an earlier copy of this one that has been changed.
            combined = f"{partial}.all"
            try:
                combine_logs(path, partial, combined)
                _replace(combined, path)
            except LibraryError as error:
                raise FetchError(f"{path}: the log cannot be added to it: {error}") from None
            finally:
                for name in (combined, f"{combined}-wal", f"{combined}-shm"):
                    with contextlib.suppress(OSError):
                        os.unlink(name)
            return
        _replace(partial, path)
        version = _version(path)
        if version is not None:
            self._own[path] = version


def _version(path: str) -> tuple[int, int] | None:
    """Distinguishes the content of a file from what another program makes of it."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _replace(new: str, path: str) -> None:
    # A write-ahead log would be taken for that of the new file.
    if os.path.exists(f"{path}-wal"):
        raise FetchError(f"{path}: another program has it open to write into it")
    os.replace(new, path)
    if os.name == "nt":
        # It has no descriptors of folders.
        return
    folder = os.open(Path(path).parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
