import EventLog
import LogAnalysis
import LogFormat
import Replaying
import TaskLogPlugin

/// A run at a moment, as the scheduler and the workers saw it.
struct StuckRun {
  let state: SchedulerState
  /// By address: the workers that were recorded themselves.
  var views: [String: WorkerView] = [:]
  /// By the name of a lock or semaphore: those that were not released, in the order of arrival.
  var leases: [String: [Lease]] = [:]
  /// By the text of a key: since when the scheduler has had it in its state, and by which event.
  var since: [String: WorkerView.Task] = [:]
  /// In nanoseconds since 1970 UTC.
  var moment: Int64

  init(_ state: SchedulerState, moment: Int64) {
    (self.state, self.moment) = (state, moment)
  }

  /// - Parameter observe: called with each event of a scheduler, after it has been applied.
  /// - Throws: `LogError`.
  init(
    _ reader: LogReader, _ run: RunInfo, at point: PointInTime,
    observe: (RecordedEvent, SchedulerState) -> Void = { _, _ in }
  ) throws {
    let sources = try reader.sources(of: run)
    let (lives, clocks) = (try reader.workerLives(of: run), try reader.clockOffsets(of: run))
    let isIncluded = point.includes
    state = SchedulerState()
    moment = run.started
    for source in sources where source.source.kind == .scheduler {
      let cursor = try reader.events(of: source)
      while let recorded = try cursor.nextEvent(),
        isIncluded(recorded.seq, recorded.event.time)
      {
        state.apply(recorded.event)
        state.settle()
        observe(recorded, state)
        moment = max(moment, recorded.event.time)
      }
    }
    if case .time(let time) = point { moment = time }
    let addresses = Dictionary(
      sources.compactMap { source -> (Int64, String)? in
        guard source.source.kind == .worker, let place = lives.place(ofSource: source.number) else {
          return nil
        }
        // An earlier worker at the same address is gone.
        let life = lives.lives[place]
        let isGone = life.gone.map { isIncluded($0.seq, $0.time) } ?? false
        return isGone ? nil : (source.number, life.address)
      }, uniquingKeysWith: { $1 })
    for address in addresses.values { views[address] = WorkerView() }
    var isRelevant: Set<String> = []
    for (_, task) in state.tasks where task.isUnfinished {
      isRelevant.insert(task.key.text)
      if task.state == .processing {
        for each in task.dependencies { isRelevant.insert(each.key.text) }
      }
    }
    let schedulers = Set(sources.filter { $0.source.kind == .scheduler }.map(\.number))
    try reader.whereabouts(in: run, at: point, includesForgotten: true).forEachTask { task in
      guard isRelevant.contains(task.key) else { return }
      let found = WorkerView.Task(state: task.state, since: task.since, seq: task.seq)
      if schedulers.contains(task.source) { since[task.key] = found }
      if let address = addresses[task.source] { views[address]?.tasks[task.key] = found }
    }
    let locks = try LockScan(
      reader, run, until: isIncluded, schedulers: schedulers, addresses: addresses,
      clocks: clocks)
    for (address, waits) in locks.waits { views[address]?.waits = waits }
    leases = locks.leases.mapValues { $0.values.sorted { $0.seq < $1.seq } }
  }
}

extension TaskState {
  /// Whether the scheduler has something to do about it.
  var isUnfinished: Bool {
    [.waiting, .noWorker, .queued, .processing].contains(state)
  }
}

extension LogReader {
  /// What the unfinished tasks of a run wait for, those first that keep most from continuing.
  ///
  /// - Throws: `LogError`.
  package func stuckCauses(of run: RunInfo, at point: PointInTime = .end) throws -> [StuckCause] {
    var point = point
    // Of a run that is being recorded, the scheduler and the workers are seen at the same event.
    if case .end = point, let last = run.lastSeq {
      point = .seq(last)
    } else if case .seq(let seq) = point {
      // What a worker did before an event of the scheduler may have arrived after it.
      point = .event(seq: seq, time: try time(of: point, in: run, ifNone: .min))
    }
    let causes = StuckFinder(try StuckRun(self, run, at: point)).causes
    guard causes.contains(where: { $0.doubt != nil }) else { return causes }
    let finder = try DisagreementFinder(self, run, at: point)
    return try causes.map { cause in
      guard let doubt = cause.doubt else { return cause }
      var cause = cause
      cause.disagreement = try finder.disagreement(about: doubt)
      if let disagreement = cause.disagreement {
        // The others say it themselves.
        if [.disagreement, .missingInput].contains(cause.kind) {
          cause.sentence += " " + disagreement.sentence
        }
        if !cause.evidence.contains(disagreement.seq) { cause.evidence.append(disagreement.seq) }
      }
      return cause
    }
  }
}
