import EventLog
import Foundation
import LogFormat
import LogMaintenance
import Synchronization
import TaskLogKit
import TestSupport
import TestTraits
import Testing

@testable import Recording

/// Copies of a log reach a folder or a command that outlives the machine of its recorder.
@Suite(.exclusive(.services), .serialized) struct DeliveryTests {
  private final class Problems: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }
    func add(_ line: String) { lines.withLock { $0.append(line) } }
  }

  /// A log, and a folder that its copies are delivered to.
  private struct Place {
    let log: TemporaryLog
    let problems = Problems()

    init() throws {
      log = try TemporaryLog()
      mkdir(destination, 0o700)
    }

    var destination: String { log.folder.path + "/destination" }

    var delivered: [String] {
      get throws { try FileManager.default.contentsOfDirectory(atPath: destination).sorted() }
    }

    func options(_ deliver: String? = nil, every: Double = 1) -> Recorder.Options {
      var options = Recorder.Options()
      options.deliver = deliver ?? destination
      options.deliverEverySeconds = every
      options.syncSeconds = 0.02
      options.problem = { [problems] in problems.add($0) }
      return options
    }

    /// The only run in a log that has the last event of a count.
    func check(_ path: String, _ id: String, events: Int64) throws {
      let findings = try LogCheck(path: path).run().findings
      #expect(findings.isEmpty, "\(findings)")
      let reader = try LogReader(path: path)
      let run = try #require(try reader.runs().first { $0.id == id })
      #expect(try reader.totals(of: run).events == events)
    }

    func mark(_ id: String) throws -> Value? {
      let runs = try LogReader(path: log.path).runs()
      return runs.first { $0.id == id }?.metadata[RunMetadataKey.delivery]
    }
  }

  private func record(_ recorder: Recorder, _ events: ClosedRange<Int64>) {
    let channel = recorder.channel(for: Source(kind: .scheduler, id: "s", address: "a"))
    for number in events {
      channel.record(Event(.logEvent, time: number, key: Key("k", Int(number)), stimulusID: "s"))
    }
  }

  @Test func `a whole copy is delivered at the end, under a name that no other run has`() throws {
    let place = try Place()
    for _ in 0..<2 {
      let recorder = try Recorder(log: place.log.path, options: place.options(every: 3600))
      record(recorder, 1...500)
      recorder.close()
      let name = "test-\(recorder.runID).db"
      #expect(try place.delivered.contains(name))
      try place.check(place.destination + "/" + name, recorder.runID, events: 500)
      let run = try #require(
        try LogReader(path: place.destination + "/" + name).runs().first {
          $0.id == recorder.runID
        })
      #expect(run.end == .closed && run.asOf == nil)
    }
    #expect(try place.delivered.count == 2)
    #expect(place.problems.all == [])
    #expect(try place.log.names == ["destination", "test.db"])
  }

  @Test func `a copy of a living run says as of when, and is renewed`() throws {
    let place = try Place()
    let recorder = try Recorder(log: place.log.path, options: place.options())
    record(recorder, 1...10)
    let copy = place.destination + "/test-\(recorder.runID).db"
    try wait(for: "the first copy") { FileManager.default.fileExists(atPath: copy) }
    let first = try #require(try LogReader(path: copy).runs().first)
    let asOf = try #require(first.asOf)
    #expect(first.apparentEnd == .running && abs(Clock.now() - asOf) < 600_000_000_000)
    // Nothing changes, and yet it is renewed.
    try wait(for: "a newer copy") { try LogReader(path: copy).runs().first?.asOf ?? 0 > asOf }
    recorder.close()
    let last = try #require(try LogReader(path: copy).runs().first)
    #expect(last.end == .closed && last.asOf == nil)
    #expect(try place.delivered == ["test-\(recorder.runID).db"])
  }

  @Test func `a copy that is not renewed any more says when its run was alive last`() throws {
    let place = try Place()
    let recorder = try Recorder(log: place.log.path, options: place.options("none"))
    record(recorder, 1...10)
    try #require(recorder.flush(timeoutSeconds: 60))
    for (ago, interval, end) in [
      (5, 1, RunEnd.running), (11, 1, .died), (11, 60, .running), (11, nil, .running),
    ] as [(Int64, Int64?, RunEnd)] {
      let copy = place.destination + "/copy.db"
      try Data().write(to: URL(fileURLWithPath: copy))
      let time = Clock.now() - ago * 1_000_000_000
      try LogCopy.copy(
        place.log.path, to: copy, interval: interval.map { $0 * 1_000_000_000 }, at: time)
      let run = try #require(try LogReader(path: copy).runs().first)
      #expect(
        run.apparentEnd == end && run.asOf == time && run.hasDied == (end == .died),
        "\(ago) \(String(describing: interval))")
    }
    recorder.close()
    #expect(try place.delivered == ["copy.db"])
  }

  @Test func `every segment of a rotated run is delivered`() throws {
    let place = try Place()
    var options = place.options()
    options.rotateBytes = 65_536
    let template = place.log.folder.path + "/{run}.db"
    let recorder = try Recorder(log: template, options: options)
    var count: Int64 = 0
    let deadline = Deadline(seconds: 120)
    while LogTemplate.files(template).count < 4 {
      try #require(!deadline.hasPassed)
      record(recorder, count + 1...count + 200)
      count += 200
      usleep(5000)
    }
    recorder.close()
    let sources = LogTemplate.files(template).map(\.path)
    #expect(try place.delivered == sources.map(\.lastPathComponent).sorted())
    for source in sources {
      let ours = try LogReader(path: place.destination + "/" + source.lastPathComponent)
      let theirs = try LogReader(path: source)
      let run = try theirs.runs()[0]
      #expect(try ours.totals(of: run).events == theirs.totals(of: run).events)
      #expect(try ours.runs()[0].end == .closed)
    }
  }

  @Test func `a destination that is gone and comes back is said once, in the log too`() throws {
    let place = try Place()
    rmdir(place.destination)
    // A file in the place of the folder.
    try Data().write(to: URL(fileURLWithPath: place.destination))
    let recorder = try Recorder(log: place.log.path, options: place.options())
    record(recorder, 1...100)
    try wait(for: "the report") { !place.problems.all.isEmpty }
    try wait(for: "the mark") { try place.mark(recorder.runID) != nil }
    let reason = "\(place.destination): is not a folder"
    #expect(place.problems.all.count == 1)
    #expect(place.problems.all[0].contains(reason))
    #expect(
      place.problems.all[0].contains("on host \(LogLocation.host): \(place.log.path)"))
    #expect(try place.mark(recorder.runID)?["error"]?.string == reason)
    #expect(try place.mark(recorder.runID)?["path"]?.string == place.log.path)
    unlink(place.destination)
    try wait(for: "the second report") { place.problems.all.count > 1 }
    #expect(place.problems.all[1].contains("are delivered to \(place.destination) again"))
    recorder.close()
    #expect(place.problems.all.count == 2)
    let copy = place.destination + "/test-\(recorder.runID).db"
    try place.check(copy, recorder.runID, events: 100)
    #expect(try place.mark(recorder.runID)?["error"]?.string == nil)
    #expect(try place.mark(recorder.runID)?["delivered"] != nil)
  }

  @Test func `a last copy that does not arrive is said with the place of the log`() throws {
    let place = try Place()
    let recorder = try Recorder(
      log: place.log.path, options: place.options("/dev/null", every: 3600))
    record(recorder, 1...10)
    recorder.close()
    #expect(place.problems.all.count == 1)
    #expect(place.problems.all[0].contains("the end of run \(recorder.runID) is not in /dev/null"))
    #expect(place.problems.all[0].contains(place.log.path))
    #expect(try place.mark(recorder.runID)?["error"]?.string == "/dev/null: is not a folder")
    #expect(try place.log.names == ["destination", "test.db"])
  }

  @Test func `a slow destination does not block the recorder, and its time is limited`() throws {
    let place = try Place()
    var options = place.options("sleep 1000; cp {file} '\(place.destination)'")
    options.deliverSeconds = 0.5
    let recorder = try Recorder(log: place.log.path, options: options)
    record(recorder, 1...10)
    #expect(recorder.flush(timeoutSeconds: 60))
    recorder.close()
    #expect(place.problems.all.count == 1)
    #expect(place.problems.all[0].contains("the command was out of time and was killed"))
    #expect(try place.delivered == [])
    try place.check(place.log.path, recorder.runID, events: 10)
  }

  @Test func `a command gets a copy, and its error is reported`() throws {
    let place = try Place()
    let good = try Recorder(
      log: place.log.path,
      options: place.options("cp {file} '\(place.destination)/'", every: 3600))
    record(good, 1...10)
    good.close()
    #expect(place.problems.all == [])
    #expect(try place.delivered == ["test-\(good.runID).db"])
    try place.check(
      place.destination + "/test-\(good.runID).db", good.runID, events: 10)
    let bad = try Recorder(
      log: place.log.path,
      options: place.options("put --password=x {file}; echo no bucket >&2; exit 7", every: 3600))
    record(bad, 1...10)
    bad.close()
    let line = try #require(place.problems.all.first)
    #expect(line.contains("the command 'put': the command ended with exit code 7: no bucket"))
    #expect(!line.contains("password"))
    #expect(try place.log.names == ["destination", "test.db"])
  }

  @Test func `no file of another user is replaced, and no link is followed`() throws {
    let place = try Place()
    let log = place.log.folder.path + "/asked.db"
    let other = place.log.folder.path + "/other"
    try Data("mine".utf8).write(to: URL(fileURLWithPath: other))
    let run = RunID.make()
    let folder = DeliveryFolder(place.destination, run: run, exactName: "asked.db")
    try Data("copy".utf8).write(to: URL(fileURLWithPath: log))
    try Data("theirs".utf8).write(to: URL(fileURLWithPath: place.destination + "/asked.db"))
    symlink(other, place.destination + "/.asked-\(run).db.part")
    let path = try folder.put(log, as: "asked.db", unless: { false })
    #expect(path == place.destination + "/asked-\(run).db")
    #expect(
      try String(contentsOfFile: place.destination + "/asked.db", encoding: .utf8) == "theirs")
    #expect(try String(contentsOfFile: other, encoding: .utf8) == "mine")
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "copy")
    #expect(try place.delivered == ["asked-\(run).db", "asked.db"])
    // The requested name, if it is free; and the same one again.
    unlink(place.destination + "/asked.db")
    let second = DeliveryFolder(place.destination, run: run + "2", exactName: "asked.db")
    for _ in 0..<2 {
      #expect(
        try second.put(log, as: "asked.db", unless: { false }) == place.destination + "/asked.db")
    }
    #expect(throws: DeliveryError.self) {
      try second.put(log, as: "asked.db", unless: { true })
    }
    #expect(try place.delivered == ["asked-\(run).db", "asked.db"])
  }

  @Test(.enabled(if: getuid() == 0, "needs the right to change the owner of a folder"))
  func `in a folder of another user copies are in a folder of one's own`() throws {
    let place = try Place()
    chown(place.destination, 12345, 12345)
    let folder = DeliveryFolder(place.destination, run: "r", exactName: nil)
    let log = place.log.folder.path + "/a.db"
    try Data("copy".utf8).write(to: URL(fileURLWithPath: log))
    let own = "\(place.destination)/tasklog-\(geteuid())"
    #expect(try folder.put(log, as: "a.db", unless: { false }) == own + "/a-r.db")
    // Another user was faster.
    chown(own, 12345, 12345)
    #expect(throws: DeliveryError(description: "\(own): is not this user's own")) {
      try folder.put(log, as: "a.db", unless: { false })
    }
  }

  @Test func `a wrong interval is refused`() throws {
    let place = try Place()
    #expect(throws: RecordingError.wrongDelivery) {
      try Recorder(log: place.log.path, options: place.options(every: 0))
    }
  }
}
