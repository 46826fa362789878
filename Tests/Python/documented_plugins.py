"""The plugins of Dask's documentation, letter by letter, and what makes them.

The `ErrorLogger` is that of the years when a worker had `exceptions`.
"""
# ruff: noqa

import logging

from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin


class Counter(SchedulerPlugin):
    def __init__(self):
        self.counter = 0

    def transition(self, key, start, finish, *args, **kwargs):
        if start == 'processing' and finish == 'memory':
            self.counter += 1

    def restart(self, scheduler):
        self.counter = 0


class ErrorLogger(WorkerPlugin):
    def __init__(self, logger):
        self.logger = logger

    def setup(self, worker):
        self.worker = worker

    def transition(self, key, start, finish, *args, **kwargs):
        if finish == 'error':
            exc = self.worker.exceptions[key]
            self.logger.error("Task '%s' has failed with exception: %s" % (key, str(exc)))


def error_logger():
    return ErrorLogger(logging)


class Tracebacks(WorkerPlugin):
    """What was looked up beside the exceptions; and exceptions as they are kept by plugins."""

    def setup(self, worker):
        self.worker = worker
        self.last = []
        self.kept = None

    def transition(self, key, start, finish, *args, **kwargs):
        if finish == 'error':
            self.last = [len(self.worker.tracebacks[key]), key in self.worker.exceptions]
            self.kept = self.worker.state.tasks[key].exception
