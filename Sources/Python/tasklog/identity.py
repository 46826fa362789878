"""The identity of a process: what the manager of its host knows it by.

Nothing in the log says why a host, or a process without a nanny, is gone. Kubernetes, SLURM and
others know, and these are the names to ask them by.

This module is sent to workers by value: it imports nothing of this package.
"""

from __future__ import annotations

import os
import re
import socket
from typing import Any

#: The variables that a batch system sets for its jobs.
_JOBS = (
    "SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_STEP_ID",
    "SLURM_JOB_END_TIME", "SLURMD_NODENAME", "LSB_JOBID", "LSB_JOBINDEX", "PBS_JOBID",
    "PBS_ARRAY_INDEX", "FLUX_JOB_ID", "OAR_JOB_ID",
)  # fmt: skip
#: Variables that commonly hold the identity of a pod of Kubernetes.
_PODS = {
    "pod": ("POD_NAME", "MY_POD_NAME", "K8S_POD_NAME"),
    "podUID": ("POD_UID", "MY_POD_UID"),
    "namespace": ("POD_NAMESPACE", "MY_POD_NAMESPACE", "K8S_NAMESPACE"),
    "node": ("NODE_NAME", "MY_NODE_NAME", "K8S_NODE_NAME"),
}
_NAMESPACE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
_CONTAINER = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def identity() -> dict[str, Any]:
    """What is known of this process, without what is not known."""
    found: dict[str, Any] = {
        "hostname": socket.gethostname(),
        "pid": os.getpid(),
        "bootID": _read("/proc/sys/kernel/random/boot_id"),
        "containerID": _container(),
    }
    for name, variables in _PODS.items():
        found[name] = next((v for v in map(os.environ.get, variables) if v), None)
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        # The name of a host in a pod is that of the pod, unless its manifest says otherwise.
        found["pod"] = found["pod"] or found["hostname"]
        found["namespace"] = found["namespace"] or _read(_NAMESPACE)
    jobs = {name: os.environ[name] for name in _JOBS if os.environ.get(name)}
    if jobs:
        found["job"] = jobs
    return {name: value for name, value in found.items() if value is not None}


def out_of_memory_kills() -> int | None:
    """How many processes the kernel has killed in this process's memory cgroup, as far as known."""
    group = _read("/proc/self/cgroup") or ""
    paths = []
    for line in group.splitlines():
        _, controllers, path = (line.split(":", 2) + ["", ""])[:3]
        if controllers == "":
            paths.append((f"/sys/fs/cgroup{path}", "memory.events"))
            paths.append(("/sys/fs/cgroup", "memory.events"))
        elif "memory" in controllers.split(","):
            paths.append((f"/sys/fs/cgroup/memory{path}", "memory.oom_control"))
            paths.append(("/sys/fs/cgroup/memory", "memory.oom_control"))
    for folder, name in paths:
        text = _read(os.path.join(folder, name))
        match = re.search(r"^oom_kill (\d+)$", text or "", re.M)
        if match:
            return int(match[1])
    return None


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 16).strip() or None
    except OSError:
        return None


def _container() -> str | None:
    for path in ("/proc/self/cgroup", "/proc/self/mountinfo"):
        for line in (_read(path) or "").splitlines():
            # A mount of the container's own files, not of one that runs within it.
            if path.endswith("mountinfo") and " /etc/host" not in line:
                continue
            match = _CONTAINER.search(line)
            if match:
                return match[0]
    return None
