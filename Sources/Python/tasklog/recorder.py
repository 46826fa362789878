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
    encoding,
    ending,
    failing,
    filtering,
    identity,
    messages,
    metrics,
    nanny,
    observing,
    profiling,
    reports,
    reprs,
    snapshots,
    spans,
    spool,
    state_hooks,
    waiting,
    worker,
)  # fmt: skip
from tasklog.calling import Caller, user
from tasklog.encoding import HOOKS, STATES, Encoder
from tasklog.hooks import Hooks
from tasklog.library import LibraryError, NativeRecorder
from tasklog.options import Options
from tasklog.replay import results
from tasklog.reports import PluginReports, VerifiedPlugin, instantiate, is_for_workers
from tasklog.serving import serve
from tasklog.stealing import Loads

logger = logging.getLogger("tasklog")

#: Held by the recorder that is being attached to a scheduler.
_beginning: weakref.WeakKeyDictionary[Any, asyncio.Lock] = weakref.WeakKeyDictionary()


class RecordingError(Exception):
    """What was requested cannot be recorded."""


class _OneLine(logging.Filter):
    """Shortens the traceback that Dask logs of a plugin whose registration failed to one line."""

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
        The log file, as the scheduler's machine and working folder see it. Optional with the option
        ``publish``, the address of a broker.
    verify:
        Classes of plugins. An instance runs next to the recorder, on the scheduler or on each
        worker; its state is recorded, and ``tasklog replay --verify`` compares it.
    every:
        The number of calls between two records of this state; 0 for the end only.
    options:
        See `tasklog.options.Options`.

    An event whose hook has returned is in the spool next to the log, and survives the death of the
    process. No failure of the recorder reaches Dask; it is logged once, by the logger ``tasklog``.
    If what was requested cannot be recorded, registering the plugin raises `RecordingError`.

    A recording ends with the scheduler, or before it:

    >>> client.unregister_scheduler_plugin("tasklog")  # doctest: +SKIP
    """

    name = "tasklog"
    #: Dask silently drops an idempotent plugin if there is one with its name.
    idempotent = False

    def __init__(
        self,
        log: str | os.PathLike[str] | None = None,
        verify: Sequence[type] = (),
        every: int = 1000,
        **options: Any,
    ) -> None:
        self._arguments = dict(options, log=log)
        self._verified = list(verify)
        self._every = every
        self._verified_plugins: list[VerifiedPlugin] = []
        self._native: NativeRecorder | None = None
        self._finishing = threading.Lock()
        self._ending: asyncio.Task[Any] | None = None
        self._undo: list[Callable[[], None]] = []
        #: The recorder with the same options that already records this scheduler.
        self._joined: Recorder | None = None
        #: The process that requested the recording, with `tasklog.record`.
        self.caller: Caller | None = None

    def __reduce__(self) -> Any:
        given = dict(self._arguments, verify=self._verified, every=self._every)
        return _remake, (given, self.caller)

    @property
    def run(self) -> str | None:
        """The id of the run; None if nothing is recorded."""
        return self._native.run if self._native else None

    def status(self) -> dict[str, Any] | None:
        """How the recorder is doing; None if nothing is recorded into a log.

        ``events`` and ``lost`` are numbers of events of scheduler and workers; ``lag`` is for how
        many nanoseconds events have been waiting to be written; sizes are in bytes, times in
        nanoseconds since 1970.
        """
        native = self._native
        if native is None or self._options.log is None:
            return None
        try:
            status = native.status()
            counters = [native.counters(each) for each in (self._source, *self._sources.values())]
        except LibraryError:
            # It has been closed meanwhile.
            return None
        for name in ("events", "lost"):
            status[name] = sum(each[name] for each in counters)
        return status

    # Beginning and end

    async def start(self, scheduler: Any) -> None:
        is_registered = all(plugin is not self for plugin in scheduler.plugins.values())
        try:
            await self._attach(scheduler)
            if self.caller is not None and not self._native and not self._joined:
                raise RecordingError(
                    "nothing is recorded: TASKLOG_DISABLED is 1 where the scheduler runs"
                )
        except RecordingError as error:
            if is_registered:
                # By a client, which gets the error. A scheduler that starts with it is not hurt.
                raise
            logger.warning("tasklog: %s", error)
        self._emit("start")
        for plugin in self._verified_plugins:
            await plugin.start(scheduler)

    async def attach(self, scheduler: Any) -> bool:
        """Begins to record, also in the middle of a run; false if that is not possible."""
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
        options = Options.read(self._arguments)
        if self.caller is not None:
            options.log = self.caller.place(str(scheduler.id))
        if options.refused:
            raise RecordingError(f"nothing is recorded: {'; '.join(options.refused)}")
        for other in list(ending.open_recorders):
            if other._scheduler is scheduler and other._native is not None:
                if other._ending is None:
                    return self._join(other, options)
                await asyncio.shield(other._ending)
        loop = asyncio.get_running_loop()
        native = await loop.run_in_executor(None, _open, scheduler, options, self.caller)
        if options.limited is not None:
            logger.warning("tasklog: %s", options.limited)
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
        serve(scheduler, self, self.caller)
        if options.workers:
            await self._register_workers()
            await self._register_nannies()

    def _join(self, other: Recorder, options: Options) -> None:
        """Joins a recorder with the same options, so that a cell of a notebook can be run again."""
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
        for name, value in set(options.labels).difference(other._options.labels):
            other._emit("label", {"name": name, "value": value})
        serve(self._joined._scheduler, other, self.caller)

    def _begin(self, scheduler: Any, options: Options, native: NativeRecorder) -> None:
        """Snapshots the state and installs the hooks, with no event of the scheduler in between."""
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
        self._nanny_part: str | None = None
        self._nannies: asyncio.Task[Any] | None = None
        self._closing_workers = ending.ClosingWorkers(scheduler, options.close_seconds)
        self._known: set[Any] = set(scheduler.tasks)
        self._spans: dict[str, Any] = {}
        self._limits: dict[Any, tuple[Any, ...]] = {}
        self._loads: Loads | None = None
        for ts in scheduler.tasks.values():
            self._remember_limits(ts)
        self._addresses = set(scheduler.workers)
        self._computation: Any = next(iter(list(getattr(scheduler, "computations", ()))[-1:]), None)
        self._longest = options.max_value_bytes
        self._has_queueable = hasattr(TaskState, "_queueable")
        self._native = native
        self._keep_last_transition(scheduler)
        self._seen = self._watch(scheduler, native)
        self._seen.workers = len(self._addresses)
        self._seen.counter = scheduler.transition_counter
        found = snapshots.cluster(scheduler, self._encoder.argument)
        about = {
            "id": scheduler.id,
            "address": scheduler.address,
            "allowedFailures": scheduler.allowed_failures,
            "transitionCounter": scheduler.transition_counter,
            "nTasks": getattr(scheduler, "n_tasks", None),
            "bandwidth": getattr(scheduler, "bandwidth", None),
            "workerSaturation": getattr(scheduler, "WORKER_SATURATION", None),
        }
        missing = None
        if options.deep:
            missing = [
                *state_hooks.install(self, scheduler), *observing.install(self, scheduler)
            ]  # fmt: skip
        about["plugins"] = observing.plugins(scheduler)
        self._emit("attach", args=dict(about, missing=missing), snapshot={"attach": found})
        # First, so that an event comes before those that other plugins cause.
        self._verified_plugins = [
            VerifiedPlugin(PluginReports(plugin, self._every, self._record_report))
            for plugin in instantiate(self._verified, False, scheduler)
        ]
        scheduler.plugins = {
            self.name: self,
            **{plugin.name: plugin for plugin in self._verified_plugins},
            **{name: p for name, p in scheduler.plugins.items() if name != self.name},
        }
        scheduler.handlers["tasklog_records"] = self._receive_records
        scheduler.handlers["tasklog_nanny"] = self._receive_from_nanny
        watch = messages.MessageWatch(options.messages, self._record_message, str(native.run))
        watch.install()
        self._undo.append(watch.remove)
        self._failure_watch = failing.FailureWatch(
            lambda: scheduler.plugins.values(), self._record_report
        )
        self._failure_watch.install()
        self._undo.append(self._failure_watch.remove)
        ending.install(self, scheduler)
        ending.open_recorders.add(self)
        metrics.register()

    def _watch(self, scheduler: Any, native: NativeRecorder) -> Any:
        """What was last seen of the scheduler; in C, it also records the hooks of every task."""
        if native.scheduler is None or self._encoder.patterns:
            return SimpleNamespace(mark=None, graph=None)
        # Numbers below 128 are one byte in MessagePack, as the C code writes them.
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
        """Ends the recording of a scheduler that keeps running."""
        if self._native is None:
            return
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._detach())
        await asyncio.shield(self._ending)

    async def _detach(self) -> None:
        is_quiet = await self._unregister_workers()
        await self._unregister_nannies()
        self._unhook()
        if not is_quiet:
            # A worker that was not reached gets the answer when it ships.
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

    async def _unregister_nannies(self) -> None:
        name, self._nanny_part = self._nanny_part, None
        if name is None or name not in self._scheduler.nanny_plugins:
            return
        try:
            unregister = self._scheduler.unregister_nanny_plugin(None, name=name)
            await asyncio.wait_for(unregister, self._options.close_seconds + 5)
        except Exception as error:
            logger.debug("tasklog: the recording of some nannies has not ended: %r", error)

    def _unhook(self) -> None:
        """Removes all hooks from the scheduler."""
        self._end_reports()
        self._emit("detach")
        for undo in reversed(self._undo):
            undo()
        self._undo = []
        scheduler = self._scheduler
        scheduler.handlers.pop("tasklog_records", None)
        scheduler.handlers.pop("tasklog_nanny", None)
        own = [self, *self._verified_plugins]
        scheduler.plugins = {
            name: plugin
            for name, plugin in scheduler.plugins.items()
            if all(plugin is not one for one in own)
        }

    def _rename(self, name: str) -> None:
        """Uses the name that the plugin was registered with, as Dask does."""
        plugins = self._scheduler.plugins
        if name not in plugins:
            self._scheduler.plugins = {
                name if plugin is self else known: plugin for known, plugin in plugins.items()
            }

    def _end_if_removed(self) -> None:
        """Ends the recording if the plugin was removed or replaced: no hook is called for that."""
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
        self._end_reports()
        try:
            await asyncio.get_running_loop().run_in_executor(None, self.finish)
        except RuntimeError:
            # At the end of the interpreter no thread can be started.
            self.finish()

    def _end_reports(self) -> None:
        for plugin in self._verified_plugins:
            plugin.reports.end()

    def finish(self) -> None:
        """Writes the remaining events and ends the run in the log."""
        # A second caller waits for the end as well.
        with self._finishing:
            native = self._native
            if native is None:
                return
            # A forked process does not record, so it must not recover spools.
            if self._options.workers and os.getpid() == self._process:
                ending.recover_orphans(self._options.worker_spool, native.run, self._store_records)
            self._native = None
            vars(self).pop("transition", None)
            self._failure_watch.remove()
            native.close()
            ending.open_recorders.discard(self)

    def _record_report(self, args: dict[str, Any]) -> None:
        self._emit("report", args)

    def _record_message(self, args: dict[str, Any]) -> None:
        self._emit("message", args)

    def flush(self, seconds: float = 10) -> bool:
        """Waits until all events recorded so far are in the log, and confirmed by the broker."""
        return self._native is not None and self._native.flush(seconds)

    async def _register_workers(self) -> None:
        """Sends the recorder of workers to all workers, present and future."""
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
                    # So that the spool of a dead worker names its log.
                    "log": None if options.log is None else os.path.abspath(options.log),
                    "log_host": socket.gethostname(),
                    "stimuli": options.stimuli,
                    "deep": options.deep,
                    "messages": options.messages,
                    "profile": options.profile,
                    # A message to a broker must be complete, and a truncated text is not stored.
                    "sends_texts_once": not options.publish and options.max_args_bytes is None,
                    "close_seconds": options.close_seconds,
                    "verify": [kind for kind in self._verified if is_for_workers(kind)],
                    "every": self._every,
                },
            )
            # Workers need not have this package: it is sent by value.
            for module in (
                encoding, reprs, failing, filtering, identity, messages, profiling, spans, spool,
                waiting, worker, reports, results,
            ):  # fmt: skip
                cloudpickle.register_pickle_by_value(module)
            sent = cloudpickle.dumps(part)
            # A plugin with the same name would be replaced, or keep this one out.
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

    async def _register_nannies(self) -> None:
        """Sends the recorder of nannies to all nannies, present and future."""
        try:
            options, run = self._options, self.run
            assert run is not None
            part = nanny.NannyRecorder(run, {"deep": options.deep, "messages": options.messages})
            for module in (identity, messages, nanny):
                cloudpickle.register_pickle_by_value(module)
            sent = cloudpickle.dumps(part)
            name = part.name
            if name in self._scheduler.nanny_plugins:
                name = f"{name}-{part.run}"
            self._nanny_part = name
            # It waits for nannies that are starting; their workers may wait for this scheduler.
            self._nannies = asyncio.get_running_loop().create_task(
                self._scheduler.register_nanny_plugin(None, sent, name=name, idempotent=True)
            )
            self._nannies.add_done_callback(_has_registered)
            await asyncio.wait([self._nannies], timeout=5)
        except Exception as error:
            logger.debug("tasklog: nannies may not be recorded: %r", error)

    # Worker's records

    async def _receive_from_nanny(
        self, run: str = "", events: Sequence[dict[str, Any]] = (), **_: Any
    ) -> dict[str, Any]:
        """Stores what a nanny tells."""
        if self._native is None or run != self._native.run:
            return {"status": "closed"}
        for event in events:
            if event["hook"] in ("nanny", "message"):
                args = event["args"]
                self._emit(event["hook"], args, worker=args.get("worker"))
        return {"status": "OK"}

    async def _receive_records(
        self,
        run: str = "",
        source: Any = None,
        records: Any = b"",
        own: bool = False,
        ended: bool = False,
        **_: Any,
    ) -> dict[str, Any]:
        """Stores what a worker ships; the answer acknowledges it.

        Workers ship their own events, and those that dead workers left.
        """
        native = self._native
        if native is None:
            return {"status": "closed"}
        if own and run != native.run:
            # From a worker that still records into a run that has ended.
            return {"status": "closed"}
        if run != native.run:
            return await _store_left(native, run, source, bytes(records))
        try:
            sequence = self._store_records(source, bytes(records)) if records else None
            if own:
                self._closing_workers.ship(source["id"], source["address"], ended)
            return {"status": "OK", "sequence": sequence}
        except Exception as error:
            return {"status": "error", "error": repr(error)}

    def _store_records(self, source: dict[str, Any], records: bytes) -> int:
        native = self._native
        assert native is not None
        number = self._sources.get(source["id"])
        if number is None:
            number = native.source("worker", source["id"], source["address"], source.get("name"))
            self._sources[source["id"]] = number
        return native.put_records(number, records)


def _has_registered(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.debug("tasklog: nannies may not be recorded: %r", task.exception())


async def _answer_closed(**_: Any) -> dict[str, Any]:
    return {"status": "closed"}


def _names(kinds: Sequence[type]) -> list[str]:
    return [f"{kind.__module__}.{kind.__qualname__}" for kind in kinds]


def _remake(given: dict[str, Any], caller: Caller | None = None) -> Recorder:
    recorder = Recorder(**given)
    recorder.caller = caller
    return recorder


def _open(scheduler: Any, options: Options, caller: Caller | None) -> NativeRecorder:
    import dask
    import distributed

    given: dict[str, Any] = {
        "engine": "dask",
        "engine_version": distributed.__version__,
        "mode": "full" if options.deep else "hooks",
        "sync_seconds": options.sync_seconds,
        "close_seconds": options.close_seconds,
        "deliver_every": options.deliver_every,
        "deliver_seconds": options.deliver_seconds,
        # Large enough to be ready before a scheduler needs the next one, with little unused.
        "segment_size": 1 << 20,
        "metadata": {
            "host": socket.gethostname(),
            "identity": identity.identity(),
            "user": user(),
            "labels": dict(options.labels),
            "caller": None if caller is None else caller.metadata(options.redact),
            "pid": os.getpid(),
            "python": platform.python_version(),
            "dask": dask.__version__,
            "scheduler": str(scheduler.id),
            "address": scheduler.address,
            "workers": options.workers,
            "stimuli": options.stimuli,
            "redact": list(options.redact),
            "worker_spool": options.worker_spool,
            "untested_version": options.untested_version,
            "not_recorded": _not_recorded(options),
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
    if options.keep is not None:
        given["keep"] = options.keep
    if options.deliver is not None:
        given["deliver"] = options.deliver
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
        # Without the broker, the log still records.
        if options.log is None:
            raise
        options.publish = None
        options.problems.append(str(error))
        return NativeRecorder(options.log, given)


def _not_recorded(options: Options) -> list[str]:
    """The parts of `state_hooks` and `observing` that the options leave out, and ``stimuli``."""
    names = [
        name
        for name in (*state_hooks.PARTS, *observing.PARTS)
        if not options.deep
        or (name.startswith(("heartbeat", "monitor")) and not options.heartbeats)
    ]
    return names if options.stimuli or not options.workers else [*names, "stimuli"]


async def _store_left(
    native: NativeRecorder, run: str, source: Any, records: bytes
) -> dict[str, Any]:
    """Stores the events that a dead worker of an earlier run left."""
    try:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, native.put_left, run, source, records)
    except Exception as error:
        return {"status": "other run", "run": native.run, "error": repr(error)}
    return {"status": "OK"}


def _idempotent(scheduler: Any) -> dict[str, Any]:
    """The argument `idempotent`, which newer versions require."""
    import inspect

    parameters = inspect.signature(scheduler.register_worker_plugin).parameters
    return {"idempotent": True} if "idempotent" in parameters else {}
