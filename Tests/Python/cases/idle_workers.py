"""Idle workers send heartbeats repeatedly."""

import json

from distributed import Client

ROUNDS = 100


async def beat(workers: list) -> None:
    for _ in range(ROUNDS):
        for worker in workers:
            # A worker measures its process as often as it sends a heartbeat.
            worker.monitor.update()
            await worker.heartbeat()


if __name__ == "__main__":
    with Client(
        processes=False, n_workers=4, threads_per_worker=1, dashboard_address=None
    ) as client:
        client.submit(sum, [1]).result()
        client.sync(beat, list(client.cluster.workers.values()))
    print(json.dumps({"rounds": ROUNDS}))
