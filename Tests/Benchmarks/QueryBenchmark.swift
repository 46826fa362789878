import EventLog
import Glibc
import LogFormat
import TaskLogPlugin

/// The cost of querying a large log: wall-clock time and peak memory of whole processes of the
/// `tasklog` in the same folder as this program; on a tenth of the events first, to show how the
/// cost grows.
struct QueryBenchmark {
  var events: Int
  var rounds: Int
  /// Where logs are kept between runs of the benchmark; `nil` if they are not.
  var folder: String?

  func run() throws {
    let temporary = try TemporaryFolder()
    let folder = folder ?? temporary.path
    var measured: [[Figure]] = []
    for size in [max(10, events / 10), events] {
      let log = "\(folder)/query-\(size).db"
      defer { if self.folder == nil { unlink(log) } }
      try make(log, size)
      measured.append(try measure(log, size))
      let index = try Process.run([tasklogProgram, "index", "--log", log])
      say("tasklog index: \(rounded(index.seconds, 10)) s, then \(Self.size(log) >> 20) MiB")
      measured.append(try measure(log, size, isIndexed: true))
    }
    say()
    say("median of \(rounds) rounds; the shell sqlite3 is asked the same in turns")
    report("without the indexes of `tasklog index`", measured[0], measured[2])
    report("with them", measured[1], measured[3])
    try FollowBenchmark(program: tasklogProgram, rounds: rounds).run()
  }

  private func make(_ log: String, _ size: Int) throws {
    if Self.size(log) == 0 {
      // In a separate process: the peak memory of a child is at least that of its parent.
      let writing = try Process.run([
        CommandLine.arguments[0], "--events", "\(size)", "--write-log", log,
      ])
      say("\(size) events written in \(rounded(writing.seconds, 10)) s")
    }
    _ = try Process.run([tasklogProgram, "index", "--drop", "--log", log])
    say("\(size) events: \(Self.size(log) >> 20) MiB")
  }

  // MARK: - Queries

  private struct Question {
    var name: String
    var arguments: [String]
    /// The same in SQL, for the shell `sqlite3`.
    var sql: String?
  }

  private func questions(_ size: Int) -> [Question] {
    let key = Self.key(size / 20).text
    return [
      Question(name: "tasklog --version", arguments: ["--version"]),
      Question(name: "story KEY", arguments: ["story", key]),
      Question(name: "query --key KEY", arguments: ["query", "--key", key]),
      Question(
        name: "query --finish erred", arguments: ["query", "--finish", "erred", "--format", "csv"],
        sql: Self.sameSQL),
      Question(
        name: "query --count", arguments: ["query", "--count"],
        sql: """
          SELECT count(*) FROM event WHERE source IN (SELECT id FROM source WHERE run IN (1))
            AND hook IN (SELECT id FROM text WHERE text = 'transition')
          """),
      Question(
        name: "query --stimulus NAME",
        arguments: ["query", "--stimulus", "client-releases-keys-5f3c9a1e.7"]),
      Question(name: "summary", arguments: ["summary", "--format", "csv"]),
      Question(name: "workers", arguments: ["workers"]),
      Question(name: "errors", arguments: ["errors"]),
      Question(name: "slowest", arguments: ["slowest"]),
      Question(name: "critical-path", arguments: ["critical-path", "--format", "csv"]),
      Question(name: "open", arguments: ["open"]),
      Question(
        name: "state --at (the middle)",
        arguments: ["state", "--at", "\(size / 2)", "--table", "states"]),
      Question(name: "inspect", arguments: ["inspect"]),
      Question(name: "runs", arguments: ["runs"]),
      Question(name: "compare latest latest", arguments: ["compare", "latest", "latest"]),
    ]
  }

  /// The query of `query --finish erred` as one statement.
  private static let sameSQL = """
    SELECT seq, time, run, source, worker, key, start, finish, stimulus, args FROM events
    WHERE seq IN (SELECT event.seq FROM event
      WHERE event.source IN (SELECT id FROM source WHERE run IN (1))
      AND event.finish IN (SELECT id FROM text WHERE text IN ('error', 'erred'))
      AND event.hook IN (SELECT id FROM text WHERE text IN ('transition')))
    ORDER BY seq
    """

  /// The measurements of one query on one log.
  private struct Figure {
    var name: String
    var seconds: Double
    var bytes: Int
    var events: Int
    /// The ratio to the baseline.
    var ratio: Double?
  }

  private func measure(_ log: String, _ size: Int, isIndexed: Bool = false) throws -> [Figure] {
    let hasShell = (try? Process.run(["sqlite3", "--version"])) != nil
    // Only these run on an indexed log; the others scan all events anyway.
    let wanted = ["query --finish erred", "query --stimulus NAME", "errors"]
    return try questions(size).filter { !isIndexed || wanted.contains($0.name) }.map { question in
      var (own, shell): ([Double], [Double]) = ([], [])
      var memory = 0
      let arguments =
        [tasklogProgram] + question.arguments
        + (question.name.hasSuffix("version") ? [] : ["--log", log])
      // One uncounted round fills the system's cache.
      for round in 0...rounds {
        let result = try Process.run(arguments)
        if round > 0 { own.append(result.seconds) }
        memory = max(memory, result.bytes)
        if let sql = question.sql, hasShell {
          let result = try Process.run(["sqlite3", "-readonly", "-csv", log, sql])
          if round > 0 { shell.append(result.seconds) }
        }
      }
      return Figure(
        name: question.name, seconds: median(own), bytes: memory, events: size,
        ratio: shell.isEmpty ? nil : median(zip(own, shell).map { $0 / $1 }))
    }
  }

  private func report(_ title: String, _ small: [Figure], _ large: [Figure]) {
    say()
    say(title)
    func column(_ text: String, _ width: Int = 12) -> String {
      String(repeating: " ", count: max(1, width - text.count)) + text
    }
    func name(_ text: String) -> String {
      text + String(repeating: " ", count: max(1, 26 - text.count))
    }
    say(
      name("") + column("\(small.first?.events ?? 0)") + column("\(large.first?.events ?? 0)")
        + column("memory") + column("memory") + "   million events/s, times as long as sqlite3")
    for (a, b) in zip(small, large) {
      let rate = b.seconds > 0.2 ? "   \(rounded(Double(b.events) / b.seconds / 1e6, 100)) M/s" : ""
      let ratio = b.ratio.map { "   \(rounded($0, 100)) of sqlite3" } ?? ""
      say(
        name(b.name) + column("\(rounded(a.seconds * 1000, 10)) ms")
          + column("\(rounded(b.seconds * 1000, 10)) ms") + column("\(a.bytes >> 20) MiB")
          + column("\(b.bytes >> 20) MiB") + rate + ratio)
    }
  }

  private static func size(_ path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : 0
  }

  // MARK: - The log

  private static func key(_ task: Int) -> Key { Key("work-5f3c9a1e", task) }

  /// The same events as `Workload`, with one task in a thousand that errs, in graphs of ten
  /// thousand tasks, each of which depends on the one that ended last before it started; written as
  /// they are made.
  func write(_ path: String) throws {
    let writer = try LogWriter(path: path)
    let sources = try writer.transaction {
      let run = try writer.add(
        RunHeader(
          id: RunID.make(), engine: "tasklog", engineVersion: "0", recorderVersion: "0",
          mode: "full", started: 1_750_000_000_000_000_000))
      return try Workload.sources.map { try writer.add($0, run: run) }
    }
    var numbers = sources.map { _ in Int64(0) }
    let part = 100_000
    for start in stride(from: 0, to: events, by: part) {
      let workload = Workload(events: min(part, events - start), firstTask: start / 10)
      try writer.transaction {
        numbers[0] += 1
        try writer.append(
          Self.graph(start / 10, workload.tasks), source: sources[0], sourceSeq: numbers[0])
        for (source, event) in workload.events {
          var event = event
          // A task in a thousand fails, at its worker and at the scheduler.
          if event.finish == .memory, event.time / 10_000 % 1000 == 999 {
            event.finish = source == 0 ? .erred : .error
            if source == 0 {
              event.args = Args(named: [
                .init("worker", .string(event.worker ?? "")), .init("exception_text", "it broke"),
                .init("traceback_text", "line 1\nline 2"),
              ])
            }
          }
          numbers[source] += 1
          try writer.append(event, source: sources[source], sourceSeq: numbers[source])
        }
      }
    }
    try writer.transaction { try writer.end(run: 1, .closed, at: 1_760_000_000_000_000_000) }
    writer.close()
  }
}

extension QueryBenchmark {
  private static func graph(_ first: Int, _ count: Int) -> Event {
    let tasks = (first..<first + count).map { task in
      GraphTask(key: key(task), dependencies: task > 1_000 ? [key(task - 1_001)] : [])
    }
    return Event(
      .updateGraph, time: 1_750_000_000_000_000_000 + Int64(first) * 10_000,
      stimulusID: "update-graph-5f3c9a1e.1",
      args: Args(named: [
        .init("client", "Client-5f3c9a1e"), .init("tasks", .list(tasks.map(\.key.value))),
      ]), snapshot: .graph(tasks))
  }
}

/// A process and its measurements.
enum Process {
  struct Result {
    var seconds: Double
    /// Its peak memory.
    var bytes: Int
  }

  /// Runs a program to its end; its output is discarded.
  static func run(_ arguments: [String]) throws -> Result {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
    var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var child = pid_t()
    let start = ContinuousClock.now
    let code = posix_spawnp(&child, arguments[0], &actions, nil, &words, environ)
    guard code == 0 else { throw BenchmarkError.noProgram(arguments[0], code) }
    var status: Int32 = 0
    var usage = rusage()
    guard wait4(child, &status, 0, &usage) == child, status == 0 else {
      throw BenchmarkError.noProgram(arguments.joined(separator: " "), status)
    }
    return Result(
      seconds: (ContinuousClock.now - start) / .seconds(1), bytes: Int(usage.ru_maxrss) * 1024)
  }
}
