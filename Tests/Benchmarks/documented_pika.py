"""Calls the RabbitMQ plugin of Dask's documentation COUNT times, as a scheduler does.

Prints the seconds of the calls: `documented_pika.py COUNT [confirms|kept]`. With `kept` the caller
consumes the messages.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "AMQPTests"))

from documented import RabbitMQPlugin  # noqa: E402

if __name__ == "__main__":
    count = int(sys.argv[1])
    plugin = RabbitMQPlugin()
    if sys.argv[2:] == ["confirms"]:
        plugin.channel.confirm_delivery()
    keys = [f"work-5f3c9a1e-{number}" for number in range(count)]
    start = time.perf_counter()
    for key in keys:
        plugin.transition(
            key, "waiting", "processing", worker="tcp://127.0.0.1:1", stimulus_id="update-graph-1"
        )
    print(time.perf_counter() - start, flush=True)
    if sys.argv[2:] == ["kept"]:
        plugin.connection.close()
        sys.exit()
    queue = plugin.channel.queue_purge("dask_task_status")
    assert queue.method.message_count == count
    plugin.connection.close()
