"""Why a worker left, as ``EndEvidence`` of the Swift side concludes it: the word for the cause."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tasklog.elsewhere import sentence
from tasklog.reading.errors import LogError
from tasklog.reading.pure.analyses.managers import EFFECTS, Effect, job_end, same_node
from tasklog.reading.pure.analyses.run import Life, RunRows
from tasklog.reading.pure.analyses.values import integer, load, members

_MOST_SAMPLES = 20
_SEARCHED_FOR_SAMPLES = 200_000
_SIGNALS = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 31}
#: SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS.
_CRASHES = {4, 5, 6, 7, 8, 11, 31}
_NEAR_LIMIT = 0.8
_BEFORE_JOB_END, _AFTER_JOB_END = 5.0, 90.0


def signal_of(code: int | None) -> int | None:
    """The signal of an exit code: Python's are negative, a shell's 128 more."""
    if code is None:
        return None
    if -64 <= code < 0:
        return -code
    return code - 128 if code > 128 and code - 128 in _SIGNALS else None


def _signal_in(reason: str) -> int | None:
    rest = reason.removeprefix("signal-")
    return int(rest) if rest != reason and rest.lstrip("+-").isdigit() else None


@dataclass
class Fact:
    kind: str
    seq: int
    #: What it says, by kind: a reason or a stimulus, and a number or a truth.
    text: str | None = None
    value: Any = None


@dataclass
class Evidence:
    """All that a log says about the end of a worker."""

    rows: RunRows
    life: Life
    facts: list[Fact] = field(default_factory=list)
    memory_limit: int = 0
    identity: dict[str, Any] | None = None
    has_restarted_host: bool = False

    def of(self, kind: str) -> Iterable[Fact]:
        return (fact for fact in self.facts if fact.kind == kind)

    @property
    def closing(self) -> str | None:
        return next((fact.text for fact in self.of("closing")), None)

    @property
    def exit_code(self) -> int | None:
        return next((fact.value[0] for fact in self.of("exit")), None)

    @property
    def is_closed_by_client(self) -> bool:
        return any(fact.value for fact in self.of("scheduler-closing"))

    @functools.cached_property
    def samples(self) -> list[tuple[int, int]]:
        """Its last samples of memory: times and bytes."""
        found = self.rows.connection.execute(
            f"""
            SELECT time, args FROM (
              SELECT seq, time, hook, worker, args FROM event WHERE seq < ? AND seq >= ?
              ORDER BY seq DESC LIMIT {_SEARCHED_FOR_SAMPLES})
            WHERE hook = (SELECT id FROM text WHERE text = 'heartbeat')
              AND worker = (SELECT id FROM text WHERE text = ?)
            LIMIT {_MOST_SAMPLES}
            """,
            (self.life.gone_seq, self.life.first_seq, self.life.address),
        ).fetchall()
        samples = []
        for time, args in found:
            if isinstance(args, str) and args.startswith('"'):
                raise LogError(sentence("why a worker ended, which its packed heartbeats decide,"))
            memory = integer(members(members(load(args)).get("metrics")).get("memory"))
            if memory is not None:
                samples.append((time, memory))
        return samples[::-1]

    # Rules, the first of which applies

    def cause(self) -> str:
        rules = (
            self.by_memory, self.by_manager, self.by_heartbeat, self.by_request, self.by_job_end,
            self.by_reason, self.by_nanny, self.by_itself, self.by_end_of_container,
        )  # fmt: skip
        for rule in rules:
            cause = rule()
            if cause is not None:
                return cause
        return "closed" if any(fact.value is True for fact in self.of("removed")) else "unknown"

    def by_memory(self) -> str | None:
        if any(self.of("memory")):
            return "out-of-memory"
        for fact in self.of("exit"):
            code, kills = fact.value
            if kills is not None and kills > 0 and signal_of(code) == 9:
                return "out-of-memory"
        return None

    @property
    def words(self) -> list[tuple[dict[str, Any], Effect]]:
        """What the manager of its host said, in the order of its times."""
        found = []
        for fact in self.of("manager"):
            effect = EFFECTS.get((fact.value["manager"], fact.value["reason"]))
            if effect is not None:
                found.append((fact.value["at_ns"], fact.seq, fact.value, effect))
        found.sort(key=lambda each: each[:2])
        return [(word, effect) for _, _, word, effect in found]

    def by_manager(self) -> str | None:
        code = self.exit_code
        if code is not None and code != 0 and (signal_of(code) or 0) not in (1, 2, 9, 15):
            return None
        if self.by_heartbeat() is None and self.by_request() is not None:
            return None
        is_shutdown = self.by_reason() == "shutdown"
        if is_shutdown and self.is_closed_by_client:
            return None
        for word, effect in self.words:
            if effect == "stopped" and is_shutdown:
                continue
            meaning = self._meaning(word, effect)
            if meaning is not None:
                return meaning
        return None

    def _meaning(self, word: dict[str, Any], effect: Effect) -> str | None:
        if effect == "out-of-memory":
            return effect if word["workers"] == 1 else None
        if effect == "ended":
            return None
        if effect == "host-gone" and word["manager"] == "SLURM":
            failed, host = word["failed_node"], self._host
            if failed is None or host is not None and not same_node(host, failed):
                return "stopped"
        return effect

    @property
    def _host(self) -> str | None:
        return host_of(self.identity)

    def by_heartbeat(self) -> str | None:
        for fact in self.facts:
            is_reason = fact.kind in ("kill", "removed")
            if fact.kind == "heartbeat-timeout" or (
                is_reason and (fact.text or "").startswith("check-worker-ttl")
            ):
                is_known = self.has_restarted_host and self.exit_code is None
                return "host-gone" if is_known else "heartbeat-lost"
        return None

    def by_request(self) -> str | None:
        if self.closing == "worker-lifetime-reached":
            return "lifetime"
        for fact in self.facts:
            if fact.kind not in ("retired", "removed", "kill") or fact.text is None:
                continue
            if fact.text.startswith(("restart", "client-restart")):
                return "restarted"
            if fact.text.startswith("retire-workers"):
                return "scaled-down" if any(self.of("scaled-down")) else "retired"
        if any(self.of("close-requested")):
            return "closed"
        if any(self.of("restart-requested")) and (self.exit_code or 0) == 0:
            return "restarted"
        return None

    def by_job_end(self) -> str | None:
        end, left = job_end(self.identity), self.life.gone_ns
        if end is None or left is None:
            return None
        if (
            self.exit_code is not None and signal_of(self.exit_code) not in (9, 15)
            and not self._is_signalled
        ) or self.is_closed_by_client:  # fmt: skip
            return None
        time = left
        if self.by_heartbeat() is not None and self.samples:
            time = self.samples[-1][0]
        after = float(time - end) / 1e9
        return "walltime" if -_BEFORE_JOB_END <= after <= _AFTER_JOB_END else None

    @property
    def _is_signalled(self) -> bool:
        return any(
            _signal_in(fact.text or "") is not None
            if fact.kind in ("closing", "kill")
            else fact.kind == "teardown" and fact.value is not None
            for fact in self.facts
        )

    def by_reason(self) -> str | None:
        for fact in self.facts:
            if fact.kind == "kill":
                return "nanny-closed" if _signal_in(fact.text or "") is None else "killed"
            if fact.kind == "scheduler-closing":
                return "shutdown"
        reason = self.closing
        if reason is None or reason == "scheduler-remove-worker":
            return None
        known = {
            "scheduler-close": "shutdown", "scheduler-close-worker": "closed",
            "worker-close": "closed",
            "worker-handle-scheduler-connection-broken": "connection-lost",
            "worker-heartbeat-missing": "connection-lost",
            "worker-heartbeat-error": "connection-lost",
        }  # fmt: skip
        if reason in known:
            return known[reason]
        if _signal_in(reason) is not None:
            return "killed"
        return "nanny-closed" if reason.startswith("nanny-") else "closed"

    def by_nanny(self) -> str | None:
        for fact in self.of("exit"):
            code, kills = fact.value
            signal = signal_of(code)
            if signal is None:
                return "exited"
            if signal in _CRASHES:
                return "crashed"
            is_undecided = signal == 9 and kills is None and self._is_near_limit()
            return "unknown" if is_undecided else "killed"
        return None

    def _is_near_limit(self) -> bool:
        if self.memory_limit <= 0 or not self.samples:
            return True
        return self.samples[-1][1] / self.memory_limit >= _NEAR_LIMIT

    def by_itself(self) -> str | None:
        for fact in self.of("teardown"):
            return "closed" if fact.value is None else "killed"
        return None

    def by_end_of_container(self) -> str | None:
        for word, effect in self.words:
            if effect not in ("out-of-memory", "ended"):
                continue
            if word["workers"] != 1:
                return "unknown"
            signal = word["signal"]
            signal = signal_of(word["exitcode"]) if signal is None else signal
            if signal is not None:
                return "crashed" if signal in _CRASHES else "killed"
            if word["exitcode"] is not None:
                return "exited"
        return None


def host_of(identity: dict[str, Any] | None) -> str | None:
    """What names a host for others there: that of a pod is the name of the pod."""
    known = identity or {}
    return known.get("node") or known.get("job", {}).get("SLURMD_NODENAME") or known.get("hostname")
