import EventLog
import LogFormat
import TaskLogPlugin

/// A long run as a recorder of Dask writes it: a hundred workers with two threads each; four of five
/// tasks have no inputs, and the fifth has two, which are on other workers. Ten events for a task.
struct ExplainLog {
  static let workers = 100
  /// Tasks that are sent and have not ended, and results that are held.
  private static let (running, held) = (400, 1000)
  private static let graph = 10_000

  let events: Int
  var tasks: Int { events / 10 }

  static func key(_ task: Int) -> Key {
    let name = task % 5 == 4 ? "sum" : "work"
    return Key("\(name)-\(task / graph)", task % graph)
  }

  private static func address(_ task: Int) -> String { "tcp://10.0.0.\(task % workers):9000" }
  private static func time(_ step: Int) -> Int64 {
    1_750_000_000_000_000_000 + Int64(step) * 1_000_000
  }

  func write(_ path: String) throws {
    let writer = try LogWriter(path: path)
    let sources = try writer.transaction {
      let run = try writer.add(
        RunHeader(
          id: RunID.make(), engine: "dask", engineVersion: "2026.8.0", recorderVersion: "0",
          mode: "full", started: Self.time(0)))
      return try [
        writer.add(Source(kind: .scheduler, id: "Scheduler-b", address: "tcp://s:1"), run: run)
      ]
        + (0..<Self.workers).map {
          try writer.add(
            Source(
              kind: .worker, id: "Worker-\($0)", address: Self.address($0), name: .int(Int64($0))),
            run: run)
        }
    }
    var numbers = sources.map { _ in Int64(0) }
    func append(_ source: Int, _ event: Event) throws {
      numbers[source] += 1
      try writer.append(event, source: sources[source], sourceSeq: numbers[source])
    }
    try writer.transaction {
      for worker in 0..<Self.workers { try append(0, Self.joins(worker)) }
    }
    let last = tasks + Self.running + Self.held
    for first in stride(from: 0, to: last, by: Self.graph) {
      try writer.transaction {
        if first < tasks { try append(0, graph(first)) }
        for step in first..<min(first + Self.graph, last) {
          if step < tasks { try begin(step, append) }
          if step >= Self.running, step - Self.running < tasks {
            try end(step - Self.running, at: step, append)
          }
          let released = step - Self.running - Self.held
          if released >= 0, released < tasks { try release(released, at: step, append) }
        }
      }
    }
    try writer.transaction { try writer.end(run: 1, .closed, at: Self.time(last)) }
    writer.close()
  }

  private static func joins(_ worker: Int) -> Event {
    Event(
      .addWorker, time: time(0), worker: address(worker),
      snapshot: .worker(
        WorkerSnapshot(
          address: address(worker), name: .int(Int64(worker)), serverID: "Worker-\(worker)",
          nthreads: 2)))
  }

  private func graph(_ first: Int) -> Event {
    let tasks = (first..<min(first + Self.graph, tasks)).map { task in
      let inputs = task % 5 == 4 && task > 900 ? [task - 500, task - 703] : []
      return GraphTask(key: Self.key(task), dependencies: inputs.map(Self.key))
    }
    return Event(
      .updateGraph, time: Self.time(first), stimulusID: "update-graph-b.\(first)",
      args: Args(named: [
        .init("client", "Client-b"), .init("keys", .list([])),
        .init("tasks", .list(tasks.map(\.key.value))),
      ]), snapshot: .graph(tasks))
  }

  private typealias Append = (Int, Event) throws -> Void

  private func begin(_ task: Int, _ append: Append) throws {
    let (key, worker, time) = (Self.key(task), task % Self.workers, Self.time(task))
    func move(_ start: State, _ finish: State, _ worker: String? = nil) -> Event {
      Event(
        .transition, time: time, key: key, start: start, finish: finish,
        stimulusID: "update-graph-b.\(task / Self.graph)", worker: worker, taskRunID: 1)
    }
    try append(0, move(.released, .waiting))
    try append(0, move(.waiting, .processing, Self.address(task)))
    for (start, finish) in [
      (State.released, State.waiting), (.waiting, .ready), (.ready, .executing),
    ] {
      try append(worker + 1, move(start, finish))
    }
    guard task % 200 == 0 else { return }
    try append(
      0,
      Event(
        .heartbeat, time: time, worker: Self.address(task),
        args: Args(named: [.init("bandwidth", .double(1e8 + Double(task % 977)))])))
  }

  private func end(_ task: Int, at step: Int, _ append: Append) throws {
    let (key, worker, time) = (Self.key(task), task % Self.workers, Self.time(step))
    let start = Double(time) / 1e9
    let seconds = 0.05 + Double(task % 89) / 1000
    let span = StartStop(action: "compute", start: start - seconds, stop: start)
    let nbytes = Int64(10_000 + task % 7919)
    let stimulus = "task-finished-b.\(task)"
    try append(
      worker + 1,
      Event(
        .transition, time: time, key: key, start: .executing, finish: .memory,
        stimulusID: stimulus, taskRunID: 1,
        snapshot: .task(TaskSnapshot(nbytes: nbytes, typeName: "int", startStops: [span]))))
    let args = Args(named: [
      .init("worker", .string(Self.address(task))), .init("nbytes", .int(nbytes)),
      .init("type", "int"), .init("typename", "int"), .init("thread", 140_012_345_678),
      .init("metadata", .dict([])), .init("status", "OK"), .init("startstops", [span.value]),
    ])
    try append(
      0,
      Event(
        .transition, time: time, key: key, start: .processing, finish: .memory,
        stimulusID: stimulus, worker: Self.address(task), taskRunID: 1, args: args))
  }

  private func release(_ task: Int, at step: Int, _ append: Append) throws {
    for (source, start, finish) in [
      (0, State.memory, State.released), (0, .released, .forgotten),
      (task % Self.workers + 1, .memory, .released),
    ] {
      try append(
        source,
        Event(
          .transition, time: Self.time(step), key: Self.key(task), start: start, finish: finish,
          stimulusID: "client-releases-keys-b.\(task / 100)"))
    }
  }
}
