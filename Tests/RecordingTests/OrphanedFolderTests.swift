import EventLog
import Foundation
import LogFormat
import LogMaintenance
import TaskLogKit
import Testing

@testable import Recording

/// Folders that recorders killed at certain moments left next to a log are removed, and nothing
/// else is.
@Suite struct OrphanedFolderTests {
  private static let unknown = "01942f00-0000-7000-8000-00000000000f"

  /// A log with a closed run.
  private func closedLog() throws -> (log: TemporaryLog, run: String) {
    let log = try TemporaryLog()
    let recorder = try Recorder(log: log.path)
    recorder.channel(for: Source(kind: .scheduler, id: "s", address: "a")).record(
      Event(.start, time: 1))
    recorder.close()
    return (log, recorder.runID)
  }

  private func make(_ log: TemporaryLog, _ run: String, _ files: [String]) throws -> String {
    let folder = "\(log.path).spool/\(run)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for name in files {
      try Data([1]).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
    }
    return folder
  }

  /// The moments between the end of a run and the removal of its last file, and before its
  /// beginning.
  private static let states: [(isKnown: Bool, files: [String])] = [
    (true, ["lock", "control", "1", "2", "spare.1", "closed"]), (true, ["lock", "control"]),
    (true, ["lock"]), (true, ["control", "1"]), (true, []), (false, ["lock"]), (false, []),
  ]

  @Test(arguments: states.indices, ["recover", "recorder", "reader"])
  func `a folder without events is removed`(state: Int, by who: String) throws {
    let (log, run) = try closedLog()
    let (isKnown, files) = Self.states[state]
    let folder = try make(log, isKnown ? run : Self.unknown, files)
    #expect(try LogCheck(path: log.path).run().findings.map(\.kind) == [.emptySpool])
    #expect(access(folder, F_OK) == 0)
    switch who {
    case "recover": try Recovery.recover(log: log.path)
    case "recorder": try Recorder(log: log.path).close()
    default: #expect(try Recovery.orphans(log: log.path).isEmpty)
    }
    #expect(try log.names == ["test.db"])
    #expect(try LogReader(path: log.path).runs().allSatisfy { $0.end == .closed })
    #expect(try LogCheck(path: log.path).run().findings.isEmpty)
  }

  @Test func `a folder that may contain events stays`() throws {
    let (log, _) = try closedLog()
    let folder = try make(log, Self.unknown, ["lock", "control", "1"])
    try Recovery.recover(log: log.path)
    #expect(try FolderListing.names(folder) == ["1", "control", "lock"])
    #expect(try LogCheck(path: log.path).run().findings.map(\.kind) == [.strangeSpool])
  }

  @Test func `an unreadable folder may contain events, and check reports it`() throws {
    let (log, _) = try closedLog()
    // A link that points to itself.
    let folder = "\(log.path).spool"
    #expect(symlink("test.db.spool", folder) == 0)
    #expect(SpoolFolder.hasRecords(folder))
    #expect(throws: FolderListing.Failure.self) { try SpoolFolder(folder) }
    #expect(try LogCheck(path: log.path).run().findings.map(\.kind) == [.strangeSpool])
    #expect(try !LogRemoval.remove(log.path))
    #expect(access(log.path, F_OK) == 0)
    unlink(folder)
    #expect(try LogRemoval.remove(log.path))
    #expect(access(log.path, F_OK) != 0)
  }

  @Test func `the folder of a live recorder stays`() throws {
    let (log, run) = try closedLog()
    for name in [run, Self.unknown] {
      let lock = try RecorderLock(log: log.path, run: name)
      #expect(try Recovery.orphans(log: log.path).isEmpty)
      try Recovery.recover(log: log.path)
      #expect(RecorderLock.isHeld(log: log.path, run: name))
      withExtendedLifetime(lock) {}
    }
  }

  @Test func `recorders that start while others clean up keep their locks`() throws {
    let (log, _) = try closedLog()
    let isDone = Flag()
    let cleaner = Thread {
      while !isDone.isSet { _ = try? Recovery.orphans(log: log.path) }
      isDone.finish()
    }
    cleaner.start()
    for _ in 0..<300 {
      let run = RunID.make()
      let lock = try RecorderLock(log: log.path, run: run)
      #expect(RecorderLock.isHeld(log: log.path, run: run))
      withExtendedLifetime(lock) {}
    }
    isDone.set()
    isDone.waitUntilFinished()
  }

  private final class Flag: @unchecked Sendable {
    private let condition = NSCondition()
    private var (set_, finished) = (false, false)
    var isSet: Bool { condition.withLock { set_ } }
    func set() { condition.withLock { set_ = true } }
    func finish() {
      condition.withLock {
        finished = true
        condition.broadcast()
      }
    }
    func waitUntilFinished() {
      condition.withLock { while !finished { condition.wait() } }
    }
  }

  @Test func `a circular link left by a killed recorder is removed`() throws {
    let (log, run) = try closedLog()
    mkdir(log.path + ".spool", 0o700)
    let link = "\(log.path).spool/\(run)"
    #expect(symlink("../test.db.spool/\(run)", link) == 0)
    // A live recorder may be about to create it anew.
    try Recovery.recover(log: log.path)
    var status = stat()
    #expect(lstat(link, &status) == 0)
    OrphanedFolders.remove(
      log: log.path, runs: try LogReader(path: log.path).runs(), now: time(nil) + 60)
    #expect(lstat(link, &status) != 0)
    #expect(try log.names == ["test.db"])
  }
}
