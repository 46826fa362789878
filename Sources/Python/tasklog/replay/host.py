"""The host: takes frames in, gives events to the plugins, and says in the end what came of it."""

from __future__ import annotations

import asyncio
import collections
import gc
import json
import logging
import sys
from dataclasses import astuple
from typing import Any

from tasklog.decoding import Decoder, Opaque
from tasklog.replay import frames, loading, results
from tasklog.replay.clock import Clock
from tasklog.replay.events import HOOK_NAMES, Event, Source
from tasklog.replay.failures import Failure, LiveFailures, unmatched
from tasklog.replay.frames import Answers, Frames
from tasklog.replay.limits import Memory, ReplayError, shortened, undecodable
from tasklog.replay.loading import LoadingError, Target
from tasklog.replay.sources import SchedulerReplay, SourceReplay, WorkerReplay
from tasklog.replay.watching import watch

#: Seconds that a plugin has to finish its coroutines after the last event.
_LAST_SECONDS = 10.0
#: The number of failures that are reported in full.
_MAXIMUM_FAILURES = 100


class Host:
    """Replays one run through Python plugins."""

    def __init__(self, answers: Answers | None = None) -> None:
        self.answers = answers
        self.clock = Clock()
        self.memory = Memory()
        self.present: Event | None = None
        #: Whether the host is changing state itself, so that nothing that is called is a plugin's
        #: doing.
        self.drives = False
        self.drift: collections.Counter[Any] = collections.Counter()
        self.forbidden: collections.Counter[Any] = collections.Counter()
        #: Fields that plugins have looked at and that are not replayed.
        self.looked_at: collections.Counter[Any] = collections.Counter()
        self.failures: list[Failure] = []
        self.failure_count = 0
        self.live_failures = LiveFailures()
        #: What failed live and not here: the class of the plugin, its hook, the class of the error.
        self.failed_live: collections.Counter[Any] = collections.Counter()
        #: The classes of plugins of which it is recorded that hooks have failed.
        self.seen_failing: set[str] = set()
        self.unfinished: set[asyncio.Task[Any]] = set()
        #: By which plugins are named to the user.
        self.names: dict[int, str] = {}
        self.notices: list[str] = []
        self.replays: dict[int, SourceReplay] = {}
        self.targets: list[Target] = []
        self.is_done = False
        #: The number of the last event to apply; None for all.
        self.last_seq: int | None = None
        #: Which plugin is being called, and how many calls there have been: for who watches.
        self.calling: Any = None
        self.call_count = 0
        self.verifies = False
        self._spare: dict[int, Any] = {}
        self._blobs: dict[str, bytes] = {}
        self._older_blobs: dict[str, bytes] = {}
        self._keys: dict[str, Any] = {}
        self._fails_fast = False
        self._is_clock_bound = False
        self._wanted_results: list[tuple[str, str]] = []

    # The greeting

    def greet(self, about: dict[str, Any]) -> dict[str, Any]:
        """Loads the plugins, and says what they need.

        Raises `LoadingError`.
        """
        if about["protocol"] != frames.PROTOCOL:
            raise LoadingError(
                f"the tasklog package of {sys.executable} is of another version than this command; "
                "install both from the same source"
            )
        self.memory.bound(about.get("memoryLimit", 0))
        run = about["run"]
        metadata = json.loads(run.get("metadata") or "{}")
        self.is_dask = run["engine"] == "dask"
        self.has_stimuli = metadata.get("stimuli", True)
        self._fails_fast = about.get("failFast", False)
        self.verifies = about.get("verify", False)
        self._wanted_results = [tuple(wanted) for wanted in about.get("results", ())]
        self.decoder = Decoder(blob=self._blob, unpickle=about.get("trustPickles", False))
        version = self._look_for_dask()
        for given, options in about["plugins"]:
            target = loading.load(given, options)
            self.targets.append(target)
            if not target.takes_scheduler:
                plugin = self._spare[id(target)] = target.make(None)
                if target.kind == "unknown":
                    loading.settle(target, plugin)
        self._decide(run, version)
        if self.rebuilds or self.rebuilds_workers:
            from tasklog.replay.forbidden import refuse_connections
            from tasklog.replay.scheduler import quieten

            quieten()
            refuse_connections(self)
        for target in self._of_scheduler:
            self._check_results(target)
        if about.get("timeout") and self.answers is not None:
            watch(self, about["timeout"], self.answers)
        if (child := sys.modules.get("tasklog.reading.child")) is not None:
            self.last_seq = child.last_seq()
        gc.freeze()
        gc.set_threshold(100_000, 20, 100)
        return {
            "scheduler": _need(self._of_scheduler, self.rebuilds),
            "workers": _need(self._of_workers, self.rebuilds_workers),
        }

    def _look_for_dask(self) -> str | None:
        logging.getLogger("distributed.http.proxy").setLevel(logging.WARNING)
        try:
            import distributed
        except ImportError:
            return None
        return distributed.__version__

    def _decide(self, run: dict[str, Any], version: str | None) -> None:
        """Decides what is rebuilt, and how."""
        self._of_scheduler = [t for t in self.targets if not t.is_for_workers]
        self._of_workers = [t for t in self.targets if t.is_for_workers]
        self.rebuilds = any(t.needs_state for t in self._of_scheduler) and version is not None
        self.rebuilds_workers = any(t.needs_state for t in self._of_workers) and version is not None
        self.why_not = "the plugins do not look at it"
        self.is_forced = False
        needing = [t.given for t in self.targets if t.needs_state]
        if needing and version is None:
            self.why_not = f"distributed is not installed in {sys.executable}"
            self.notices.append(
                f"{', '.join(needing)}: distributed is not installed in {sys.executable}, so there "
                "is no state to look at; install it, or choose another Python with --python"
            )
        elif needing and self.is_dask and version != run["engineVersion"]:
            self.is_forced = True
            self.notices.append(
                f"recorded with distributed {run['engineVersion']}, replayed with {version}: the "
                "state is set from the recorded facts, and what follows from them only in Dask's "
                f"own functions can differ; pip install distributed=={run['engineVersion']}"
            )

    def _check_results(self, target: Target) -> None:
        plugin = self._spare.get(id(target))
        for given, attribute in self._wanted_results:
            if given == target.given and plugin is not None and not target.needs_state:
                _look_up(plugin, attribute, given)

    def instance(self, target: Target, server: Any) -> Any:
        """The next instance of a plugin; the first one is made before anything is replayed."""
        plugin = self._spare.pop(id(target), None)
        return target.make(server) if plugin is None else plugin

    def bind_clock(self) -> None:
        if not self._is_clock_bound:
            self._is_clock_bound = True
            self.clock.bind()

    # While it runs

    async def run(self, events: Frames) -> None:
        frame: list[Any] = []
        try:
            async for chunk in events.chunks():
                for frame in chunk:
                    if frame[0] == frames.EVENT:
                        event = Event(frame, self.decoder, self._keys)
                        replay = self.replays.get(event.source)
                        if self.last_seq is not None and event.seq > self.last_seq:
                            # All further events are of later states, if it is its source.
                            self.is_done = self.is_done or replay is not None
                        if replay is not None and not self.is_done and not replay.take(event):
                            await replay.take_awaiting(event)
                    elif not await self._take(frame):
                        return
        except (LoadingError, ReplayError, BrokenPipeError):
            raise
        except MemoryError:
            raise self.memory.exceeded(self._place(frame)) from None
        except Exception as error:
            # Plugins do not get here (`Caller`): it is what the log holds.
            raise undecodable(self._place(frame), error) from error

    def _place(self, frame: list[Any]) -> str:
        """What is being replayed, for a message."""
        if frame and frame[0] == frames.EVENT:
            hook = HOOK_NAMES[frame[6]] if type(frame[6]) is int else frame[6]
            key = "" if frame[7] is None else f" of '{shortened(frame[7])}'"
            return f"the event seq {frame[2]} ({hook}{key})"
        if self.present is not None:
            return f"the event seq {self.present.seq} ({self.present.hook}), or one after it,"
        return "the beginning of the run"

    async def _take(self, frame: list[Any]) -> bool:
        """A frame other than an event; false after the last one."""
        kind = frame[0]
        if kind == frames.HELLO:
            self._send(frames.READY, self.greet(frame[1]))
        elif kind == frames.SOURCE:
            self.add(Source(*frame[1:]))
        elif kind == frames.BLOB:
            if frame[1] is None:
                self._older_blobs, self._blobs = self._blobs, {}
            else:
                self._blobs[frame[1]] = frame[2]
        elif kind == frames.FLUSH:
            for replay in self.replays.values():
                await replay.complete(may_continue=True)
            sys.stdout.flush()
        elif kind == frames.FINISH:
            self._send(frames.DONE, await self.finish())
            return False
        return True

    def add(self, source: Source) -> None:
        """A source, before its first event."""
        if source.kind == "scheduler":
            if self._of_scheduler:
                self.replays[source.number] = SchedulerReplay(self, source, self._of_scheduler)
        elif self._of_workers:
            self.replays[source.number] = WorkerReplay(self, source, self._of_workers)

    def fail(self, failure: Failure) -> None:
        """A hook has failed, and not live, as far as is known."""
        self.failure_count += 1
        if len(self.failures) < _MAXIMUM_FAILURES:
            self.failures.append(failure)
            self._send(frames.FAILURE, *astuple(failure))
        # The command ends with the first failure that it hears of.
        self.is_done = self._fails_fast

    def fail_as_live(self, failure: Failure, reason: str | None = None) -> None:
        """A hook has failed as it did live; or as it does on any cluster, for a reason."""
        self.live_failures.add(failure, reason)

    def notice(self, text: str) -> None:
        """Tells the user something, once."""
        if text not in self.notices:
            self.notices.append(text)

    def forbid(self, name: str) -> None:
        """Something has been called that acts on a cluster."""
        if not self.drives:
            self.forbidden[name] += 1

    def _blob(self, hash: str) -> Any:
        found = self._blobs.get(hash)
        return self._older_blobs.get(hash, Opaque("blob")) if found is None else found

    def _send(self, *frame: Any) -> None:
        if self.answers is not None:
            self.answers.send(*frame)

    # The end

    async def finish(self) -> dict[str, Any]:
        for replay in self.replays.values():
            if replay.is_chosen and not replay.has_begun:
                await replay.begin()
            await replay.complete(may_continue=self.last_seq is not None)
        if self.unfinished:
            _, waiting = await asyncio.wait(self.unfinished, timeout=_LAST_SECONDS)
            for task in waiting:
                task.cancel()
            if waiting:
                self.notices.append(f"{len(waiting)} async hooks had not ended with the replay")
        for replay in self.replays.values():
            if replay.server is not None:
                replay.caller.failures.settle(at_end=True)
        self._add_failure_notices()
        self.clock.release()
        if self.decoder.opaque:
            counted = "; ".join(f"{why} ({n})" for why, n in self.decoder.opaque.most_common())
            self.notices.append(
                f"values that are not in the log, and were given as such: {counted}"
            )
        reports, attributes = self._collect()
        # `Run.replay` wants them back.
        if (child := sys.modules.get("tasklog.reading.child")) is not None:
            child.keep([pair for target in self.targets for pair in self._instances(target)])
        sys.stdout.flush()
        sys.stderr.flush()
        return {
            "reports": reports,
            "results": attributes,
            "failureCount": self.failure_count,
            "drift": self.drift.most_common(),
            "forbidden": self.forbidden.most_common(),
            "standIns": self.decoder.stand_ins.most_common(),
            "notices": self.notices,
            "verifications": [
                verifier.row
                for replay in self.replays.values()
                for verifier in replay.verifiers
                if verifier.row is not None
            ],
        }

    def _add_failure_notices(self) -> None:
        if self.looked_at:
            fields = ", ".join(f"{name} ({n})" for name, n in self.looked_at.most_common(8))
            rest = len(self.looked_at) - 8
            self.notices.append(
                "plugins looked at fields that are not replayed: "
                + fields
                + (f", and {rest} more" if rest > 0 else "")
            )
        self.notices += self.live_failures.notices()
        known = {
            type(plugin).__name__: target.given
            for replay in self.replays.values()
            for target, plugin in replay.instances
        }
        self.notices += unmatched(self.failed_live, known)
        seen = {known[name] for name in self.seen_failing if name in known}
        unknown = sorted({failure.plugin for failure in self.failures} - seen)
        if unknown:
            self.notices.append(
                f"whether {', '.join(unknown)} failed so live is not recorded: it did not run "
                "then, it did not fail, or Dask's loggers were set to be silent"
            )

    def _collect(self) -> tuple[list[Any], list[Any]]:
        """The reports, and a line of JSON for each requested attribute."""
        found = {id(target): self._instances(target) for target in self.targets}
        reports = [
            [target.given, worker, self._report(target, plugin)]
            for target in self.targets
            for worker, plugin in found[id(target)]
        ]
        lines = []
        for given, path in self._wanted_results:
            target = next(target for target in self.targets if target.given == given)
            values = [(w, _look_up(p, path, given)) for w, p in found[id(target)]]
            if target.is_for_workers:
                lines.append(results.text(dict(values)))
            else:
                lines.extend(results.text(value) for _, value in values)
        return reports, lines

    def _instances(self, target: Target) -> list[tuple[str | None, Any]]:
        found = [
            (replay.source.address if target.is_for_workers else None, plugin)
            for replay in self.replays.values()
            for mounted, plugin in replay.instances
            if mounted is target
        ]
        if not found and not target.is_for_workers and id(target) in self._spare:
            # It was never called.
            found.append((None, self._spare[id(target)]))
        return found

    def _report(self, target: Target, plugin: Any) -> str:
        try:
            return results.text(results.report(plugin))
        except Exception as error:
            self.notices.append(f"{target.given}: no report: {type(error).__name__}: {error}")
            return "{}"


def _need(targets: list[Target], rebuilds: bool) -> str:
    if not targets:
        return "nothing"
    return "everything" if rebuilds else "hooks"


def _look_up(plugin: Any, path: str, given: str) -> Any:
    value = plugin
    for name in path.split("."):
        if not hasattr(value, name):
            known = ", ".join(n for n in results.attributes(plugin) if not n.startswith("_"))
            raise LoadingError(f"--result {path}: {given} has no {name}; it has {known or 'none'}")
        value = getattr(value, name)
    return value
