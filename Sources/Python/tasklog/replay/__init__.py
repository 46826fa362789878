"""The host of `tasklog replay`: unmodified Dask plugins over a recorded run.

Run as ``python -m tasklog.replay`` by the command, which sends it the events of the run as
MessagePack over a pipe and gets failures and results over another one; see `frames`.

A plugin sees what it saw live: its hooks are called with the recorded arguments, and what it looks
up is a real `Scheduler` that is never started (`scheduler_state`) and a `Worker` with a real
`WorkerState` (`worker_state`), which Dask's own functions change as they did live. Nothing leaves
the process: what a plugin tries to do to the cluster is counted (`forbidden`). Clocks that plugins
read show the recorded time (`clock`).
"""
