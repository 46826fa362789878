"""A job that is killed with its workers in the middle of its work, and a copy of its log without
the file next to it."""

import json
import os
import shutil
import signal
import subprocess
import sys

from distributed import Client, wait


def slow(number: int) -> int:
    import time

    time.sleep(0.01)
    return number


def job() -> None:
    client = Client(n_workers=2, threads_per_worker=1, dashboard_address=None)
    futures = client.map(slow, range(1000))
    wait(futures[:40])
    print("works", flush=True)
    client.gather(futures)


if __name__ == "__main__":
    if sys.argv[1:]:
        job()
    else:
        command = [sys.executable, __file__, "job"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as child:
            said = child.stdout.readline().decode().strip()
            os.killpg(child.pid, signal.SIGKILL)
        shutil.copy("run.db", "copy.db")
        print(json.dumps({"said": said, "code": child.returncode}))
