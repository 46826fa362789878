"""The recorder of a Dask cluster: a `SchedulerPlugin` that also records all workers."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import socket
import threading
import weakref
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import cloudpickle
from distributed.scheduler import TaskState

from tasklog import (
    deep,
    encoding,
    ending,
    facts,
    failing,
    filtering,
    noting,
    reprs,
    spans,
    spool,
    worker,
)  # fmt: skip
from tasklog.encoding import HOOKS, STATES, Encoder
from tasklog.hooks import Hooks
from tasklog.library import LibraryError, NativeRecorder
from tasklog.noting import Notes, NotingPlugin, is_for_workers, made
from tasklog.options import Options
from tasklog.replay import results
from tasklog.stealing import Loads

logger = logging.getLogger("tasklog")

#: One recorder at a time begins on a scheduler.
_beginning: weakref.WeakKeyDictionary[Any, asyncio.Lock] = weakref.WeakKeyDictionary()


class RecordingError(Exception):
    """Nothing is recorded as it was asked for."""


class _OneLine(logging.Filter):
    """Dask logs what a plugin raises when it is registered; whoever registered it has it, too."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, RecordingError):
            record.msg, record.args = f"{record.getMessage()}: {error}", None
            record.exc_info = record.exc_text = None
        return True


logging.getLogger("distributed.core").addFilter(_OneLine())


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
    What cannot be recorded as asked for is a `RecordingError` where the plugin is registered.

    A recording ends with the scheduler, or before it:

    >>> client.unregister_scheduler_plugin("tasklog")  # doctest: +SKIP
    """

    name = "tasklog"
    #: Dask drops an idempotent plugin without a word when there is one of the name.
    idempotent = False

    def __init__(
        self,
        log: str | os.PathLike[str] | None = None,
        verify: Sequence[type] = (),
        every: int = 1000,
        **options: Any,
    ) -> None:
        self._given = dict(options, log=log)
        self._verified = list(verify)
        self._every = every
        self._noting: list[NotingPlugin] = []
        self._native: NativeRecorder | None = None
        self._finishing = threading.Lock()
        self._ending: asyncio.Task[Any] | None = None
        self._undo: list[Callable[[], None]] = []
        #: The recorder that does already what this one was asked for.
        self._joined: Recorder | None = None

    def __reduce__(self) -> Any:
        given = dict(self._given, verify=self._verified, every=self._every)
        return _remake, (given,)

    @property
    def run(self) -> str | None:
        """The id of the run; nothing when nothing is recorded."""
        return self._native.run if self._native else None

    # Beginning and end

    async def start(self, scheduler: Any) -> None:
        is_registered = all(plugin is not self for plugin in scheduler.plugins.values())
        try:
            await self._attach(scheduler)
        except RecordingError as error:
            if is_registered:
                # By a client, which is told. A scheduler that starts with this plugin is not hurt.
                raise
            logger.warning("tasklog: %s", error)
        self._emit("start")
        for plugin in self._noting:
            await plugin.start(scheduler)

    async def attach(self, scheduler: Any) -> bool:
        """Begins to record, also in the middle of a run; false when that is not possible."""
        try:
            await self._attach(scheduler)
        except RecordingError as error:
            logger.warning("tasklog: %s", error)
        return self._native is not None or self._joined is not None

    async def _attach(self, scheduler: Any) -> None:
        if self._native is not None or os.environ.get("TASKLOG_DISABLED") == "1":
            return
        try:
            async with _beginning.setdefault(scheduler, asyncio.Lock()):
                await self._attach_alone(scheduler)
        except RecordingError:
            raise
        except Exception as error:
            words = str(error) if isinstance(error, LibraryError) else repr(error)
            raise RecordingError(f"nothing is recorded: {words}") from None

    async def _attach_alone(self, scheduler: Any) -> None:
        options = Options.read(self._given)
        if options.refused:
            raise RecordingError(f"nothing is recorded: {'; '.join(options.refused)}")
        for other in list(ending.open_recorders):
            if other._scheduler is scheduler and other._native is not None:
                if other._ending is None:
                    return self._join(other, options)
                await asyncio.shield(other._ending)
        loop = asyncio.get_running_loop()
        native = await loop.run_in_executor(None, _open, scheduler, options)
        if options.problems:
            logger.warning(
                "tasklog: some options are not used, the rest is recorded to %s: %s",
                options.place,
                "; ".join(options.problems),
            )
        try:
            self._begin(scheduler, options, native)
        except Exception:
            for undo in reversed(self._undo):
                undo()
            self._native = None
            vars(self).pop("transition", None)
            native.close()
            raise
        if options.workers:
            await self._register_workers()

    def _join(self, other: Recorder, options: Options) -> None:
        """The same again is nothing new, so that a notebook's cell can be run again."""
        different = other._options.differences(options)
        for what, one, two in (
            ("verify", _names(other._verified), _names(self._verified)),
            ("every", other._every, self._every),
        ):
            if one != two:
                different.append(f"'{what}' is {one!r} there and {two!r} here")
        if different:
            plugins = other._scheduler.plugins.items()
            name = next((n for n, plugin in plugins if plugin is other), other.name)
            raise RecordingError(
                "nothing is recorded by this recorder: another one records this cluster to "
                f"{other._options.absolute_place}: {'; '.join(different)}; to end that recording, "
                f"call client.unregister_scheduler_plugin({name!r})"
            )
        self._joined = other

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
        self._process = os.getpid()
        self._undo = []
        self._worker_part: str | None = None
        self._closing_workers = ending.ClosingWorkers(scheduler, options.close_seconds)
        self._known: set[Any] = set(scheduler.tasks)
        self._spans: dict[str, Any] = {}
        self._limits: dict[Any, tuple[Any, ...]] = {}
        self._loads: Loads | None = None
        for ts in scheduler.tasks.values():
            self._keep_limits(ts)
        self._addresses = set(scheduler.workers)
        self._computation: Any = next(iter(list(getattr(scheduler, "computations", ()))[-1:]), None)
        self._longest = options.max_value_bytes
        self._has_queueable = hasattr(TaskState, "_queueable")
        self._native = native
        self._keep_last_transition(scheduler)
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
        self._watching = failing.FailureWatch(lambda: scheduler.plugins.values(), self._note)
        self._watching.install()
        self._undo.append(self._watching.remove)
        ending.install(self, scheduler)
        ending.open_recorders.add(self)

    def _watch(self, scheduler: Any, native: NativeRecorder) -> Any:
        """What has been seen of the scheduler; in C, it also records what comes with every task."""
        if native.scheduler is None or self._encoder.patterns:
            return SimpleNamespace(mark=None, graph=None)
        # A number that does not fit into one byte would need another encoding.
        hooks = HOOKS["transition"], HOOKS["updateGraph"]
        seen = native.scheduler(
            native.handle, self._source, self._longest, scheduler, super().transition, STATES,
            self._known, self._encoder._keys, self._spans, self._limits, *hooks,
        )  # fmt: skip
        # Dask calls it for each transition: the instance's own is faster than one that forwards.
        self.transition = seen.transition  # type: ignore[method-assign]
        return seen

    async def before_close(self) -> None:
        await super().before_close()
        if self._native is not None:
            try:
                await self._closing_workers.ask()
            except Exception as error:
                self._fail("beforeClose", error)

    def remove_worker(
        self, scheduler: Any, worker: str, *, stimulus_id: str | None = None, **kwargs: Any
    ) -> None:
        super().remove_worker(scheduler, worker, stimulus_id=stimulus_id, **kwargs)
        if self._native is not None:
            self._closing_workers.leave(worker)

    async def detach(self) -> None:
        """Ends the recording of a scheduler that goes on."""
        if self._native is None:
            return
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._detach())
        await asyncio.shield(self._ending)

    async def _detach(self) -> None:
        is_quiet = await self._unregister_workers()
        self._leave()
        if not is_quiet:
            # A worker that does not know it yet is told when it ships.
            self._scheduler.handlers["tasklog_records"] = _answer_closed
        await self._finish_soon()

    async def _unregister_workers(self) -> bool:
        name, self._worker_part = self._worker_part, None
        if name is None or name not in self._scheduler.worker_plugins:
            return True
        try:
            unregister = self._scheduler.unregister_worker_plugin(None, name=name)
            await asyncio.wait_for(unregister, self._options.close_seconds + 5)
            return True
        except Exception as error:
            logger.warning("tasklog: the recording of some workers has not ended: %r", error)
            return False

    def _leave(self) -> None:
        """Takes everything off the scheduler that was put there."""
        self._end_noting()
        self._emit("detach")
        for undo in reversed(self._undo):
            undo()
        self._undo = []
        scheduler = self._scheduler
        scheduler.handlers.pop("tasklog_records", None)
        own = [self, *self._noting]
        scheduler.plugins = {
            name: plugin
            for name, plugin in scheduler.plugins.items()
            if all(plugin is not one for one in own)
        }

    def _rename(self, name: str) -> None:
        """Dask knows a plugin by the name that it was registered with."""
        plugins = self._scheduler.plugins
        if name not in plugins:
            self._scheduler.plugins = {
                name if plugin is self else known: plugin for known, plugin in plugins.items()
            }

    def _end_if_removed(self) -> None:
        """Dask does not tell a plugin that it was removed or replaced."""
        try:
            plugins = self._scheduler.plugins.values()
            if self._native is None or self._ending or any(plugin is self for plugin in plugins):
                return
            logger.warning(
                "tasklog: the recording to %s ends: the plugin was removed", self._options.place
            )
            self._ending = asyncio.get_running_loop().create_task(self._detach())
        except Exception as error:
            self._fail("remove_plugin", error)

    async def _finish_soon(self) -> None:
        if self._native is None:
            return
        self._end_noting()
        try:
            await asyncio.get_running_loop().run_in_executor(None, self.finish)
        except RuntimeError:
            # At the end of the interpreter there is no thread to be had.
            self.finish()

    def _end_noting(self) -> None:
        for plugin in self._noting:
            plugin.notes.end()

    def finish(self) -> None:
        """Writes out what is left and ends the run in the log."""
        # Who comes second waits for the end as well.
        with self._finishing:
            native = self._native
            if native is None:
                return
            # What a fork puts nowhere it must not take.
            if self._options.workers and os.getpid() == self._process:
                ending.take_leftovers(self._options.worker_spool, native.run, self._take)
            self._native = None
            vars(self).pop("transition", None)
            self._watching.remove()
            native.close()
            ending.open_recorders.discard(self)

    def _note(self, args: dict[str, Any]) -> None:
        self._emit("report", args)

    def flush(self, seconds: float = 10) -> bool:
        """Waits until what has been recorded so far is in the log, and with the broker."""
        return self._native is not None and self._native.flush(seconds)

    async def _register_workers(self) -> None:
        """Sends the worker's part to all workers, present and future."""
        try:
            options, run = self._options, self.run
            assert run is not None
            part = worker.WorkerRecorder(
                run,
                {
                    "max_value_bytes": options.max_value_bytes,
                    "pickle": options.pickle,
                    "redact": options.redact,
                    "filter": options.filter,
                    "worker_interval": options.worker_interval,
                    "worker_spool": options.worker_spool,
                    "worker_spool_limit": options.worker_spool_limit,
                    # So that what is left of a worker says where it belongs.
                    "log": None if options.log is None else os.path.abspath(options.log),
                    "log_host": socket.gethostname(),
                    "stimuli": options.stimuli,
                    # A message to a broker must be complete, and a truncated text is not stored.
                    "sends_texts_once": not options.publish and options.max_args_bytes is None,
                    "close_seconds": options.close_seconds,
                    "verify": [kind for kind in self._verified if is_for_workers(kind)],
                    "every": self._every,
                },
            )
            # Workers need not have this package: they get it by value.
            for module in (
                encoding, reprs, failing, filtering, spans, spool, worker, noting, results,
            ):  # fmt: skip
                cloudpickle.register_pickle_by_value(module)
            sent = cloudpickle.dumps(part)
            # One of that name would be replaced, or not be replaced, whoever made it.
            name = part.name
            if name in self._scheduler.worker_plugins:
                name = f"{name}-{part.run}"
            self._worker_part = name
            await asyncio.wait_for(
                self._scheduler.register_worker_plugin(
                    None, sent, name=name, **_idempotent(self._scheduler)
                ),
                30,
            )
        except Exception as error:
            logger.warning("tasklog: workers may not be recorded: %r", error)

    # Worker's records

    async def _take_records(
        self,
        run: str = "",
        source: Any = None,
        records: Any = b"",
        own: bool = False,
        ended: bool = False,
        **_: Any,
    ) -> dict[str, Any]:
        """Takes in what a worker has shipped; the answer is the acknowledgement. Workers ship what
        is their own, and what dead ones have left."""
        native = self._native
        if native is None:
            return {"status": "closed"}
        if own and run != native.run:
            # One that is recorded still into a run that has ended.
            return {"status": "closed"}
        if run != native.run:
            return await _take_left(native, run, source, bytes(records))
        try:
            sequence = self._take(source, bytes(records)) if records else None
            if own:
                self._closing_workers.ship(source["id"], source["address"], ended)
            return {"status": "OK", "sequence": sequence}
        except Exception as error:
            return {"status": "error", "error": repr(error)}

    def _take(self, source: dict[str, Any], records: bytes) -> int:
        native = self._native
        assert native is not None
        number = self._sources.get(source["id"])
        if number is None:
            number = native.source("worker", source["id"], source["address"], source.get("name"))
            self._sources[source["id"]] = number
        return native.put_records(number, records)


async def _answer_closed(**_: Any) -> dict[str, Any]:
    return {"status": "closed"}


def _names(kinds: Sequence[type]) -> list[str]:
    return [f"{kind.__module__}.{kind.__qualname__}" for kind in kinds]


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
            "worker_spool": options.worker_spool,
        },
    }
    given.update({name: patterns for name, patterns in options.filter.items() if patterns})
    if options.max_args_bytes is not None:
        given["max_args_bytes"] = options.max_args_bytes
    if options.rotate_size is not None:
        given["rotate_bytes"] = max(options.rotate_size, 1 << 16)
    if options.rotate_age is not None:
        given["rotate_seconds"] = options.rotate_age
    if options.workers:
        given["worker_spools"] = options.worker_spool or worker.default_folder()
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


async def _take_left(
    native: NativeRecorder, run: str, source: Any, records: bytes
) -> dict[str, Any]:
    """Takes in what a dead worker of an earlier run has left."""
    try:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, native.put_left, run, source, records)
    except Exception as error:
        return {"status": "other run", "run": native.run, "error": repr(error)}
    return {"status": "OK"}


def _idempotent(scheduler: Any) -> dict[str, Any]:
    """Newer versions want to be told."""
    import inspect

    parameters = inspect.signature(scheduler.register_worker_plugin).parameters
    return {"idempotent": True} if "idempotent" in parameters else {}
