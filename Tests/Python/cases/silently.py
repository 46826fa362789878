"""A recorder with its own log and redaction, on a cluster that has one by its preload."""

import json
import os

from distributed import Client

import tasklog

if __name__ == "__main__":
    with Client(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None
    ) as client:
        try:
            client.register_plugin(tasklog.Recorder("mine.db", redact=["password"]))
            error = None
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}".replace(os.getcwd(), "FOLDER")
        result = client.submit(sum, [1, 2]).result()
    print(json.dumps({"error": error, "result": result, "mine": os.path.exists("mine.db")}))
