import EventLog
import Foundation
import LogAnalysis
import TaskLogPlugin

/// Generates `Logs/sample.db`, the small log that the expected outputs of all commands are for.
///
/// Run 1 is of our engine: loads, a sum over both, a task that fails twice and makes another fail,
/// a key with terminal control characters. Run 2 is of Dask, recorded by its hooks: worker events
/// that arrive late, tuples, a gap, and a death in the middle of its work. Everything in it is
/// fixed.
struct SampleLog {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Logs")
  static var path: String { folder.appendingPathComponent("sample.db").path }

  /// 2026-01-31T12:00:00Z.
  private static let start: Int64 = 1_769_860_800_000_000_000
  static let alice = "tcp://10.0.0.1:4000"
  static let other = "tcp://10.0.0.2:4001"

  /// What commands print on standard error: in run 2 no clock was measured.
  static let note = """
    tasklog: the clocks of 2 workers of run #2 were not measured: times are by the worker's own \
    clock; the view clock_bounds has the bounds of its error

    """

  private let writer: LogWriter
  private var sources: [Int64] = []
  private var sourceSeqs: [Int64: Int64] = [:]
  private var taskRun: Int64 = 0
  private var offset: Int64 = 0
  private var isDask = false

  static func write(to path: String) throws {
    let writer = try LogWriter(path: path)
    try writer.transaction {
      var sample = SampleLog(writer: writer)
      try sample.ourRun()
      try sample.daskRun()
    }
    writer.close()
  }

  private init(writer: LogWriter) { self.writer = writer }

  // MARK: - Runs

  private mutating func ourRun() throws {
    let run = try begin("01942f00-0000-7000-8000-000000000001", engine: "tasklog", mode: "full")
    try graph(
      "update-graph-1.1", at: 10,
      [
        GraphTask(key: "load-1"), GraphTask(key: "load-2"),
        GraphTask(key: Key("sum", 0), dependencies: ["load-1", "load-2"]),
        GraphTask(key: "report", dependencies: [Key("sum", 0)]),
        GraphTask(key: "bad-1", retries: 1), GraphTask(key: "after-bad", dependencies: ["bad-1"]),
        GraphTask(key: "esc\u{1B}[31m|*"),
      ])
    try send("load-1", 0, at: 12, "update-graph-1.1")
    try send("load-2", 1, at: 12, "update-graph-1.1")
    try send("bad-1", 1, at: 13, "update-graph-1.1")
    try done("load-1", 0, 15, 115, at: 117, nbytes: 1000, "task-finished-0.1")
    try fail("bad-1", 1, 20, 30, at: 31, "task-erred-1.1", retries: true)
    try send("bad-1", 0, at: 32, "task-erred-1.1")
    try fail("bad-1", 0, 120, 125, at: 126, "task-erred-0.2", retries: false)
    try released("after-bad", to: .erred, at: 126, "task-erred-0.2")
    try done("load-2", 1, 31, 231, at: 233, nbytes: 2000, "task-finished-1.2")
    try send(Key("sum", 0), 1, at: 234, "task-finished-1.2")
    try done(
      Key("sum", 0), 1, 240, 300, at: 303, nbytes: 64, "task-finished-1.3",
      transfer: (235, 239))
    try send("report", 0, at: 304, "task-finished-1.3")
    try send("esc\u{1B}[31m|*", 1, at: 304, "update-graph-1.1")
    try done("esc\u{1B}[31m|*", 1, 305, 306, at: 307, nbytes: 1, "task-finished-1.4")
    try done("report", 0, 310, 350, at: 352, nbytes: 300, "task-finished-0.3")
    for worker in 0...1 {
      try scheduler(Event(.removeWorker, time: time(400), worker: address(worker)))
    }
    try scheduler(Event(.close, time: time(401)))
    try writer.end(run: run, .closed, at: time(402))
  }

  private mutating func daskRun() throws {
    offset = 60_000
    isDask = true
    let run = try begin("01942f01-0000-7000-8000-000000000002", engine: "dask", mode: "hooks")
    try graph(
      "update-graph-2.1", at: 10,
      [
        GraphTask(key: "load-1"), GraphTask(key: "load-2"),
        GraphTask(key: Key("sum", 0), dependencies: ["load-1", "load-2"]),
      ])
    try send("load-1", 0, at: 12, "update-graph-2.1")
    try send("load-2", 1, at: 12, "update-graph-2.1")
    try done("load-1", 0, 15, 95, at: 97, nbytes: 1000, "task-finished-0.1")
    try done("load-2", 1, 15, 265, at: 267, nbytes: 2000, "task-finished-1.1")
    try send(Key("sum", 0), 1, at: 268, "task-finished-1.1")
    try writer.addGap(
      source: sources[2], sourceSeq: (sourceSeqs[sources[2]] ?? 0) + 1, count: 3, time: time(280),
      reason: "spool limit reached")
    try writer.end(run: run, .died, at: time(280))
  }

  private mutating func begin(_ id: String, engine: String, mode: String) throws -> Int64 {
    let run = try writer.add(
      RunHeader(
        id: id, engine: engine, engineVersion: isDask ? "2026.8.0" : "0.1.0",
        recorderVersion: "0.1.0", mode: mode, started: time(0),
        metadata: .object(["host": "sample"])))
    sources = try [
      Source(kind: .scheduler, id: "Scheduler-\(run)", address: "tcp://10.0.0.9:8786"),
      Source(kind: .worker, id: "Worker-\(run)-0", address: Self.alice, name: "alice"),
      Source(kind: .worker, id: "Worker-\(run)-1", address: Self.other, name: 1),
    ].map { try writer.add($0, run: run) }
    taskRun = 0
    try scheduler(Event(.start, time: time(1)))
    for worker in 0...1 {
      try scheduler(
        Event(
          .addWorker, time: time(2 + worker), worker: address(worker),
          snapshot: .worker(
            WorkerSnapshot(
              address: address(worker), name: worker == 0 ? "alice" : 1,
              serverID: "Worker-\(run)-\(worker)", nthreads: 2))))
    }
    return run
  }

  // MARK: - Events

  private func time(_ milliseconds: Int) -> Int64 {
    Self.start + (offset + Int64(milliseconds)) * 1_000_000
  }

  private func address(_ worker: Int) -> String { worker == 0 ? Self.alice : Self.other }

  private mutating func append(_ event: Event, _ source: Int64) throws {
    sourceSeqs[source, default: 0] += 1
    try writer.append(event, source: source, sourceSeq: sourceSeqs[source] ?? 0)
  }

  private mutating func scheduler(_ event: Event) throws { try append(event, sources[0]) }

  private mutating func graph(_ stimulus: String, at moment: Int, _ tasks: [GraphTask]) throws {
    try scheduler(
      Event(
        .updateGraph, time: time(moment), stimulusID: stimulus,
        args: Args(named: [
          .init("client", "Client-1"), .init("tasks", .list(tasks.map(\.key.value))),
        ]), snapshot: isDask ? Self.daskGraph(tasks) : .graph(tasks)))
    for task in tasks {
      try scheduler(
        Event(
          .transition, time: time(moment), key: task.key, start: .released, finish: .waiting,
          stimulusID: stimulus))
    }
  }

  /// As Dask's recorder records it: keys are in the args.
  private static func daskGraph(_ tasks: [GraphTask]) -> Snapshot {
    .other(
      .object([
        "graph": .list(
          tasks.map { task in
            .object(
              task.dependencies.isEmpty
                ? [:] : ["dependencies": .list(task.dependencies.map(\.value))])
          })
      ]))
  }

  private mutating func send(_ key: Key, _ worker: Int, at moment: Int, _ stimulus: String) throws {
    taskRun += 1
    let sent = Event(
      .transition, time: time(moment), key: key, start: .waiting, finish: .processing,
      stimulusID: stimulus, worker: address(worker), taskRunID: taskRun)
    try scheduler(sent)
    for (start, finish) in [
      (State.released, State.waiting), (.waiting, .ready), (.ready, .executing),
    ] {
      try append(
        Event(
          .transition, time: time(moment + 1), key: key, start: start, finish: finish,
          stimulusID: stimulus, taskRunID: taskRun), sources[worker + 1])
    }
  }

  private mutating func done(
    _ key: Key, _ worker: Int, _ start: Int, _ stop: Int, at moment: Int, nbytes: Int64,
    _ stimulus: String, transfer: (Int, Int)? = nil
  ) throws {
    var spans = [span("compute", start, stop)]
    if let transfer { spans.insert(span("transfer", transfer.0, transfer.1), at: 0) }
    let atWorker = Event(
      .transition, time: time(stop), key: key, start: .executing, finish: .memory,
      stimulusID: stimulus)
    let atScheduler = Event(
      .transition, time: time(moment), key: key, start: .processing, finish: .memory,
      stimulusID: stimulus, worker: address(worker), taskRunID: taskRun,
      args: Args(named: [
        .init("worker", .string(address(worker))), .init("nbytes", .int(nbytes)),
        .init("typename", "int"), .init("status", "OK"),
        .init("startstops", isDask ? .tuple(spans) : .list(spans)),
      ]))
    // Events of a Dask worker arrive in batches, after later events of the scheduler.
    if isDask { try scheduler(atScheduler) }
    try append(atWorker, sources[worker + 1])
    if !isDask { try scheduler(atScheduler) }
  }

  private mutating func fail(
    _ key: Key, _ worker: Int, _ start: Int, _ stop: Int, at moment: Int, _ stimulus: String,
    retries: Bool
  ) throws {
    try append(
      Event(
        .transition, time: time(stop), key: key, start: .executing, finish: .error,
        stimulusID: stimulus), sources[worker + 1])
    guard !retries else {
      try released(key, to: .waiting, from: .processing, at: moment, stimulus)
      return
    }
    try scheduler(
      Event(
        .transition, time: time(moment), key: key, start: .processing, finish: .erred,
        stimulusID: stimulus, worker: address(worker), taskRunID: taskRun,
        args: Args(named: [
          .init("cause", key.value), .init("worker", .string(address(worker))),
          .init("exception_text", "ValueError('broken | input')"),
          .init("traceback_text", "File \"job.py\", line 7\n  raise ValueError(x)\n"),
          .init("startstops", .list([span("compute", start, stop)])),
        ])))
  }

  /// Through released to another state, as the scheduler does it.
  private mutating func released(
    _ key: Key, to finish: State, from start: State = .waiting, at moment: Int, _ stimulus: String
  ) throws {
    for (start, finish) in [(start, State.released), (.released, finish)] {
      try scheduler(
        Event(
          .transition, time: time(moment), key: key, start: start, finish: finish,
          stimulusID: stimulus))
    }
  }

  private func span(_ action: String, _ start: Int, _ stop: Int) -> Value {
    StartStop(
      action: action, start: Double(time(start)) / 1e9, stop: Double(time(stop)) / 1e9
    ).value
  }
}
