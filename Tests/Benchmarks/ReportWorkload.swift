import EventLog
import LogFormat
import TaskLogPlugin

/// A log such as a Dask run of many small tasks makes, for the report page: a hundred threads on
/// twenty-five workers, keys that end in a unique hash, dependencies, transfers, failures; eleven
/// events per task.
///
/// Everything is computed from the number of the task, so that two logs of one size are the same.
struct ReportWorkload {
  private static let workers = 25
  private static let threads = 4
  private static let prefixes = [
    "read-parquet", "getitem", "assign", "merge-chunk", "groupby-agg", "sum", "store", "inc",
  ]
  private static let base: Int64 = 1_750_000_000_000_000_000
  private static let tasksAtOnce = 10_000

  var tasks: Int
  private var random: UInt64 = 1
  private var sources: [Int64] = []
  private var numbers: [Int64] = []
  /// When each thread is free again, in nanoseconds since the start.
  private var free = [Int64](repeating: 0, count: workers * threads)
  private var keys: [Key] = []

  init(tasks: Int) { self.tasks = tasks }

  mutating func write(_ path: String) throws {
    let writer = try LogWriter(path: path)
    let made = try writer.transaction {
      let run = try writer.add(
        RunHeader(
          id: RunID.make(), engine: "dask", engineVersion: "2026.8.0", recorderVersion: "0",
          mode: "full", started: Self.base))
      let all =
        [Source(kind: .scheduler, id: "Scheduler-bench", address: "tcp://10.0.0.1:8786")]
        + (0..<Self.workers).map {
          Source(
            kind: .worker, id: "Worker-\($0)", address: Self.address($0), name: .int(Int64($0)))
        }
      return try all.map { try writer.add($0, run: run) }
    }
    sources = made
    numbers = made.map { _ in 0 }
    try writer.transaction { try join(writer) }
    for first in stride(from: 0, to: tasks, by: Self.tasksAtOnce) {
      try writer.transaction { try part(first, min(tasks, first + Self.tasksAtOnce), writer) }
    }
    let end = Self.base + (free.max() ?? 0) + 1_000_000_000
    try writer.transaction { try writer.end(run: 1, .closed, at: end) }
    writer.close(isIndexing: false)
  }

  private static func address(_ worker: Int) -> String { "tcp://10.0.1.\(worker):40000" }

  /// SplitMix64.
  private mutating func next() -> UInt64 {
    random &+= 0x9E37_79B9_7F4A_7C15
    var value = random
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }

  private mutating func hash() -> String {
    func digits(_ value: UInt64) -> String {
      let text = String(value, radix: 16)
      return String(repeating: "0", count: 16 - text.count) + text
    }
    return digits(next()) + digits(next())
  }

  private mutating func append(_ writer: LogWriter, _ source: Int, _ event: Event) throws {
    numbers[source] += 1
    try writer.append(event, source: sources[source], sourceSeq: numbers[source])
  }

  private mutating func join(_ writer: LogWriter) throws {
    for worker in 0..<Self.workers {
      let facts = Value.object([
        "worker": .object([
          "address": .string(Self.address(worker)), "name": .int(Int64(worker)),
          "serverID": .string("Worker-\(worker)"), "nthreads": .int(Int64(Self.threads)),
        ])
      ])
      try append(
        writer, 0,
        Event(.addWorker, time: Self.base, worker: Self.address(worker), snapshot: Snapshot(facts)))
    }
  }

  /// Some tasks: their graph, and then all their events in the order of time.
  private mutating func part(_ first: Int, _ end: Int, _ writer: LogWriter) throws {
    var graph: [Value] = []
    var events: [(source: Int, event: Event)] = []
    let submitted = Self.base + (free.min() ?? 0)
    for task in first..<end {
      let key = Key("\(Self.prefixes[task / 50 % Self.prefixes.count])-\(hash())")
      keys.append(key)
      var needs: [Key] = []
      for _ in 0..<(task >= 1000 ? Int(next() % 3) : 0) {
        needs.append(keys[task - 1 - Int(next() % 1000)])
      }
      graph.append(
        .object(["key": .string(key.text), "dependencies": .list(needs.map { .string($0.text) })]))
      life(of: task, key, hasNeeds: !needs.isEmpty, submitted, into: &events)
    }
    try append(
      writer, 0,
      Event(
        .updateGraph, time: submitted, stimulusID: "update-graph-\(first)",
        snapshot: Snapshot(.object(["graph": .list(graph)]))))
    events.sort { $0.event.time < $1.event.time }
    for (source, event) in events { try append(writer, source, event) }
  }

  private mutating func life(
    of task: Int, _ key: Key, hasNeeds: Bool, _ submitted: Int64,
    into events: inout [(source: Int, event: Event)]
  ) {
    var lane = Int(next() % UInt64(free.count))
    let other = Int(next() % UInt64(free.count))
    if free[other] < free[lane] { lane = other }
    let worker = lane / Self.threads
    let length = Int64(1_000_000 + next() % 20_000_000) * Int64(1 + (task / 50) % 4)
    let fetching = hasNeeds && next() % 10 < 4 ? Int64(200_000 + next() % 3_000_000) : 0
    let sent = Self.base + free[lane] + Int64(next() % 300_000)
    let arrived = sent + 400_000 + Int64(next() % 400_000)
    let start = arrived + fetching + Int64(next() % 100_000)
    let stop = start + length
    free[lane] = stop - Self.base
    let hasFailed = next() % 2000 == 0
    let stimulus = "task-finished-\(task)"
    func move(
      _ time: Int64, _ start: State, _ finish: State, _ stimulus: String, run: Bool = false
    ) -> Event {
      Event(
        .transition, time: time, key: key, start: start, finish: finish, stimulusID: stimulus,
        taskRunID: run ? 1 : nil)
    }
    events.append((0, move(submitted, .released, .waiting, "update-graph")))
    var processing = move(sent, .waiting, .processing, "update-graph", run: true)
    processing.worker = Self.address(worker)
    events.append((0, processing))
    let source = worker + 1
    events.append((source, move(arrived, .released, .waiting, "compute-task", run: true)))
    events.append((source, move(arrived + fetching, .waiting, .ready, "compute-task", run: true)))
    events.append((source, move(start, .ready, .executing, "compute-task", run: true)))
    let end: State = hasFailed ? .error : .memory
    events.append((source, move(stop, .executing, end, stimulus, run: true)))
    var done = move(
      stop + 300_000, .processing, hasFailed ? .erred : .memory, stimulus, run: true)
    done.worker = Self.address(worker)
    done.args = args(task, lane, hasFailed, fetching > 0 ? (arrived, fetching) : nil, start, stop)
    events.append((0, done))
    let later = stop + 50_000_000 + Int64(next() % 900_000_000)
    events.append((0, move(later, done.finish ?? .memory, .released, "release")))
    events.append((0, move(later + 20_000, .released, .forgotten, "release")))
    events.append((source, move(later + 500_000, end, .released, "release")))
    events.append((source, move(later + 520_000, .released, .forgotten, "release")))
  }

  private mutating func args(
    _ task: Int, _ lane: Int, _ hasFailed: Bool, _ fetched: (Int64, Int64)?, _ start: Int64,
    _ stop: Int64
  ) -> Args {
    func span(_ action: String, _ start: Int64, _ stop: Int64) -> Value {
      .object([
        "action": .string(action), "start": .double(Double(start) / 1e9),
        "stop": .double(Double(stop) / 1e9),
      ])
    }
    var spans: [Value] = []
    if let fetched { spans.append(span("transfer", fetched.0, fetched.0 + fetched.1)) }
    spans.append(span("compute", start, stop))
    var named: [Args.Argument] = [
      .init("worker", .string(Self.address(lane / Self.threads))),
      .init("nbytes", .int(Int64(100 + next() % 1_000_000))),
      .init("typename", "pandas.core.frame.DataFrame"),
      .init("thread", .int(140_000_000_000 + Int64(lane))),
      .init("startstops", .tuple(spans)),
    ]
    if hasFailed {
      named.append(.init("exception_text", .string("ValueError('no column \(task % 7)')")))
      named.append(.init("traceback_text", "  File \"job.py\", line 7, in assign\n    raise\n"))
    }
    return Args(named: named)
  }
}
