import EventLog
import LogAnalysis
import Replaying
import Scheduling
import TaskLogPlugin

/// A recorded choice of a worker, and the choice by the rules at the rebuilt state.
package struct RecordedPlacement {
  package var seq: Int64
  package var key: Key
  package var start: State
  /// The address of the worker that the task was sent to.
  package var worker: String
  package var placement: Placement
  /// Why the two may differ; empty if the log has no reason to offer.
  package var doubts: [String]

  package var isExpected: Bool { placement.isBest(worker) }
}

/// A task that the scheduler took from one worker and gave to another.
struct RecordedSteal {
  /// What the scheduler wrote about its decision.
  struct Estimate {
    /// Seconds to fetch the inputs and run the task on the victim.
    var cost: Double
    /// Seconds of work that each had.
    var victim: Double
    var thief: Double
    /// Bytes of inputs that the thief would have to fetch.
    var missingBytes: Int64
  }

  var seq: Int64
  var time: Int64
  var victim: String
  var thief: String
  var estimate: Estimate?
  /// The event in which the scheduler wrote its estimate.
  var requested: Int64?
}

/// The events of a scheduler in order, with its state rebuilt up to each.
struct PlacementWalk {
  /// The version of Dask that `DaskRules` follows.
  static let rulesVersion = "2026.8.0"

  private let reader: LogReader
  private let run: RunInfo
  let source: SourceInfo

  private init(_ reader: LogReader, _ run: RunInfo, _ source: SourceInfo) {
    (self.reader, self.run, self.source) = (reader, run, source)
  }

  /// - Throws: `LogError`.
  static func walks(_ reader: LogReader, _ run: RunInfo) throws -> [PlacementWalk] {
    try reader.sources(of: run).filter { $0.source.kind == .scheduler }
      .map { PlacementWalk(reader, run, $0) }
  }

  private var isDask: Bool { run.engine == "dask" }

  func rules() -> any PlacementRules { isDask ? DaskRules() : EngineRules() }

  /// Reports each choice of a worker, and each steal of a task of interest.
  ///
  /// - Parameters:
  ///   - wanted: the task of interest; `nil` for all.
  ///   - last: the seq of the last event of interest.
  /// - Throws: `LogError`, or what the arguments throw.
  func run(
    of wanted: Key? = nil, through last: Int64 = .max,
    placement body: (RecordedPlacement) throws -> Void,
    steal: ((RecordedSteal) throws -> Void)? = nil
  ) throws {
    let rules = rules()
    let doubts = try doubts()
    try run(
      rules, of: wanted, through: last,
      placement: { recorded, task in
        try body(placement(recorded, task, rules, doubts(rules, recorded)))
      }, steal: steal.map { steal in { found, _ in try steal(found) } })
  }

  /// Applies all events to the state, and reports before that the choices and steals.
  ///
  /// - Throws: `LogError`, or what the arguments throw.
  func run(
    _ rules: any PlacementRules, of wanted: Key? = nil, through last: Int64,
    before: ((RecordedEvent) throws -> Void)? = nil, after: ((RecordedEvent) -> Void)? = nil,
    placement body: (RecordedEvent, TaskState) throws -> Void,
    steal: ((RecordedSteal, RecordedEvent) throws -> Void)?
  ) throws {
    var requests = StealRequests(wanted)
    let cursor = try reader.events(
      of: run, order: .arrival, wanted: [source.number], readsAhead: true)
    while let recorded = try cursor.nextEvent(), recorded.seq <= last {
      let event = recorded.event
      try before?(recorded)
      switch event.hook {
      case .transition where event.isPlacement:
        guard let key = event.key, wanted == nil || wanted == key,
          let task = rules.state.tasks[key], event.worker != nil
        else { break }
        try body(recorded, task)
      case .logEvent, .stimulus:
        if let steal, let found = requests.steal(recorded, rules.state) {
          try steal(found, recorded)
        }
      default: break
      }
      rules.apply(event)
      after?(recorded)
    }
  }

  private func placement(
    _ recorded: RecordedEvent, _ task: TaskState, _ rules: any PlacementRules, _ doubts: [String]
  ) -> RecordedPlacement {
    let event = recorded.event
    return RecordedPlacement(
      seq: recorded.seq, key: task.key, start: event.start ?? .waiting, worker: event.worker ?? "",
      placement: rules.placement(of: task, at: event), doubts: doubts)
  }

  /// Reports all choices, from an index if there is a complete one.
  ///
  /// - Throws: `LogError`, or what the arguments throw.
  func all(
    _ index: PlacementIndex?, placement body: (RecordedPlacement) throws -> Void
  ) throws {
    let last = try reader.last(of: source)?.seq ?? 0
    var done: Int64 = 0
    if let file = try index?.file(reader, run, source, through: last) {
      let isRead = try read(file) {
        try body($0)
        done = $0.seq
      }
      if isRead { return }
    }
    try run { if $0.seq > done { try body($0) } }
  }

  /// Reports the same from an index.
  ///
  /// - Parameters:
  ///   - wanted: the row ID of the key of the task of interest; `nil` for all.
  ///   - events: the seqs of the choices; `nil` for all.
  /// - Returns: whether the index could be read. If not, what has been reported so far is right.
  /// - Throws: `LogError`, or what the arguments throw.
  func read(
    _ file: PlacementIndexFile, of wanted: Int64? = nil, events: Set<Int64>? = nil,
    through last: Int64 = .max, placement body: (RecordedPlacement) throws -> Void,
    steal: (RecordedSteal) throws -> Void = { _ in }
  ) throws -> Bool {
    var index = PlacementIndexReader(isDask: isDask)
    let doubts = try doubts()
    do {
      try file.withBytes { bytes in
        try index.read(
          bytes, through: last, choicesOf: { events?.contains($0) ?? true },
          stealsOf: { wanted == nil || wanted == $0 },
          choice: { seq, rules in
            guard let recorded = try reader.event(at: seq), let key = recorded.event.key else {
              throw DamagedIndex()
            }
            let (rules, task) = rules(key)
            try body(placement(recorded, task, rules, doubts(rules, recorded)))
          }, steal: steal)
      }
      return true
    } catch is DamagedIndex {
      return false
    }
  }

  // MARK: - Doubts

  private func doubts() throws -> (any PlacementRules, RecordedEvent) -> [String] {
    var general: [String] = []
    if run.engine == "dask", run.engineVersion != Self.rulesVersion {
      general.append(
        "the run is of Dask \(run.engineVersion), and the rules are those of \(Self.rulesVersion)")
    }
    let missing = try reader.missing(of: source)
    let unknown = run.unavailableState(of: .scheduler, missing: missing)
    if unknown.contains(.replicas) {
      general.append("only public hooks were recorded, which do not say where results are")
    }
    if unknown.contains(.excludedEvents) { general.append("a filter has excluded events") }
    let (reader, source) = (reader, source)
    return { rules, recorded in
      var doubts = general
      if missing > 0, let before = try? reader.missing(of: source, before: recorded.sourceSeq),
        before > 0
      {
        doubts.append("events before it are missing")
      }
      if rules.state.mismatchCount > 0 {
        doubts.append("events before it do not match the rebuilt state")
      }
      return doubts
    }
  }
}

extension Event {
  /// Whether a worker was chosen for a task.
  var isPlacement: Bool {
    finish == .processing && (start == .waiting || start == .queued || start == .noWorker)
  }
}

/// Finds steals in the scheduler's log of work stealing.
private struct StealRequests {
  private let wanted: Key?
  private var last: [Key: (estimate: RecordedSteal.Estimate, thief: String, seq: Int64)] = [:]

  /// - Parameter wanted: the task of interest; `nil` for all.
  init(_ wanted: Key?) { self.wanted = wanted }

  private func isWanted(_ key: Key) -> Bool { wanted == nil || wanted == key }

  mutating func steal(_ recorded: RecordedEvent, _ state: SchedulerState) -> RecordedSteal? {
    let event = recorded.event
    let args = event.args.content
    if event.hook == .stimulus {
      guard let task = task(event, state), args["op"]?.string == "move-task",
        let victim = task.processingOn?.address, let thief = event.worker
      else { return nil }
      return RecordedSteal(
        seq: recorded.seq, time: event.time, victim: victim, thief: thief)
    }
    guard args["topic"]?.string == "stealing", let message = args["message"]?.elements else {
      return nil
    }
    switch message.first?.string {
    case "request": request(message, recorded.seq, state)
    case "confirm":
      guard let task = task(event, state), message.count >= 5, let victim = message[3].string,
        let thief = message[4].string, task.processingOn?.address == victim
      else { return nil }
      var steal = RecordedSteal(
        seq: recorded.seq, time: event.time, victim: victim, thief: thief)
      // Each request has one answer.
      if let last = last.removeValue(forKey: task.key), last.thief == thief {
        (steal.estimate, steal.requested) = (last.estimate, last.seq)
      }
      return steal
    default: break
    }
    return nil
  }

  private func task(_ event: Event, _ state: SchedulerState) -> TaskState? {
    event.key.flatMap { isWanted($0) ? state.tasks[$0] : nil }
  }

  /// Dask writes `("request", [(time, level, key, cost, victim, its work, thief, its work), …])`.
  private mutating func request(_ message: [Value], _ seq: Int64, _ state: SchedulerState) {
    guard message.count > 1 else { return }
    for entry in message[1].elements ?? [] {
      guard let entry = entry.elements, entry.count >= 8, let key = Key(entry[2]), isWanted(key),
        let task = state.tasks[key], let cost = entry[3].number, let victim = entry[5].number,
        let thief = entry[6].string, let work = entry[7].number
      else { continue }
      let missing = state.workers[thief].map { state.missingBytes(of: task, on: $0) } ?? 0
      let estimate = RecordedSteal.Estimate(
        cost: cost, victim: victim, thief: work, missingBytes: Int64(saturating: missing))
      last[key] = (estimate, thief, seq)
    }
  }
}
