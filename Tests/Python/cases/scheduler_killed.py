"""A scheduler that is killed: its workers notice it, log it, and stop waiting."""

import json
import os
import re
import time
from pathlib import Path

from distributed import Client, wait

from clusters import CommandCluster, Recording, wait_for


def slow(number: int) -> int:
    time.sleep(0.01)
    return number


def last_words(text: str) -> list[str]:
    """The recorder's message at the end of a worker, without its address and its last attempt."""
    lines = [line for line in text.splitlines() if line.startswith("tasklog: the last events")]
    folder = os.environ["TASKLOG_WORKER_SPOOL"]
    return [re.sub(r"\w+://\S+: .*", "ADDRESS)", line.replace(folder, "SPOOL")) for line in lines]


if __name__ == "__main__":
    with CommandCluster(Recording(Path.cwd())) as cluster:
        workers = [cluster.add_worker(nanny) for nanny in ("--nanny", "--no-nanny")]
        client = Client(cluster.address)
        client.wait_for_workers(2, timeout=60)
        futures = client.map(slow, range(3000))
        wait(futures[:40])
        cluster.scheduler.process.kill()
        wait_for(lambda: all(w.process.poll() is not None for w in workers), "end of the workers")
        said = [last_words(worker.text) for worker in workers]
        # A connection that a dying process still accepts is given one second.
        waits = [re.findall(r"did not answer within (\S+) s", worker.text) for worker in workers]
        has_waited = any(float(seconds) > 1 for each in waits for seconds in each)
        print(json.dumps({"said": said, "has waited": has_waited}), flush=True)
        # Not before the interpreter has ended: its client searches for its scheduler.
        os._exit(0)
