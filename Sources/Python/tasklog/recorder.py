"""The recorder of a Dask cluster: a `SchedulerPlugin` that also records all workers."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import platform
import socket
import weakref
from types import SimpleNamespace
from typing import Any, Callable, Sequence

import cloudpickle
from distributed.scheduler import TaskState

from tasklog import deep, encoding, facts, filtering, noting, spool, worker
from tasklog.encoding import HOOKS, STATES, Encoder
from tasklog.hooks import Hooks
from tasklog.library import LibraryError, NativeRecorder
from tasklog.noting import Notes, NotingPlugin, is_for_workers, made
from tasklog.options import Options
from tasklog.replay import results

logger = logging.getLogger("tasklog")


class Recorder(Hooks):
    """Records a scheduler and all of its workers, present and future, into a log.

    >>> client.register_plugin(tasklog.Recorder("run.db"))  # doctest: +SKIP

    log:
        The log file, as the scheduler's machine and working folder see it. With the option
        ``publish``, the address of a broker, there need be none.
    verify:
        Classes of plugins of which an instance runs next to the recorder, on the scheduler or on
        each worker; what it is, is noted in the log for ``tasklog replay --verify`` to compare.
    every:
        After how many calls it is noted, beside the end; 0 for the end only.
    options:
        See `tasklog.options.Options`.

    An event whose hook has returned is in the spool beside the log: the death of the process does
    not lose it. Nothing that fails here reaches Dask; it is told once, by the logger ``tasklog``.
    """

    name = "tasklog"
    idempotent = True

    def __init__(
        self,
        log: str | os.PathLike | None = None,
        verify: Sequence[type] = (),
        every: int = 1000,
        **options: Any,
    ) -> None:
        self._given = dict(options, log=log)
        self._verified = list(verify)
        self._every = every
        self._noting: list[NotingPlugin] = []
        self._native: NativeRecorder | None = None

    def __reduce__(self) -> Any:
        given = dict(self._given, verify=self._verified, every=self._every)
        return _remake, (given,)

    @property
    def run(self) -> str | None:
        """The id of the run; nothing when nothing is recorded."""
        return self._native.run if self._native else None

    # Beginning and end

    async def start(self, scheduler: Any) -> None:
        await self.attach(scheduler)
        self._emit("start")
        for plugin in self._noting:
            await plugin.start(scheduler)

    async def attach(self, scheduler: Any) -> bool:
        """Begins to record, also in the middle of a run; false when that is not possible."""
        if self._native is not None:
            return True
        if os.environ.get("TASKLOG_DISABLED") == "1":
            return False
        try:
            options = Options.read(self._given)
            loop = asyncio.get_running_loop()
            native = await loop.run_in_executor(None, _open, scheduler, options)
        except Exception as error:
            words = str(error) if isinstance(error, LibraryError) else repr(error)
            logger.warning("tasklog: nothing is recorded: %s", words)
            return False
        if options.problems:
            logger.warning(
                "tasklog: some options are not used, the rest is recorded to %s: %s",
                options.place,
                "; ".join(options.problems),
            )
        try:
            self._begin(scheduler, options, native)
        except Exception as error:
            self._native = None
            vars(self).pop("transition", None)
            native.close()
            logger.warning("tasklog: nothing is recorded: %r", error)
            return False
        if options.workers:
            await self._register_workers()
        return True

    def _begin(self, scheduler: Any, options: Options, native: NativeRecorder) -> None:
        """Everything from the state that is found to the first hook happens in one go."""
        self._scheduler = scheduler
        self._options = options
        self._encoder = Encoder(options.max_value_bytes, options.pickle, options.redact)
        self._pack = self._encoder.pack
        self._put = native.put
        self._put_event = native.put_event
        self._handle = native.handle
        self._source = native.source("scheduler", str(scheduler.id), scheduler.address)
        self._sources: dict[str, int] = {}
        self._errors = 0
        self._refused = False
        self._undo: list[Callable[[], None]] = []
        self._known: set = set(scheduler.tasks)
        self._spans: dict[str, Any] = {}
        self._addresses = set(scheduler.workers)
        self._longest = options.max_value_bytes
        self._has_queueable = hasattr(TaskState, "_queueable")
        self._native = native
        self._seen = self._watch(scheduler, native)
        self._seen.workers = len(self._addresses)
        self._seen.counter = scheduler.transition_counter
        found = facts.cluster(scheduler, self._encoder.argument)
        about = {
            "id": scheduler.id,
            "address": scheduler.address,
            "allowedFailures": scheduler.allowed_failures,
            "transitionCounter": scheduler.transition_counter,
            "nTasks": getattr(scheduler, "n_tasks", None),
            "bandwidth": getattr(scheduler, "bandwidth", None),
            "workerSaturation": getattr(scheduler, "WORKER_SATURATION", None),
        }
        missing = deep.install(self, scheduler) if options.deep else None
        self._emit("attach", args=dict(about, missing=missing), snapshot={"attach": found})
        # First, so that a cause comes before what other plugins make of it.
        self._noting = [
            NotingPlugin(Notes(plugin, self._every, self._note))
            for plugin in made(self._verified, False, scheduler)
        ]
        scheduler.plugins = {
            self.name: self,
            **{plugin.name: plugin for plugin in self._noting},
            **{name: p for name, p in scheduler.plugins.items() if name != self.name},
        }
        scheduler.handlers["tasklog_records"] = self._take_records
        self._wrap_close(scheduler)
        _open_recorders.add(self)

    def _watch(self, scheduler: Any, native: NativeRecorder) -> Any:
        """What has been seen of the scheduler; in C, it also records what comes with every task."""
        if native.scheduler is None or self._encoder.patterns:
            return SimpleNamespace(mark=None, graph=None)
        # A number that does not fit into one byte would need another encoding.
        hooks = HOOKS["transition"], HOOKS["updateGraph"]
        seen = native.scheduler(
            native.handle, self._source, self._longest, scheduler, super().transition, STATES,
            self._known, self._encoder._keys, self._spans, *hooks,
        )  # fmt: skip
        self.transition = seen.transition  # type: ignore[method-assign]
        return seen

    async def detach(self) -> None:
        """Ends the recording of a scheduler that goes on."""
        if self._native is None:
            return
        scheduler = self._scheduler
        if self._options.workers and worker.WorkerRecorder.name in scheduler.worker_plugins:
            try:
                await scheduler.unregister_worker_plugin(None, name=worker.WorkerRecorder.name)
            except Exception as error:
                logger.warning("tasklog: workers may still be recorded: %r", error)
        self._end_noting()
        self._emit("detach")
        for undo in self._undo:
            undo()
        scheduler.handlers.pop("tasklog_records", None)
        own = [self, *self._noting]
        scheduler.plugins = {
            name: plugin
            for name, plugin in scheduler.plugins.items()
            if all(plugin is not one for one in own)
        }
        await asyncio.get_running_loop().run_in_executor(None, self.finish)

    def _wrap_close(self, scheduler: Any) -> None:
        """The hook `close` is not the last: what comes after it is recorded, too."""
        close = scheduler.close

        async def close_and_finish(*args: Any, **kwargs: Any) -> Any:
            try:
                return await close(*args, **kwargs)
            finally:
                if self._native is not None:
                    self._end_noting()
                    loop = asyncio.get_running_loop()
                    await loop.run_in_executor(None, self.finish)

        scheduler.close = close_and_finish
        self._undo.append(lambda: deep.restore(scheduler, "close", close_and_finish))

    def _note(self, args: dict[str, Any]) -> None:
        self._emit("report", args)

    def _end_noting(self) -> None:
        for plugin in self._noting:
            plugin.notes.end()

    def finish(self) -> None:
        """Writes out what is left and ends the run in the log."""
        native, self._native = self._native, None
        vars(self).pop("transition", None)
        if native is not None:
            native.close()
        _open_recorders.discard(self)

    def flush(self, seconds: float = 10) -> bool:
        """Waits until what has been recorded so far is in the log, and with the broker."""
        return self._native is not None and self._native.flush(seconds)

    async def _register_workers(self) -> None:
        """Sends the worker's part to all workers, present and future."""
        try:
            options = self._options
            part = worker.WorkerRecorder(
                self._native.run,  # type: ignore[union-attr]
                {
                    "max_value_bytes": options.max_value_bytes,
                    "pickle": options.pickle,
                    "redact": options.redact,
                    "filter": options.filter,
                    "worker_interval": options.worker_interval,
                    "worker_spool": options.worker_spool,
                    "worker_spool_limit": options.worker_spool_limit,
                    "stimuli": options.stimuli,
                    "close_seconds": options.close_seconds,
                    "verify": [kind for kind in self._verified if is_for_workers(kind)],
                    "every": self._every,
                },
            )
            # Workers need not have this package: they get it by value.
            for module in (encoding, filtering, spool, worker, noting, results):
                cloudpickle.register_pickle_by_value(module)
            sent = cloudpickle.dumps(part)
            await asyncio.wait_for(
                self._scheduler.register_worker_plugin(
                    None, sent, name=part.name, **_idempotent(self._scheduler)
                ),
                30,
            )
        except Exception as error:
            logger.warning("tasklog: workers may not be recorded: %r", error)

    # Worker's records

    async def _take_records(
        self, run: str = "", source: Any = None, records: Any = b"", **_: Any
    ) -> dict[str, Any]:
        """Takes in what a worker has shipped; the answer is the acknowledgement."""
        native = self._native
        if native is None:
            return {"status": "closed"}
        if run != native.run:
            return {"status": "other run", "run": native.run}
        try:
            number = self._sources.get(source["id"])
            if number is None:
                number = native.source(
                    "worker", source["id"], source["address"], source.get("name")
                )
                self._sources[source["id"]] = number
            return {"status": "OK", "sequence": native.put_records(number, bytes(records))}
        except Exception as error:
            return {"status": "error", "error": repr(error)}


def _remake(given: dict[str, Any]) -> Recorder:
    return Recorder(**given)


def _open(scheduler: Any, options: Options) -> NativeRecorder:
    import dask
    import distributed

    given: dict[str, Any] = {
        "engine": "dask",
        "engine_version": distributed.__version__,
        "mode": "full" if options.deep else "hooks",
        "sync_seconds": options.sync_seconds,
        "close_seconds": options.close_seconds,
        # Of this size they are ready ahead of what a scheduler records, and little lies idle.
        "segment_size": 1 << 20,
        "metadata": {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "python": platform.python_version(),
            "dask": dask.__version__,
            "scheduler": str(scheduler.id),
            "address": scheduler.address,
            "workers": options.workers,
            "stimuli": options.stimuli,
            "redact": list(options.redact),
        },
    }
    given.update({name: patterns for name, patterns in options.filter.items() if patterns})
    if options.max_args_bytes is not None:
        given["max_args_bytes"] = options.max_args_bytes
    if options.rotate_size is not None:
        given["rotate_bytes"] = max(options.rotate_size, 1 << 16)
    if options.rotate_age is not None:
        given["rotate_seconds"] = options.rotate_age
    if options.spool_limit is not None:
        given["spool_limit"] = options.spool_limit
    if options.publish is None:
        return NativeRecorder(options.log, given)
    publishing = {
        "publish": options.publish,
        "publish_queue": options.publish_queue,
        "publish_batch": options.publish_batch,
        "publish_spool": options.publish_spool,
    }
    try:
        return NativeRecorder(options.log, {**given, **publishing})
    except LibraryError as error:
        # What can be recorded is.
        if options.log is None:
            raise
        options.publish = None
        options.problems.append(str(error))
        return NativeRecorder(options.log, given)


def _idempotent(scheduler: Any) -> dict[str, Any]:
    """Newer versions want to be told."""
    import inspect

    parameters = inspect.signature(scheduler.register_worker_plugin).parameters
    return {"idempotent": True} if "idempotent" in parameters else {}


_open_recorders: weakref.WeakSet = weakref.WeakSet()


@atexit.register
def _finish_all() -> None:
    """A scheduler that was not closed before its process ends."""
    for recorder in list(_open_recorders):
        recorder.finish()
