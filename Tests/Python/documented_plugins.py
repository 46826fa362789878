"""The plugins of Dask's documentation, letter by letter, and code that creates them.
| The `ErrorLogger` is from the time when a worker had `exceptions`.
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
    """Lookups in addition to the exceptions; and exceptions as plugins keep them."""

    def setup(self, worker):
        self.worker = worker
        self.last = []
        self.kept = None

    def transition(self, key, start, finish, *args, **kwargs):
        if finish == 'error':
            self.last = [len(self.worker.tracebacks[key]), key in self.worker.exceptions]
            self.kept = self.worker.state.tasks[key].exception
