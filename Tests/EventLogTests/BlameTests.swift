import TestSupport
import Testing

@testable import EventLog
@testable import LogAnalysis
@testable import TaskLogPlugin

/// The failure that each failed task is blamed on, by the scan and by the view, which must agree.
@Suite struct BlameTests {
  private let folder: TemporaryFolder
  private let log: LogUnderTest

  init() throws {
    folder = try TemporaryFolder()
    log = try LogUnderTest(folder("log.db"))
  }

  private func graph(_ edges: [(Key, [Key])]) -> Event {
    Event(
      .updateGraph, time: 1,
      snapshot: .graph(edges.map { GraphTask(key: $0, dependencies: $1) }))
  }

  private func failure(
    _ key: Key, _ start: State = .released, stimulus: String, cause: Value? = nil,
    blame: Key? = nil, text: String? = nil
  ) -> Event {
    var event = Event.transition(key, start, .erred, stimulus: stimulus)
    var args: [Args.Argument] = []
    if let cause { args.append(.init("cause", cause)) }
    if let text { args.append(.init("exception_text", .string(text))) }
    event.args = Args(named: args)
    if let blame {
      event.snapshot = .other(.object(["task": .object(["blame": blame.value])]))
    }
    return event
  }

  /// The blamed task of each failed task, by its key.
  private func blamed() throws -> [String: String?] {
    try log.close()
    let reader = try LogReader(path: log.path)
    let failures = try reader.failures(of: reader.latest())
    var found: [String: String?] = [:]
    var causes: [Int64: String] = [:]
    try failures.forEachError {
      found[$0.key] = $0.key
      causes[$0.seq] = $0.key
    }
    try failures.forEachAffected { task in
      if let cause = task.causeSeq { #expect(causes[cause] == task.blamed) }
      found.updateValue(task.blamed, forKey: task.key)
    }
    for row in try query("SELECT key, cause_key FROM failures", log.path).rows {
      guard case .text(let key) = row[0] else { continue }
      let name: String? = if case .text(let name) = row[1] { name } else { nil }
      #expect(found[key] == .some(name), "\(key)")
    }
    return found
  }

  @Test func `a task submitted after the failure blames it, by the graph`() throws {
    try log.append([
      graph([("root", [])]), failure("root", .processing, stimulus: "s-1", text: "boom"),
      graph([("child", ["root"])]), failure("child", stimulus: "s-2"),
      graph([(Key("grand", 1), ["child"])]), failure(Key("grand", 1), stimulus: "s-3"),
    ])
    #expect(try blamed() == ["root": "root", "child": "root", "('grand', 1)": "root"])
  }

  @Test func `failures at one worker are distinguished by the graph`() throws {
    let names = ["a", "b", "c"]
    try log.append(
      [graph(names.map { (Key("uses-" + $0), [Key("die-" + $0)]) })]
        + names.map {
          failure(Key("die-" + $0), .processing, stimulus: "s", cause: .string("die-" + $0))
        } + names.map { failure(Key("uses-" + $0), .waiting, stimulus: "s") })
    let found = try blamed()
    for name in names { #expect(found["uses-" + name] == .some("die-" + name)) }
  }

  @Test func `a dependency that is in memory by now is not blamed`() throws {
    try log.append([
      graph([("both", ["first", "retried"])]),
      failure("first", .processing, stimulus: "s-1", text: "boom"),
      failure("retried", .processing, stimulus: "s-2", text: "once"),
      .transition("retried", .erred, .released, stimulus: "s-3"),
      .transition("retried", .processing, .memory, stimulus: "s-4"),
      failure("both", stimulus: "s-5"),
    ])
    #expect(try blamed()["both"] == .some("first"))
  }

  @Test func `the scheduler's blame takes precedence over the graph`() throws {
    try log.append([
      graph([("both", ["one", "two"])]),
      failure("one", .processing, stimulus: "s-1", text: "boom"),
      failure("two", .processing, stimulus: "s-2", text: "bang"),
      failure("both", stimulus: "s-3", blame: "one"),
      // A task may be at a worker when an actor that it depends on is lost.
      failure("lost", .processing, stimulus: "s-4", blame: "two"),
      // A key that this log does not contain, and a value that was not kept.
      failure("stray", stimulus: "s-5", blame: Key("no", 1)),
      failure("hidden", stimulus: "s-2", cause: .opaque("redacted")),
    ])
    #expect(
      try blamed() == [
        "one": "one", "two": "two", "both": "one", "lost": "two", "hidden": "two",
        "stray": #"{"$tuple":["no",1]}"#,
      ])
  }

  @Test func `without a graph only one failure of a stimulus is blamed`() throws {
    try log.append([
      failure("one", .processing, stimulus: "s", text: "boom"), failure("with one", stimulus: "s"),
      failure("two", .processing, stimulus: "s", text: "bang"), failure("with some", stimulus: "s"),
    ])
    let found = try blamed()
    #expect(found["with one"] == .some("one"))
    #expect(found["with some"] == .some(nil))
  }

  @Test func `a long chain of failures is blamed on its first failure`() throws {
    let keys = (0..<20_000).map { Key("link-\($0)") }
    try log.append(
      [graph(zip(keys.dropFirst(), keys).map { ($0, [$1]) })]
        + keys.enumerated().map { place, key in
          failure(
            key, place == 0 ? .processing : .waiting, stimulus: "s-\(place % 7)",
            text: place == 0 ? "boom" : nil)
        })
    let found = try blamed()
    #expect(found.count == 20_000)
    #expect(found.values.allSatisfy { $0 == "link-0" })
    #expect(
      try query("SELECT key, dependents FROM errors", log.path).rows == [
        [.text("link-0"), .integer(19_999)]
      ])
  }

  @Test func `a failure recorded without its text has the text known from the log`() throws {
    func event(_ key: Key, _ start: State, worker: String?, exception: Value?) -> Event {
      var event = Event.transition(key, start, .erred, stimulus: "s")
      var args: [Args.Argument] = []
      if let exception { args.append(.init("exception", exception)) }
      if let worker { args.append(.init("worker", .string(worker))) }
      args.append(.init("cause", key.value))
      event.args = Args(named: args)
      return event
    }
    let pickle = Value.bytes([128, 4])
    try log.append([
      event("killed", .processing, worker: "tcp://w:1", exception: pickle),
      event("nowhere", .noWorker, worker: nil, exception: pickle),
      event("big", .waiting, worker: "tcp://w:1", exception: pickle),
      .transition("actor", .memory, .erred, stimulus: "s"),
      event(
        "told", .processing, worker: nil, exception: .object(["description": "KilledWorker: told"])),
    ])
    try log.close()
    let reader = try LogReader(path: log.path)
    let failures = try reader.failures(of: reader.latest())
    var texts: [String: String] = [:]
    try failures.forEachError { if case .text(let text) = $0.exception { texts[$0.key] = text } }
    #expect(
      texts == [
        "killed": "KilledWorker: the workers that ran it died; the last of them was tcp://w:1",
        "nowhere": "NoWorkerError: no worker that may run it was there in time",
        "big": "MemoryError: its inputs are larger than the memory of tcp://w:1",
        "actor": "the worker that held this actor was lost", "told": "KilledWorker: told",
      ])
    #expect(try failures.textsBesideArgs().count == 5)
  }

  @Test func `failures at workers exclude those that the scheduler knows`() throws {
    let worker = try log.addWorker(1)
    func failed(_ key: Key, _ start: State, _ stimulus: String, state: String? = nil) -> Event {
      var event = Event.transition(key, start, .error, stimulus: stimulus)
      var facts: [Value.Entry] = [.init("exceptionText", "boom")]
      if let state { facts.append(.init("state", .string(state))) }
      event.snapshot = .other(.object(["task": .dict(facts)]))
      return event
    }
    try log.append([
      (worker, failed("known", .executing, "s-1")),
      (log.scheduler, failure("known", .processing, stimulus: "s-1", text: "boom")),
      (worker, failed("retried", .executing, "s-2")),
      (log.scheduler, .transition("retried", .processing, .waiting, stimulus: "s-2")),
      (worker, failed("cancelled", .cancelled, "s-3", state: "released")),
      (worker, failed("fetched", .flight, "s-4")),
    ])
    try log.close()
    let reader = try LogReader(path: log.path)
    var keys: [String] = []
    try reader.failures(of: reader.latest()).forEachAtWorkers { keys.append($0.key) }
    #expect(keys == ["fetched"])
  }
}
