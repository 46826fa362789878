import EventLog
import LogFormat
import LogMaintenance
import Querying
import TaskLogPlugin
import TestSupport
import Testing

/// Queries of events without the command line: rows, counts, cursors, and following.
@Suite struct EventQueryTests {
  private static let first = "01942f00-0000-7000-8000-000000000001"
  private static let second = "01942f01-0000-7000-8000-000000000002"

  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// A log that is written while it is queried.
  private final class GrowingLog {
    private let writer: LogWriter
    private let run: Int64
    private let source: Int64
    private var lock: RecorderLock?
    private var count: Int64 = 0

    init(_ path: String, _ id: String, isLive: Bool = false) throws {
      let writer = try LogWriter(path: path)
      self.writer = writer
      (run, source) = try writer.transaction {
        let run = try writer.add(
          RunHeader(
            id: id, engine: "tasklog", engineVersion: "0", recorderVersion: "0", mode: "full",
            started: 1))
        return (
          run, try writer.add(Source(kind: .scheduler, id: "s", address: "tcp://s:1"), run: run)
        )
      }
      if isLive { lock = try RecorderLock(log: path, run: id) }
    }

    func record(_ keys: [String], finish: State = .waiting) throws {
      try writer.transaction {
        for key in keys {
          count += 1
          try writer.append(
            Event(
              .transition, time: count, key: Key(key), start: .released, finish: finish),
            source: source, sourceSeq: count)
        }
      }
    }

    func close() throws {
      try writer.transaction { try writer.end(run: run, .closed, at: count) }
      writer.close()
      lock = nil
    }
  }

  private func record(_ name: String, _ id: String, _ keys: [String]) throws {
    let log = try GrowingLog(folder(name), id)
    try log.record(keys)
    try log.close()
  }

  private func logs(
    _ names: [String], _ selector: String = "latest", _ mode: LogSet.Mode = .files
  ) throws -> LogSet {
    try LogSet.resolve(names.map { folder($0) }, runs: selector, mode: mode)
  }

  /// The lines of CSV after the heading.
  private func lines(_ query: EventQuery) throws -> [String] {
    let output = Output()
    var writer = RowFormat.csv.writer(to: output.write, terminal: nil)
    try query.write(to: &writer)
    return output.lines
  }

  private func keys(_ change: (inout EventQuery.Options) -> Void = { _ in }) -> EventQuery.Options {
    var options = EventQuery.Options()
    options.columns = [EventColumn("key")].compactMap(\.self)
    change(&options)
    return options
  }

  @Test func `events are rows, limited, and reversed`() throws {
    try record("a.db", Self.first, ["a", "b", "c"])
    let logs = try logs(["a.db"])
    func lines(_ change: (inout EventQuery.Options) -> Void) throws -> [String] {
      try self.lines(EventQuery(logs, filter: EventFilter(), options: keys(change)))
    }
    #expect(try lines { _ in } == ["key", "a", "b", "c"])
    #expect(try lines { $0.limit = 2 } == ["key", "a", "b"])
    #expect(try lines { ($0.limit, $0.isReversed) = (2, true) } == ["key", "c", "b"])
    var filter = EventFilter()
    filter.keys = ["b"]
    #expect(try self.lines(EventQuery(logs, filter: filter, options: keys())) == ["key", "b"])
  }

  @Test func `by default a query of one run has the columns of the command`() throws {
    try record("a.db", Self.first, ["a"])
    let all = try lines(EventQuery(logs(["a.db"]), filter: EventFilter()))
    #expect(all[0] == "seq,time,run,source,worker,hook,key,start,finish,stimulus,args")
  }

  @Test func `of several logs each row has the name of its log`() throws {
    try record("a.db", Self.first, ["a", "b"])
    try record("b.db", Self.second, ["c"])
    let query = try EventQuery(logs(["a.db", "b.db"]), filter: EventFilter(), options: keys())
    #expect(
      try lines(query)
        == ["log,key", "\(folder("a.db")),a", "\(folder("b.db")),c", "\(folder("a.db")),b"])
  }

  @Test func `events are counted, also by columns, over all logs`() throws {
    try record("a.db", Self.first, ["a", "b"])
    try record("b.db", Self.second, ["c", "b"])
    let logs = try logs(["a.db", "b.db"])
    let count = try EventQuery(logs, filter: EventFilter(), options: keys { $0.result = .count })
    #expect(try lines(count) == ["count", "4"])
    let groups = try EventQuery(
      logs, filter: EventFilter(),
      options: keys {
        $0.result = .groups([EventColumn("key")].compactMap(\.self))
        $0.limit = 2
      })
    #expect(try lines(groups) == ["key,count", "b,2", "a,1"])
  }

  @Test func `a query resumes after its cursor`() throws {
    try record("a.db", Self.first, ["a", "b", "c"])
    try record("b.db", Self.second, ["d", "e"])
    for names in [["a.db"], ["a.db", "b.db"]] {
      let logs = try logs(names)
      let all = try lines(EventQuery(logs, filter: EventFilter(), options: keys())).dropFirst()
      var seen: [String] = []
      var cursor: String?
      while seen.count < all.count {
        let query = try EventQuery(
          logs, filter: EventFilter(),
          options: keys { ($0.limit, $0.afterCursor) = (2, cursor) })
        let rows = try lines(query).dropFirst()
        try #require(!rows.isEmpty, "\(names) after \(cursor ?? "nothing")")
        seen += rows
        cursor = try query.cursor()
      }
      #expect(seen == Array(all))
    }
  }

  @Test func `segments of a run have one cursor`() throws {
    try folder.makeFolder("logs")
    try record("logs/\(Self.first).db", Self.first, ["a", "b"])
    let template = try logs(["logs/{run}.db"])
    let query = try EventQuery(template, filter: EventFilter(), options: keys { $0.limit = 1 })
    #expect(try lines(query) == ["key", "a"])
    let cursor = try query.cursor()
    #expect(!cursor.contains(" "))
    let rest = try EventQuery(
      template, filter: EventFilter(), options: keys { $0.afterCursor = cursor })
    #expect(try lines(rest) == ["key", "b"])
  }

  @Test func `a cursor of another log, or too few of them, is an error`() throws {
    try record("a.db", Self.first, ["a"])
    try record("b.db", Self.second, ["b"])
    func error(_ names: [String], _ cursor: String) throws -> EventQueryError? {
      let logs = try logs(names)
      return #expect(throws: EventQueryError.self) {
        try EventQuery(
          logs, filter: EventFilter(), options: keys { $0.afterCursor = cursor })
      }
    }
    #expect(try error(["a.db"], "x/s/1") == .unknownCursor("x/s/1", log: folder("a.db")))
    #expect(try error(["a.db", "b.db"], "-") == .cursorCount(1, logs: 2))
    #expect(try error(["a.db"], "- -")?.description.hasSuffix("but got 2 for 1 log") == true)
  }

  @Test func `a live run is followed to its end`() throws {
    let log = try GrowingLog(folder("live.db"), Self.first, isLive: true)
    try log.record(["a", "b", "c"])
    let query = try EventQuery(
      logs(["live.db"]), filter: EventFilter(),
      options: keys { ($0.follows, $0.limit) = (true, 2) })
    let output = Output()
    var writer = RowFormat.csv.writer(to: output.write, terminal: nil)
    var batches = 0
    // Every batch is answered with new events, until the run ends.
    try query.write(to: &writer) {
      batches += 1
      #expect(throws: Never.self) {
        if batches < 4 { try log.record(["new-\(batches)"]) } else { try log.close() }
      }
    }
    #expect(output.lines == ["key", "b", "c", "new-1", "new-2", "new-3"])
    #expect(batches == 5)
    #expect(try query.cursor().hasSuffix("/6"))
  }

  @Test func `a followed run continues in its next segment`() throws {
    try folder.makeFolder("logs")
    let log = try GrowingLog(folder("logs/\(Self.first).db"), Self.first, isLive: true)
    try log.record(["a"])
    let query = try EventQuery(
      logs(["logs/{run}.db"]), filter: EventFilter(), options: keys { $0.follows = true })
    let output = Output()
    var writer = RowFormat.csv.writer(to: output.write, terminal: nil)
    var batches = 0
    try query.write(to: &writer) {
      batches += 1
      guard batches == 1 else { return }
      #expect(throws: Never.self) {
        try record("logs/\(Self.first).2.db", Self.first, ["b", "c"])
        try log.close()
      }
    }
    #expect(output.lines == ["key", "a", "b", "c"])
  }
}
