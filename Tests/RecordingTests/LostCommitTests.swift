import EventLog
import Foundation
import LogFormat
import LogMaintenance
import TaskLogKit
import Testing

@testable import Recording

/// Logs that have less than their recorder had committed to them: copies without the write-ahead log.
@Suite struct LostCommitTests {
  private static let early: Int64 = 100
  private static let late: Int64 = 900

  /// A live recorder whose first events are in the file, and the others in its write-ahead log.
  private func recording() throws -> (log: TemporaryLog, recorder: Recorder) {
    let log = try TemporaryLog()
    var options = Recorder.Options()
    // The spool keeps what is not synced.
    options.syncSeconds = 1e6
    let recorder = try Recorder(log: log.path, options: options)
    let channel = recorder.channel(for: Source(kind: .scheduler, id: "s", address: "a"))
    for (first, count) in [(1, Self.early), (Self.early + 1, Self.late)] {
      for number in first..<first + count {
        channel.record(Event(.logEvent, time: number, stimulusID: "s-\(number)"))
      }
      try #require(recorder.flush(timeoutSeconds: 60))
      if first == 1 {
        try Connection(path: log.path, mode: .readWrite).execute("PRAGMA wal_checkpoint(FULL)")
      }
    }
    return (log, recorder)
  }

  enum WAL: CaseIterable {
    case gone, cut, garbage
  }

  /// A copy as one makes it with `cp`.
  private func copy(_ log: TemporaryLog, _ wal: WAL, isSpoolZeroed: Bool) throws -> String {
    let manager = FileManager.default
    let path = log.folder.appendingPathComponent("copy.db").path
    try manager.copyItem(atPath: log.path, toPath: path)
    try manager.copyItem(atPath: log.path + ".spool", toPath: path + ".spool")
    let content = try Data(contentsOf: URL(fileURLWithPath: log.path + "-wal"))
    let target = URL(fileURLWithPath: path + "-wal")
    switch wal {
    case .gone: break
    // Within its first page.
    case .cut: try content.prefix(5_000).write(to: target)
    case .garbage: try Data(repeating: 0xA5, count: content.count).write(to: target)
    }
    if isSpoolZeroed { try zeroSpool(of: path) }
    return path
  }

  /// All segments, but not what the sources had come to.
  private func zeroSpool(of path: String) throws {
    let manager = FileManager.default
    for run in try manager.contentsOfDirectory(atPath: path + ".spool") {
      let folder = "\(path).spool/\(run)/"
      for name in try manager.contentsOfDirectory(atPath: folder) where UInt32(name) != nil {
        let size = try Data(contentsOf: URL(fileURLWithPath: folder + name)).count
        try Data(count: size).write(to: URL(fileURLWithPath: folder + name))
      }
    }
  }

  @Test(arguments: WAL.allCases, [false, true])
  func `a copy without the write-ahead log says what it lacks, before and after its recovery`(
    wal: WAL, isSpoolZeroed: Bool
  ) throws {
    let (log, recorder) = try recording()
    defer { recorder.close() }
    let path = try copy(log, wal, isSpoolZeroed: isSpoolZeroed)
    let total = Self.early + Self.late
    let there = try LogReader(path: path).lastSeq()
    #expect(there < total)
    let before = try LogCheck(path: path).run()
    let found = try #require(before.findings.first { $0.kind == .lostCommits })
    #expect(found.count == total - there && found.severity == .error)
    #expect(before.hasErrors)

    let recovered = try Recovery.recover(log: path)
    let (events, missing) = isSpoolZeroed ? (0, total - there) : (total - there, 0)
    #expect(recovered.map(\.events) == [events] && recovered.map(\.missing) == [missing])
    let after = try LogCheck(path: path).run()
    #expect(!after.findings.contains { $0.kind == .lostCommits })
    let gaps = after.findings.filter { $0.kind == .knownGap }.map(\.count)
    #expect(gaps == (missing > 0 ? [missing] : []))
    #expect(!after.hasErrors)
  }

  @Test func `events of another run that are lost with a write-ahead log are a hole`() throws {
    let (log, recorder) = try recording()
    defer { recorder.close() }
    let manager = FileManager.default
    let path = log.folder.appendingPathComponent("copy.db").path
    try manager.copyItem(atPath: log.path, toPath: path)
    let other = try Recorder(log: log.path)
    let channel = other.channel(for: Source(kind: .scheduler, id: "t", address: "b"))
    for number in 1...50 as ClosedRange<Int64> { channel.record(Event(.logEvent, time: number)) }
    other.close()
    recorder.channel(for: Source(kind: .worker, id: "w", address: "c"))
      .record(Event(.logEvent, time: 1))
    try #require(recorder.flush(timeoutSeconds: 60))
    try manager.copyItem(atPath: log.path + ".spool", toPath: path + ".spool")
    try zeroSpool(of: path)
    _ = try Recovery.recover(log: path)
    let findings = try LogCheck(path: path).run().findings
    #expect(findings.first { $0.kind == .holeInSeq }?.count == 50, "\(findings)")
  }

  @Test func `a log that is whole lacks nothing, while it is recorded and after a kill`() throws {
    let (log, recorder) = try recording()
    #expect(
      try !LogCheck(path: log.path).run().findings.contains { $0.severity == .error })
    let manager = FileManager.default
    let path = log.folder.appendingPathComponent("copy.db").path
    for suffix in ["", "-wal", ".spool"] {
      try manager.copyItem(atPath: log.path + suffix, toPath: path + suffix)
    }
    #expect(try !LogCheck(path: path).run().hasErrors)
    recorder.close()
    #expect(try LogCheck(path: log.path).run().findings.isEmpty)
  }
}
