import EventLog
import LogAnalysis
import LogFormat
import TaskLogPlugin

/// Finds the first event since when the scheduler and a worker have seen a task differently.
struct DisagreementFinder {
  private let reader: LogReader
  private let run: RunInfo
  private let point: PointInTime
  private let lives: WorkerLives
  private let clocks: ClockOffsets
  private let schedulers: Set<Int64>
  /// The workers to which tasks were moved, by the seq of the event.
  private let moves: [Int64: String]

  /// - Parameter point: the moment of interest.
  /// - Throws: `LogError`.
  init(_ reader: LogReader, _ run: RunInfo, at point: PointInTime) throws {
    (self.reader, self.run, self.point) = (reader, run, point)
    (lives, clocks) = (try reader.workerLives(of: run), try reader.clockOffsets(of: run))
    schedulers = Set(
      try reader.sources(of: run).filter { $0.source.kind == .scheduler }.map(\.number))
    moves = Dictionary(
      try reader.taskMoves(of: run).map { ($0.seq, $0.worker) }, uniquingKeysWith: { $1 })
  }

  /// - Returns: `nil` if they agree.
  /// - Throws: `LogError`.
  func disagreement(about doubt: DoubtfulTask) throws -> Disagreement? {
    for case .key(let key) in try reader.subjects(named: doubt.key) {
      var walk = ViewWalk()
      for recorded in try reader.story(of: .key(key), in: run)
      where point.includes(seq: recorded.seq, time: clocks.time(of: recorded)) {
        let step: ViewWalk.Step? =
          if schedulers.contains(recorded.source) {
            Self.expected(recorded.event, movedTo: moves[recorded.seq], at: doubt.worker)
              .map(ViewWalk.Step.scheduler)
          } else {
            Self.state(recorded, lives, at: doubt.worker).map(ViewWalk.Step.worker)
          }
        if let step { walk.add(step, seq: recorded.seq) }
      }
      if let since = walk.since {
        return Disagreement(
          key: doubt.key, worker: doubt.worker, seq: since.seq, isOfScheduler: since.isOfScheduler)
      }
    }
    return nil
  }

  /// What an event of the scheduler says that a worker does with the task; `nil` if it says nothing of it.
  private static func expected(
    _ event: Event, movedTo thief: String?, at worker: String
  ) -> ViewWalk.Expected? {
    if let thief { return thief == worker ? .work : .nothing }
    let isThere = event.worker == worker
    switch event.hook {
    case .addReplica: return isThere ? .result : nil
    case .removeReplica: return isThere ? .nothing : nil
    case .transition:
      switch event.finish {
      case .processing: return isThere ? .work : nil
      case .memory: return isThere ? .result : event.start == .processing ? .nothing : nil
      default: return event.start == .processing || event.start == .memory ? .nothing : nil
      }
    default: return nil
    }
  }

  /// The state of the task after an event of the worker at an address.
  private static func state(
    _ recorded: RecordedEvent, _ lives: WorkerLives, at worker: String
  ) -> String? {
    guard recorded.event.hook == .transition, let finish = recorded.event.finish,
      let place = lives.place(ofSource: recorded.source), lives.lives[place].address == worker
    else { return nil }
    return finish.name
  }
}
