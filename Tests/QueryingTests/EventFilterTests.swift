import EventLog
import LogFormat
import Querying
import TaskLogPlugin
import TestSupport
import Testing

/// Filters on names that look like patterns.
@Suite struct EventFilterTests {
  private static let address = "tcp://[::1]:4000"

  /// The keys of the transitions that match a filter.
  private func keys(_ change: (inout EventFilter) -> Void) throws -> [String] {
    let folder = try TemporaryFolder()
    let path = folder("test.db")
    let writer = try LogWriter(path: path)
    try writer.transaction {
      let run = try writer.add(
        RunHeader(
          id: RunID.make(), engine: "dask", engineVersion: "0", recorderVersion: "0",
          mode: "hooks", started: 1))
      let scheduler = try writer.add(
        Source(kind: .scheduler, id: "s", address: "tcp://[::1]:1"), run: run)
      let worker = try writer.add(
        Source(kind: .worker, id: "w", address: Self.address, name: .string("bob")), run: run)
      func add(_ key: Key, _ source: Int64, _ number: Int64, worker: String? = nil) throws {
        try writer.append(
          Event(
            .transition, time: 1_000, key: key, start: .waiting, finish: .processing,
            worker: worker),
          source: source, sourceSeq: number)
      }
      try add("x[1]", scheduler, 1, worker: Self.address)
      try add("x1", scheduler, 2)
      try add("y*", worker, 1)
      try add("yz", worker, 2)
    }
    var filter = EventFilter()
    change(&filter)
    var found: [String] = []
    let rows = try LogReader(path: path).rows(
      matching: filter, columns: [try #require(EventColumn("key"))])
    while let row = try rows.next() {
      if case .text(let key) = row[0] { found.append(key) }
    }
    return found
  }

  @Test func `a worker is found by its address, with or without brackets`() throws {
    #expect(try keys { $0.workers = [Self.address] } == ["x[1]", "y*", "yz"])
    #expect(try keys { $0.workers = ["tcp://*:4000"] } == ["x[1]", "y*", "yz"])
    #expect(try keys { $0.workers = ["tcp://[::1]:1"] } == [])
  }

  @Test func `a worker is found by its name`() throws {
    #expect(try keys { $0.workers = ["bob"] } == ["x[1]", "y*", "yz"])
    #expect(try keys { $0.workers = ["bo*"] } == [])
  }

  @Test func `a key that looks like a pattern finds itself and the pattern's matches`() throws {
    #expect(try keys { $0.keys = ["x[1]"] } == ["x[1]", "x1"])
    #expect(try keys { $0.keys = ["y*"] } == ["y*", "yz"])
    #expect(try keys { $0.keys = ["x1"] } == ["x1"])
  }
}
