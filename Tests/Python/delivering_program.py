"""A scheduler with one worker and one job, in its own process, that records and delivers.

``delivering_program.py WAY``: ends by itself (``end``), by SIGTERM as a pod is asked to end
(``term``), or does not react to SIGTERM (``hang``). Prints the id of the run when the job is done.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from distributed import Client, Scheduler, Worker

import tasklog


def work(x: int) -> int:
    return x + 1


async def main(way: str) -> None:
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    if way == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        loop.add_signal_handler(signal.SIGTERM, asked.set)
    async with Scheduler(port=0, dashboard_address=":0") as scheduler:
        recorder = tasklog.Recorder("tasklog.db")
        await recorder.attach(scheduler)
        async with (
            Worker(scheduler.address, nthreads=1, dashboard_address=":0"),
            Client(scheduler.address, asynchronous=True) as client,
        ):
            await client.gather(client.map(work, range(50), pure=False))
            print(recorder.run, flush=True)
            if way != "end":
                await asked.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
