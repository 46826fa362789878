import Glibc

//===----------------------------------------------------------------------===//
// tasklog-bench: the benchmarks.
//
//     swift run -c release tasklog-bench [--events COUNT] [--rounds COUNT] [--only NAME]
//         [--tasks COUNT] [--largest COUNT] [--workers COUNT] [--keep FOLDER]
//
// `--tasks` and `--largest` (tasks of the largest graph) are for the engine, which is compared with
// Dask if TASKLOG_TEST_PYTHON names a Python that has `distributed`. With `--workers` only the
// engine runs, for a profiler.
//
// `rabbitmq` exists in a build with `--traits RabbitMQ`; it is compared with pika if
// TASKLOG_TEST_PYTHON names a Python that has `pika` and `distributed`.
//
// `--keep` names a folder where the logs of `query` and `explain` stay, so that they can be queried again later.
//
// `--write-report-log PATH` only writes a log of `--tasks` tasks, which
// `Tests/Browser/benchmark.py` makes report pages of.
//
// Each figure is printed next to a bare baseline that is measured in the same process, alternating
// round by round; the figures are medians, followed by the ratio of the two. Machines are noisy:
// the ratio decides.
//===----------------------------------------------------------------------===//

/// The main function of the program, see `Program/main.c`.
@_cdecl("tasklog_bench")
func runProgram() {
  Task.detached {
    await Benchmarks.main()
    exit(0)
  }
  while true { pause() }
}

struct Benchmarks {
  /// The number of values that follow each option.
  private static let options = [
    "--events": 1, "--rounds": 1, "--only": 1, "--tasks": 1, "--largest": 1, "--workers": 1,
    "--keep": 1, "--write-log": 1, "--write-report-log": 1, "--write-run": 1, "--scan-log": 1,
    "--write-explain-log": 1, "--replay-peak": 2,
  ]
  private static let groups = [
    "engine", "recorded-engine", "record", "replay", "replay-memory", "state", "query", "explain",
    "export", "rabbitmq", "numbers",
  ]

  /// A mistyped option is an error, so that the caller does not wait for all other benchmarks.
  private static func checkArguments() {
    var words = CommandLine.arguments.dropFirst()
    while let option = words.popFirst() {
      guard let count = options[option], words.count >= count else {
        refuse("\(option): there are \(options.keys.sorted().joined(separator: ", "))")
      }
      if option == "--only", let name = words.first, !groups.contains(name) {
        refuse("--only \(name): there are \(groups.joined(separator: ", "))")
      }
      words = words.dropFirst(count)
    }
  }

  private static func refuse(_ message: String) -> Never {
    say("tasklog-bench: \(message)")
    exit(64)
  }

  static func main() async {
    checkArguments()
    do {
      try await run()
    } catch {
      say("tasklog-bench: \(error)")
      exit(1)
    }
  }

  private static func run() async throws {
    let count = try argument("--events", default: 1_000_000)
    let rounds = try argument("--rounds", default: 5)
    if let place = CommandLine.arguments.firstIndex(of: "--write-log"),
      place + 1 < CommandLine.arguments.count
    {
      return try QueryBenchmark(events: count, rounds: rounds)
        .write(CommandLine.arguments[place + 1])
    }
    if let place = CommandLine.arguments.firstIndex(of: "--write-explain-log"),
      place + 1 < CommandLine.arguments.count
    {
      return try ExplainLog(events: count).write(CommandLine.arguments[place + 1])
    }
    if let place = CommandLine.arguments.firstIndex(of: "--write-report-log"),
      place + 1 < CommandLine.arguments.count
    {
      let tasks = try argument("--tasks", default: 1_000_000)
      var workload = ReportWorkload(tasks: tasks)
      return try workload.write(CommandLine.arguments[place + 1])
    }
    if let place = CommandLine.arguments.firstIndex(of: "--scan-log"),
      place + 1 < CommandLine.arguments.count
    {
      _ = try BareSQLite.scan(CommandLine.arguments[place + 1])
      return
    }
    if let place = CommandLine.arguments.firstIndex(of: "--write-run"),
      place + 1 < CommandLine.arguments.count
    {
      let tasks = try argument("--tasks", default: 1_000_000)
      return try ExportBenchmark(tasks: tasks, rounds: rounds)
        .write(CommandLine.arguments[place + 1])
    }
    if let place = CommandLine.arguments.firstIndex(of: "--replay-peak"),
      place + 2 < CommandLine.arguments.count, let looker = Int(CommandLine.arguments[place + 2])
    {
      return try await ReplayBenchmark.printPeak(CommandLine.arguments[place + 1], looker: looker)
    }
    if isWanted("engine") {
      let tasks = try argument("--tasks", default: 100_000)
      let largest = try argument("--largest", default: 100_000)
      let python = getenv("TASKLOG_TEST_PYTHON").map { String(cString: $0) }
      let isAlone = CommandLine.arguments.contains("--workers")
      let workers = isAlone ? try argument("--workers", default: 1) : nil
      try await EngineBenchmark(
        tasks: tasks, rounds: rounds, largest: largest, python: python, workers: workers
      ).run()
    }
    let folder = CommandLine.arguments.firstIndex(of: "--keep").flatMap {
      CommandLine.arguments.dropFirst($0 + 1).first
    }
    if isWanted("query") {
      try QueryBenchmark(events: count, rounds: rounds, folder: folder).run()
    }
    if isWanted("explain") {
      try ExplainBenchmark(events: count, rounds: rounds, folder: folder).run()
    }
    if isWanted("export") {
      try ExportBenchmark(tasks: try argument("--tasks", default: 1_000_000), rounds: rounds).run()
    }
    if isWanted("recorded-engine") {
      let tasks = try argument("--tasks", default: 100_000)
      try await EngineRecordingBenchmark(tasks: tasks, rounds: rounds).run()
    }
    if isWanted("replay-memory") {
      let tasks = try argument("--tasks", default: 100_000)
      try await ReplayBenchmark(workload: Workload(events: 0), rounds: 1).runMemory(tasks: tasks)
    }
    if isWanted("rabbitmq") {
      #if RabbitMQ
        let python = getenv("TASKLOG_TEST_PYTHON").map { String(cString: $0) }
        try await RabbitMQBenchmark(events: count, rounds: rounds, python: python).run()
      #else
        say("rabbitmq: left out; swift run -c release --traits RabbitMQ tasklog-bench has it")
        say()
      #endif
    }
    guard ["record", "replay", "state", "numbers"].contains(where: isWanted) else { return }
    let workload = Workload(events: count)
    say("\(workload.events.count) events of \(workload.tasks) tasks, median of \(rounds) rounds")
    say()
    if isWanted("numbers") { try ArithmeticBenchmark(workload: workload, rounds: rounds).run() }
    if isWanted("record") { try RecorderBenchmark(workload: workload, rounds: rounds).run() }
    if isWanted("replay") || isWanted("state") {
      try await ReplayBenchmark(workload: workload, rounds: rounds).run(isWanted)
    }
  }

  /// Whether a group of benchmarks is run: all are, unless one is named.
  private static func isWanted(_ name: String) -> Bool {
    guard let place = CommandLine.arguments.firstIndex(of: "--only") else { return true }
    return CommandLine.arguments[place...].dropFirst().first == name
  }

  private static func argument(_ name: String, default value: Int) throws -> Int {
    guard let place = CommandLine.arguments.firstIndex(of: name) else { return value }
    guard place + 1 < CommandLine.arguments.count,
      let number = Int(CommandLine.arguments[place + 1]), number > 0
    else {
      refuse("\(name) takes a number above 0")
    }
    return number
  }
}
