import Foundation
import TaskLogKit
import TestSupport
import TestTraits
import Testing

/// No event whose hook has returned is lost, whenever the process is killed.
@Suite(.exclusive(.services), .serialized) struct KillTests {
  @Test func `no event that was recorded is lost when the process is killed`() throws {
    var moments = Randomness.generator()
    for round in 0..<Randomness.setting("TASKLOG_TEST_KILLS", default: 30) {
      let log = try TemporaryLog()
      let victim = try Victim(log: log)
      try victim.kill(afterEvents: .random(in: 0...20_000, using: &moments))
      try Recovery.recover(log: log.path)
      let missing = try log.check(against: victim, "round \(round)")
      #expect(missing == 0, "round \(round)")
      #expect(try log.names == ["counters", "test.db"])
    }
  }

  @Test func `no event is lost while another process keeps the log locked`() throws {
    for round in 0..<Randomness.setting("TASKLOG_TEST_LOCKED_KILLS", default: 3) {
      let log = try TemporaryLog()
      let victim = try Victim(log: log)
      try victim.waitForEvents()
      let other = try log.locked()
      try victim.kill(afterEvents: victim.returned.reduce(0, +) + 10_000)
      try other.execute("ROLLBACK")
      try Recovery.recover(log: log.path)
      let missing = try log.check(against: victim, "round \(round)")
      #expect(missing == 0)
    }
  }

  @Test func `events that find no room in the spool are a gap with their exact number`() throws {
    let log = try TemporaryLog()
    let victim = try Victim(log: log, arguments: ["65536", "262144"])
    try victim.waitForEvents()
    let other = try log.locked()
    try victim.kill(afterEvents: victim.returned.reduce(0, +) + 40_000)
    try other.execute("ROLLBACK")
    try Recovery.recover(log: log.path)
    let missing = try log.check(against: victim, "limit")
    #expect(missing > 10_000)
  }

  @Test func `recovering repeatedly or concurrently stores each event once`() async throws {
    let log = try TemporaryLog()
    let victim = try Victim(log: log)
    try victim.kill(afterEvents: 10_000)
    let path = log.path
    await withTaskGroup { group in
      for _ in 0..<4 { group.addTask { _ = try? Recovery.recover(log: path) } }
    }
    try Recovery.recover(log: path)
    #expect(try log.check(against: victim, "twice") == 0)
  }

  @Test func `the next recorder on the log recovers the events of a killed one`() throws {
    let log = try TemporaryLog()
    let victim = try Victim(log: log)
    try victim.kill(afterEvents: 10_000)
    #expect(try Recovery.orphans(log: log.path).count == 1)
    try Recorder(log: log.path).close()
    let reader = try LogReader(path: log.path)
    #expect(try reader.runs().map(\.end) == [.died, .closed])
    let events = try reader.totals(of: reader.runs()[0]).events
    #expect(events >= Int64(victim.returned.reduce(0, +)))
    #expect(try Recovery.orphans(log: log.path).isEmpty)
  }
}
