"""The two pipes between the command and the host.

Each frame is a MessagePack array that begins with what it is. The command sends, in this order:

- ``[HELLO, about]``: the run, the plugins and their options;
- ``[SOURCE, number, kind, id, address, name]``: a source, before its first event;
- ``[EVENT, …]``: see `events.Event`; ``[BLOB, hash, bytes]`` comes before the first event that
  holds it;
- ``[FLUSH]``: no events follow for now;
- ``[FINISH]``: no events follow.

The host answers ``[READY, about]`` to the greeting, or ``[ERROR, text]``; then ``[FAILURE, …]`` for
hooks that failed, and ``[DONE, about]`` to the end.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import msgpack

HELLO, SOURCE, EVENT, BLOB, FLUSH, FINISH = range(6)
READY, ERROR, FAILURE, DONE = range(4)

#: The version of what goes over the pipes; the command has the same number.
PROTOCOL = 1

_CHUNK = 1 << 18


class Frames:
    """Reads frames as they come; in between the event loop gets its turn."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._unpacker = msgpack.Unpacker(
            raw=False, strict_map_key=False, max_buffer_size=2**31 - 1
        )
        os.set_blocking(descriptor, False)

    async def chunks(self) -> AsyncIterator[Any]:
        """Yields, chunk by chunk, an iterator of its frames."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                chunk = os.read(self._descriptor, _CHUNK)
            except BlockingIOError:
                await self._readable(loop)
                continue
            if not chunk:
                return
            self._unpacker.feed(chunk)
            yield self._unpacker
            await asyncio.sleep(0)

    async def _readable(self, loop: asyncio.AbstractEventLoop) -> None:
        ready = loop.create_future()

        def set_ready() -> None:
            if not ready.done():
                ready.set_result(None)

        loop.add_reader(self._descriptor, set_ready)
        try:
            await ready
        finally:
            loop.remove_reader(self._descriptor)


class Answers:
    """Writes frames. The command reads them while it writes, so this does not wait for long."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        # What is no text can be shown as it is written in Python.
        self._packer = msgpack.Packer(unicode_errors="backslashreplace")

    def send(self, *frame: Any) -> None:
        """Sends a frame, with its length before it in four bytes."""
        body = self._packer.pack(frame)
        rest = memoryview(len(body).to_bytes(4, "big") + body)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
