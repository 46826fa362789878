"""The recorder of a worker: a `WorkerPlugin` that ships its events to the scheduler.

Each transition and each stimulus is stored in the worker's spool at once, numbered; from there
batches are shipped to the scheduler's recorder, which acknowledges them by number. What a killed
worker left in its spool is shipped by the next one on that host.

This module is sent to workers by value, so that they need not have the package installed.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import logging
import os
import re
import tempfile
import time
from collections.abc import Awaitable
from typing import Any

from distributed.diagnostics.plugin import WorkerPlugin

from tasklog.encoding import HOOKS, STATES, TRANSITION, Encoder, SentTexts, Shared
from tasklog.failing import FailureWatch
from tasklog.filtering import Filter
from tasklog.identity import identity
from tasklog.messages import MessageWatch, SignalWatch
from tasklog.profiling import ProfileWatch
from tasklog.reports import PluginReports, instantiate
from tasklog.spans import Spans
from tasklog.spool import Orphan, WorkerSpool, orphans
from tasklog.waiting import LockWaits

logger = logging.getLogger("tasklog")

#: Attributes of a stimulus that the event has fields for, or that are the payload.
_NOT_ARGS = {"stimulus_id", "handled", "key", "run_id", "run_spec", "value", "data"}
#: A smaller batch is the last of a shipment: a batch costs the scheduler as much as three tasks.
_SMALL_BATCH = 1 << 19
#: Seconds between two samples of the clock's offset that differ little.
_OFFSET_SECONDS = 10.0
#: Seconds that a worker's end waits for a scheduler that does not wait for the worker.
_PROBE_SECONDS = 1.0
#: Seconds that the scheduler has to answer one batch.
_ANSWER_SECONDS = 30.0


class WorkerRecorder(WorkerPlugin):
    """Records one worker. Made and sent to the workers by `tasklog.Recorder`."""

    name = "tasklog-worker"
    idempotent = True

    def __init__(self, run: str, options: dict[str, Any]) -> None:
        self.run = run
        self.options = options

    async def setup(self, worker: Any) -> None:
        self._spool: WorkerSpool | None = None
        self._errors = 0
        self._failure_watch: FailureWatch | None = None
        self._message_watch: MessageWatch | None = None
        self._signals: SignalWatch | None = None
        self._lock_waits: LockWaits | None = None
        self._profile: ProfileWatch | None = None
        self._reports: list[PluginReports] = []
        self._guard: asyncio.Task[Any] | None = None
        self._spans: Spans | None = None
        try:
            self._begin(worker)
            for plugin in instantiate(self.options.get("verify", []), True):
                self._reports.append(
                    PluginReports(plugin, self.options["every"], self._record_report)
                )
            for reports in self._reports:
                await reports.awaited("setup", worker=worker)
        except Exception as error:
            self._warn("this worker is not recorded", error)
            return
        self._guard = self._loop.create_task(self._end_with_the_loop())
        worker.handlers["tasklog_ship"] = self._ship_asked
        # At once, for the spools of dead workers.
        self._begin_shipping()

    def _begin(self, worker: Any) -> None:
        self._worker = worker
        self._state = worker.state
        self._loop = asyncio.get_running_loop()
        self._encoder = Encoder(
            self.options["max_value_bytes"],
            self.options["pickle"],
            tuple(self.options["redact"]),
        )
        if self.options["sends_texts_once"]:
            self._encoder.sent = SentTexts()
        self._interval = self.options["worker_interval"]
        self._stimuli = self.options["stimuli"]
        self._timer: asyncio.TimerHandle | None = None
        self._shipping: asyncio.Task[Any] | None = None
        #: Held while batches are shipped, one at a time.
        self._drain_lock = asyncio.Lock()
        self._failures = 0
        #: Whether the scheduler closes, and waits for the last events of this worker.
        self._is_scheduler_waiting = False
        #: Done when the recording has ended; None until it begins to end.
        self._ending: asyncio.Future[None] | None = None
        self._has_warned_of_removal = False
        self._offset: tuple[float, float] | None = None
        #: Dask's last measurement, the sum of all round trips until then, and the last one.
        self._measured: tuple[float | None, float, float | None] = (None, 0.0, None)
        self._fields: dict[type, tuple[str, list[str]]] = {}
        #: Stimuli that are not recorded yet, and the last one.
        self._pending_stimuli: list[Any] = []
        log = self._state.stimulus_log
        self._stimulus: str | None = log[-1].stimulus_id if log else None
        self._state.stimulus_log = StimulusLog(log, log.maxlen, self._on_stimulus)
        self._resources = dict(self._state.total_resources)
        self._folder = self.options["worker_spool"] or default_folder()
        header = {
            "id": str(worker.id),
            "address": worker.address,
            "name": worker.name if isinstance(worker.name, (str, int)) else str(worker.name),
        }
        self._header = header
        names = ["worker", *(str(header[name]) for name in ("id", "address", "name"))]
        self._filter = Filter.of(self.options["filter"], names)
        #: The number of events that were filtered and are in no mark yet, by hook.
        self._excluded: dict[str, int] = {}
        home = {name: self.options.get(name) for name in ("log", "log_host")}
        spool = WorkerSpool(
            self._folder, self.run, header | home, self.options["worker_spool_limit"]
        )
        if spool.problem is not None:
            logger.warning(
                "tasklog: no spool on the disk of worker %s: %s; if it is killed, its last events "
                "are lost",
                worker.address,
                spool.problem,
            )
        self._spool = spool
        if self._stimuli:
            self._spans = Spans(worker, self._fail)
        self._failure_watch = FailureWatch(lambda: worker.plugins.values(), self._record_report)
        self._failure_watch.install()
        self._message_watch = MessageWatch(
            tuple(self.options["messages"]), self._record_message, self.run
        )
        self._message_watch.install()
        self._signals = SignalWatch()
        self._signals.install()
        if self.options["deep"]:
            self._lock_waits = LockWaits(worker, self._record_lock)
            self._lock_waits.install()
        if self.options["profile"]:
            self._profile = ProfileWatch(worker, self.options["profile"], self._record_profile)
            self._profile.install()
        place = dict(identity(), spool=spool.folder and self._folder)
        self._put(
            "setup", args=place, snapshot={"worker": self._encoder.value(worker_snapshot(worker))}
        )
        if self._state.tasks:
            found = [self._task_snapshot(ts) for ts in self._state.tasks.values()]
            about = self._encoder.value(state_snapshot(self._state))
            self._put("attach", snapshot={"attach": {"tasks": found, "state": about}})
        # Spools of dead workers are looked for once the scheduler has answered.
        self._looks_for_orphans = True

    # Hooks

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        if self._spool is None:
            return
        try:
            if self._pending_stimuli:
                self._record_stimuli()
            if self._filter is None or self._admits("transition", key):
                self._put_transition(key, start, finish, self._stimulus, args, kwargs)
            if finish == "forgotten":
                self._encoder.forget(key)
            if self._timer is None:
                self._schedule_batch()
        except Exception as error:
            self._fail("transition", error)
        for reports in self._reports:
            reports.call("transition", key, start, finish, *args, **kwargs)

    def _put_transition(
        self,
        key: Any,
        start: str,
        finish: str,
        stimulus: str | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        spool, encoder = self._spool, self._encoder
        assert spool is not None
        ts = self._state.tasks.get(key)
        facts = run = None
        if ts is not None:
            run = ts.run_id if type(ts.run_id) is int and ts.run_id >= 0 else None
            facts = self._facts(ts, finish)
            if finish == "executing" and self._spans is not None:
                self._spans.executes(ts)
        content = encoder.pack(
            [
                spool.next_sequence, time.time(), TRANSITION, encoder.key(key),
                STATES.get(start, start), STATES.get(finish, finish), stimulus, None, run,
                self._args(args, kwargs) if args or kwargs else None,
                self._snapshot({"task": facts}) if facts else None,
            ]
        )  # fmt: skip
        spool.put(content)

    def _admits(self, hook: str, key: Any) -> bool:
        """Whether the filter admits an event; if not, it is counted."""
        if self._filter is None or self._filter.admits(hook, key):
            return True
        self._excluded[hook] = self._excluded.get(hook, 0) + 1
        if self._timer is None:
            self._schedule_batch()
        return False

    def _record_excluded(self) -> None:
        hooks, self._excluded = self._excluded, {}
        if hooks:
            self._put("excluded", args={"events": sum(hooks.values()), "hooks": hooks})

    def _facts(self, ts: Any, finish: str) -> dict[str, Any]:
        """What the transition changed in a task beyond its state."""
        facts: dict[str, Any] = {}
        if ts.state != finish:
            facts["state"] = ts.state
        if finish == "memory":
            facts["nbytes"] = ts.nbytes
            if ts.type is not None:
                facts["typeName"] = type_text(ts.type)
            if ts.startstops:
                facts["startStops"] = [dict(span) for span in ts.startstops]
        elif finish == "error":
            value = self._encoder.argument
            facts["exceptionText"] = value("exception_text", ts.exception_text)
            facts["tracebackText"] = value("traceback_text", ts.traceback_text)
            facts["exception"] = value("exception", ts.exception)
            facts["traceback"] = value("traceback", ts.traceback)
            if ts.startstops:
                facts["startStops"] = [dict(span) for span in ts.startstops]
        elif finish == "flight":
            facts["comingFrom"] = ts.coming_from
        elif finish == "ready" and ts.startstops:
            # The transfers that it needed.
            facts["startStops"] = [dict(span) for span in ts.startstops]
        return facts

    def _snapshot(self, facts: dict[str, Any]) -> list[Any]:
        """Prepares a snapshot for packing; only redaction has to look at its names."""
        return [self._encoder.value(facts) if self._encoder.patterns else facts]

    def _args(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        encoder = self._encoder
        return [[encoder.value(value) for value in args], encoder.named(kwargs)]

    async def teardown(self, worker: Any) -> None:
        await self._end(self.options["close_seconds"])

    async def _end_with_the_loop(self) -> None:
        """Ends the recording if the loop ends without closing the worker.

        The loop of ``dask worker --no-nanny`` does that at SIGTERM: it cancels this task and waits
        for it.
        """
        try:
            await self._loop.create_future()
        except asyncio.CancelledError:
            await self._end(min(self.options["close_seconds"], _PROBE_SECONDS))
            raise

    async def _end(self, seconds: float) -> None:
        """Ships the last events; without a scheduler they stay in the spool."""
        if self._ending is not None:
            # Dask closes the connections when this returns, and the loop may have ended it first.
            await asyncio.wait([self._ending])
            return
        if self._spool is None:
            return
        self._ending = self._loop.create_future()
        try:
            if self._timer is not None:
                self._timer.cancel()
            self._record_stimuli()
            if self._profile is not None:
                self._profile.end()
            signal = self._signals.number if self._signals is not None else None
            self._put("teardown", args=None if signal is None else {"signal": signal})
            self._record_excluded()
            for reports in self._reports:
                await reports.awaited("teardown", worker=self._worker)
                reports.end()
            self._restore_spool()
            try:
                await _answered(self._ship_the_rest(), seconds)
            except asyncio.CancelledError:
                # The loop ends, and waits for this.
                await _answered(self._ship_the_rest(), min(seconds, _PROBE_SECONDS))
                raise
        except Exception as error:
            # Without a spool the recording has already ended.
            if self._spool is not None and self._spool.has_unshipped:
                self._warn_of_unshipped(error)
        finally:
            self._stop()
            self._ending.set_result(None)

    def _stop(self) -> None:
        """Stops recording. What has not been shipped stays in the spool's files."""
        spool, self._spool = self._spool, None
        try:
            self._stop_listening()
            if self._guard is not None and self._guard is not asyncio.current_task():
                self._guard.cancel()
            if self._spans is not None:
                self._spans.release()
            handler = self._worker.handlers.get("tasklog_ship")
            # Another worker of this process may have a later copy of this class.
            if getattr(handler, "__self__", None) is self:
                del self._worker.handlers["tasklog_ship"]
            if self._failure_watch is not None:
                self._failure_watch.remove()
            if self._message_watch is not None:
                self._message_watch.remove()
            if self._signals is not None:
                self._signals.remove()
            if self._lock_waits is not None:
                self._lock_waits.remove()
            if spool is not None:
                spool.close()
        except Exception as error:
            self._warn("the end of its spool failed", error)

    def _record_report(self, args: dict[str, Any]) -> None:
        if self._spool is not None:
            self._put("report", args=args)

    def _record_message(self, args: dict[str, Any]) -> None:
        self._record("message", args)

    def _record_lock(self, key: Any, args: dict[str, Any]) -> None:
        if self._encoder.patterns:
            # It may be what is redacted elsewhere.
            args = dict(args, name=None)
        self._record("lock", args, key)

    def _record_profile(self, args: dict[str, Any]) -> None:
        self._record("profile", args)

    def _record(self, hook: str, args: dict[str, Any], key: Any = None) -> None:
        if self._spool is None:
            return
        try:
            self._put(hook, key=key, args=args)
            if self._timer is None:
                self._schedule_batch()
        except Exception as error:
            self._fail(hook, error)

    # Stimuli

    def _on_stimulus(self, event: Any) -> None:
        """Called with each stimulus; it is recorded when it changes something."""
        self._stimulus = event.stimulus_id
        if self._spool is None:
            return
        self._pending_stimuli.append(event)
        if self._timer is None:
            self._schedule_batch()

    def _stop_listening(self) -> None:
        log = self._state.stimulus_log
        if getattr(getattr(log, "listener", None), "__self__", None) is self:
            self._state.stimulus_log = collections.deque(log, log.maxlen)

    def _record_stimuli(self) -> None:
        """Records the stimuli since the last one that was recorded."""
        if self._state.total_resources != self._resources:
            self._record_resources()
        fresh, self._pending_stimuli = self._pending_stimuli, []
        if not fresh or not self._stimuli:
            return
        spans = self._spans.taken() if self._spans is not None else None
        for place, event in enumerate(fresh, 1):
            try:
                # Those before the last one changed nothing that a plugin could see.
                self._put_stimulus(event, spans if place == len(fresh) else None)
            except Exception as error:
                self._fail("stimulus", error)

    def _record_resources(self) -> None:
        """Records resources, which are set from outside without a stimulus."""
        self._resources = dict(self._state.total_resources)
        if self._stimuli:
            args = {"op": "set-resources", "resources": self._resources}
            self._put("stimulus", args=args)

    def _put_stimulus(self, event: Any, spans: list[Any] | None = None) -> None:
        kind = type(event)
        if kind not in self._fields:
            names = [field.name for field in dataclasses.fields(event)]
            self._fields[kind] = operation(kind), [n for n in names if n not in _NOT_ARGS]
        op, names = self._fields[kind]
        args: dict[str, Any] = {"op": op}
        for name in names:
            value = getattr(event, name)
            if isinstance(value, type):
                value = type_text(value)
            args[name] = Shared(value) if name == "annotations" else value
        if isinstance(getattr(event, "data", None), dict):
            args["keys"] = list(event.data)
        run = getattr(event, "run_id", None)
        self._put(
            "stimulus",
            key=getattr(event, "key", None),
            stimulus=event.stimulus_id,
            run=run if type(run) is int and run >= 0 else None,
            args=args,
            snapshot={"spans": self._encoder.value(spans)} if spans else None,
            at=event.handled,
        )

    def _put(
        self,
        hook: str,
        key: Any = None,
        stimulus: str | None = None,
        run: int | None = None,
        args: dict[str, Any] | None = None,
        snapshot: Any = None,
        at: float | None = None,
    ) -> None:
        if not self._admits(hook, key):
            return
        spool, encoder = self._spool, self._encoder
        assert spool is not None
        try:
            content = encoder.pack(
                [
                    spool.next_sequence, at or time.time(), HOOKS[hook],
                    None if key is None else encoder.key(key), None, None, stimulus, None, run,
                    # The mark of filtered events is never redacted.
                    None if args is None
                    else [[], args if hook == "excluded" else encoder.named(args)],
                    None if snapshot is None else self._snapshot(snapshot),
                ]
            )  # fmt: skip
        except Exception:
            self._forget_sent()
            raise
        finally:
            encoder.end_event()
        if not spool.put(content):
            self._forget_sent()

    def _forget_sent(self) -> None:
        """Sends large texts in full again: what was sent before may be lost."""
        if self._encoder.sent is not None:
            self._encoder.sent.forget()

    def _task_snapshot(self, ts: Any) -> Any:
        facts = {
            "key": ts.key,
            "state": ts.state,
            "priority": ts.priority,
            "taskRunID": ts.run_id,
            "nbytes": ts.nbytes,
            "dependencies": [dependency.key for dependency in ts.dependencies],
            "startStops": [dict(span) for span in ts.startstops],
        }
        optional = {
            "waitingForData": [waiting.key for waiting in ts.waiting_for_data],
            "waiters": [waiter.key for waiter in ts.waiters],
            "whoHas": list(ts.who_has),
            "typeName": None if ts.type is None else type_text(ts.type),
            "previous": ts.previous,
            "next": ts.next,
            "comingFrom": ts.coming_from,
            "resourceRestrictions": ts.resource_restrictions,
            "annotations": Shared(ts.annotations) if ts.annotations else ts.annotations,
            "exception": ts.exception,
            "traceback": ts.traceback,
            "exceptionText": ts.exception_text,
            "tracebackText": ts.traceback_text,
            "metadata": ts.metadata,
            "spanID": getattr(ts, "span_id", None),
            "startTime": ts.start_time,
            "stopTime": ts.stop_time,
            "suspiciousCount": ts.suspicious_count,
            "done": ts.done,
            "duration": getattr(ts, "duration", None),
        }
        facts.update({name: value for name, value in optional.items() if value})
        for name in ("resourceRestrictions", "annotations"):
            if optional[name] is None:
                facts[name] = None
        if ts.key in self._state.actors:
            facts["isActor"] = True
        return self._encoder.value(facts)

    # Shipping

    def _schedule_batch(self) -> None:
        """Schedules the next batch after the interval."""
        if self._ending is not None or self._spool is None:
            return
        if self._timer is None and self._shipping is None:
            # After failures the interval doubles, up to five seconds.
            wait = (
                min(5.0, self._interval * 2**self._failures) if self._failures else self._interval
            )
            self._timer = self._loop.call_later(wait, self._begin_shipping)

    def _begin_shipping(self) -> None:
        self._timer = None
        if self._shipping is None and self._spool is not None and self._ending is None:
            self._shipping = self._loop.create_task(self._ship())
            self._shipping.add_done_callback(self._has_shipped)

    def _has_shipped(self, task: asyncio.Task[Any]) -> None:
        self._shipping = None
        if self._spool is not None and self._spool.has_unshipped:
            self._schedule_batch()

    async def _ship(self) -> None:
        try:
            self._record_stimuli()
            self._sample_offset()
            self._record_excluded()
            self._restore_spool()
            await self._drain(_SMALL_BATCH)
            self._failures = 0
            if self._looks_for_orphans:
                self._looks_for_orphans = False
                await self._ship_orphans()
        except _RecordingOver as error:
            self._warn_of_unshipped(error)
            self._stop()
        except Exception as error:
            self._failures = min(self._failures + 1, 20)
            logger.debug("tasklog: a batch was not taken, will try again: %s", error)

    async def _drain(self, smallest: int = 0) -> None:
        """Ships batches until none is left, or one is smaller than `smallest`."""
        async with self._drain_lock:
            while (spool := self._spool) is not None and (batch := spool.batch()) is not None:
                self._forget_sent()
                segment, end, records = batch
                await self._send(self._header, records, own=True)
                if self._spool is spool:
                    spool.acknowledge(segment, end)
                if len(records) < smallest:
                    break

    async def _ship_the_rest(self) -> None:
        if self._shipping is not None:
            # It may wait for a scheduler that is gone. A batch that arrives twice counts once.
            self._shipping.cancel()
            await asyncio.wait([self._shipping])
        wait = _PROBE_SECONDS
        if self._is_scheduler_waiting or not self._has_lost_scheduler():
            wait = self.options["close_seconds"]
        elif not await self._is_scheduler_there():
            raise ConnectionError("the scheduler is gone")
        await _answered(self._drain_to_the_end(), wait)
        await _answered(self._send(self._header, b"", own=True, ended=True), wait)

    async def _drain_to_the_end(self) -> None:
        """Ships all events, and last a mark that the worker's events are complete."""
        await self._drain()
        end = None
        # Events that occur meanwhile are followed by another mark.
        while (spool := self._spool) is not None and spool.next_sequence != end:
            self._put("detach")
            end = spool.next_sequence
            await self._drain()

    def _has_lost_scheduler(self) -> bool:
        stream = self._worker.batched_stream
        return stream is None or bool(stream.closed())

    async def _is_scheduler_there(self) -> bool:
        """Whether the scheduler accepts connections: Dask would try for half a minute."""
        scheme, _, rest = self._worker.scheduler.address.partition("://")
        host, _, port = rest.rpartition(":")
        if scheme not in ("tcp", "tls") or not port.isdecimal():
            return True
        try:
            connecting = asyncio.open_connection(host.strip("[]"), int(port))
            _, writer = await asyncio.wait_for(connecting, _PROBE_SECONDS)
            writer.close()
        except (OSError, asyncio.TimeoutError):
            return False
        return True

    async def _ship_asked(self, **_: Any) -> dict[str, Any]:
        """Ships all events, as the scheduler closes; it waits for this and the worker's end."""
        if self._spool is None:
            return {"status": "not recorded"}
        self._is_scheduler_waiting = True
        try:
            self._record_stimuli()
            self._record_excluded()
            await self._drain()
        except Exception as error:
            return {"status": "error", "error": repr(error)}
        return {"status": "OK"}

    async def _send(
        self, header: dict[str, Any], records: bytes, run: str | None = None, **about: Any
    ) -> None:
        """Sends records, and returns when the recorder has acknowledged them."""
        reply = await _answered(
            self._worker.scheduler.tasklog_records(
                run=run or self.run, source=header, records=records, **about
            ),
            _ANSWER_SECONDS,
        )
        status = reply.get("status") if isinstance(reply, dict) else None
        if run is None and status in ("closed", "other run"):
            raise _RecordingOver("the recording has ended")
        if status != "OK":
            raise RuntimeError(f"the scheduler's recorder answered {reply!r}")

    async def _ship_orphans(self) -> None:
        """Ships what dead workers left on this host, of this run and of runs that have ended."""
        log = self.options.get("log")

        def takes(header: dict[str, Any]) -> bool:
            """Whether a spool belongs to the log of this run's recorder."""
            return log is not None and header.get("log") == log

        for orphan in orphans(self._folder, self.run, takes):
            shipped = False
            try:
                shipped = await self._ship_orphan(orphan)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                logger.debug("tasklog: the spool of a dead worker is left as it is: %s", error)
            finally:
                orphan.release(remove=shipped)

    async def _ship_orphan(self, orphan: Orphan) -> bool:
        header = {name: orphan.header.get(name) for name in ("id", "address", "name")}
        if header["id"] == self._header["id"]:
            return False
        for batch in orphan.batches():
            await self._send(header, batch, run=orphan.header["run"])
        return True

    def _sample_offset(self) -> None:
        """Records how far the worker's clock is behind the scheduler's, as Dask measures it.

        Dask assumes that the scheduler's clock was read in the middle of the round trip, so the
        error is at most half of the round trip. The sum of all round trips since the last sample is
        at least the last one, and so are 20 times Dask's average, in which the last one has a
        weight of one twentieth.
        """
        delay, now = getattr(self._worker, "scheduler_delay", None), time.monotonic()
        if delay is None:
            return
        if delay != self._measured[0]:
            waited = getattr(self._worker, "digests_total", {}).get("latency")
            took = None
            if waited is not None:
                took = max(0.0, min(waited - self._measured[1], 20 * self._worker.latency))
            self._measured = delay, waited or 0.0, took
        if self._offset is not None:
            before, at = self._offset
            if now - at < _OFFSET_SECONDS and abs(delay - before) < 0.001:
                return
            if delay == before:
                return
        self._offset = delay, now
        args = {"op": "clock-offset", "scheduler_delay": delay}
        if self._measured[2] is not None:
            args["round_trip"] = self._measured[2]
        self._put("stimulus", args=args)

    def _restore_spool(self) -> None:
        spool = self._spool
        if spool is not None and spool.restore() and not self._has_warned_of_removal:
            self._has_warned_of_removal = True
            logger.warning(
                "tasklog: the spool of worker %s was removed from %s while in use, and is created "
                "again; set 'worker_spool' to a folder that nothing cleans up",
                self._worker.address,
                self._folder,
            )

    # Own errors

    def _fail(self, what: str, error: Exception) -> None:
        self._errors += 1
        if self._errors == 1:
            self._warn("events are missing and counted as gaps", error)
        try:
            reason = f"recorder error in {what}: {type(error).__name__}"
            if self._spool is not None:
                self._spool.lose(reason, time.time_ns())
        except Exception:
            pass

    def _warn_of_unshipped(self, error: Exception) -> None:
        self._warn(
            f"the last events of this worker stay in {self._folder}; "
            f"'tasklog import {self._folder}' adds them to the log",
            error,
        )

    def _warn(self, what: str, error: Exception) -> None:
        address = getattr(getattr(self, "_worker", None), "address", "?")
        logger.warning(
            "tasklog: %s (worker %s): %s: %s", what, address, type(error).__name__, error
        )


class StimulusLog(collections.deque[Any]):
    """A worker's log of stimuli that calls a listener with each.

    The log itself may keep none of them (``distributed.admin.low-level-log-length: 0``).
    """

    def __init__(self, log: Any = (), maxlen: int | None = None, listener: Any = None) -> None:
        super().__init__(log, maxlen)
        self.listener = listener

    def append(self, event: Any) -> None:
        super().append(event)
        if self.listener is None:
            return
        try:
            self.listener(event)
        except Exception:
            logger.debug("tasklog: a stimulus was not recorded", exc_info=True)


class _RecordingOver(Exception):
    """The scheduler no longer has a recorder of this run."""


async def _answered(exchange: Awaitable[Any], seconds: float) -> Any:
    """Waits for an exchange with the scheduler.

    Raises `ConnectionError` when it takes longer than `seconds`.
    """
    try:
        return await asyncio.wait_for(exchange, seconds)
    except asyncio.TimeoutError:
        raise ConnectionError(f"the scheduler did not answer within {seconds:g} s") from None


def default_folder() -> str:
    # Windows has a folder for each user, and no numbers of users.
    user = os.getuid() if hasattr(os, "getuid") else "spool"
    return os.path.join(tempfile.gettempdir(), f"tasklog-{user}")


def operation(kind: type) -> str:
    """`ComputeTaskEvent` is the operation ``compute-task``."""
    name = kind.__name__.removesuffix("Event")
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def type_text(kind: type) -> str:
    """The name of a type, as Dask's `typename` shows it."""
    from dask.utils import typename

    return typename(kind)


def worker_snapshot(worker: Any) -> dict[str, Any]:
    """The identity of a worker."""
    limit = getattr(getattr(worker, "memory_manager", None), "memory_limit", None)
    return {
        "address": worker.address,
        "name": worker.name,
        "serverID": str(worker.id),
        "nthreads": worker.state.nthreads,
        "memoryLimit": int(limit or 0),
        "pid": os.getpid(),
        "host": worker.ip if hasattr(worker, "ip") else "",
        "nanny": worker.nanny,
        "localDirectory": worker.local_directory,
        "resources": dict(worker.state.total_resources),
        "limits": {name: getattr(worker.state, name, None) for name in _LIMITS},
    }


#: Settings that decide about the order in which a worker fetches data.
_LIMITS = (
    "transfer_incoming_count_limit",
    "transfer_incoming_bytes_limit",
    "transfer_message_bytes_limit",
)
#: Counters of a worker's state.
_COUNTED = ("generation", "executed_count", "transition_counter", "transfer_incoming_bytes")


def state_snapshot(state: Any) -> dict[str, Any]:
    """The state of a worker without its tasks, when a recorder is attached."""
    return {
        **{name: getattr(state, name, 0) for name in _COUNTED},
        "inFlightWorkers": {a: list(keys) for a, keys in state.in_flight_workers.items()},
        "availableResources": dict(state.available_resources),
    }
