import EventLog
import Foundation
import LogFormat
import TaskLogKit
import TestSupport
import Testing

@testable import Recording

/// Spools that strangers put next to a log, or to which the log of a stranger leads.
@Suite(.serialized) struct ForeignSpoolTests {
  private static let nobody = 65534

  /// A log with the spool of a recorder that was killed.
  private func killed() throws -> (log: TemporaryLog, run: String) {
    let log = try TemporaryLog()
    let victim = try Victim(log: log)
    try victim.kill(afterEvents: 20_000)
    return (log, try #require(try LogReader(path: log.path).runs().last).id)
  }

  /// A log that names the run of another one, in the same folder.
  private func thief(_ log: TemporaryLog, _ run: String, isEnded: Bool = false) throws -> String {
    let path = log.folder.appendingPathComponent("thief.db").path
    let writer = try LogWriter(path: path)
    try writer.transaction {
      let row = try writer.add(
        RunHeader(
          id: run, engine: "dask", engineVersion: "1", recorderVersion: "1", mode: "full",
          started: 1))
      if isEnded { try writer.end(run: row, .closed, at: 2) }
      _ = try writer.makeIdentity()
    }
    writer.close()
    return path
  }

  private func events(_ path: String) throws -> Int64 {
    let reader = try LogReader(path: path)
    return try reader.runs().reduce(0) { try $0 + reader.totals(of: $1).events }
  }

  private func files(_ folder: String) throws -> [String: Data] {
    let names = try FileManager.default.contentsOfDirectory(atPath: folder)
    return try Dictionary(
      uniqueKeysWithValues: names.map {
        ($0, try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\($0)")))
      })
  }

  enum Way: CaseIterable {
    case linkedFolder, linkedParent, linkedFiles, copied
  }

  @Test(arguments: Way.allCases, [false, true])
  func `a log that names the run of another does not get its events`(
    way: Way, isEnded: Bool
  ) throws {
    let (log, run) = try killed()
    let spool = log.path + ".spool"
    let thief = try thief(log, run, isEnded: isEnded)
    let stolen = "\(thief).spool/\(run)"
    let manager = FileManager.default
    if way != .linkedParent {
      try manager.createDirectory(atPath: "\(thief).spool", withIntermediateDirectories: false)
    }
    switch way {
    // Not in the form of a recorder's link, which leads to a log in the same folder.
    case .linkedFolder: #expect(symlink("\(spool)/\(run)", stolen) == 0)
    case .linkedParent: #expect(symlink(spool, "\(thief).spool") == 0)
    case .copied: try manager.copyItem(atPath: "\(spool)/\(run)", toPath: stolen)
    case .linkedFiles:
      try manager.createDirectory(atPath: stolen, withIntermediateDirectories: false)
      for name in try manager.contentsOfDirectory(atPath: "\(spool)/\(run)") {
        #expect(symlink("\(spool)/\(run)/\(name)", "\(stolen)/\(name)") == 0)
      }
    }
    let before = try files("\(spool)/\(run)")
    let recovered = try Recovery.recover(log: thief)
    #expect(try events(thief) == 0)
    #expect(try files("\(spool)/\(run)") == before)
    if !isEnded {
      let objection = try #require(recovered.first?.objection)
      #expect(objection.contains(way == .copied ? "another log" : "is a link"), "\(objection)")
    }
    // Whose it is gets everything.
    #expect(try Recovery.recover(log: log.path).map(\.objection) == [nil])
    #expect(try events(log.path) >= 20_000)
  }

  @Test(.enabled(if: getuid() == 0 && access("/usr/bin/setpriv", X_OK) == 0, "needs two users"))
  func `the spool of another user is left alone and named`() throws {
    let (log, run) = try killed()
    let folder = "\(log.path).spool/\(run)"
    let before = try events(log.path)
    // Another user puts a copy of it into its place, in a folder that everybody may write to.
    let aside = log.folder.appendingPathComponent("aside").path
    #expect(rename("\(log.path).spool", aside) == 0)
    #expect(system("chmod 0777 \(log.folder.path) && chmod -R go+rX \(aside)") == 0)
    #expect(
      system(
        "setpriv --reuid=\(Self.nobody) --regid=\(Self.nobody) --clear-groups "
          + "cp -r \(aside) \(log.path).spool") == 0)
    let recovered = try Recovery.recover(log: log.path)
    #expect(recovered.count == 1 && recovered.first?.events == 0)
    let text = try #require(recovered.first?.text)
    #expect(text.contains("not recovered") && text.contains("user \(Self.nobody)"), "\(text)")
    #expect(try events(log.path) == before)
    #expect(access(folder + "/lock", F_OK) == 0)
    // One of the files suffices.
    #expect(system("rm -r \(log.path).spool && cp -r \(aside) \(log.path).spool") == 0)
    #expect(chown(folder + "/1", 65534, 65534) == 0 || chown(folder + "/lock", 65534, 65534) == 0)
    #expect(try Recovery.recover(log: log.path).first?.objection != nil)
    #expect(try events(log.path) == before)
    #expect(system("rm -r \(log.path).spool && mv \(aside) \(log.path).spool") == 0)
    #expect(try Recovery.recover(log: log.path).map(\.objection) == [nil])
    #expect(try events(log.path) >= 20_000)
  }

  @Test(.enabled(if: getuid() == 0 && access("/usr/bin/setpriv", X_OK) == 0, "needs two users"))
  func `a spool of the owner of the log is recovered by others`() throws {
    let (log, _) = try killed()
    #expect(system("chown -R \(Self.nobody):\(Self.nobody) \(log.folder.path)") == 0)
    #expect(try Recovery.recover(log: log.path).map(\.objection) == [nil])
    #expect(try events(log.path) >= 20_000)
  }

  @Test func `a recorder does not follow a link in the place of its folder`() throws {
    let log = try TemporaryLog()
    let elsewhere = log.folder.appendingPathComponent("elsewhere").path
    #expect(mkdir(elsewhere, 0o700) == 0)
    #expect(symlink(elsewhere, log.path + ".spool") == 0)
    #expect(throws: LogError.self) { try Recorder(log: log.path) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: elsewhere).isEmpty)
  }

  @Test func `a spool moved with its log belongs to it`() throws {
    let (log, _) = try killed()
    let moved = log.folder.appendingPathComponent("moved.db").path
    for suffix in ["", "-wal", "-shm", ".spool"] { rename(log.path + suffix, moved + suffix) }
    #expect(try Recovery.recover(log: moved).map(\.objection) == [nil])
    #expect(try events(moved) >= 20_000)
  }
}
