import EventLog
import TaskLogPlugin

/// The row IDs of the states that matter to `ThreadTimeScan`.
struct ThreadTimeStates {
  let processing, queued, memory, erred, forgotten: Int64
  /// Those in which a task of a graph is not finished, at the scheduler.
  let unfinished: Set<Int64>
  let cancelled: Set<Int64>
  let atWorker: [Int64: WorkerTaskState]

  init(_ reader: LogReader) throws {
    func number(_ state: State) throws -> Int64 { try reader.number(ofText: state.name) ?? -1 }
    processing = try number(.processing)
    queued = try number(.queued)
    memory = try number(.memory)
    erred = try number(.erred)
    forgotten = try number(.forgotten)
    unfinished = Set(try [State.waiting, .noWorker, .queued, .processing].map(number))
    cancelled = Set(try [State.cancelled, .resumed].map(number))
    var atWorker: [Int64: WorkerTaskState] = [:]
    for (state, name) in [
      (State.waiting, .waiting), (.ready, .ready), (.constrained, .constrained),
      (.executing, .running),
      (.longRunning, .running),
    ] as [(State, WorkerTaskState)] {
      atWorker[try number(state)] = name
    }
    atWorker[-1] = nil
    self.atWorker = atWorker
  }

  /// What a task at a worker needs next, or that it has it.
  enum WorkerTaskState {
    case waiting, ready, constrained, running
  }
}
