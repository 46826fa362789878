import Foundation
import LogMaintenance
import Synchronization
import TaskLogKit
import TestSupport
import TestTraits
import Testing

/// External faults cost only the events that find no room, and those are counted.
@Suite(.exclusive(.services)) struct FaultTests {
  private let source = Source(kind: .scheduler, id: "Scheduler-1", address: "inproc://1")

  /// The problems that a recorder reports.
  private final class Problems: Sendable {
    private let told = Mutex<[String]>([])
    var all: [String] { told.withLock { $0 } }
    func add(_ problem: String) { told.withLock { $0.append(problem) } }
  }

  private func options(_ problems: Problems) -> Recorder.Options {
    var options = Recorder.Options()
    options.problem = { problems.add($0) }
    options.syncSeconds = 0.02
    return options
  }

  private func event(_ number: Int) -> Event {
    Event(
      .transition, time: Int64(number), key: Key("task-5f3c9a1e", number / 4), start: .waiting,
      finish: .processing, stimulusID: "stimulus-\(number / 100)")
  }

  /// The number of events and missing events of the newest run.
  private func totals(_ path: String) throws -> (events: Int64, missing: Int64, end: RunEnd) {
    let reader = try LogReader(path: path)
    let run = try #require(try reader.runs().last)
    return (try reader.totals(of: run).events, try reader.missing(of: run), run.end)
  }

  @Test(.enabled(if: SmallDisk.isAllowed, "needs the right to mount"))
  func `a full disk costs only the events that find no room`() throws {
    let disk = try SmallDisk(megabytes: 40)
    let ballast = disk.path + "/ballast"
    try Data(count: 33 << 20).write(to: URL(fileURLWithPath: ballast))
    let problems = Problems()
    var options = options(problems)
    options.segmentSize = 64 << 10
    options.spoolLimit = 1 << 30
    let recorder = try Recorder(log: disk.path + "/test.db", options: options)
    let channel = recorder.channel(for: source)
    let count = 120_000
    for number in 0..<count { channel.record(event(number)) }
    try FileManager.default.removeItem(atPath: ballast)
    recorder.close()
    let (events, missing, end) = try totals(disk.path + "/test.db")
    #expect(events + missing == count)
    #expect(missing > 0 && events > 0)
    #expect(end == .closed)
    let gaps = try Connection(path: disk.path + "/test.db", mode: .readOnly)
      .prepare("SELECT DISTINCT reason FROM gaps")
    var reasons: [String] = []
    while try gaps.step() { reasons.append(gaps.text(0)) }
    #expect(reasons.contains { $0.contains("No space left") }, "\(reasons)")
  }

  @Test(.enabled(if: SmallDisk.isAllowed, "needs the right to mount"))
  func `on a read-only disk a log is read in its present state, and nothing is written`() throws {
    let log = try TemporaryLog()
    let victim = try Victim(log: log)
    try victim.kill(afterEvents: 10_000)
    let disk = try SmallDisk(megabytes: 200)
    let path = disk.path + "/test.db"
    for suffix in ["", "-wal", "-shm", ".spool"] {
      try FileManager.default.copyItem(atPath: log.path + suffix, toPath: path + suffix)
    }
    try #require(system("mount -o remount,ro \(disk.path)") == 0)
    // Events in the spool are reported, and stay there.
    #expect(try Recovery.orphans(log: path).count == 1)
    #expect(throws: LogError.self) { try Recovery.recover(log: path) }
    #expect(throws: LogError.self) { try Recorder(log: path) }
    let reader = try LogReader(path: path)
    let run = try #require(try reader.runs().first)
    #expect(run.end == .died)
    #expect(try Recovery.orphans(log: path).count == 1)
  }

  @Test(.enabled(if: getuid() == 0, "needs another user"))
  func `a spool that becomes read-only costs only the events that find no room`() throws {
    let log = try TemporaryLog()
    let nobody = 65534
    try FileManager.default.setAttributes(
      [.ownerAccountID: nobody, .groupOwnerAccountID: nobody], ofItemAtPath: log.folder.path)
    let victim = try Victim(
      log: log, arguments: ["65536", "\(64 << 20)"],
      launcher: ["setpriv", "--reuid=\(nobody)", "--regid=\(nobody)", "--clear-groups"])
    try victim.waitForEvents()
    let spool = log.path + ".spool"
    let folder = try #require(
      try FileManager.default.contentsOfDirectory(atPath: spool).first.map { "\(spool)/\($0)" })
    let before = victim.returned.reduce(0, +)
    try FileManager.default.setAttributes(
      [.ownerAccountID: 0, .posixPermissions: 0o555], ofItemAtPath: folder)
    try victim.waitForEvents(before + 60_000)
    try FileManager.default.setAttributes(
      [.ownerAccountID: nobody, .posixPermissions: 0o700], ofItemAtPath: folder)
    try victim.kill(afterEvents: victim.returned.reduce(0, +) + 10_000)
    try Recovery.recover(log: log.path)
    #expect(try log.check(against: victim, "read-only") > 10_000)
  }

  @Test func `a log that is deleted is created anew, with a gap for the lost events`() throws {
    let log = try TemporaryLog()
    let problems = Problems()
    let recorder = try Recorder(log: log.path, options: options(problems))
    let channel = recorder.channel(for: source)
    for number in 0..<1000 { channel.record(event(number)) }
    try wait(for: "everything is in the log") { try totals(log.path).events == 1000 }
    for suffix in ["", "-wal", "-shm"] { unlink(log.path + suffix) }
    try wait(for: "it is noticed") { problems.all.contains { $0.contains("was deleted or moved") } }
    for number in 1000..<1500 { channel.record(event(number)) }
    recorder.close()
    let (events, missing, end) = try totals(log.path)
    #expect(events == 500 && missing == 1000 && end == .closed)
    #expect(problems.all.count == 1)
    #expect(try log.names == ["test.db"])
  }

  @Test func `a log that is moved away and back is continued`() throws {
    let log = try TemporaryLog()
    let problems = Problems()
    let recorder = try Recorder(log: log.path, options: options(problems))
    let channel = recorder.channel(for: source)
    for number in 0..<1000 { channel.record(event(number)) }
    try wait(for: "everything is in the log") { try totals(log.path).events == 1000 }
    let aside = log.path + ".aside"
    for suffix in ["", "-wal"] { rename(log.path + suffix, aside + suffix) }
    unlink(log.path + "-shm")
    try wait(for: "there is a new one") { (try? LogReader(path: log.path).runs().count) == 1 }
    for suffix in ["-shm", "-wal"] { unlink(log.path + suffix) }
    rename(aside + "-wal", log.path + "-wal")
    rename(aside, log.path)
    try wait(for: "it is noticed again; told: \(problems.all)") { problems.all.count == 2 }
    for number in 1000..<1500 { channel.record(event(number)) }
    recorder.close()
    let (events, missing, end) = try totals(log.path)
    #expect(events == 1500 && missing == 0 && end == .closed)
  }

  @Test func `a recorder blocked by a lock closes in time, and its run is closed`() throws {
    let log = try TemporaryLog()
    let problems = Problems()
    var options = options(problems)
    options.closeSeconds = 0.3
    options.filter.excludeHooks = ["addClient"]
    let recorder = try Recorder(log: log.path, options: options)
    let channel = recorder.channel(for: source)
    for number in 0..<1000 { channel.record(event(number)) }
    try wait(for: "everything is in the log") { try totals(log.path).events == 1000 }
    let other = try log.locked()
    for number in 1000..<1500 { channel.record(event(number)) }
    channel.record(Event(.addClient, time: 1))
    let began = ContinuousClock.now
    recorder.close()
    // SQLite's own timeout is five seconds for each attempt.
    #expect(began.duration(to: .now) < .seconds(4 * Patience.factor))
    #expect(problems.all.contains { $0.contains("the last events stay in") })
    // A recorder that cannot write records how the run ended all the same.
    #expect(try totals(log.path).events == 1000)
    #expect(try totals(log.path).end == .closed)
    #expect(try Recovery.orphans(log: log.path).map(\.id) == [recorder.runID])
    try other.execute("ROLLBACK")
    let recovered = try #require(try Recovery.recover(log: log.path).first)
    #expect(recovered.end == .closed && recovered.missing == 0)
    let reader = try LogReader(path: log.path)
    let run = try #require(try reader.runs().first)
    // Includes the mark with the number of filtered events.
    #expect(try reader.totals(of: run).events == 1501)
    #expect(try reader.excluded(of: run).map(\.events) == [1])
    #expect(run.end == .closed && run.ended.map { $0 >= run.started } == true)
    #expect(access(log.path + ".spool", F_OK) != 0)
    #expect(try LogCheck(path: log.path).run().findings.allSatisfy { $0.severity != .error })
  }

  @Test func `two sources with the same id are kept apart`() throws {
    let log = try TemporaryLog()
    let recorder = try Recorder(log: log.path)
    for address in ["a", "b"] {
      let worker = Source(kind: .worker, id: "Worker-1", address: address)
      recorder.channel(for: worker).record(event(1))
    }
    recorder.close()
    let reader = try LogReader(path: log.path)
    let run = try #require(try reader.runs().first)
    #expect(run.end == .closed)
    #expect(try reader.sources(of: run).map(\.source.id) == ["Worker-1", "Worker-1#1"])
    #expect(try reader.totals(of: run).events == 2)
  }

  @Test func `clock jumps change neither order nor number`() throws {
    let log = try TemporaryLog()
    let recorder = try Recorder(log: log.path)
    let channel = recorder.channel(for: source)
    let times: [Int64] = [1 << 60, 5, -7, 0, .max, .min, 1 << 60]
    for time in times { channel.record(Event(.transition, time: time, key: "x")) }
    recorder.close()
    let events = try #require(try log.events().values.first)
    #expect(events.map(\.event.time) == times)
    #expect(events.map(\.sourceSeq) == Array(1...7))
  }

  @Test func `a log that is behind its spool, as after a loss of power, has a gap there`() throws {
    let log = try TemporaryLog()
    let victim = try Victim(log: log, arguments: ["65536", "\(256 << 20)"])
    try victim.waitForEvents(2_000)
    // The state of the disk at some moment …
    let copy = log.path + ".copy"
    try wait(for: "the sources are in the log") {
      let reader = try LogReader(path: log.path)
      return try reader.runs().first.map { try reader.sources(of: $0).count } == Victim.threads
    }
    let snapshot = try Connection(path: log.path, mode: .readWrite, busyTimeoutMilliseconds: 60_000)
    try snapshot.execute("VACUUM INTO '\(copy)'")
    let position = try snapshot.integer("SELECT spool_position FROM run") ?? 0
    // … until segments that it does not contain are removed.
    let spool = log.path + ".spool"
    try wait(for: "segments are removed") {
      let run = try FileManager.default.contentsOfDirectory(atPath: spool)[0]
      let names = try FileManager.default.contentsOfDirectory(atPath: "\(spool)/\(run)")
      return names.compactMap { Int64($0) }.min() ?? 0 > position >> 32 + 1
    }
    try victim.kill(afterEvents: 0)
    for suffix in ["-wal", "-shm"] { unlink(log.path + suffix) }
    rename(copy, log.path)
    try Recovery.recover(log: log.path)
    #expect(try log.check(against: victim, "power loss") > 0)
  }

  @Test func `a damaged or truncated spool loses no event without a gap`() throws {
    let log = try TemporaryLog()
    let victim = try Victim(log: log, arguments: ["16384", "\(64 << 20)"])
    try victim.waitForEvents()
    let other = try log.locked()
    try victim.kill(afterEvents: victim.returned.reduce(0, +) + 3_000)
    try other.execute("ROLLBACK")
    let returned = Int64(victim.returned.reduce(0, +))
    var random = Randomness.generator(77)
    for round in 0..<max(10, Randomness.count / 100) {
      let copy = try TemporaryLog()
      for suffix in ["", "-wal", ".spool"] {
        try FileManager.default.copyItem(atPath: log.path + suffix, toPath: copy.path + suffix)
      }
      let spool = copy.path + ".spool"
      let folder = try "\(spool)/\(FileManager.default.contentsOfDirectory(atPath: spool)[0])"
      let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
      // The control file contains the count: events that it miscounts are not lost, but unknown.
      let damaged = names.filter { Int($0) != nil && random.once(in: 2) }
      for name in damaged { try damage("\(folder)/\(name)", &random) }
      try Recovery.recover(log: copy.path)
      let (events, missing, end) = try totals(copy.path)
      #expect(end == .died)
      #expect(events + missing >= returned, "round \(round), seed \(Randomness.seed)")
      #expect(events + missing <= returned + Int64(Victim.threads), "round \(round)")
    }
  }

  private func damage(_ path: String, _ random: inout SplitMix64) throws {
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    if bytes.isEmpty { return }
    if random.once(in: 3) { bytes = bytes.prefix(random.below(bytes.count)) }
    for _ in 0..<random.below(5) where !bytes.isEmpty {
      bytes[random.below(bytes.count)] ^= UInt8(1 << random.below(8))
    }
    try bytes.write(to: URL(fileURLWithPath: path))
  }

  private func clearPage(_ path: String, _ random: inout SplitMix64) throws {
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    let size = 8192
    let page = 1 + random.below(bytes.count / size - 1)
    bytes.replaceSubrange(page * size..<(page + 1) * size, with: Data(count: size))
    try bytes.write(to: URL(fileURLWithPath: path))
  }

  @Test func `a recorder on a damaged log refuses it or reports what it cannot write`() throws {
    let log = try TemporaryLog()
    for _ in 0..<2 {
      let recorder = try Recorder(log: log.path)
      let channel = recorder.channel(for: source)
      for number in 0..<500 { channel.record(event(number)) }
      recorder.close()
    }
    var random = Randomness.generator(78)
    // Each outcome must occur, otherwise the rounds prove nothing about it.
    var (recorded, reported, refused) = (0, 0, 0)
    for round in 0..<max(40, Randomness.count / 100) {
      let copy = try TemporaryLog()
      try FileManager.default.copyItem(atPath: log.path, toPath: copy.path)
      // Bits that are never read, a header that is always read, or a page that only a writer reads.
      if round.isMultiple(of: 2) {
        try damage(copy.path, &random)
      } else {
        try clearPage(copy.path, &random)
      }
      let problems = Problems()
      var options = options(problems)
      options.closeSeconds = 0.1
      do {
        let recorder = try Recorder(log: copy.path, options: options)
        let channel = recorder.channel(for: source)
        for number in 0..<100 { channel.record(event(number)) }
        recorder.close()
        guard problems.all.isEmpty else {
          reported += 1
          continue
        }
        let (events, missing, end) = try totals(copy.path)
        #expect(events + missing == 100 && end == .closed, "round \(round)")
        recorded += 1
      } catch let error as LogError {
        #expect(!"\(error)".contains("\n"), "round \(round)")
        refused += 1
      }
    }
    #expect(recorded > 0 && reported > 0 && refused > 0, "\(recorded), \(reported), \(refused)")
  }

  @Test func `a forked child records nothing, logs that once, and leaves the parent's log alone`()
    throws
  {
    let log = try TemporaryLog()
    let (output, errors) = try probe("fork", log)
    #expect(output == "child ended with 0\n")
    #expect(errors.split(separator: "\n").count == 1)
    #expect(errors.contains("in a forked process"))
    let (events, missing, end) = try totals(log.path)
    #expect(events == 200 && missing == 0 && end == .closed)
  }

  @Test func `recording an event without args allocates no memory`() throws {
    #expect(try probe("allocations", TemporaryLog()).output == "0\n")
  }

  private func probe(_ mode: String, _ log: TemporaryLog) throws -> (output: String, errors: String)
  {
    let folder = log.folder.path
    let probe = try Child(
      [Programs.path("recording-probe"), mode, log.path], output: .file(folder + "/out"),
      errors: .file(folder + "/err"))
    #expect(probe.wait() == 0)
    func text(_ name: String) throws -> String {
      try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)
    }
    return (try text("out"), try text("err"))
  }
}
