import EventLog
import LogAnalysis
import LogFormat
import TaskLogPlugin

/// A worker that the scheduler knows, at a moment: as the scheduler saw it, and as it recorded itself.
struct WorkerMoment {
  /// An event, and its time by the scheduler's clock.
  struct Mark {
    var time: Int64
    var seq: Int64
  }

  let run: StuckRun
  let info: WorkerInfo
  /// How sentences name it.
  var label: String
  /// Its own state; `nil` if it was not recorded.
  var state: WorkerState?
  /// By the text of a key: the last event of a task there.
  var last: [String: Mark] = [:]
  /// When it was set up, if that was later.
  var setUpLater: Mark?
  /// Since when it has its status.
  var status: Mark?
  /// By the text of a key: since when a task was computed there, if only its result says so.
  var computing: [String: Int64] = [:]
  /// The tasks of which no result says when they were computed.
  var unclear = 0
  /// How late the scheduler's event loop was, in seconds, when it last measured that.
  var late: Double?
  /// Whether events of the scheduler are missing there.
  var isInGap = false
  /// When the last task ended.
  var lastEnd: Mark?

  init(_ run: StuckRun, _ info: WorkerInfo, label: String) {
    (self.run, self.info, self.label) = (run, info, label)
  }

  /// Applies what the worker recorded until the moment.
  ///
  /// - Parameter hasJoined: whether it joined while the scheduler was recorded.
  mutating func walk(
    _ reader: LogReader, _ source: SourceInfo, _ clocks: ClockOffsets, hasJoined: Bool
  ) throws {
    let state = WorkerState()
    var isSetUp = false
    let cursor = try reader.events(of: source)
    while let recorded = try cursor.nextEvent() {
      let (event, time) = (recorded.event, clocks.time(of: recorded))
      let isSetup = event.hook == .setup || event.hook == .attach
      guard time <= run.moment else {
        if isSetUp { break }
        // What a worker that joins records first is that it is set up.
        if isSetup, hasJoined {
          setUpLater = Mark(time: time, seq: recorded.seq)
          break
        }
        continue
      }
      isSetUp = isSetUp || isSetup || event.hook == .transition
      state.apply(event)
      state.settle()
      if event.hook == .transition, event.start != event.finish, let key = event.key {
        last[key.text] = Mark(time: time, seq: recorded.seq)
      }
    }
    self.state = state
  }

  /// The number of tasks whose results are looked up.
  private static let mostResults = 1000

  /// Finds out from later results which of its tasks were computed at the moment.
  mutating func findComputing(_ reader: LogReader, _ info: RunInfo, schedulers: Set<Int64>) throws {
    for task in Array(self.info.processing).prefix(Self.mostResults) {
      guard let spans = try spans(of: task, reader, info, schedulers) else {
        unclear += 1
        continue
      }
      let span = spans.first {
        $0.action == "compute" && $0.start <= run.moment && run.moment < $0.stop ?? .max
      }
      if let span { computing[task.key.text] = span.start }
    }
    unclear += max(0, self.info.processing.count - Self.mostResults)
  }

  /// The work on a task in the attempt of the moment; `nil` if the log has no result of it.
  private func spans(
    of task: TaskState, _ reader: LogReader, _ info: RunInfo, _ schedulers: Set<Int64>
  ) throws -> [WorkSpan]? {
    for case .key(let key) in try reader.subjects(named: KeyPattern.exactName(of: task.key)) {
      let events = try reader.story(of: .key(key), in: info)
      let end = events.first { recorded in
        schedulers.contains(recorded.source) && recorded.event.start == .processing
          && recorded.seq > run.since[task.key.text]?.seq ?? 0
          && recorded.event.time > run.moment
      }
      guard let end, end.event.finish == .memory || end.event.finish == .erred else { continue }
      return RunArgs(end.event.args.json).spans
    }
    return nil
  }
}

extension LogReader {
  /// What the workers that match a name did at a moment, or why they did nothing.
  ///
  /// - Parameter name: a name, an address or a pattern of addresses, or a server ID.
  /// - Returns: `nil` if no worker of the run matches.
  /// - Throws: `LogError`.
  package func idleReasons(
    of run: RunInfo, worker name: String, at point: PointInTime = .end
  ) throws -> [IdleWorker]? {
    let lives = try workerLives(of: run)
    let matches = lives.matching([name])
    let places = lives.lives.indices.filter { matches[$0] || lives.lives[$0].serverID == name }
    guard !places.isEmpty else { return nil }
    let last = try timeOfLastEvent(in: run) ?? run.started
    var moment = try time(of: point, in: run, ifNone: .min)
    if moment == .max { moment = last }
    let present = places.filter { lives.lives[$0].isThere(at: moment) }
    if run.started > moment || moment > last {
      return places.map {
        IdleWorker(
          worker: lives.label($0), moment: moment,
          reasons: [.outside(run, last: last, moment: moment)])
      }
    }
    guard !present.isEmpty else {
      return [lives.nearest(places, to: moment)].map {
        IdleWorker(
          worker: lives.label($0), moment: moment,
          reasons: [.absent(lives.lives[$0], lives.label($0), moment)])
      }
    }
    return try WorkerMomentReader(self, run, lives, present, at: moment).idle(present)
  }
}

/// Rebuilds a run once for several workers.
private struct WorkerMomentReader {
  let reader: LogReader
  let run: RunInfo
  let lives: WorkerLives
  let sources: [SourceInfo]
  let stuck: StuckRun
  /// By address.
  private var statuses: [String: (status: WorkerStatus, mark: WorkerMoment.Mark)] = [:]
  private var lastEnd: WorkerMoment.Mark?

  init(
    _ reader: LogReader, _ run: RunInfo, _ lives: WorkerLives, _ places: [Int], at moment: Int64
  ) throws {
    let addresses = Set(places.map { lives.lives[$0].address })
    (self.reader, self.run, self.lives) = (reader, run, lives)
    sources = try reader.sources(of: run)
    var statuses: [String: (status: WorkerStatus, mark: WorkerMoment.Mark)] = [:]
    var lastEnd: WorkerMoment.Mark?
    stuck = try StuckRun(reader, run, at: .time(moment)) { recorded, state in
      let mark = WorkerMoment.Mark(time: recorded.event.time, seq: recorded.seq)
      guard recorded.event.hook != .transition else {
        if [.memory, .erred].contains(recorded.event.finish) { lastEnd = mark }
        return
      }
      for address in addresses {
        let status = state.workers[address]?.status
        if statuses[address]?.status != status { statuses[address] = status.map { ($0, mark) } }
      }
    }
    (self.statuses, self.lastEnd) = (statuses, lastEnd)
  }

  func idle(_ places: [Int]) throws -> [IdleWorker] {
    let schedulers = Set(sources.filter { $0.source.kind == .scheduler }.map(\.number))
    let isInGap = try reader.gaps(of: run).contains { gap in
      schedulers.contains(gap.source) && gap.count > 0
        && (gap.before ?? run.started) < stuck.moment && stuck.moment < gap.after ?? .max
    }
    let late = try reader.schedulerLoad(of: run).last { $0.time <= stuck.moment }?.late
    return try places.map { place in
      let (life, label) = (lives.lives[place], lives.label(place))
      guard let info = stuck.state.workers[life.address] else {
        return IdleWorker(
          worker: label, moment: stuck.moment,
          reasons: [
            IdleReason(.unknown, "The scheduler recorded nothing of worker \(label) until then.")
          ])
      }
      var worker = WorkerMoment(stuck, info, label: label)
      worker.status = statuses[life.address]?.mark
      (worker.lastEnd, worker.late, worker.isInGap) = (lastEnd, late, isInGap)
      if let source = sources.first(where: { $0.number == life.source }) {
        try worker.walk(
          reader, source, try reader.clockOffsets(of: run), hasJoined: life.joined != nil)
      } else {
        try worker.findComputing(reader, run, schedulers: schedulers)
      }
      return IdleWorker(
        worker: label, moment: stuck.moment, reasons: IdleRules(worker).reasons)
    }
  }
}

extension WorkerLife {
  /// Whether it had joined and not left.
  fileprivate func isThere(at moment: Int64) -> Bool {
    joined ?? .min <= moment && moment < gone?.time ?? .max
  }
}

extension WorkerLives {
  /// The worker that was there last before a moment, or first after it.
  fileprivate func nearest(_ places: [Int], to moment: Int64) -> Int {
    places.last { lives[$0].gone?.time ?? .max <= moment } ?? places[0]
  }
}

extension IdleReason {
  fileprivate static func absent(_ life: WorkerLife, _ label: String, _ moment: Int64) -> Self {
    if let gone = life.gone, gone.time <= moment {
      let ago = Units.duration(nanoseconds: moment - gone.time)
      var reason = IdleReason(.left, "Worker \(label) had left \(ago) before.")
      (reason.since, reason.evidence) = (gone.time, [gone.seq])
      return reason
    }
    let later = Units.duration(nanoseconds: (life.joined ?? moment) - moment)
    var reason = IdleReason(.notJoined, "Worker \(label) had not joined: it did \(later) later.")
    reason.evidence = life.firstSeq > 0 ? [life.firstSeq] : []
    return reason
  }

  fileprivate static func outside(_ run: RunInfo, last: Int64, moment: Int64) -> Self {
    moment < run.started
      ? IdleReason(
        .unknown, "The run started \(Units.duration(nanoseconds: run.started - moment)) later.")
      : IdleReason(
        .unknown,
        "The last event of the run came \(Units.duration(nanoseconds: moment - last)) before.")
  }
}
