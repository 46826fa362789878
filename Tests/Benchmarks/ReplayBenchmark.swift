import BuiltinPlugins
import EventLog
import Recording
import Replaying
import TaskLogPlugin

/// What reading a log back costs.
struct ReplayBenchmark {
  var workload: Workload
  var rounds: Int

  /// - Parameter isWanted: whether a benchmark of this name is to be run.
  func run(_ isWanted: (String) -> Bool) async throws {
    let folder = try TemporaryFolder()
    let recorder = try Recorder(log: folder.log)
    let channels = Workload.sources.map { recorder.channel(for: $0) }
    for (source, event) in workload.events { channels[source].record(event) }
    recorder.close()

    if isWanted("replay") {
      try await compare("replay through counter", folder.log, Self.counter)
    }
    if isWanted("state") {
      try await compare("replay through counter, state rebuilt", folder.log, Self.lookingCounter)
    }
  }

  private static let counter = BuiltinPlugins.all.first { $0.name == "counter" }
  private static let lookingCounter = PluginFactory(
    name: "looking", summary: "", type: LookingCounter.self)

  private func compare(_ name: String, _ log: String, _ factory: PluginFactory?) async throws {
    var comparison = Comparison(
      name, against: "a bare sqlite3_step scan of the same columns",
      events: workload.events.count, rounds: rounds)
    try await comparison.run {
      let start = ContinuousClock.now
      let reader = try LogReader(path: log)
      let run = try reader.runs(matching: "latest")[0]
      let replayer = Replayer(reader: reader, run: run)
      if let factory { replayer.add(factory) }
      let result = try await replayer.replay()
      precondition(result.events == Int64(workload.events.count))
      return (ContinuousClock.now - start) / .seconds(1)
    } _: {
      let start = ContinuousClock.now
      let count = try BareSQLite.scan(log)
      precondition(count == workload.events.count)
      return (ContinuousClock.now - start) / .seconds(1)
    }
    comparison.report(asSpeed: true)
  }
}

/// Counts only what the scheduler still knows: looks at its state in every hook.
private final class LookingCounter: SchedulerPlugin {
  private var scheduler: Scheduler?
  private var counter = 0

  func start(scheduler: Scheduler) {
    self.scheduler = scheduler
  }

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    if start == .processing, finish == .memory, scheduler?.tasks[key]?.nbytes != nil {
      counter += 1
    }
  }
}
