"""Prunes a log while another process records into it.

    python3 prune_live.py VICTIM LOG

The ended runs are removed, the one that is being recorded stays and continues.
"""

import json
import os
import struct
import subprocess
import sys
import time

DEADLINE_SECONDS = 60 * max(1.0, float(os.environ.get("TASKLOG_TEST_PATIENCE") or 1))


def recorded():
    with open("counters", "rb") as counters:
        return struct.unpack("<Q", counters.read(8))[0]


def wait_for(count, victim):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while recorded() < count:
        assert victim.poll() is None, "the victim ended by itself"
        assert time.monotonic() < deadline, f"the victim has not recorded {count} events"
        time.sleep(0.001)


def main():
    program, log = sys.argv[1:]
    with open("counters", "wb") as counters:
        counters.write(bytes(4096))
    victim = subprocess.Popen([program, log, "counters", "2"])
    try:
        wait_for(2000, victim)
        rules = ["--older-than", "0s", "--keep-runs", "0", "--max-size", "1kB"]
        command = ["tasklog", "prune", *rules, "--format", "jsonl", "--log", log]
        for attempt in range(20):  # noqa: B007 - the last one is looked at below
            done = subprocess.run(command, capture_output=True, text=True)
            print(done.stdout, done.stderr)
            # On an overloaded machine the victim may lock the log for long.
            if "try again" not in done.stderr:
                break
        assert done.returncode == 0, done.stderr
        pruned = [json.loads(line)["run"] for line in done.stdout.splitlines()]
        assert pruned == [1, 2] or attempt > 0 and set(pruned) <= {1, 2}, pruned
        wait_for(recorded() + 2000, victim)
    finally:
        victim.kill()
        victim.wait()


if __name__ == "__main__":
    main()
