"""What a plugin may do to a live cluster and not to a recorded one: such calls are counted, and do
nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

#: Of `Scheduler` and `Server`: what acts on workers, clients, tasks or the outside.
SCHEDULER = (
    "add_client", "add_keys", "add_nanny", "add_worker", "adaptive_target", "broadcast",
    "cancel_keys", "client_desires_keys", "client_heartbeat", "client_releases_keys", "client_send",
    "close", "close_worker", "delete_worker_data", "feed", "finished", "gather",
    "gather_on_worker", "handle_client", "handle_comm", "handle_long_running",
    "handle_request_refresh_who_has",
    "handle_task_erred", "handle_task_finished", "handle_worker", "heartbeat_worker", "listen",
    "log_event", "log_worker_event", "proxy", "rebalance", "register_nanny_plugin",
    "register_scheduler_plugin", "register_worker_plugin", "release_worker_data",
    "remove_client", "remove_worker", "replicate", "report", "report_on_key",
    "request_acquire_replicas", "request_remove_replicas", "reschedule", "restart",
    "restart_workers", "retire_workers", "run_function", "scatter", "send_all",
    "send_task_to_worker", "set_metadata", "set_restrictions", "start",
    "start_periodic_callbacks", "stimulus_cancel", "stimulus_missing_data",
    "stimulus_queue_slots_maybe_opened", "stimulus_retry", "stimulus_task_erred",
    "stimulus_task_finished", "subscribe_topic", "transition", "transitions",
    "unregister_nanny_plugin", "unregister_scheduler_plugin", "unregister_worker_plugin",
    "unsubscribe_topic", "update_data", "update_graph", "worker_send", "workers_to_close",
)  # fmt: skip
#: Of `Worker`.
WORKER = (
    "batched_send", "broadcast", "close", "close_gracefully", "execute", "gather", "gather_dep",
    "get_data", "handle_stimulus", "heartbeat", "listen", "log_event", "plugin_add",
    "plugin_remove",
    "retry_busy_worker_later", "run", "run_coroutine", "send_to_worker", "set_resources", "start",
    "start_unsafe", "trigger_profile", "update_data", "upload_file",
)  # fmt: skip


def forbid(kind: type, names: tuple[str, ...], label: str) -> None:
    """Puts functions that only count into a class, for what its base class has of these names."""
    for name in names:
        original = inspect.getattr_static(kind, name, None)
        if original is not None:
            setattr(kind, name, _counting(f"{label}.{name}", original))


def _counting(name: str, original: Any) -> Callable[..., Any]:
    original = getattr(original, "__wrapped__", original)
    is_async = inspect.iscoroutinefunction(original)
    answer: Any = None
    if name.endswith((".transition", ".broadcast", ".retire_workers", ".restart_workers")):
        answer = {}

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._replay_host.forbid(name)
        return _done(answer) if is_async else answer

    return call


async def _done(answer: Any) -> Any:
    return answer


class NullConnection:
    """Stands in for a connection, or for a pool of them: what is called on it is counted."""

    def __init__(self, host: Any, label: str) -> None:
        self._host = host
        self._label = label

    def __call__(self, *args: Any, **kwargs: Any) -> NullConnection:
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self._host.forbid(f"{self._label}.{name}")
            return None if name in _SYNCHRONOUS else _done(None)

        return call


_SYNCHRONOUS = {"send", "abort", "closed", "close_rpc", "remove", "reuse"}


def refuse_connections(host: Any) -> None:
    """Recorded addresses are never contacted, whichever way a plugin takes."""
    import sys

    import distributed.comm.core as core

    original = core.connect

    async def connect(addr: Any, *args: Any, **kwargs: Any) -> Any:
        host.forbid("distributed.connect")
        raise OSError(f"nothing is contacted during a replay: {addr}")

    for name, module in list(sys.modules.items()):
        if name.startswith("distributed") and vars(module).get("connect") is original:
            # A name of modules that import it; mypy knows only those of every module.
            module.connect = connect  # type: ignore[attr-defined]
