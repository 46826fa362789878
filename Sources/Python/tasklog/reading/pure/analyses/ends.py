"""What the events of a run say about the ends of its workers, as ``EndScan`` collects it."""

from __future__ import annotations

import json
from typing import Any

from tasklog.reading.pure.analyses.evidence import Evidence, Fact, host_of
from tasklog.reading.pure.analyses.run import RunRows
from tasklog.reading.pure.analyses.values import elements, integer, load, members, text

_HOOKS = (
    "addWorker", "removeWorker", "logEvent", "setup", "teardown", "request", "nanny",
    "beforeClose", "manager",
)  # fmt: skip
_ACTIONS = ("closing-worker", "close-worker", "retired", "remove-worker", "worker-ttl-timed-out")
_MEMORY_TOPIC = "worker-restart-memory"


class Ends:
    """The causes of the ends of a run's workers, by address and life."""

    def __init__(self, rows: RunRows) -> None:
        self._rows = rows
        self._lives = rows.lives
        self._evidence = [Evidence(rows, life) for life in rows.lives.all]
        #: What the scheduler's own event said of a removal, by worker: the stimulus, and whether it
        #: expected it.
        self._removals: dict[int, tuple[str | None, bool | None]] = {}
        self._nanny_of: dict[int, str] = {}
        self._identities: dict[int, dict[str, Any]] = {}
        self._nannies: dict[str, dict[str, Any]] = {}
        self._read()

    def causes(self) -> dict[tuple[str, int], str]:
        """The cause of each worker that has left."""
        found = {}
        for index, life in enumerate(self._lives.all):
            if life.gone_seq is None:
                continue
            evidence = self._evidence[index]
            evidence.identity = self._identities.get(index) or self._nannies.get(
                self._nanny_of.get(index, "")
            )
            evidence.has_restarted_host = self._has_restarted(evidence.identity, life.gone_seq)
            found[life.address, life.number] = evidence.cause()
        return found

    def _has_restarted(self, own: dict[str, Any] | None, after: int) -> bool:
        """Whether an event reports another start of a host."""
        host, boot = host_of(own), (own or {}).get("bootID")
        if host is None or boot is None:
            return False
        return any(
            other["seq"] > after and host_of(other) == host and other["bootID"] not in (None, boot)
            for other in (*self._identities.values(), *self._nannies.values())
        )

    # Facts

    def _read(self) -> None:
        if self._rows.first is None or self._rows.last is None:
            return
        hooks = ", ".join(f"'{hook}'" for hook in _HOOKS)
        actions = ", ".join(f"'{action}'" for action in _ACTIONS)
        found = self._rows.connection.execute(
            f"""
            SELECT event.seq, event.time, hook.text, source.id,
              (SELECT text FROM text WHERE id = event.stimulus),
              (SELECT text FROM text WHERE id = event.worker),
              CASE hook.text WHEN 'addWorker' THEN NULL ELSE event.args END,
              event.snapshot ->> '$.worker.nanny', event.snapshot ->> '$.worker.memoryLimit',
              json_type(event.snapshot, '$.worker.nanny')
            FROM event
            JOIN text AS hook ON hook.id = event.hook
            JOIN source ON source.id = event.source
            WHERE event.seq BETWEEN ?1 AND ?2 AND source.run = ?3
              AND event.hook IN (SELECT id FROM text WHERE text IN ({hooks}))
              AND (hook.text != 'logEvent' OR event.args ->> '$.topic' = '{_MEMORY_TOPIC}'
                OR event.args ->> '$.message.action' IN ({actions}))
            ORDER BY event.seq
            """,
            (self._rows.first, self._rows.last, self._rows.number),
        )
        for row in found.fetchall():
            self._take(*row)

    def _take(
        self, seq: int, time: int, hook: str, source: int, stimulus: str | None,
        worker: str | None, args_text: Any, nanny: Any, limit: Any, nanny_type: str | None,
    ) -> None:  # fmt: skip
        args = members(load(args_text))
        if hook in ("addWorker", "setup"):
            of_source = self._lives.place_of_source(source)
            life = of_source if hook == "setup" else self._lives.place(worker, seq)
            if life is None:
                return
            # Empty for a worker without a nanny; engines without nannies do not say.
            if nanny_type is not None:
                self._nanny_of[life] = str(nanny or "")
            if integer(limit) is not None:
                self._evidence[life].memory_limit = limit
            if hook == "setup":
                self._identities[life] = _identity(seq, args)
        elif hook == "removeWorker":
            place = self._lives.place(worker, seq)
            if place is not None:
                logged = self._removals.get(place, (None, None))
                self._add("removed", seq, place, stimulus or logged[0], logged[1])
        elif hook == "logEvent":
            self._logged(seq, args)
        elif hook == "request":
            self._requested(seq, time, args)
        elif hook == "nanny":
            self._nanny_said(seq, worker, args)
        elif hook == "beforeClose":
            self._closing(seq, time, None, is_by_client=False)
        elif hook == "teardown":
            place = self._lives.place_of_source(source)
            self._add("teardown", seq, place, value=integer(args.get("signal")))
        elif hook == "manager":
            self._manager_said(seq, worker, args)

    def _add(
        self, kind: str, seq: int, life: int | None, text: str | None = None, value: Any = None
    ) -> None:
        if life is not None:
            self._evidence[life].facts.append(Fact(kind, seq, text, value))

    def _logged(self, seq: int, args: dict[str, Any]) -> None:
        topic, message = text(args.get("topic")), members(args.get("message"))
        if topic == _MEMORY_TOPIC:
            self._add("memory", seq, self._lives.place(message.get("worker"), seq))
            return
        life = self._lives.place(topic, seq)
        stimulus = text(message.get("stimulus_id"))
        action = message.get("action")
        if action == "closing-worker":
            self._add("closing", seq, life, text(message.get("reason")) or "")
        elif action == "close-worker":
            self._add("close-requested", seq, life)
        elif action == "retired":
            self._add("retired", seq, life, stimulus)
        elif action == "remove-worker" and life is not None:
            # Logged twice: for the worker, and for the topic `all`.
            expected = message.get("expected")
            self._removals[life] = stimulus, expected if isinstance(expected, bool) else None
        elif action == "worker-ttl-timed-out":
            for worker in elements(message.get("workers")):
                self._add("heartbeat-timeout", seq, self._lives.place(worker, seq))

    def _requested(self, seq: int, time: int, args: dict[str, Any]) -> None:
        op = args.get("op")
        if op in ("terminate", "close"):
            self._closing(seq, time, text(args.get("reason")), is_by_client=op == "terminate")
        elif op == "restart":
            for life in self._present(seq, time):
                self._add("restart-requested", seq, life)
        elif op in ("restart-workers", "workers-to-close"):
            kind = "restart-requested" if op == "restart-workers" else "scaled-down"
            for life in self._present(seq, time, args.get("workers"), is_named="workers" in args):
                self._add(kind, seq, life)

    def _closing(self, seq: int, time: int, reason: str | None, *, is_by_client: bool) -> None:
        for life in self._present(seq, time):
            self._add("scheduler-closing", seq, life, reason, is_by_client)

    def _present(
        self, seq: int, time: int, named: Any = None, *, is_named: bool = False
    ) -> list[int]:
        """The workers that had not left, by their names or addresses."""
        names = {
            each if isinstance(each, str) else json.dumps(each, separators=(",", ":"))
            for each in elements(named)
        }
        found = []
        for index, life in enumerate(self._lives.all):
            is_there = life.joined is None or life.joined <= time
            if life.number <= 0 or not is_there:
                continue
            if life.gone_seq is not None and seq >= life.gone_seq:
                continue
            name = load(life.name)
            name = name if isinstance(name, str) else life.name
            if not is_named or life.address in names or name in names:
                found.append(index)
        return found

    def _nanny_said(self, seq: int, worker: str | None, args: dict[str, Any]) -> None:
        nanny, life = text(args.get("nanny")), self._lives.place(worker, seq)
        op = args.get("op")
        if op == "setup" and nanny is not None:
            self._nannies[nanny] = _identity(seq, args)
        elif op == "kill":
            self._add("kill", seq, life, text(args.get("reason")) or "")
        elif op == "exit" and integer(args.get("exitcode")) is not None:
            kills = integer(args.get("outOfMemoryKills"))
            self._add("exit", seq, life, value=(args["exitcode"], kills))

    def _manager_said(self, seq: int, address: str | None, args: dict[str, Any]) -> None:
        texts = [text(args.get(name)) for name in ("manager", "object", "reason")]
        time = integer(args.get("at_ns"))
        if None in texts or time is None:
            return
        word = {
            "manager": texts[0], "reason": texts[2], "at_ns": time,
            "exitcode": integer(args.get("exitcode")), "signal": integer(args.get("signal")),
            "failed_node": text(args.get("failed_node")),
            "workers": 1 if integer(args.get("workers")) is None else args["workers"],
        }  # fmt: skip
        id, number = text(args.get("server_id")), integer(args.get("life"))
        for index, life in enumerate(self._lives.all):
            if life.address != address:
                continue
            is_known = id is not None and life.server_id is not None
            if life.server_id == id if is_known else life.number == number:
                self._add("manager", seq, index, value=word)
                return


def _identity(seq: int, args: dict[str, Any]) -> dict[str, Any]:
    """What the manager of its host knows a process by."""
    job = members(args.get("job"))
    known = {name: text(args.get(name)) or None for name in ("hostname", "bootID", "node")}
    return {"seq": seq, "job": {k: v for k, v in job.items() if isinstance(v, str)}, **known}
