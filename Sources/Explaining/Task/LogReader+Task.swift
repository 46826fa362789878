import EventLog
import LogAnalysis
import LogFormat
import TaskLogPlugin

extension LogReader {
  /// What happened to a task of a run and why.
  ///
  /// - Parameter key: the row ID of its key.
  /// - Throws: `LogError`.
  package func explanation(ofKey key: Int64, in run: RunInfo) throws -> TaskExplanation {
    let sources = try sources(of: run)
    let (clocks, lives) = (try clockOffsets(of: run), try workerLives(of: run))
    let schedulers = Set(sources.filter { $0.source.kind == .scheduler }.map(\.number))
    var steps: [TaskStep] = []
    var inputs: Set<String>?
    for recorded in try story(of: .key(key), in: run) {
      let event = recorded.event
      if event.hook == .stimulus, let args = Self.value(event.args),
        args["op"]?.string == "compute-task", case .dict(let entries)? = args["who_has"]
      {
        inputs = (inputs ?? []).union(entries.compactMap { Key($0.key)?.text })
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
      }
      steps.append(step)
    }
    return TaskExplainer.explain(steps, inputs: inputs)
  }

  private static func value(_ args: Args) -> Value? {
    args.isAbsent ? nil : try? JSONReader.value(args.json)
  }

  /// Another task that ended by the stimulus of an event of the scheduler.
  private func ended(_ recorded: RecordedEvent) throws -> (key: String, seq: Int64)? {
    guard recorded.stimulusNumber != 0,
      recorded.event.stimulusID?.hasPrefix("task-finished") ?? false
    else { return nil }
    return try translating {
      // The events of a stimulus follow each other, and there is no index of stimuli.
      let select = try connection.prepare(
        """
        SELECT seq, key, stimulus, finish FROM event WHERE source = ? AND source_seq < ?
        ORDER BY source_seq DESC
        """)
      try select.bind(1, recorded.source)
      try select.bind(2, recorded.sourceSeq)
      let memory = try number(ofText: State.memory.name)
      while try select.step() {
        guard let stimulus = select.optionalInteger(2) else { continue }
        guard stimulus == recorded.stimulusNumber else { return nil }
        guard let key = select.optionalInteger(1), key != recorded.keyNumber,
          select.optionalInteger(3) == memory
        else { continue }
        return try keys.element(key).map { ($0.text, select.integer(0)) }
      }
      return nil
    }
  }
}
