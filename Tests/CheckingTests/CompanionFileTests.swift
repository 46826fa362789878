import Foundation
import LogFormat
import LogMaintenance
import TaskLogKit
import TestSupport
import Testing

/// Odd files next to a log: where SQLite refuses it or ignores them, a check says so.
@Suite struct CompanionFileTests {
  private let folder: TemporaryFolder
  private let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder("log.db")
    let recorder = try Recorder(log: path)
    let channel = recorder.channel(for: Source(kind: .scheduler, id: "s", address: "a"))
    for number in 1...2_000 as ClosedRange<Int64> {
      channel.record(Event(.logEvent, time: number, stimulusID: "stimulus-\(number)"))
    }
    recorder.close()
  }

  @Test(arguments: ["-wal", "-shm", "-journal"])
  func `a folder in the place of a file of SQLite is an error`(suffix: String) throws {
    try FileManager.default.createDirectory(
      atPath: path + suffix, withIntermediateDirectories: false)
    let error = #expect(throws: LogError.self) { try LogCheck(path: path) }
    #expect("\(error!)".contains("log.db\(suffix): cannot be read: not a regular file"))
  }

  @Test func `a change that was interrupted is an error that says what undoes it`() throws {
    // As another program leaves it that is killed while it changes the log.
    let other = folder("other.db")
    do {
      let connection = try Connection(path: path, mode: .readWrite)
      try connection.execute(
        "PRAGMA cache_size = 5; PRAGMA cache_spill = 1; BEGIN; UPDATE event SET time = time + 7")
      for suffix in ["", "-journal"] {
        try FileManager.default.copyItem(atPath: path + suffix, toPath: other + suffix)
      }
      try connection.execute("ROLLBACK")
    }
    let error = #expect(throws: LogError.self) { try LogCheck(path: other) }
    #expect("\(error!)".contains("'tasklog recover' undoes it with other.db-journal"), "\(error!)")
    // Which it does.
    _ = try Recovery.recover(log: other)
    #expect(try LogCheck(path: other).run().findings.isEmpty)
  }

  @Test(arguments: [0, 8, 20, 24])
  func `a write-ahead log whose header is damaged is an error`(place: Int) throws {
    let other = folder("other.db")
    do {
      let connection = try Connection(path: path, mode: .readWrite)
      try connection.execute("PRAGMA journal_mode = WAL; UPDATE event SET time = time + 7")
      for suffix in ["", "-wal"] {
        try FileManager.default.copyItem(atPath: path + suffix, toPath: other + suffix)
      }
    }
    #expect(try LogCheck(path: other).run().findings.isEmpty)
    var wal = try Data(contentsOf: URL(fileURLWithPath: other + "-wal"))
    wal[place] ^= 0x10
    try wal.write(to: URL(fileURLWithPath: other + "-wal"))
    let found = try LogCheck(path: other).run().findings
    #expect(found.map(\.kind) == [.unreadable] && found.first?.place == other + "-wal", "\(found)")
  }
}
