import CSupport
import Foundation
import TaskLogKit
import TestSupport
import Testing

/// A process that records on several threads, for being killed.
private final class Victim {
  static let threads = 3
  private let process: pid_t
  private var isDead = false
  private let counters: UnsafeMutablePointer<UInt64>

  init(log: TemporaryLog, arguments: [String] = []) throws {
    let path = log.folder.appendingPathComponent("counters").path
    try Data(count: 4096).write(to: URL(fileURLWithPath: path))
    let descriptor = open(path, O_RDWR)
    defer { close(descriptor) }
    let page = try #require(mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0))
    counters = page.assumingMemoryBound(to: UInt64.self)
    let program = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
      .deletingLastPathComponent().appendingPathComponent("recording-victim").path
    // Foundation's `Process` now and then misses the death of a child, so it is not used here.
    let words = [program, log.path, path, "\(Self.threads)"] + arguments
    var argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for word in argv { free(word) } }
    var child = pid_t()
    try #require(posix_spawn(&child, program, nil, nil, &argv, environ) == 0)
    process = child
  }

  deinit {
    // A test that fails half way must not leave it recording for ever.
    if !isDead { try? kill() }
    munmap(counters, 4096)
  }

  /// Waits until it records.
  func waitForEvents(_ count: UInt64 = 0) throws {
    let deadline = ContinuousClock.now + .seconds(60)
    var status: Int32 = 0
    while returned.reduce(0, +) < count || returned.contains(0) {
      try #require(waitpid(process, &status, WNOHANG) == 0, "the victim ended by itself: \(status)")
      try #require(ContinuousClock.now < deadline, "the victim is too slow")
      usleep(200)
    }
  }

  /// Lets it record so many events in all, and kills it with SIGKILL.
  func kill(afterEvents count: UInt64) throws {
    try waitForEvents(count)
    try kill()
  }

  private func kill() throws {
    isDead = true
    var status: Int32 = 0
    Glibc.kill(process, SIGKILL)
    waitpid(process, &status, 0)
    #expect(status & 0x7F == SIGKILL)
  }

  /// How many calls of each thread have returned.
  var returned: [UInt64] { (0..<Self.threads).map { tl_load_acquire(counters + 8 * $0) } }
}

/// Nothing that returned is lost, whenever the process is killed.
@Suite(.serialized) struct KillTests {
  /// Checks the log against what the victim told; gives how many events are missing.
  @discardableResult
  private func check(_ log: TemporaryLog, _ victim: Victim, _ note: String) throws -> Int64 {
    let reader = try LogReader(path: log.path)
    let run = try #require(try reader.runs().last)
    #expect(run.end == .died, "\(note)")
    var recorded: [Int: Int64] = [:]
    for info in try reader.sources(of: run) {
      let cursor = try reader.events(of: info)
      var last: Int64 = 0
      var count: Int64 = 0
      while let event = try cursor.nextEvent() {
        #expect(event.sourceSeq > last, "\(note)")
        // The victim writes its own count into each event.
        #expect(event.event.time == event.sourceSeq - 1, "\(note)")
        last = event.sourceSeq
        count += 1
      }
      let number = try #require(info.source.name.int.map(Int.init))
      recorded[number] = count
    }
    let missing = try reader.missing(of: run)
    let returned = victim.returned
    let total = recorded.values.reduce(0, +) + missing
    // A call that was under way may be in the log or not.
    #expect(total >= Int64(returned.reduce(0, +)), "\(note)")
    #expect(total <= Int64(returned.reduce(0, +)) + Int64(Victim.threads), "\(note)")
    if missing == 0 {
      for (number, count) in returned.enumerated() {
        #expect(recorded[number, default: 0] >= Int64(count), "\(note)")
      }
    }
    var rows: [SQLiteValue] = []
    let connection = try Connection(path: log.path, mode: .readOnly)
    let integrity = try connection.prepare("PRAGMA integrity_check")
    while try integrity.step() { rows.append(integrity.value(0)) }
    #expect(rows == [.text("ok")], "\(note)")
    return missing
  }

  /// Holds the write lock of the log, once the drainer has let go of it.
  private func locked(_ log: TemporaryLog) throws -> Connection {
    let other = try Connection(
      path: log.path, mode: .readWrite, busyTimeoutMilliseconds: 120_000)
    try other.execute("BEGIN IMMEDIATE")
    return other
  }

  @Test func `nothing that returned is lost when the process is killed`() throws {
    var moments = Randomness.generator()
    for round in 0..<Randomness.setting("TASKLOG_TEST_KILLS", default: 20) {
      let log = try TemporaryLog()
      let victim = try Victim(log: log)
      try victim.kill(afterEvents: .random(in: 0...20_000, using: &moments))
      try Recovery.recover(log: log.path)
      let missing = try check(log, victim, "round \(round)")
      #expect(missing == 0, "round \(round)")
      #expect(try log.names == ["counters", "test.db"])
    }
  }

  @Test func `nothing is lost while another process keeps the log locked`() throws {
    for round in 0..<Randomness.setting("TASKLOG_TEST_LOCKED_KILLS", default: 3) {
      let log = try TemporaryLog()
      let victim = try Victim(log: log)
      try victim.waitForEvents()
      let other = try locked(log)
      try victim.kill(afterEvents: victim.returned.reduce(0, +) + 10_000)
      try other.execute("ROLLBACK")
      try Recovery.recover(log: log.path)
      let missing = try check(log, victim, "round \(round)")
      #expect(missing == 0)
    }
  }

  @Test func `what finds no room in the spool is a gap of just so many events`() throws {
    let log = try TemporaryLog()
    let victim = try Victim(log: log, arguments: ["65536", "262144"])
    try victim.waitForEvents()
    let other = try locked(log)
    try victim.kill(afterEvents: victim.returned.reduce(0, +) + 40_000)
    try other.execute("ROLLBACK")
    try Recovery.recover(log: log.path)
    let missing = try check(log, victim, "limit")
    #expect(missing > 10_000)
  }

  @Test func `recovering twice, or at once, puts nothing in twice`() async throws {
    let log = try TemporaryLog()
    let victim = try Victim(log: log)
    try victim.kill(afterEvents: 10_000)
    let path = log.path
    await withTaskGroup { group in
      for _ in 0..<4 { group.addTask { _ = try? Recovery.recover(log: path) } }
    }
    try Recovery.recover(log: path)
    #expect(try check(log, victim, "twice") == 0)
  }

  @Test func `the next recorder on the log recovers what the dead one has left`() throws {
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
