"""The recorder of a nanny: what it knows about the end of its worker's process.

It sends each event to the scheduler's recorder at once, or when the scheduler answers again. If a
nanny dies with its worker, the log has no event about that.

This module is sent to nannies by value.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import time
from typing import Any

from distributed import Nanny
from distributed.diagnostics.plugin import NannyPlugin

from tasklog.identity import identity, out_of_memory_kills
from tasklog.messages import MessageWatch

logger = logging.getLogger("tasklog")

#: Events that wait for the scheduler.
_MOST_WAITING = 1000
#: Seconds that the end of a nanny waits for a scheduler to take its last events.
_LAST_SECONDS = 1.0
#: How often, in seconds, the kills of the kernel are counted: those of the last two intervals
#: before an exit may be of the worker; earlier ones are of others in its cgroup.
_COUNT_SECONDS = 1.0


class NannyRecorder(NannyPlugin):
    """Records one nanny. Made and sent to the nannies by `tasklog.Recorder`."""

    name = "tasklog-nanny"
    restart = False

    def __init__(self, run: str, options: dict[str, Any]) -> None:
        self.run = run
        self.options = options

    async def setup(self, nanny: Any) -> None:
        self._nanny = nanny
        self._waiting: collections.deque[dict[str, Any]] = collections.deque(maxlen=_MOST_WAITING)
        self._sending: asyncio.Task[Any] | None = None
        self._is_over = False
        self._pid: int | None = None
        self._kills: tuple[int | None, int | None] | None = None
        self._counting: asyncio.TimerHandle | None = None
        #: The reason for which the nanny ends its worker's process, if it does.
        self._reason: str | None = None
        self._undo: list[Any] = []
        try:
            self._loop = asyncio.get_running_loop()
            self._pid = nanny.pid
            self._count_kills()
            self._put(
                "nanny",
                dict(
                    identity(), op="setup", name=nanny.name, workerPID=self._pid,
                    nthreads=nanny.nthreads, memoryLimit=nanny.memory_manager.memory_limit,
                ),
            )  # fmt: skip
            if self.options["deep"]:
                self._wrap(nanny)
            self._watch = MessageWatch(
                tuple(self.options["messages"]), self._record_message, self.run
            )
            self._watch.install()
            self._undo.append(self._watch.remove)
        except Exception as error:
            logger.warning("tasklog: nanny %s is not recorded: %r", nanny, error)

    def _count_kills(self) -> None:
        """Counts the kills of the kernel from time to time: a worker is not the only process."""
        kills = out_of_memory_kills()
        #: The last counts, the older one first.
        self._kills = (self._kills[1] if self._kills else kills, kills)
        if kills is not None and not self._is_over:
            self._counting = self._loop.call_later(_COUNT_SECONDS, self._count_kills)

    async def teardown(self, nanny: Any) -> None:
        self._put("nanny", {"op": "teardown", "status": nanny.status.name})
        if nanny.status.name in ("closing", "closing_gracefully", "closed", "failed"):
            # The end of the worker's process comes after it.
            return
        self._remove()
        await self._finish()

    def _remove(self) -> None:
        for undo in reversed(self._undo):
            undo()
        self._undo = []

    # What the nanny does

    def _wrap(self, nanny: Any) -> None:
        exits, kill, instantiate = nanny._on_worker_exit_sync, nanny.kill, nanny.instantiate
        rpc, close = nanny.rpc, nanny.rpc.close

        def on_exit(code: Any) -> Any:
            self._guarded(self._record_exit, code)
            return exits(code)

        async def recorded_kill(*args: Any, **kwargs: Any) -> Any:
            reason = kwargs.get("reason") or (args[1] if len(args) > 1 else "nanny-kill")
            self._guarded(self._record_kill, reason)
            return await kill(*args, **kwargs)

        async def recorded_instantiate(*args: Any, **kwargs: Any) -> Any:
            self._reason = None
            answer = await instantiate(*args, **kwargs)
            self._guarded(self._record_start)
            return answer

        async def close_after_events(*args: Any, **kwargs: Any) -> Any:
            await self._finish()
            self._remove()
            return await close(*args, **kwargs)

        self._replace(nanny, "_on_worker_exit_sync", on_exit)
        self._replace(nanny, "kill", recorded_kill)
        self._replace(nanny, "instantiate", recorded_instantiate)
        self._replace(rpc, "close", close_after_events)
        if "kill" in nanny.handlers:
            before = nanny.handlers["kill"]
            nanny.handlers["kill"] = recorded_kill
            self._undo.append(lambda: nanny.handlers.update(kill=before))
        process = nanny.process
        if process is not None:
            on_exit_before = process.on_exit
            process.on_exit = on_exit
            self._undo.append(lambda: setattr(process, "on_exit", on_exit_before))

    def _replace(self, owner: Any, name: str, function: Any) -> None:
        setattr(owner, name, function)

        def undo() -> None:
            if vars(owner).get(name) is function:
                delattr(owner, name)

        self._undo.append(undo)

    def _guarded(self, record: Any, *args: Any) -> None:
        try:
            record(*args)
        except Exception as error:
            logger.debug("tasklog: an event of a nanny is not recorded: %r", error)

    def _record_start(self) -> None:
        self._pid = self._nanny.pid
        self._put("nanny", {"op": "started", "workerPID": self._pid})

    def _record_kill(self, reason: str) -> None:
        if self._nanny.process is None or not self._nanny.process.is_alive():
            return
        self._reason = str(reason)
        self._put("nanny", {"op": "kill", "workerPID": self._pid, "reason": self._reason})

    def _record_exit(self, code: Any) -> None:
        args = {"op": "exit", "workerPID": self._pid, "exitcode": code, "reason": self._reason}
        kills, before = out_of_memory_kills(), self._kills and self._kills[0]
        if kills is not None and before is not None:
            # In the cgroup of the nanny, which may have other processes.
            args["outOfMemoryKills"] = kills - before
        self._put("nanny", dict(args, status=self._nanny.status.name))

    def _record_message(self, args: dict[str, Any]) -> None:
        # Of several nannies in one process, the message does not say which of them wrote it.
        of_several = sum(nanny.status.name != "closed" for nanny in Nanny._instances) > 1
        self._put("message", dict(args, nanny=None, worker=None) if of_several else args)

    # Sending

    def _put(self, hook: str, args: dict[str, Any]) -> None:
        if self._is_over:
            return
        about = {"nanny": self._nanny.address_safe, "worker": self._nanny.worker_address}
        known = {"at": time.time(), **about, **args}
        self._waiting.append({"hook": hook, "args": known})
        if self._sending is None or self._sending.done():
            self._sending = self._loop.create_task(self._send())

    async def _send(self) -> None:
        wait = 0.5
        while self._waiting and not self._is_over:
            events = list(self._waiting)
            try:
                reply = await asyncio.wait_for(
                    self._nanny.scheduler.tasklog_nanny(run=self.run, events=events), 30
                )
            except asyncio.CancelledError:
                raise
            except Exception as error:
                logger.debug("tasklog: the scheduler did not take events: %r", error)
                await asyncio.sleep(wait)
                wait = min(2 * wait, 30.0)
                continue
            if not isinstance(reply, dict) or reply.get("status") != "OK":
                # The recording has ended.
                self._is_over = True
                return
            for event in events:
                if self._waiting and self._waiting[0] is event:
                    self._waiting.popleft()

    async def _finish(self) -> None:
        """Sends the last events, unless the scheduler does not answer soon."""
        sending = self._sending
        if sending is not None and not sending.done():
            await asyncio.wait([sending], timeout=_LAST_SECONDS)
            if not sending.done():
                sending.cancel()
                await asyncio.wait([sending], timeout=_LAST_SECONDS)
        self._is_over = True
        if self._counting is not None:
            self._counting.cancel()
