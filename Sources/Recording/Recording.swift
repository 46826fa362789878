//===----------------------------------------------------------------------===//
// Recording: from a hook into the log.
//
// What it does: the recorder plugin for a scheduler and its workers, the buffer between their
// threads and the disk, and the thread that writes.
//
// What it may import: TaskLogPlugin, EventLog, the system's C library. Nothing from Foundation, no
// Swift Concurrency in the way of an event, so that it can live inside other hosts.
//
// What it promises: the host is never hurt. A caller copies its event into a buffer and goes on; if
// writing fails, the run goes on, the failure is told once, and what was lost is counted as a gap.
//===----------------------------------------------------------------------===//

/// The version of this tasklog.
public let taskLogVersion = "0.1.0"
