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
        step.ended = try ended(recorded, in: run, schedulers)
      }
      steps.append(step)
    }
    return TaskExplainer.explain(steps, inputs: inputs)
  }

  private static func value(_ args: Args) -> Value? {
    args.isAbsent ? nil : try? JSONReader.value(args.json)
  }

  /// Another task that ended by the stimulus of an event of the scheduler.
  private func ended(
    _ recorded: RecordedEvent, in run: RunInfo, _ schedulers: Set<Int64>
  ) throws -> (key: String, seq: Int64)? {
    guard recorded.stimulusNumber != 0,
      recorded.event.stimulusID?.hasPrefix("task-finished") ?? false
    else { return nil }
    let others = try story(of: .stimulus(recorded.stimulusNumber), in: run)
    for other in others
    where other.event.finish == .memory && schedulers.contains(other.source)
      && other.keyNumber != recorded.keyNumber
    {
      return other.event.key.map { ($0.text, other.seq) }
    }
    return nil
  }
}
