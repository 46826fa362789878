import BuiltinPlugins
import EventLog
import Glibc
import PluginLoading
import Recording
import Replaying
import TaskLogPlugin

/// The cost of a plugin in a file compared with the same plugin built in, and what a checkpoint
/// saves.
struct FileAndCheckpointBenchmark {
  var workload: Workload
  var rounds: Int

  func run() async throws {
    let folder = try TemporaryFolder()
    defer { removeAll(folder.path) }
    // One percent more than was replayed before.
    let more = Workload(events: workload.events.count / 100, firstTask: workload.tasks)
    let recorder = try Recorder(log: folder.log)
    let channels = Workload.sources.map { recorder.channel(for: $0) }
    for (source, event) in workload.events { channels[source].record(event) }
    for (source, event) in more.events { channels[source].record(event) }
    recorder.close()

    let builtIn = BuiltinPlugins.all[0]
    let found = try PluginLoader(builtIn: [], cache: folder.path).factory(for: Self.counterFile)
    try await compare(found, with: builtIn, folder.log)
    try compareCommands(folder.log, cache: folder.path)
    for (name, factories) in [
      ("counter", [builtIn]), ("counter and errors", BuiltinPlugins.all),
    ] {
      try await compareCheckpoint(name, factories, folder, events: workload.events.count)
    }
    let engine = try TemporaryFolder()
    defer { removeAll(engine.path) }
    let events = try await EngineLog.record(tasks: workload.tasks, into: engine.log, fails: true)
    try await compareCheckpoint(
      "counter and errors, with errors in it,", BuiltinPlugins.all, engine,
      events: events * 99 / 100)
  }

  /// The source of the built-in plugin, as a user would have it in a file.
  private static let counterFile =
    #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
    .joined(separator: "/") + "/Sources/BuiltinPlugins/Counter.swift"

  private func replay(
    _ log: String, _ factories: [PluginFactory], checkpoints: CheckpointOptions? = nil
  ) async throws -> (seconds: Double, result: Replayer.Result) {
    let start = ContinuousClock.now
    let reader = try LogReader(path: log)
    let run = try reader.runs(matching: "latest")[0]
    var options = ReplayOptions()
    options.checkpoints = checkpoints
    let replayer = Replayer(reader: reader, run: run, options: options)
    for factory in factories { replayer.add(factory) }
    let result = try await replayer.replay()
    return ((ContinuousClock.now - start) / .seconds(1), result)
  }

  private func compare(
    _ file: PluginFactory, with builtIn: PluginFactory, _ log: String
  ) async throws {
    var comparison = Comparison(
      "replay through Counter.swift, compiled", against: "replay through counter, built in",
      events: workload.events.count, rounds: rounds)
    let expected = try await replay(log, [builtIn]).result.reports.map(\.report)
    try await comparison.run {
      let (seconds, result) = try await replay(log, [file])
      precondition(result.reports.map(\.report) == expected)
      return seconds
    } _: {
      try await replay(log, [builtIn]).seconds
    }
    comparison.report(asSpeed: true)
  }

  /// The whole command: a file is replayed in a separate process that another one watches.
  private func compareCommands(_ log: String, cache: String) throws {
    guard access(tasklogProgram, X_OK) == 0 else {
      return say("the command itself is not measured: build tasklog, too\n")
    }
    setenv("XDG_CACHE_HOME", cache, 1)
    var comparison = Comparison(
      "tasklog replay --plugin Counter.swift", against: "tasklog replay --plugin counter",
      events: workload.events.count, rounds: rounds)
    func run(_ plugin: String) throws -> Double {
      try seconds {
        let code = system(
          "'\(tasklogProgram)' replay --no-checkpoint --log '\(log)' --plugin '\(plugin)' > /dev/null"
        )
        guard code == 0 else { throw BenchmarkError.noProgram(tasklogProgram, code) }
      }
    }
    try comparison.run {
      try run(Self.counterFile)
    } _: {
      try run("counter")
    }
    comparison.report(asSpeed: true)
  }

  private func compareCheckpoint(
    _ name: String, _ factories: [PluginFactory], _ folder: TemporaryFolder, events: Int
  ) async throws {
    let short = folder.path + "/short.db"
    let cache = folder.path + "/checkpoints"
    mkdir(cache, 0o700)
    defer {
      unlink(short)
      removeAll(cache)
    }
    guard system("cp '\(folder.log)' '\(short)'") == 0 else { throw BenchmarkError.noFolder(errno) }
    do {
      let database = try BareSQLite(path: short)
      try database.execute("DELETE FROM event WHERE seq > \(events)")
      try database.execute("UPDATE run SET last_seq = \(events), events = \(events)")
    }
    let options = CheckpointOptions(folder: cache, every: Int64(max(1, events / 4)))
    let first = try await replay(short, factories, checkpoints: options)
    precondition(first.result.before == 0)
    let saved = try listing(cache)
    let expected = try await replay(folder.log, factories).result.reports.map(\.report)

    var comparison = Comparison(
      "replay through \(name) from a checkpoint, 1 % of the log behind it",
      against: "the whole replay", events: events, rounds: rounds)
    try await comparison.run {
      // The checkpoint of the previous round would cover all of it.
      for name in try listing(cache) where !saved.contains(name) { unlink("\(cache)/\(name)") }
      let (seconds, result) = try await replay(folder.log, factories, checkpoints: options)
      precondition(result.before == events && result.reports.map(\.report) == expected)
      return seconds
    } _: {
      try await replay(folder.log, factories).seconds
    }
    comparison.report(asSpeed: false)
  }

  private func listing(_ folder: String) throws -> [String] {
    guard let directory = opendir(folder) else { throw BenchmarkError.noFolder(errno) }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names
  }

  private func removeAll(_ folder: String) { _ = system("rm -rf '\(folder)'") }
}
