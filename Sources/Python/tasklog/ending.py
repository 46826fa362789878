"""The end of a recording: wraps what Dask does at an end without calling its plugins.

A scheduler that closes asks its workers for their last events before it closes them, and waits for
the end of each before it stops listening. A plugin that is removed or replaced ends its recording,
on workers too.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable
from typing import Any

from tasklog import spool, worker
from tasklog.state_hooks import _handle, _put

logger = logging.getLogger("tasklog")


def install(recorder: Any, scheduler: Any) -> None:
    """Wraps what ends a recording, until the recorder is detached."""
    for part in (_closing, _waiting, _replacing, _removing):
        try:
            part(recorder, scheduler)
        except Exception as error:
            # An unknown version of Dask.
            logger.warning(
                "tasklog: the end of this recording may be incomplete: %s: %r", part.__name__, error
            )


def _closing(recorder: Any, scheduler: Any) -> None:
    """The hook `close` is not the last event: later ones are recorded, too."""

    def ending(close: Callable[..., Any]) -> Callable[..., Any]:
        async def close_and_finish(*args: Any, **kwargs: Any) -> Any:
            try:
                return await close(*args, **kwargs)
            finally:
                await recorder._finish_soon()

        return close_and_finish

    _put(recorder, scheduler, "close", ending(scheduler.close))
    # Called by `Client.shutdown`; it has the method as it was before.
    if "terminate" in scheduler.handlers:
        _handle(recorder, scheduler.handlers, "terminate", ending(scheduler.handlers["terminate"]))


def _waiting(recorder: Any, scheduler: Any) -> None:
    """Waits for the last events of the workers before the scheduler closes its connections.

    It does that after it has asked the workers to close, and stops listening later.
    """
    pool = scheduler.rpc
    close = pool.close

    async def close_after_the_workers(*args: Any, **kwargs: Any) -> Any:
        await recorder._closing_workers.wait_for_their_end()
        return await close(*args, **kwargs)

    _put(recorder, pool, "close", close_after_the_workers)


def _replacing(recorder: Any, scheduler: Any) -> None:
    add = scheduler.add_plugin

    def add_plugin(plugin: Any, *args: Any, **kwargs: Any) -> Any:
        if plugin is recorder:
            # It has added itself already, at the front.
            return recorder._rename(kwargs.get("name") or recorder.name)
        if getattr(plugin, "_joined", None) is recorder:
            return None
        answer = add(plugin, *args, **kwargs)
        recorder._end_if_removed()
        return answer

    _put(recorder, scheduler, "add_plugin", add_plugin)


def _removing(recorder: Any, scheduler: Any) -> None:
    remove, unregister = scheduler.remove_plugin, scheduler.unregister_scheduler_plugin

    def remove_plugin(*args: Any, **kwargs: Any) -> Any:
        answer = remove(*args, **kwargs)
        recorder._end_if_removed()
        return answer

    async def unregister_scheduler_plugin(name: str, **kwargs: Any) -> Any:
        if scheduler.plugins.get(name) is recorder:
            # The caller gets the answer when the recording has ended.
            return await recorder.detach()
        return await unregister(name, **kwargs)

    _put(recorder, scheduler, "remove_plugin", remove_plugin)
    name = "unregister_scheduler_plugin"
    _put(recorder, scheduler, name, unregister_scheduler_plugin)
    if name in scheduler.handlers:
        _handle(recorder, scheduler.handlers, name, unregister_scheduler_plugin)


class ClosingWorkers:
    """The workers that are recorded, and the wait for their last events."""

    def __init__(self, scheduler: Any, seconds: float) -> None:
        self._scheduler = scheduler
        self._seconds = seconds
        #: Addresses of workers that ship, by their ids.
        self._recorded: dict[str, str] = {}
        #: The ids of those that will report their end.
        self._expected: set[str] = set()
        #: Those that are being asked, by their addresses.
        self._asked: dict[str, asyncio.Task[Any]] = {}
        self._deadline: float | None = None
        self._has_changed = asyncio.Event()

    def ship(self, id: str, address: str, ended: bool) -> None:
        """A worker has shipped, for the last time if it has ended."""
        if ended:
            self._recorded.pop(id, None)
            self._expected.discard(id)
            self._has_changed.set()
            return
        self._recorded[id] = address
        if len(self._recorded) > 2 * len(self._scheduler.workers) + 100:
            # Killed workers have not reported their end.
            present = self._scheduler.workers
            self._recorded = {i: a for i, a in self._recorded.items() if a in present}

    def leave(self, address: str) -> None:
        """Stops waiting for a worker that has left the scheduler."""
        task = self._asked.pop(address, None)
        if task is not None:
            task.cancel()

    async def ask(self) -> None:
        """Asks all workers to ship their events, and waits for them."""
        loop = asyncio.get_running_loop()
        self._deadline = loop.time() + self._seconds
        present = self._scheduler.workers
        self._asked = {
            address: loop.create_task(self._ask(id, address))
            for id, address in self._recorded.items()
            if address in present
        }
        if self._asked:
            # One that does not answer leaves the others the rest of the time.
            await asyncio.wait(self._asked.values(), timeout=self._seconds / 2)
        for address in list(self._asked):
            self.leave(address)

    async def _ask(self, id: str, address: str) -> None:
        try:
            reply = await self._scheduler.rpc(address).tasklog_ship()
            if reply.get("status") == "OK" and id in self._recorded:
                self._expected.add(id)
        except Exception as error:
            logger.debug("tasklog: worker %s did not ship its last events: %r", address, error)

    async def wait_for_their_end(self) -> None:
        if self._deadline is None:
            return
        loop = asyncio.get_running_loop()
        while self._expected and (left := self._deadline - loop.time()) > 0:
            self._has_changed.clear()
            try:
                await asyncio.wait_for(self._has_changed.wait(), left)
            except asyncio.TimeoutError:
                break
        self._expected.clear()


def recover_orphans(
    folder: str | None, run: str, take: Callable[[dict[str, Any], bytes], Any]
) -> None:
    """Recovers the spools of dead workers of a run on this host."""
    try:
        for orphan in spool.orphans(folder or worker.default_folder(), run):
            _recover_orphan(orphan, take)
    except Exception as error:
        logger.debug("tasklog: spools of workers are not recovered: %r", error)


def _recover_orphan(orphan: spool.Orphan, take: Callable[[dict[str, Any], bytes], Any]) -> None:
    taken = False
    try:
        if orphan.header is not None:
            if orphan.batch:
                take(orphan.header, orphan.batch)
            taken = True
    finally:
        orphan.release(remove=taken)


open_recorders: weakref.WeakSet[Any] = weakref.WeakSet()


def finish_all() -> None:
    """Ends the recordings of schedulers that were not closed, before the process ends."""
    for recorder in list(open_recorders):
        recorder.finish()


# Unlike a function registered with `atexit`, a finalizer runs after Dask has closed its clusters at
# the end of the process: `atexit` calls what was registered last first, and Dask makes a finalizer
# before it registers anything.
weakref.finalize(finish_all, finish_all)
