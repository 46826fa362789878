import EventLog
import Glibc
import TaskLogPlugin

/// What asking a large log costs: whole processes of the `tasklog` that lies beside this program, by
/// the clock, with the most memory that each had.
struct QueryBenchmark {
  var events: Int
  var rounds: Int

  func run() throws {
    let folder = try TemporaryFolder()
    // By a process of its own: what a child is said to have had is at least what its parent has.
    let writing = try Process.run([
      CommandLine.arguments[0], "--events", "\(events)", "--write-log", folder.log,
    ])
    say(
      "\(events) events written in \(rounded(writing.seconds, 10)) s, "
        + "\(Process.size(folder.log) >> 20) MiB")
    _ = try Process.run([Process.tasklog, "index", "--drop", "--log", folder.log])
    try measure(folder.log, "without the indexes of `tasklog index`")
    let index = try Process.run([Process.tasklog, "index", "--log", folder.log])
    say(
      "tasklog index: \(rounded(index.seconds, 10)) s, then \(Process.size(folder.log) >> 20) MiB")
    try measure(folder.log, "with them")
  }

  private func measure(_ log: String, _ title: String) throws {
    say()
    say("\(title), median of \(rounds) rounds; seconds and MiB at most")
    let sql = """
      SELECT seq, time, run, source, worker, key, start, finish, stimulus, args
      FROM transitions WHERE finish IN ('error', 'erred') ORDER BY seq
      """
    let same = Self.sameSQL
    for (name, arguments) in [
      ("tasklog --version", ["--version"]),
      ("story KEY", ["story", Self.key(events / 20).text, "--log", log]),
      ("query --key KEY", ["query", "--key", Self.key(events / 20).text, "--log", log]),
      ("summary", ["summary", "--log", log, "--format", "csv"]),
      ("query --finish erred", ["query", "--finish", "erred", "--format", "csv", "--log", log]),
      ("query --count", ["query", "--count", "--log", log]),
      (
        "query --stimulus NAME",
        ["query", "--stimulus", "client-releases-keys-5f3c9a1e.7", "--log", log]
      ),
      ("slowest", ["slowest", "--log", log]),
      (
        "state --at (the middle)",
        ["state", "--at", "\(events / 2)", "--table", "states", "--log", log]
      ),
    ] {
      try report(name, [Process.tasklog] + arguments)
    }
    guard (try? Process.run(["sqlite3", "--version"])) != nil else { return }
    try report("sqlite3: the same as --finish erred", ["sqlite3", "-readonly", "-csv", log, same])
    try report("sqlite3: on the view transitions", ["sqlite3", "-readonly", "-csv", log, sql])
  }

  /// What `query --finish erred` asks, as one statement.
  private static let sameSQL = """
    SELECT seq, time, run, source, worker, key, start, finish, stimulus, args FROM events
    WHERE seq IN (SELECT event.seq FROM event
      WHERE event.source IN (SELECT id FROM source WHERE run IN (1))
      AND event.finish IN (SELECT id FROM text WHERE text IN ('error', 'erred'))
      AND event.hook IN (SELECT id FROM text WHERE text IN ('transition')))
    ORDER BY seq
    """

  private func report(_ name: String, _ arguments: [String]) throws {
    var seconds: [Double] = []
    var memory = 0
    // One uncounted round fills the system's cache.
    for round in 0...rounds {
      let result = try Process.run(arguments)
      if round > 0 { seconds.append(result.seconds) }
      memory = max(memory, result.bytes)
    }
    let time = rounded(median(seconds), 10_000)
    let rate = time > 0.3 ? ", \(rounded(Double(events) / time / 1e6, 100)) M events/s" : ""
    let name = name + String(repeating: " ", count: max(0, 36 - name.count))
    say("  \(name) \(time) s, \(rounded(Double(memory) / 1_048_576, 10)) MiB\(rate)")
  }

  // MARK: - The log

  private static func key(_ task: Int) -> Key { Key("work-5f3c9a1e", task) }

  /// The same events as `Workload`, with a task in a thousand that errs, written as they are made.
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
