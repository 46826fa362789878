import BuiltinPlugins
import EventLog
import Glibc
import Recording
import Replaying
import TaskLogPlugin

/// The cost of reading a log back.
struct ReplayBenchmark {
  var workload: Workload
  var rounds: Int

  /// - Parameter isWanted: whether a benchmark of this name is run.
  func run(_ isWanted: (String) -> Bool) async throws {
    let folder = try TemporaryFolder()
    let recorder = try Recorder(log: folder.log)
    let channels = Workload.sources.map { recorder.channel(for: $0) }
    for (source, event) in workload.events { channels[source].record(event) }
    recorder.close()

    if isWanted("replay") {
      try await compare("replay through counter", folder.log, Self.counter)
      try await FileAndCheckpointBenchmark(workload: workload, rounds: rounds).run()
    }
    if isWanted("state") {
      let engine = try TemporaryFolder()
      let events = try await EngineLog.record(tasks: workload.tasks, into: engine.log)
      for (name, factory) in Self.lookers {
        try await compare("replay of an engine's run, \(name)", engine.log, factory, events)
      }
    }
  }

  private static let counter = BuiltinPlugins.all.first { $0.name == "counter" }
  private static let lookers = [
    ("the state is not read", counter),
    (
      "the scheduler's state rebuilt",
      PluginFactory(name: "looking", summary: "", type: LookingCounter.self)
    ),
    (
      "the workers' states rebuilt",
      PluginFactory(name: "looking", summary: "", type: LookingWorker.self)
    ),
  ]

  private func compare(
    _ name: String, _ log: String, _ factory: PluginFactory?, _ count: Int? = nil
  ) async throws {
    let count = count ?? workload.events.count
    var comparison = Comparison(
      name, against: "a bare sqlite3_step scan of the same columns", events: count, rounds: rounds)
    try await comparison.run {
      let start = ContinuousClock.now
      let result = try await Self.replay(log, factory)
      precondition(result.events == Int64(count) && result.mismatchCount == 0)
      return (ContinuousClock.now - start) / .seconds(1)
    } _: {
      let start = ContinuousClock.now
      let scanned = try BareSQLite.scan(log)
      precondition(scanned == count)
      return (ContinuousClock.now - start) / .seconds(1)
    }
    comparison.report(asSpeed: true)
  }

  private static func replay(
    _ log: String, _ factory: PluginFactory?
  ) async throws -> Replayer.Result {
    let reader = try LogReader(path: log)
    let replayer = Replayer(reader: reader, run: try reader.runs(matching: "latest")[0])
    if let factory { replayer.add(factory) }
    return try await replayer.replay()
  }

  // MARK: - Memory

  /// The peak memory of a replay, of a log and of one four times as long.
  func runMemory(tasks: Int) async throws {
    let (short, long) = (try TemporaryFolder(), try TemporaryFolder())
    let counts = [
      try await EngineLog.record(tasks: tasks, into: short.log),
      try await EngineLog.record(tasks: tasks * 4, into: long.log),
    ]
    for (place, looker) in Self.lookers.enumerated() {
      let peaks = try [short, long].map { folder in
        try outputNumber(of: ["/proc/self/exe", "--replay-peak", folder.log, String(place)])
      }
      say(
        "peak memory of a replay, \(looker.0): \(rounded(peaks[0] / 1024, 10)) MiB at "
          + "\(counts[0]) events, \(rounded(peaks[1] / 1024, 10)) MiB at \(counts[1]) events")
      say("  memory as a share of that of the short log: \(rounded(peaks[1] / peaks[0], 100))")
    }
    say()
  }

  /// Replays a log and prints the peak memory of this process, in kibibytes.
  static func printPeak(_ log: String, looker place: Int) async throws {
    _ = try await replay(log, lookers[place].1)
    guard let file = fopen("/proc/self/status", "r") else { return }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, 256, file) != nil {
      let text = String(
        decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      if text.hasPrefix("VmHWM:") { say(String(text.filter(\.isNumber))) }
    }
  }
}

/// Counts only what the scheduler still knows: reads its state in every hook.
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

/// Reads the state of its worker in every hook.
private final class LookingWorker: WorkerPlugin {
  private var worker: Worker?
  private var bytes: Int64 = 0

  func setup(worker: Worker) {
    self.worker = worker
  }

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    if finish == .memory { bytes += worker?.tasks[key]?.nbytes ?? 0 }
  }
}
