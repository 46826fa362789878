"""What Kubernetes and SLURM say about the end of a worker, as ``ManagerEffect`` has it."""

from __future__ import annotations

import math
from typing import Any

#: The word for what a manager did; of `out-of-memory` and `ended` it does not say to which process.
Effect = str

_REASONS = {
    ("Kubernetes", "out-of-memory"): "OOMKilled OOMKilling SystemOOM",
    ("SLURM", "out-of-memory"): "OUT_OF_MEMORY",
    ("Kubernetes", "evicted"): (
        "Evicted TaintManagerEviction DeletionByTaintManager EvictionByEvictionAPI"
        " NodeControllerEviction ScaleDown"
    ),
    ("Kubernetes", "preempted"): "Preempted Preempting PreemptionByScheduler",
    ("SLURM", "preempted"): "PREEMPTED",
    ("Kubernetes", "walltime"): "DeadlineExceeded",
    ("SLURM", "walltime"): "TIMEOUT DEADLINE",
    ("Kubernetes", "host-gone"): (
        "NodeNotReady NodeLost Shutdown Rebooted RemovingNode DeletingNode NodeShutdown"
        " DeletionByPodGC"
    ),
    ("SLURM", "host-gone"): "NODE_FAIL BOOT_FAIL",
    ("Kubernetes", "stopped"): "Killing",
    ("SLURM", "stopped"): "CANCELLED",
    ("Kubernetes", "ended"): "Error Completed ContainerCannotRun",
    ("SLURM", "ended"): "FAILED COMPLETED",
}
#: By manager and reason.
EFFECTS: dict[tuple[str, str], Effect] = {
    (manager, reason): effect
    for (manager, effect), reasons in _REASONS.items()
    for reason in reasons.split()
}


def same_node(name: str, other: str) -> bool:
    """Whether two names are of one host, which may know itself by a name with its domain."""
    first, second = (next(filter(None, each.split(".")), None) for each in (name, other))
    return first == second


def job_end(identity: dict[str, Any] | None) -> int | None:
    """The time at which a process's job is to end, in nanoseconds, if its batch system said so."""
    try:
        seconds = float((identity or {})["job"]["SLURM_JOB_END_TIME"])
    except (KeyError, ValueError):
        return None
    return int(seconds * 1e9) if math.isfinite(seconds) and 0 < seconds < 9e9 else None
