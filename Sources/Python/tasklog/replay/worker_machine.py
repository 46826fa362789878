"""Dask's worker state machine, made to do what it did live.

What a stimulus leads to follows from the state, but for three things, which the recording has: the
order in which tasks are taken, which depends on hashes; which of several holders a task is fetched
from, which depends on hashes and a random number; and whether a value could be stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import distributed.worker_state_machine as machine
from distributed.worker_state_machine import WorkerState


class ReplayedWorkerState(WorkerState):
    """Makes the transitions of a stimulus as the events of them come, and lets the host call the
    plugins."""

    #: Has the recorded events: a `WorkerStateHost`.
    _owner: Any
    #: What is recommended and has not been done yet, of the stimulus `_stimulus_id`.
    _pending: dict[Any, Any]
    _initial: dict[Any, Any]
    _stimulus_id: str = ""
    #: What is still to be fetched from each worker, in the recorded order; `None` when that is not
    #: recorded, and Dask chooses.
    _fetches: dict[str, list[Any]] | None = None

    def _transitions(self, recommendations: Any, *, stimulus_id: str) -> Any:
        self._pending, self._initial = dict(recommendations), {}
        self._stimulus_id = stimulus_id
        # The host continues with `resume`, and does not execute instructions.
        return []

    def resume(self, is_complete: bool) -> None:
        """Makes the transitions of which there are events.

        is_complete:
            Whether this was the last event of the stimulus: then the rest is processed as well.
            What is fetched from where can only be told then, since Dask chooses for all tasks
            at once.
        """
        self._process(is_complete)
        if is_complete:
            recommendations, _ = self._ensure_communicating(stimulus_id=self._stimulus_id)
            self._pending = dict(recommendations)
            self._process(True)
            if hasattr(self.task_counter, "transitions"):
                self.task_counter.transitions(self._initial)
            self._initial = {}

    def abandon(self) -> None:
        """Forgets what a stimulus has still led to, after an error."""
        self._pending, self._initial = {}, {}

    def _process(self, is_complete: bool) -> None:
        pending = self._pending
        while pending:
            ts = self.tasks.get(self._owner.next_key)
            if ts is not None and ts in pending:
                finish = pending.pop(ts)
            elif is_complete:
                ts, finish = pending.popitem()
            else:
                return
            self._initial.setdefault(ts, ts.state)
            recommendations, _ = self._transition(ts, finish, stimulus_id=self._stimulus_id)
            pending.update(recommendations)

    # Which holder a task is fetched from

    def _ensure_communicating(self, *, stimulus_id: str) -> Any:
        fetches = self._owner.recorded_fetches()
        if not fetches:
            return super()._ensure_communicating(stimulus_id=stimulus_id)
        considered = [
            worker
            for worker, tasks in self.data_needed.items()
            if tasks and worker not in self.in_flight_workers and worker not in self.busy_workers
        ]
        for worker, tasks in list(self.data_needed.items()):
            if not tasks:
                del self.data_needed[worker]
        self._fetches = dict(fetches)
        try:
            made = super()._ensure_communicating(stimulus_id=stimulus_id)
        finally:
            self._fetches = None
        self._drop_empty(considered, list(fetches))
        return made

    def _drop_empty(self, considered: list[str], chosen: list[str]) -> None:
        """Drops the workers that nothing is needed from any more, as far as Dask has come to them:
        when it has not ended early it has come to all."""
        ended_early = self._should_throttle_incoming_transfers() or any(
            self.data_needed.get(worker) for worker in considered if worker not in chosen
        )
        for worker in chosen[:-1] if ended_early else considered:
            if worker in self.data_needed and not self.data_needed[worker]:
                del self.data_needed[worker]

    def _should_throttle_incoming_transfers(self) -> bool:
        if self._fetches is None:
            return super()._should_throttle_incoming_transfers()
        return not self._fetches

    def _select_workers_for_gather(self) -> Iterator[tuple[str, Any]]:
        if self._fetches is None:
            yield from super()._select_workers_for_gather()
            return
        while self._fetches:
            worker = next(iter(self._fetches))
            yield worker, self.data_needed[worker]

    def _select_keys_for_gather(self, available: Any) -> tuple[list[Any], int]:
        if self._fetches is None:
            return super()._select_keys_for_gather(available)
        worker = next(iter(self._fetches))
        chosen = self._fetches.pop(worker)
        for ts in chosen:
            for holder in ts.who_has:
                self.data_needed[holder].discard(ts)
        return chosen, sum(ts.get_nbytes() for ts in chosen)

    # Whether a value could be stored

    def _transition_to_memory(
        self, ts: Any, value: Any, msg_type: Any, run_id: int, *, stimulus_id: str
    ) -> Any:
        failure = self._owner.recorded_failure(ts)
        if failure is not None:
            return {ts: ("error", *failure, run_id)}, []
        return super()._transition_to_memory(ts, value, msg_type, run_id, stimulus_id=stimulus_id)

    # Messages that a replay has no receiver for

    def _notify_plugins(self, method_name: str, *args: Any, **kwargs: Any) -> None:
        self._owner.has_transitioned(*args)

    def _get_task_finished_msg(self, ts: Any, run_id: int, stimulus_id: str) -> Any:
        # The type that it would pickle may be a stand-in.
        return machine.TaskFinishedMsg(
            key=ts.key,
            run_id=run_id,
            nbytes=ts.nbytes or 0,
            type=b"",
            typename="",
            metadata=ts.metadata,
            thread=None,
            startstops=ts.startstops,
            stimulus_id=stimulus_id,
        )
