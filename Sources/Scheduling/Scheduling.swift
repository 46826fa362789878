//===----------------------------------------------------------------------===//
// Scheduling: the embedded engine.
//
// What it does: a scheduler, workers and a client in one process, with Dask's states and semantics.
// The cores (`SchedulerCore`, `WorkerCore`) are pure: stimuli in, events and instructions out; no
// clock, no I/O, no concurrency. Actors and threads around them do the rest.
//
// What it may import: TaskLogPlugin, and the system's C library for threads and the clock.
//
// What it promises: an edge *decides* (reads the state, returns an event with its args and
// snapshot, and the consequences); the state changes only in `apply(_:)`, which a replay runs as
// well. Plugins are called after the transition, in order, with the state that the task is actually
// in.
//===----------------------------------------------------------------------===//
