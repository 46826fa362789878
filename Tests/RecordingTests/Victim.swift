import CSupport
import Foundation
import TaskLogKit
import TestSupport
import Testing

/// A process that records on several threads, in order to be killed.
final class Victim {
  static let threads = 3
  private let process: pid_t
  private var isDead = false
  private let counters: UnsafeMutablePointer<UInt64>

  /// - Parameters:
  ///   - arguments: the size of a segment and the limit of the spool.
  ///   - launcher: the words of a program that starts it.
  ///   - name: the name of the log in its folder, if it is another.
  init(
    log: TemporaryLog, arguments: [String] = [], launcher: [String] = [], name: String? = nil
  ) throws {
    let path = log.folder.appendingPathComponent("counters").path
    try Data(count: 4096).write(to: URL(fileURLWithPath: path))
    chmod(path, 0o666)
    let descriptor = open(path, O_RDWR)
    defer { close(descriptor) }
    let page = try #require(mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0))
    counters = page.assumingMemoryBound(to: UInt64.self)
    let program = Programs.path("recording-victim")
    // Foundation's `Process` now and then misses the death of a child, so it is not used here.
    let target = name.map { log.folder.appendingPathComponent($0).path } ?? log.path
    let words = launcher + [program, target, path, "\(Self.threads)"] + arguments
    var argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for word in argv { free(word) } }
    var child = pid_t()
    try #require(posix_spawnp(&child, words[0], nil, nil, &argv, environ) == 0)
    process = child
  }

  deinit {
    // A test that fails half way must not leave it recording for ever.
    if !isDead { try? kill() }
    munmap(counters, 4096)
  }

  /// Waits until it records.
  func waitForEvents(_ count: UInt64 = 0) throws {
    let deadline = Deadline()
    var status: Int32 = 0
    while returned.reduce(0, +) < count || returned.contains(0) {
      try #require(waitpid(process, &status, WNOHANG) == 0, "the victim ended by itself: \(status)")
      try #require(!deadline.hasPassed, "the victim has not recorded \(count) events")
      usleep(200)
    }
  }

  /// Lets it record this many events in all, and kills it with SIGKILL.
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

  /// The number of calls of each thread that have returned.
  var returned: [UInt64] { (0..<Self.threads).map { tl_load_acquire(counters + 8 * $0) } }
}

extension TemporaryLog {
  /// Checks the log against the victim's counters; returns the number of missing events.
  @discardableResult
  func check(against victim: Victim, _ note: String) throws -> Int64 {
    let reader = try LogReader(path: path)
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
    // An unfinished call may be in the log or not.
    #expect(total >= Int64(returned.reduce(0, +)), "\(note)")
    #expect(total <= Int64(returned.reduce(0, +)) + Int64(Victim.threads), "\(note)")
    if missing == 0 {
      for (number, count) in returned.enumerated() {
        #expect(recorded[number, default: 0] >= Int64(count), "\(note)")
      }
    }
    var rows: [SQLiteValue] = []
    let connection = try Connection(path: path, mode: .readOnly)
    let integrity = try connection.prepare("PRAGMA integrity_check")
    while try integrity.step() { rows.append(integrity.value(0)) }
    #expect(rows == [.text("ok")], "\(note)")
    return missing
  }

  /// Holds the write lock of the log, once the drainer has released it.
  func locked() throws -> Connection {
    let other = try Connection(
      path: path, mode: .readWrite, busyTimeoutMilliseconds: 120_000)
    try other.execute("BEGIN IMMEDIATE")
    return other
  }
}
