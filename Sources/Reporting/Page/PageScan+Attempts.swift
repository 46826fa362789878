import EventLog
import LogAnalysis
import TaskLogPlugin

/// The attempts of tasks, and their ends for paths.
extension PageScan {
  mutating func attempt(
    _ task: Int, _ row: EventRow, _ cursor: EventCursor, _ worker: Int?, isScheduler: Bool,
    _ time: Int64
  ) throws {
    if isScheduler {
      if attempts.isEnd(row) { addOutcome(task, row, worker, time) }
      if attempts.isSent(row) {
        tasks[task].sentSeq = row.seq
        tasks[task].sentTime = time
      }
      tasks[task].seen = min(tasks[task].seen, time)
    }
    guard let states = try attempts.states(of: row, reader) else { return }
    var snapshot = Snapshot.none
    // What a worker intends to release may keep running.
    if !isScheduler, states.finish == .released, let event = try cursor.event(of: row)?.event {
      snapshot = event.snapshot
    }
    let args = isScheduler && attempts.isEnd(row) ? runArgs : nil
    attempts.apply(task, row, states, worker: worker, snapshot, time, args)
  }

  private mutating func addOutcome(_ task: Int, _ row: EventRow, _ about: Int?, _ time: Int64) {
    let state = state(row.finish)
    guard state == PageStates.memory || state == PageStates.erred else { return }
    let slot = tasks[task]
    let isIncluded = about.map { workers[$0].isIncluded } ?? (scope?.selectsWorkers != true)
    attempts.paths.add(
      PathTable.Outcome(
        seq: row.seq, sentSeq: slot.sentSeq, task: Int32(task),
        worker: runArgs.worker.flatMap { Int32($0) } ?? Int32(about ?? -1),
        isResult: state == PageStates.memory,
        seen: slot.seen == .max ? PathTable.unknown : slot.seen,
        sent: slot.sentSeq > 0 ? slot.sentTime : PathTable.unknown, done: time,
        isSelected: slot.isSelected && isIncluded && window.contains(time)), runArgs.spans)
  }
}
