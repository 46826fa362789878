import TaskLogPlugin
import Testing

@testable import EventLog
@testable import LogAnalysis
@testable import LogFormat
@testable import Reporting

@Suite struct AttemptTests {
  private static let key: Key = "x-1"

  /// Events of a scheduler (source 1) and the workers a and b (sources 2 and 3).
  private struct Tale {
    var tracker = AttemptTracker(workers: [2: "a", 3: "b"], schedulers: [1])
    var seq: Int64 = 0

    mutating func take(_ source: Int64, _ event: Event) {
      seq += 1
      let recorded = RecordedEvent(
        seq: seq, source: source, sourceSeq: seq, keyNumber: event.key == nil ? 0 : 7,
        stimulusNumber: 0, event: event)
      tracker.apply(
        recorded, time: event.time,
        runArgs: event.args.isAbsent ? nil : RunArgs(event.args.json))
    }

    mutating func move(
      _ source: Int64, _ start: State, _ finish: State, at time: Int64, worker: String? = nil,
      run: Int64? = nil, args: Args = .none, snapshot: Snapshot = .none
    ) {
      take(
        source,
        Event(
          .transition, time: time, key: key, start: start, finish: finish, worker: worker,
          taskRunID: run, args: args, snapshot: snapshot))
    }

    mutating func end() -> [Attempt] {
      tracker.finish()
      return tracker.ended
    }
  }

  private func done(_ worker: String, from start: Double, to stop: Double) -> Args {
    Args(named: [
      .init("worker", .string(worker)), .init("nbytes", 8), .init("thread", 5),
      .init(
        "startstops",
        .list([StartStop(action: "compute", start: start, stop: stop).value])),
    ])
  }

  @Test func `a finished task is one attempt with its outcome at the scheduler`() throws {
    var tale = Tale()
    tale.move(1, .waiting, .processing, at: 1, worker: "a", run: 4)
    tale.move(2, .ready, .executing, at: 2, run: 4)
    tale.move(2, .executing, .memory, at: 8, run: 4)
    tale.move(1, .processing, .memory, at: 9, args: done("a", from: 3e-9, to: 7e-9))
    let attempts = tale.end()
    try #require(attempts.count == 1)
    #expect(attempts[0].number == 1)
    #expect(attempts[0].outcome == .memory)
    #expect(attempts[0].taskRunID == 4)
    #expect(attempts[0].runArgs.thread == 5)
    #expect([attempts[0].sent, attempts[0].started, attempts[0].ended] == [1, 2, 9])
    #expect(attempts[0].spans == [WorkSpan(action: "compute", start: 3, stop: 7)])
  }

  @Test func `worker events after the task was taken back belong to that attempt`() throws {
    var tale = Tale()
    tale.move(1, .waiting, .processing, at: 1, worker: "a", run: 4)
    tale.move(1, .processing, .released, at: 5)
    tale.move(1, .waiting, .processing, at: 6, worker: "a", run: 5)
    tale.move(2, .ready, .executing, at: 2, run: 4)
    tale.move(
      2, .executing, .error, at: 4, run: 4,
      snapshot: .task(TaskSnapshot(exceptionText: "ValueError('x')")))
    tale.move(2, .ready, .executing, at: 7, run: 5)
    tale.move(2, .executing, .memory, at: 8, run: 5)
    tale.move(1, .processing, .memory, at: 9, args: done("a", from: 7e-9, to: 8e-9))
    let attempts = tale.end()
    #expect(attempts.map(\.number) == [1, 2])
    #expect(attempts.map(\.outcome) == [.other(.released), .memory])
    #expect(attempts[0].exception?.text == "ValueError('x')")
    #expect(attempts[0].spans == [WorkSpan(action: "compute", start: 2, stop: 4)])
  }

  @Test func `a task that ran on a lost worker ends with it`() {
    var tale = Tale()
    tale.move(1, .waiting, .processing, at: 1, worker: "a", run: 4)
    tale.move(2, .ready, .executing, at: 2, run: 4)
    tale.move(1, .processing, .released, at: 5)
    tale.take(1, Event(.removeWorker, time: 6, worker: "a"))
    #expect(tale.tracker.ended.map(\.stopped) == [6])
    #expect(tale.end().map(\.outcome) == [.other(.released)])
  }

  @Test func `events shipped after their worker was lost ended with it, too`() {
    var tale = Tale()
    tale.move(1, .waiting, .processing, at: 1, worker: "a", run: 4)
    tale.move(1, .processing, .released, at: 5)
    tale.take(1, Event(.removeWorker, time: 6, worker: "a"))
    tale.move(2, .ready, .executing, at: 2, run: 4)
    let attempts = tale.end()
    #expect(attempts.map(\.number) == [1])
    #expect(attempts[0].spans == [WorkSpan(action: "compute", start: 2, stop: 6)])
  }

  @Test func `a task that runs at the end of the log is unfinished`() {
    var tale = Tale()
    tale.move(1, .waiting, .processing, at: 1, worker: "a", run: 4)
    tale.move(2, .ready, .executing, at: 2, run: 4)
    #expect(tale.tracker.ended.isEmpty)
    let attempts = tale.end()
    #expect(attempts.map(\.outcome) == [.unfinished])
    #expect(attempts[0].spans == [WorkSpan(action: "compute", start: 2, stop: nil)])
  }

  @Test func `a stolen task belongs to the worker that has stolen it`() {
    var tale = Tale()
    tale.move(1, .waiting, .processing, at: 1, worker: "a", run: 4)
    tale.move(3, .ready, .executing, at: 2, run: 6)
    let attempts = tale.end()
    #expect(attempts.map(\.worker) == ["b"])
  }

  @Test func `a task that is wanted again while it still runs is not drawn twice`() {
    var tale = Tale()
    tale.move(1, .waiting, .processing, at: 1, worker: "a", run: 4)
    tale.move(2, .ready, .executing, at: 2, run: 4)
    tale.move(1, .processing, .released, at: 3)
    tale.move(2, .executing, .released, at: 3, snapshot: .task(TaskSnapshot(state: .cancelled)))
    tale.move(1, .waiting, .processing, at: 4, worker: "a", run: 5)
    tale.move(2, .cancelled, .executing, at: 5, run: 5)
    tale.move(2, .executing, .memory, at: 8, run: 5)
    tale.move(1, .processing, .memory, at: 9, args: done("a", from: 2e-9, to: 8e-9))
    let attempts = tale.end()
    #expect(attempts.map(\.outcome) == [.other(.released), .memory])
    #expect(attempts.map(\.spans.count) == [0, 1])
  }

  @Test func `a failed run whose end arrives after its retry was sent is drawn, too`() {
    var tale = Tale()
    tale.move(1, .waiting, .processing, at: 1, worker: "a", run: 4)
    tale.move(2, .ready, .executing, at: 2, run: 4)
    tale.move(1, .processing, .waiting, at: 3)
    tale.move(1, .waiting, .processing, at: 4, worker: "a", run: 5)
    // The worker's batch ended between the start and the end of the first run.
    tale.move(
      2, .executing, .error, at: 5, run: 4,
      snapshot: .task(TaskSnapshot(exceptionText: "ValueError('x')")))
    tale.move(2, .ready, .executing, at: 6, run: 5)
    tale.move(2, .executing, .memory, at: 8, run: 5)
    tale.move(1, .processing, .memory, at: 9, args: done("a", from: 6e-9, to: 8e-9))
    let attempts = tale.end()
    #expect(attempts.map(\.number) == [1, 2])
    #expect(attempts[0].spans == [WorkSpan(action: "compute", start: 2, stop: 5)])
    #expect(attempts[0].exception?.text == "ValueError('x')")
    #expect(attempts[1].spans == [WorkSpan(action: "compute", start: 6, stop: 8)])
  }

  @Test func `two runs of one attempt are drawn both`() {
    var tale = Tale()
    tale.move(1, .waiting, .processing, at: 1, worker: "a")
    tale.move(2, .ready, .executing, at: 2)
    tale.move(2, .executing, .released, at: 3)
    tale.move(2, .ready, .executing, at: 4)
    tale.move(2, .executing, .memory, at: 8)
    tale.move(1, .processing, .memory, at: 9, args: done("a", from: 4e-9, to: 8e-9))
    let attempts = tale.end()
    #expect(attempts.map(\.number) == [0, 1])
    #expect(
      attempts.map(\.spans) == [
        [WorkSpan(action: "compute", start: 2, stop: 3)],
        [WorkSpan(action: "compute", start: 4, stop: 8)],
      ])
  }

  @Test func `an end whose start is missing is an attempt`() {
    var tale = Tale()
    tale.move(1, .processing, .memory, at: 9, args: done("a", from: 2e-9, to: 8e-9))
    #expect(tale.end().map(\.number) == [1])
  }
}

@Suite struct DependencyIndexTests {
  @Test func `tasks have their dependencies and dependents`() throws {
    let hash = { (text: String) in KeyHash.hash(of: Key(text)) }
    var edges = [("c", "a"), ("c", "b"), ("b", "a"), ("c", "a")].map { (hash($0.0), hash($0.1)) }
    let index = DependencyIndex(&edges)
    #expect(index.count == 3 && index.edgeCount == 3)
    func names(_ tasks: ArraySlice<Int32>) -> Set<String> {
      Set(
        tasks.map { task in ["a", "b", "c"].first { hash($0) == index.hash(of: Int(task)) } ?? "" })
    }
    let (a, b, c) = try (
      #require(index.task(hash: hash("a"))), #require(index.task(hash: hash("b"))),
      #require(index.task(hash: hash("c")))
    )
    #expect(names(index.dependencies(of: c)) == ["a", "b"])
    #expect(names(index.dependencies(of: b)) == ["a"])
    #expect(index.dependencies(of: a).isEmpty)
    #expect(names(index.dependents(of: a)) == ["b", "c"])
    #expect(index.dependents(of: c).isEmpty)
    #expect(index.task(hash: hash("d")) == nil)
  }
}
