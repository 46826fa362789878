import EventLog
import Glibc
import TaskLogPlugin

/// The cost of writing a large run in each format of `tasklog export`: wall-clock time of whole
/// processes, compared with a scan of the same log that discards its rows.
struct ExportBenchmark {
  var tasks: Int
  var rounds: Int

  func run() throws {
    let folder = try TemporaryFolder()
    let own = CommandLine.arguments[0]
    let writing = try Process.run([own, "--tasks", "\(tasks)", "--write-run", folder.log])
    let events = try Self.events(in: folder.log)
    say(
      "\(events) events of \(tasks) tasks written in \(rounded(writing.seconds, 10)) s, "
        + "\(Process.size(folder.log) >> 20) MiB; median of \(rounds) rounds")
    say()
    let scan = try measure([own, "--scan-log", folder.log])
    line("bare sqlite3_step scan", scan, events, nil)
    for (name, more) in [
      ("perfetto", []), ("chrome", []), ("otlp-json", []), ("jsonl", []), ("csv", []),
      ("dask", []), ("dask", ["--rectangles"]),
    ] as [(String, [String])] {
      let command = [tasklogProgram, "export", "--to", name, "--log", folder.log] + more
      let file = folder.path + "/export"
      _ = try Process.run(command + ["-o", file])
      let bytes = Process.size(file)
      unlink(file)
      let result = try measure(command)
      line(([name] + more).joined(separator: " "), result, events, (bytes, scan))
    }
    say()
  }

  private func measure(_ command: [String]) throws -> Process.Result {
    let results = try (0..<rounds).map { _ in try Process.run(command) }
    return Process.Result(
      seconds: median(results.map(\.seconds)), bytes: results.map(\.bytes).max() ?? 0)
  }

  private func line(
    _ name: String, _ result: Process.Result, _ events: Int64,
    _ beside: (bytes: Int, scan: Process.Result)?
  ) {
    let rate = rounded(Double(events) / result.seconds / 1e6, 100)
    let name = name + String(repeating: " ", count: max(0, 24 - name.count))
    var text = "  \(name) \(rounded(result.seconds, 100)) s, \(rate) M events/s, "
    text += "\(result.bytes >> 20) MiB of memory"
    if let beside {
      text +=
        ", \(beside.bytes >> 20) MiB written, \(rounded(result.seconds / beside.scan.seconds, 10))"
      text += " times the scan"
    }
    say(text)
  }

  private static func events(in log: String) throws -> Int64 {
    try LogReader(path: log).lastSeq()
  }

  // MARK: - The run

  private static let workers = 4
  private static let threads = 4
  private static let group = 1000

  private static let sources =
    [Source(kind: .scheduler, id: "Scheduler-bench", address: "tcp://10.0.0.1:8786")]
    + (0..<workers).map {
      Source(
        kind: .worker, id: "Worker-\($0)", address: "tcp://10.0.0.\($0 + 2):4000",
        name: .int(Int64($0)))
    }

  private static func key(_ task: Int) -> Key { Key("work-5f3c9a1e", task) }

  /// A run of tasks of a millisecond, on all threads at once, each of which depends on the two
  /// before it; they are submitted in graphs of a thousand, and a thousand results are in memory.
  func write(_ path: String) throws {
    let writer = try LogWriter(path: path)
    let sources = try writer.transaction {
      let run = try writer.add(
        RunHeader(
          id: "0197a3b0-0000-7000-8000-000000000001", engine: "tasklog", engineVersion: "0",
          recorderVersion: "0", mode: "full", started: 1_750_000_000_000_000_000))
      return try Self.sources.map { try writer.add($0, run: run) }
    }
    var numbers = sources.map { _ in Int64(0) }
    for start in stride(from: 0, to: tasks, by: Self.group * 10) {
      try writer.transaction {
        try events(start..<min(start + Self.group * 10, tasks)) { source, event in
          numbers[source] += 1
          try writer.append(event, source: sources[source], sourceSeq: numbers[source])
        }
      }
    }
    try writer.transaction {
      try writer.end(
        run: 1, .closed, at: 1_750_000_000_000_000_000 + Int64(tasks / 16 + 1) * 1_000_000)
    }
    writer.close()
  }

  private func events(_ range: Range<Int>, _ give: (Int, Event) throws -> Void) throws {
    for task in range {
      // Threads take turns: one task per thread starts in the same millisecond.
      let time = 1_750_000_000_000_000_000 + Int64(task / 16) * 1_000_000
      if task % Self.group == 0 {
        let new = (task..<min(task + Self.group, range.upperBound)).map { task in
          GraphTask(
            key: Self.key(task), dependencies: task < 2 ? [] : [task - 1, task - 2].map(Self.key))
        }
        let stimulus = "update-graph-\(task)"
        try give(
          0,
          Event(
            .updateGraph, time: time, stimulusID: stimulus,
            args: Args(named: [.init("client", "Client-1")]), snapshot: .graph(new)))
        for task in new {
          try give(
            0, Self.move(task.key, .released, .waiting, time, stimulus))
        }
      }
      try one(task, time, give)
      if task >= Self.group {
        for (start, finish) in [(State.memory, State.released), (.released, .forgotten)] {
          try give(
            0,
            Self.move(Self.key(task - Self.group), start, finish, time, "release-\(task / 100)"))
        }
      }
    }
  }

  private static func move(
    _ key: Key, _ start: State, _ finish: State, _ time: Int64, _ stimulus: String
  ) -> Event {
    Event(
      .transition, time: time, key: key, start: start, finish: finish, stimulusID: stimulus)
  }

  private func one(_ task: Int, _ time: Int64, _ give: (Int, Event) throws -> Void) throws {
    let worker = task % Self.workers + 1
    let address = Self.sources[worker].address
    let key = Self.key(task)
    let done = "task-finished-\(task)"
    var sent = Self.move(key, .waiting, .processing, time, "task-finished-\(task - 1)")
    sent.worker = address
    sent.taskRunID = Int64(task)
    try give(0, sent)
    for (start, finish) in [
      (State.released, State.waiting), (.waiting, .ready), (.ready, .executing),
    ] {
      var event = Self.move(key, start, finish, time, "compute-task-\(task)")
      event.taskRunID = Int64(task)
      try give(worker, event)
    }
    let start = Double(time) / 1e9
    let span = StartStop(action: "compute", start: start, stop: start + 0.0009)
    var event = Self.move(key, .executing, .memory, time + 900_000, done)
    event.taskRunID = Int64(task)
    event.snapshot = .task(TaskSnapshot(nbytes: 1024, typeName: "Int", startStops: [span]))
    try give(worker, event)
    event = Self.move(key, .processing, .memory, time + 950_000, done)
    event.worker = address
    event.args = Args(named: [
      .init("worker", .string(address)), .init("nbytes", 1024), .init("type", "Swift.Int"),
      .init("typename", "Int"),
      .init("thread", .int(140_012_345_678 + Int64(task / Self.workers % Self.threads))),
      .init("metadata", .dict([])), .init("status", "OK"), .init("startstops", [span.value]),
    ])
    try give(0, event)
  }
}

extension Process {
  fileprivate static func size(_ path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : 0
  }
}
