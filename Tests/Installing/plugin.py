"""A plugin of Dask's scheduler."""

from distributed.diagnostics.plugin import SchedulerPlugin


class Finished(SchedulerPlugin):
    def __init__(self):
        self.finished = 0

    def transition(self, key, start, finish, *args, **kwargs):
        if start == "processing" and finish == "memory":
            self.finished += 1
