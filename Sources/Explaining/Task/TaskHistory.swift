import EventLog
import LogAnalysis
import LogFormat
import TaskLogPlugin

/// Tells what happened to tasks of a run and why.
package struct TaskHistory {
  /// For which choices of workers the state of the scheduler is rebuilt.
  package enum ExplainedChoices { case none, usual, all }

  /// The number of events up to which a state is rebuilt by default: reading them takes about a second.
  package static let usualEvents: Int64 = 1_000_000

  private let reader: LogReader
  private let run: RunInfo
  private let clocks: ClockOffsets
  private let lives: WorkerLives
  private let schedulers: Set<Int64>
  private let index: PlacementIndex?
  private let mostWaitEvents: Int64
  private let requests: ClientRequests

  /// - Parameters:
  ///   - index: where the choices of workers are looked up first.
  ///   - mostWaitEvents: the number of events of its worker up to which a wait of a task is looked into.
  /// - Throws: `LogError`.
  package init(
    _ reader: LogReader, _ run: RunInfo, index: PlacementIndex? = nil,
    mostWaitEvents: Int64 = .max
  ) throws {
    (self.reader, self.run, self.index) = (reader, run, index)
    self.mostWaitEvents = mostWaitEvents
    requests = ClientRequests(reader, run)
    (clocks, lives) = (try reader.clockOffsets(of: run), try reader.workerLives(of: run))
    schedulers = Set(
      try reader.sources(of: run).filter { $0.source.kind == .scheduler }.map(\.number))
  }

  /// - Parameters:
  ///   - key: the row ID of its key.
  ///   - choices: those whose reasons are given.
  /// - Throws: `LogError`.
  package func explanation(
    ofKey key: Int64, choices: ExplainedChoices = .usual
  ) throws -> TaskExplanation {
    var steps: [TaskStep] = []
    var inputs: Set<String>?
    // By worker: the task there, which does not run yet.
    var visits: [Int64: WorkerVisit] = [:]
    for recorded in try reader.story(of: .key(key), in: run) {
      let event = recorded.event
      if event.hook == .stimulus, let args = Self.value(event.args),
        args["op"]?.string == "compute-task"
      {
        if case .dict(let entries)? = args["who_has"] {
          inputs = (inputs ?? []).union(entries.compactMap { Key($0.key)?.text })
        }
        visits[recorded.source] = WorkerVisit(since: recorded.sourceSeq, args: args)
      }
      guard event.hook == .transition, let start = event.start, let finish = event.finish else {
        continue
      }
      let place = lives.place(ofSource: recorded.source)
      let isScheduler = schedulers.contains(recorded.source)
      guard isScheduler || place != nil else { continue }
      var step = TaskStep(
        seq: recorded.seq, time: clocks.time(of: recorded),
        observer: place.map { .worker(lives.label($0)) } ?? .scheduler, start: start.name,
        finish: finish.name)
      step.stimulus = event.stimulusID
      step.taskRun = event.taskRunID
      step.worker = event.worker.map { address in
        lives.place(address, at: recorded.seq).map(lives.label) ?? address
      }
      if isScheduler {
        let args = event.args.isAbsent ? RunArgs() : RunArgs(event.args.json)
        (step.bytes, step.exception) = (args.nbytes, args.exception)
        step.ended = try ended(recorded)
        if step.isClient || step.isSubmission {
          step.request = try requests.request(before: recorded, isGraph: step.isSubmission)
        }
      } else {
        step.wait = try wait(recorded, finish, &visits[recorded.source])
      }
      steps.append(step)
    }
    if choices != .none {
      steps = try withPlacements(steps, ofKey: key, isFull: choices == .all)
    }
    return TaskExplainer.explain(steps, inputs: inputs)
  }

  /// What its worker did meanwhile, where it begins to run.
  private func wait(
    _ recorded: RecordedEvent, _ finish: State, _ visit: inout WorkerVisit?
  ) throws -> WorkerWait? {
    switch finish {
    case .waiting where visit == nil: visit = WorkerVisit(since: recorded.sourceSeq)
    case .ready, .constrained:
      if visit?.ready == nil { visit?.ready = recorded.sourceSeq }
    case .executing:
      guard let ended = visit else { break }
      visit = nil
      let events = recorded.sourceSeq - ended.since
      guard events <= mostWaitEvents else { return WorkerWait(unread: events) }
      return try reader.wait(
        of: recorded.keyNumber, ended, on: recorded.source, until: recorded
      ) { lives.label($0, at: recorded.seq) }
    default: break
    }
    return nil
  }

  /// The steps with the reasons for the choices of workers, and with steals.
  private func withPlacements(
    _ steps: [TaskStep], ofKey number: Int64, isFull: Bool
  ) throws -> [TaskStep] {
    guard let last = steps.last(where: { $0.observer == .scheduler && $0.isAtWorker }),
      let key = try reader.keys.element(number)
    else { return steps }
    var steps = steps
    var steals: [TaskStep] = []
    var unread: Int64 = 0
    for walk in try PlacementWalk.walks(reader, run) {
      // A task that no event ends may have been stolen after the last one that the scheduler had of it.
      let stolen = try last.finish == "processing" ? reader.lastMove(of: number, walk.source) : nil
      let end = max(last.seq, stolen ?? last.seq)
      func placement(_ recorded: RecordedPlacement) {
        guard let place = steps.firstIndex(where: { $0.seq == recorded.seq }) else { return }
        let sentence = PlacementSentence.text(
          recorded.placement, worker: recorded.worker, doubts: recorded.doubts
        ) { lives.label($0, at: recorded.seq) }
        steps[place].choice = (sentence, recorded)
      }
      let sent = Set(steps.filter(\.isSent).map(\.seq))
      if let file = try index?.file(reader, run, walk.source, through: end) {
        var found: [TaskStep] = []
        let isRead = try walk.read(
          file, of: number, events: sent, through: end, placement: placement
        ) { found.append(step($0)) }
        if isRead {
          steals += found
          continue
        }
      }
      let events = end - (run.firstSeq ?? end)
      guard isFull || events <= Self.usualEvents else {
        unread = max(unread, events)
        continue
      }
      try walk.run(of: key, through: end, placement: placement) { steals.append(step($0)) }
    }
    if unread > 0 {
      let sentence =
        "Use --full to see why it was put there; \(Units.count(unread)) events are read for that, once "
        + "for all tasks."
      for place in steps.indices where steps[place].isSent && steps[place].choice == nil {
        steps[place].choice = (sentence, nil)
      }
    }
    for steal in steals {
      steps.insert(steal, at: steps.firstIndex { $0.seq > steal.seq } ?? steps.endIndex)
    }
    return steps
  }

  private func step(_ steal: RecordedSteal) -> TaskStep {
    var step = TaskStep(
      seq: steal.seq, time: steal.time, observer: .scheduler, start: "processing",
      finish: "processing")
    step.steal = (steal, { lives.label($0, at: steal.seq) })
    return step
  }

  private static func value(_ args: Args) -> Value? {
    args.isAbsent ? nil : try? JSONReader.value(args.json)
  }

  /// Another task that ended by the stimulus of an event of the scheduler.
  private func ended(_ recorded: RecordedEvent) throws -> (key: String, seq: Int64)? {
    guard recorded.stimulusNumber != 0, let stimulus = recorded.event.stimulusID,
      ["task-finished", "task-erred"].contains(where: stimulus.hasPrefix)
    else { return nil }
    return try reader.translating {
      // The events of a stimulus follow each other, and there is no index of stimuli.
      let select = try reader.connection.prepare(
        """
        SELECT seq, key, stimulus, start, finish FROM event WHERE source = ? AND source_seq < ?
        ORDER BY source_seq DESC
        """)
      try select.bind(1, recorded.source)
      try select.bind(2, recorded.sourceSeq)
      let ends = try [State.memory, .erred].map { try reader.number(ofText: $0.name) }
      let processing = try reader.number(ofText: State.processing.name)
      while try select.step() {
        guard let stimulus = select.optionalInteger(2) else { continue }
        guard stimulus == recorded.stimulusNumber else { return nil }
        guard let key = select.optionalInteger(1), key != recorded.keyNumber,
          select.optionalInteger(3) == processing, ends.contains(select.optionalInteger(4))
        else { continue }
        return try reader.keys.element(key).map { ($0.text, select.integer(0)) }
      }
      return nil
    }
  }
}
