"""The RabbitMQ plugin of Dask's documentation, unmodified except for the broker's address."""

import json
import os

import click
import pika
from distributed.diagnostics.plugin import SchedulerPlugin


class RabbitMQPlugin(SchedulerPlugin):
    def __init__(self):
        # Update host to be your RabbitMQ host
        self.connection = pika.BlockingConnection(
            pika.ConnectionParameters(
                host="127.0.0.1", port=int(os.environ["TASKLOG_TEST_BROKER_PORT"])
            )
        )
        self.channel = self.connection.channel()
        self.channel.queue_declare(queue="dask_task_status", durable=True)

    def transition(self, key, start, finish, *args, **kwargs):
        message = dict(
            key=key,
            start=start,
            finish=finish,
        )
        self.channel.basic_publish(
            exchange="",
            routing_key="dask_task_status",
            body=json.dumps(message),
            properties=pika.BasicProperties(
                delivery_mode=2,  # make message persistent
            ),
        )


@click.command()
def dask_setup(scheduler):
    plugin = RabbitMQPlugin()
    scheduler.add_plugin(plugin)
