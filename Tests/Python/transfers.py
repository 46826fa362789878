"""Graphs whose data moves between workers and to disk, and a worker plugin's view of that."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from distributed import Client, wait

import workloads
from clusters import wait_for

#: Some of the blocks below do not fit into memory, and are written to disk. Only the graphs below
#: remove a copy.
CONFIG = {
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.worker.memory.target": 0.1,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
}
MEMORY_LIMIT = "100MiB"


def count(*values: Any) -> int:
    return len(values)


def block(number: int, size: int) -> bytes:
    return bytes(size)


class Stubborn:
    """Is larger than the memory limit, and cannot be written to disk."""

    def __sizeof__(self) -> int:
        return 30_000_000

    def __reduce__(self) -> Any:
        raise RuntimeError("stays here")


def stubborn(number: int) -> Stubborn:
    return Stubborn()


def everything(client: Client) -> None:
    for part in (replicas, fetched_again, workloads.stealing, shuffled, spilled, cancelled):
        part(client)


def replicas(client: Client) -> None:
    """Results that several workers hold are needed by another one."""
    addresses = sorted(workloads.workers_of(client))
    for round in range(4):
        data = client.scatter([b"x" * (1000 + n) for n in range(6)], addresses[:1], hash=False)
        client.replicate(data, workers=addresses[:3], n=3)
        wait(
            [
                client.submit(count, *data, key=f"use-{round}-{n}", workers=[addresses[-1 - n % 2]])
                for n in range(4)
            ]
        )
        del data
    blocks = [
        client.submit(block, n, 1000, key=f"small-{n}", workers=[addresses[n % 4]])
        for n in range(24)
    ]
    counts = [
        client.submit(count, *blocks[n % 7 :: 3], *blocks[n % 5 :: 4], key=f"count-{n}")
        for n in range(24)
    ]
    wait(client.submit(count, *counts, key="count-all"))


def fetched_again(client: Client) -> None:
    """A worker loses a fetched result, and fetches it for one more task: the transfer is recorded
    on any of those that need it, and most of them are done."""
    here, there = sorted(workloads.workers_of(client))[:2]

    def holders(dask_scheduler: Any, key: str) -> list[str]:
        return [ws.address for ws in dask_scheduler.tasks[key].who_has]

    def drop(dask_scheduler: Any, key: str) -> None:
        dask_scheduler.request_remove_replicas(there, [key], stimulus_id="drop")

    data = client.submit(block, 0, 1000, key="needed-again", workers=[here])
    users = [client.submit(count, data, n, key=f"need-{n}", workers=[there]) for n in range(8)]
    wait(users)
    for round in range(4):
        client.run_on_scheduler(drop, key=data.key)
        wait_for(lambda: client.run_on_scheduler(holders, key=data.key) == [here], "the loss")
        users.append(client.submit(count, data, key=f"need-again-{round}", workers=[there]))
        wait(users)


def shuffled(client: Client) -> None:
    """By P2P, whose barriers all workers fetch from any holder."""
    import dask
    import dask.array as da

    with dask.config.set({"optimization.fuse.active": False}):
        x = da.random.random((40, 40), chunks=(5, 40)).rechunk((40, 5), method="p2p")
        assert (x + x.T).sum().compute() > 0


def spilled(client: Client) -> None:
    addresses = sorted(workloads.workers_of(client))
    blocks = [
        client.submit(block, n, 3_000_000, key=f"large-{n}", workers=[addresses[n % 4]])
        for n in range(24)
    ]
    wait(blocks)
    wait([client.submit(count, *blocks[n : n + 4], key=f"read-{n}") for n in range(0, 24, 2)])
    kept = [client.submit(stubborn, n, key=f"stubborn-{n}") for n in range(3)]
    wait(kept)
    assert {future.status for future in kept} == {"error"}


def cancelled(client: Client) -> None:
    """Tasks are cancelled while their data is in flight, and their waiting dependents are not."""
    addresses = sorted(workloads.workers_of(client))
    for round in range(2):
        blocks = [
            client.submit(block, n, 300_000, key=f"x-{round}-{n}", workers=[addresses[n % 4]])
            for n in range(16)
        ]
        wait(blocks)
        users = [
            client.submit(workloads.slow, 0.01, [blocks[n], blocks[(n + 5) % 16]], key=f"y-{n}")
            for n in range(16)
        ]
        client.cancel(users[::2])
        del users[::2]
        wait(users)
        del users, blocks


def seen(state: Any) -> dict[str, Any]:
    """The transfers of a worker that a plugin can look up."""
    row = {
        "fetches": state.transfer_incoming_count,
        "fetched": state.transfer_incoming_bytes,
        "fetches in all": state.transfer_incoming_count_total,
        "from": [[a, sorted(map(str, keys))] for a, keys in state.in_flight_workers.items()],
        "busy": sorted(state.busy_workers),
    }
    if len(state.tasks) < 100:
        # Of all tasks: a transfer is recorded on any of those that it was made for.
        spans = {str(key): ts.startstops for key, ts in state.tasks.items() if ts.startstops}
        row["spans"] = digest(spans)
        row["holders"] = digest(
            {address: sorted(map(str, keys)) for address, keys in state.has_what.items() if keys}
        )
        row["needed"] = digest(
            {
                address: sorted(str(ts.key) for ts in tasks)
                for address, tasks in state.data_needed.items()
                if tasks
            }
        )
    return row


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
