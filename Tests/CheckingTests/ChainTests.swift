import EventLog
import LogFormat
import LogMaintenance
import TaskLogPlugin
import TestSupport
import Testing

/// Whether a check finds that the transitions of a task follow one another.
@Suite struct ChainTests {
  typealias Step = (key: Key, start: State, finish: State)

  /// How often a check finds that a task did not leave the state it was in.
  private func breaks(_ steps: [Step]) throws -> Int64 {
    let folder = try TemporaryFolder()
    let path = folder("test.db")
    let writer = try LogWriter(path: path)
    try writer.transaction {
      let run = try writer.add(
        RunHeader(
          id: RunID.make(), engine: "dask", engineVersion: "2026.8.0", recorderVersion: "1",
          mode: "full", started: 1_000))
      let source = try writer.add(
        Source(kind: .scheduler, id: "Scheduler-1", address: "inproc://1"), run: run)
      for (place, step) in steps.enumerated() {
        try writer.append(
          Event(
            .transition, time: Int64(2_000 + place), key: step.key, start: step.start,
            finish: step.finish, stimulusID: "s"),
          source: source, sourceSeq: Int64(place + 1))
      }
      try writer.end(run: run, .closed, at: 5_000)
    }
    writer.close()
    return try LogCheck(path: path).run().findings
      .filter { $0.kind == .brokenChain || $0.kind == .impossibleTransition }
      .reduce(0) { $0 + $1.count }
  }

  @Test(arguments: [State.waiting, .queued, .noWorker])
  func `a transition of Dask nested in another one is not a fault`(_ start: State) throws {
    var steps: [Step] = [("a", .released, .waiting)]
    if start != .waiting { steps.append(("a", .waiting, start)) }
    steps += [
      ("a", .processing, .erred), ("b", .released, .waiting), ("a", start, .erred),
      ("a", .erred, .released),
    ]
    #expect(try breaks(steps) == 0)
    // The earlier state of the task is not known.
    #expect(try breaks([("a", .processing, .erred), ("a", start, .erred)]) == 0)
  }

  @Test func `a failure of a task that was not sent to a worker is a fault`() throws {
    let sent: [Step] = [("a", .released, .waiting), ("a", .processing, .erred)]
    // The outer transition is missing, starts in another state, or came before.
    #expect(try breaks(sent + [("a", .erred, .released)]) == 1)
    #expect(try breaks(sent + [("b", .released, .waiting)]) == 1)
    #expect(try breaks(sent + [("a", .queued, .erred)]) == 2)
    #expect(try breaks(sent + [("a", .waiting, .erred), ("a", .waiting, .erred)]) == 1)
    #expect(try breaks([("a", .released, .waiting), ("a", .processing, .memory)]) == 1)
    // A log may end between the two.
    #expect(try breaks(sent) == 0)
  }
}
