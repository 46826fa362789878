//===----------------------------------------------------------------------===//
// Recording: from a hook into the log.
//
// What it does: the recorder plugin for a scheduler and its workers, the buffer between their
// threads and the disk, and the writing thread.
//
// What it may import: TaskLogPlugin, EventLog, the system's C library. No Foundation, and no Swift
// Concurrency on the path of an event, so that it can run inside other hosts.
//
// What it promises: recording never harms the host. A caller copies its event into a buffer and
// returns; if writing fails, the run continues, the failure is reported once, and lost events are
// counted as a gap.
//===----------------------------------------------------------------------===//

/// The version of this package.
public let taskLogVersion = "0.1.0"
