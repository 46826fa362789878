"""Kills `tasklog prune` three times at random moments; each time the log is intact.

    python3 prune_kill.py SEED

Copies whole.db to tasklog.db first.
"""

import random
import shutil
import subprocess
import sys
import time


def main():
    seed = int(sys.argv[1])
    generator = random.Random(seed)
    shutil.copy("whole.db", "tasklog.db")
    for _ in range(3):
        prune = subprocess.Popen(
            ["tasklog", "prune", "--keep-runs", "1"], stdout=subprocess.DEVNULL
        )
        wait = generator.uniform(0.02, 0.6)
        time.sleep(wait)
        prune.kill()
        prune.wait()
        check = subprocess.run(["tasklog", "check", "--strict"], capture_output=True, text=True)
        said = check.stdout + check.stderr
        assert check.returncode == 0, f"seed {seed}, killed after {wait:.3f} s: {said}"


if __name__ == "__main__":
    main()
