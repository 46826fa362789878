import Testing

@testable import EventLog
@testable import LogFormat
@testable import TaskLogPlugin

@Suite struct RunTests {
  private let folder: TemporaryFolder
  private let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder("log.db")
  }

  @Test func `closed, died and running are three different ends`() throws {
    try LogUnderTest(path, id: "closed-1").close(at: 44)
    let died = try LogUnderTest(path, id: "died-1")
    let worker = try died.addWorker(1)
    try died.append([
      (died.scheduler, Event(.start, time: 10)), (worker, Event(.setup, time: 30)),
      (died.scheduler, Event(.logEvent, time: 20)),
    ])
    _ = try LogUnderTest(path, id: "died-2", started: 5)
    _ = try LogUnderTest(path, id: "running-1")
    try withExtendedLifetime(RecorderLock(log: path, run: "running-1")) {
      let reader = try LogReader(path: path)
      #expect(try reader.runs().map(\.end) == [.closed, .died, .died, .running])
      #expect(try reader.runs().map(\.ended) == [44, 30, 5, nil])

      // The next recorder records it; nothing else changes.
      let writer = try LogWriter(path: path)
      let dead = try writer.openRuns().filter { !RecorderLock.isHeld(log: path, run: $0.id) }
      try writer.transaction { for run in dead { try writer.endAsDied(run: run.number) } }
      #expect(
        try sql("SELECT end, ended FROM run ORDER BY id", on: path) == [
          ["closed", 44], ["died", 30], ["died", 5], [nil, nil],
        ])
      #expect(try reader.runs().map(\.end) == [.closed, .died, .died, .running])
      #expect(try reader.runs().map(\.ended) == [44, 30, 5, nil])
    }
    #expect(try LogReader(path: path).latest().end == .died)
  }

  @Test func `a lock is held as long as its owner lives, and no file remains`() throws {
    #expect(!RecorderLock.isHeld(log: path, run: "a"))
    var locks = [try RecorderLock(log: path, run: "a"), try RecorderLock(log: path, run: "b")]
    #expect(RecorderLock.isHeld(log: path, run: "a"))
    #expect(RecorderLock.isHeld(log: path, run: "b"))
    #expect(try Files.mode(path + ".spool") == 0o700)
    #expect(try Files.mode(path + ".spool/a/lock") == 0o600)
    locks.removeLast()
    #expect(RecorderLock.isHeld(log: path, run: "a"))
    #expect(!RecorderLock.isHeld(log: path, run: "b"))
    locks.removeLast()
    #expect(folder.names.isEmpty)
  }

  @Test func `a run id from a stranger's log cannot point elsewhere`() throws {
    let outside = folder("outside")
    let lock = try RecorderLock(log: outside, run: "a")
    let ids = ["../outside.spool/a", "..", ".", "", "/", "a/../../outside.spool/a", "\u{e9}"]
    for id in ids { _ = try LogUnderTest(path, id: id) }
    withExtendedLifetime(lock) {
      for id in ids { #expect(!RecorderLock.isHeld(log: path, run: id)) }
    }
    try Files.write([], to: folder("outside.spool/kept"))
    #expect(Files.exists(outside + ".spool/a/lock"))
    for id in ids { #expect(RecorderLock(takingOver: id, log: path) == nil) }
    for id in ids { #expect(RecorderLock.folder(log: path, run: id) == nil) }
    for id in ids { #expect(throws: LogError.self) { try RecorderLock(log: path, run: id) } }
  }

  @Test func `a run is selected by latest, all, its number or the beginning of its id`() throws {
    for id in ["0198-aa", "0198-ab", "0199-aa"] { _ = try LogUnderTest(path, id: id) }
    let reader = try LogReader(path: path)
    func found(_ selector: String) throws -> [String] {
      try reader.runs(matching: selector).map(\.id)
    }
    #expect(try found("latest") == ["0199-aa"])
    #expect(try found("all") == ["0198-aa", "0198-ab", "0199-aa"])
    #expect(try found("#2") == ["0198-ab"])
    #expect(try found("2") == ["0198-ab"])
    #expect(try found("0199") == ["0199-aa"])
    #expect(try found("0198-aa") == ["0198-aa"])
    for selector in ["", "#", "#0", "#4", "# 2", "4", "02", "0197", "0198-aaa"] {
      let error = #expect(throws: LogError.self) { try found(selector) }
      guard case .unknownRun? = error else {
        Issue.record("\(selector): \(String(describing: error))")
        continue
      }
    }
    let error = #expect(throws: LogError.self) { try found("0198") }
    guard case .ambiguousRun(_, "0198", 2)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test func `a log without runs is reported`() throws {
    _ = try LogWriter(path: path)
    let reader = try LogReader(path: path)
    #expect(try reader.runs().isEmpty)
    for selector in ["latest", "all", "#1", "x"] {
      let error = #expect(throws: LogError.self) { try reader.runs(matching: selector) }
      guard case .noRuns? = error else {
        Issue.record("\(selector): \(String(describing: error))")
        continue
      }
    }
  }

  @Test func `totals are those of one run`() throws {
    for count in 1...3 as ClosedRange<Int64> {
      let log = try LogUnderTest(path)
      let worker = try log.addWorker(1)
      for number in 0..<count {
        try log.append([
          (log.scheduler, .transition(Key("k-\(number)"), .released, .waiting)),
          (worker, .transition(Key("k-\(number)"), .released, .fetch)),
        ])
      }
      try log.writer.transaction {
        try log.writer.addGap(
          source: worker, sourceSeq: 100, count: count, time: 0, reason: "disk full")
      }
    }
    let reader = try LogReader(path: path)
    for (run, count) in zip(try reader.runs(), 1...3 as ClosedRange<Int64>) {
      let totals = try reader.totals(of: run)
      #expect(totals.events == 2 * count && totals.tasks == count)
      #expect(totals.workers == 1 && totals.missing == count)
    }
  }
}
