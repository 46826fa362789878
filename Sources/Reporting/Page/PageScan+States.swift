import EventLog
import LogAnalysis

/// The states of tasks over time, at the scheduler and on workers.
extension PageScan {
  mutating func atWorker(_ task: Int, _ row: EventRow, _ worker: Int, _ time: Int64) {
    guard row.start != row.finish else { return }
    if executing.contains(row.finish) {
      if !executing.contains(row.start) || tasks[task].executingOn != Int32(worker) {
        endExecuting(task, time)
        tasks[task].executingOn = Int32(worker)
        tasks[task].executingSince = time
      }
    } else if tasks[task].executingOn == Int32(worker) {
      tasks[task].executingOn = -1
    }
  }

  /// Ends the span of a task that runs elsewhere or is over, but whose worker has not recorded its
  /// end.
  mutating func endExecuting(_ task: Int, _ time: Int64, hasFailed: Bool = false) {
    let worker = Int(tasks[task].executingOn)
    guard worker >= 0 else { return }
    tasks[task].executingOn = -1
    let start = tasks[task].executingSince
    let stop = max(start, min(time, workers[worker].left ?? time))
    addSpan(start, stop, task, 0, hasFailed ? .lost : .open, worker: worker, thread: nil)
  }

  mutating func atScheduler(
    _ task: Int, _ row: EventRow, _ cursor: EventCursor, _ about: Int?, _ time: Int64
  ) throws {
    let finish = state(row.finish)
    let worker = try outcome(
      task, row, cursor, about, time, hasFailed: finish == PageStates.erred)
    guard tasks[task].isSelected, time <= window.stop else { return }
    tasks[task].isAtScheduler = true
    guard row.start != row.finish, row.finish != 0 else { return }
    let previous = tasks[task].state
    tasks[task].state = finish
    count(previous, -1)
    count(finish, 1)
    states.add(max(time, window.start), stateCounts)
    if previous == PageStates.processing {
      workers.change(tasks[task].processingOn, time, tasks: -1)
      tasks[task].processingOn = -1
    }
    if previous == PageStates.memory { releaseAll(task, time) }
    switch finish {
    case PageStates.processing:
      tasks[task].processingOn = Int32(about ?? -1)
      workers.change(tasks[task].processingOn, time, tasks: 1)
    case PageStates.memory:
      if let worker = worker ?? about { addReplica(task, Int32(worker), time) }
    case PageStates.erred:
      guard includedFailures?.contains(row.seq) ?? true else { return }
      failures.add(task, row.seq, worker: worker ?? about, time, cause: known?.cause(of: row.seq))
    default: break
    }
  }

  /// The index of a state at the scheduler by the row ID of its name.
  func state(_ textID: Int64) -> UInt8 { stateOf[textID] ?? PageStates.none }

  /// Moves a stolen task to its new worker.
  mutating func moveTask(_ task: Int, to move: TaskReassignment, _ time: Int64) {
    guard tasks[task].state == PageStates.processing else { return }
    workers.change(tasks[task].processingOn, time, tasks: -1)
    tasks[task].processingOn = Int32(workers.index(move.worker, at: move.seq))
    workers.change(tasks[task].processingOn, time, tasks: 1)
  }

  private mutating func count(_ state: UInt8, _ change: Int64) {
    if Int(state) < stateCounts.count { stateCounts[Int(state)] += change }
  }
}
