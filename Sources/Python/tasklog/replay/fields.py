"""The public fields of Dask's objects that a replay does not give as they were live.

All others are: the tests find every public field of these classes by looking at them, compare it
live and in a replay, and hold this list and that of the documentation against it.
"""

from __future__ import annotations

#: Belongs to a server that runs: its connections, handlers, timers and measurements of itself.
SERVER = (
    "blocked_handlers", "connection_args", "contact_address", "counters", "default_ip",
    "default_port", "deserialize", "digests", "digests_max", "digests_total",
    "digests_total_since_heartbeat", "handlers", "host", "http_application", "http_server",
    "incoming_comms_active", "incoming_comms_open", "io_loop", "ip", "listen_address", "listener",
    "listeners", "local_directory", "loop", "monitor", "outgoing_comms_active",
    "outgoing_comms_open", "periodic_callbacks", "port", "preloads", "rpc", "security",
    "service_ports", "service_specs", "services", "stream_comms",
    "stream_handlers", "thread_id",
)  # fmt: skip

#: By class and reason. The classes are those of `distributed.scheduler`; of those with the same
#: name in `distributed.worker_state_machine` the name begins with "worker ".
NOT_REPLAYED: dict[str, dict[str, tuple[str, ...]]] = {
    "Scheduler": {
        "of the server that runs": (
            *SERVER, "client_comms", "jupyter", "nanny_plugins", "proc", "scheduler_file",
            "service_kwargs", "worker_plugins",
        ),
        "those of the replay alone": ("extensions", "plugins"),
        "a time by a clock that is not recorded": ("idle_since", "unrunnable"),
        "not recorded": ("generation", "validate"),
    },
    "WorkerState": {},
    "TaskState": {"not recorded": ("run_spec",)},
    "TaskGroup": {},
    "TaskPrefix": {},
    "ClientState": {},
    "Computation": {"not recorded": ("annotations", "code")},
    "Worker": {
        "of the server that runs": (
            *SERVER, "active_keys", "active_threads", "active_threads_lock",
            "bandwidth", "bandwidth_types", "bandwidth_workers", "batched_stream",
            "client", "death_timeout", "debug", "execution_state", "executor",
            "executors", "heartbeat_interval", "incoming_transfer_log", "latency",
            "lifetime", "lifetime_restart", "lifetime_stagger", "logs",
            "low_level_profiler", "memory_manager", "metrics", "outgoing_count",
            "outgoing_current_count", "outgoing_transfer_log",
            "profile_cycle_interval", "profile_history", "profile_keys",
            "profile_keys_history", "profile_recent", "scheduler",
            "startup_information", "total_in_connections", "transfer_incoming_log",
            "transfer_outgoing_bytes", "transfer_outgoing_bytes_total",
            "transfer_outgoing_count", "transfer_outgoing_count_limit",
            "transfer_outgoing_count_total", "transfer_outgoing_log",
            "worker_address", "workspace",
        ),
        "those of the replay alone": ("extensions", "plugins"),
        "not recorded": ("data", "threads", "scheduler_delay"),
    },
    "worker WorkerState": {
        "those of the replay alone": ("plugins",),
        "in another order within a stimulus": ("log",),
        "not recorded": ("actors", "data", "rng", "threads", "validate"),
    },
    "worker TaskState": {"not recorded": ("run_spec", "start_time", "stop_time")},
}  # fmt: skip

#: Those of a recorder that was attached when the scheduler was at work.
NOT_FOUND: dict[str, tuple[str, ...]] = {
    "Scheduler": ("transition_log",),
    "worker WorkerState": ("stimulus_log",),
}


def is_replayed(kind: str, name: str) -> bool:
    return not any(name in names for names in NOT_REPLAYED.get(kind, {}).values())
