import EventLog
import TestSupport
import Testing

@testable import Reporting
@testable import TaskLogPlugin

/// The dependencies that a page shows.
@Suite struct PageGraphTests {
  private static let tasks = #"[{"key":"a"},{"key":"b","dependencies":["a"]}]"#

  @Test(
    arguments: [
      (Hook.updateGraph, Key?.none, #"{"graph":\#(tasks)}"#),
      (.attach, nil, #"{"attach":{"workers":[],"tasks":\#(tasks)}}"#),
      (.stimulus, "b", #"{"graph":[{"key":"b","dependencies":["a"]}]}"#),
    ])
  func `a page has each dependency, however it reached the scheduler`(
    hook: Hook, key: Key?, snapshot: String
  ) throws {
    let folder = try TemporaryFolder()
    let writer = try LogWriter(path: folder("log.db"))
    try writer.transaction {
      let run = try writer.add(
        RunHeader(
          id: "run-1", engine: "dask", engineVersion: "1", recorderVersion: "2", mode: "full",
          started: 1, metadata: .object([:])))
      let scheduler = try writer.add(
        Source(kind: .scheduler, id: "Scheduler-1", address: "tcp://s:1", name: .null), run: run)
      let events = [
        Event(hook, time: 1, key: key, snapshot: .encoded(EncodedJSON(snapshot))),
        Event(.transition, time: 2, key: "a", start: .released, finish: .waiting),
        Event(.transition, time: 3, key: "b", start: .released, finish: .waiting),
      ]
      for (index, event) in events.enumerated() {
        try writer.append(event, source: scheduler, sourceSeq: Int64(index + 1))
      }
    }
    writer.close()
    let reader = try LogReader(path: folder("log.db"))
    let runs = try reader.runs()
    var scan = try PageScan(reader, runs)
    try scan.scan(runs[0]) { _ in }
    #expect(scan.tasks.slots.count == 2)
    try #require(scan.tasks.edges.tasks.count == 1)
    func name(_ task: Int32) throws -> String? { try reader.key(scan.tasks[Int(task)].key)?.text }
    #expect(try name(scan.tasks.edges.tasks[0]) == "b")
    #expect(try name(scan.tasks.edges.needs[0]) == "a")
  }
}
