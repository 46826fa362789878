import Foundation
import LogFormat
import LogMaintenance
import TaskLogKit
import TestSupport
import TestTraits
import Testing

@testable import Recording

/// A run continues in another segment when its present one is large or old enough.
@Suite(.exclusive(.services), .serialized) struct RotationTests {
  private static func template(_ log: TemporaryLog) -> String {
    log.folder.appendingPathComponent("logs/{run}.db").path
  }

  /// Merges all segments of a template into the log of a test.
  private static func merge(_ log: TemporaryLog, reversed: Bool = false) throws {
    let merge = try LogMerge(into: log.path)
    defer { merge.close() }
    let files = LogTemplate.files(template(log))
    for file in reversed ? files.reversed() : files {
      _ = try merge.add(LogReader(path: file.path))
    }
  }

  /// Records until there are `files` files.
  private func recorded(_ log: TemporaryLog, files: Int) throws -> Int64 {
    var options = Recorder.Options()
    options.rotateBytes = 256 << 10
    options.syncSeconds = 0.02
    let recorder = try Recorder(log: Self.template(log), options: options)
    let channels = (0..<2).map { number in
      recorder.channel(
        for: Source(
          kind: number == 0 ? .scheduler : .worker, id: "s\(number)", address: "a", name: 1))
    }
    var count: Int64 = 0
    let deadline = Deadline(seconds: 120)
    while LogTemplate.files(Self.template(log)).count < files {
      try #require(!deadline.hasPassed, "the run has no \(files) segments")
      for _ in 0..<200 {
        count += 1
        for channel in channels {
          channel.record(
            Event(
              .logEvent, time: count, key: Key("k", Int(count / 3)), stimulusID: "s-\(count / 50)",
              args: Args(named: [.init("text", .string("event \(count)"))])))
        }
      }
      usleep(2000)
    }
    recorder.close()
    return count
  }

  @Test func `a run continues in other segments, which are intact and can be merged`() throws {
    let log = try TemporaryLog()
    let count = try recorded(log, files: 4)
    let files = LogTemplate.files(Self.template(log))
    #expect(Set(files.map(\.run)).count == 1)
    #expect(files.map(\.part) == Array(1...files.count))
    for (place, file) in files.enumerated() {
      let reader = try LogReader(path: file.path)
      let run = try reader.runs(matching: "latest")[0]
      #expect(run.end == .closed)
      #expect(run.previousFile == (place > 0 ? files[place - 1].path.lastPathComponent : nil))
      #expect(
        run.nextFile == (place + 1 < files.count ? files[place + 1].path.lastPathComponent : nil))
      let findings = try LogCheck(path: file.path).run().findings
      #expect(findings.allSatisfy { $0.kind == .earlierFile })
      #expect(findings.isEmpty == (place == 0))
      // No recorder holds the lock of any of them.
      #expect(access(file.path + "-wal", F_OK) != 0)
      #expect(access(file.path + ".spool", F_OK) != 0)
    }
    for reversed in [false, true] {
      try? FileManager.default.removeItem(atPath: log.path)
      try Self.merge(log, reversed: reversed)
      #expect(try LogCheck(path: log.path).run().findings.isEmpty)
      for events in try log.events().values {
        #expect(events.map(\.sourceSeq) == Array(1...count))
        #expect(events.map(\.event.time) == Array(1...count))
      }
    }
  }

  @Test func `a segment that ends between two reads is not the end of its run`() throws {
    let log = try TemporaryLog()
    let template = Self.template(log)
    var options = Recorder.Options()
    options.rotateBytes = 64 << 10
    options.syncSeconds = 0.02
    let recorder = try Recorder(log: template, options: options)
    let channel = recorder.channel(for: Source(kind: .scheduler, id: "s", address: "a"))
    var count: Int64 = 0
    func record() {
      count += 1
      channel.record(
        Event(
          .logEvent, time: count, stimulusID: "s-\(count)",
          args: Args(named: [.init("text", .string(String(repeating: "x", count: 100)))])))
    }
    record()
    #expect(recorder.flush(timeoutSeconds: 60))
    let merge = try LogMerge(into: log.path, preservesSeq: true)
    defer { merge.close() }
    let lock = try RecorderLock(log: log.path, run: recorder.runID)
    let first = try LogReader(path: recorder.log)
    let follower = SegmentFollower(merge, template: template, segment: first, changes: nil)
    let joined = { try LogReader(path: log.path).runs().first?.end }
    let isMore = try follower.step {
      // The run continues in another segment after the first one was seen to be live.
      let deadline = Deadline(seconds: 120)
      while try first.runs().first?.end == .running {
        try #require(!deadline.hasPassed, "it does not go on in another segment")
        record()
        usleep(200)
      }
    }
    #expect(isMore)
    #expect(try joined() == .running)
    for _ in 0..<100 { record() }
    recorder.close()
    while try follower.step() { #expect(try joined() == .running) }
    #expect(try joined() == .closed)
    #expect(try log.events().values.first?.map(\.event.time) == Array(1...count))
    withExtendedLifetime(lock) {}
  }

  @Test func `no event is lost when the process is killed, whatever segment it is in`() throws {
    var moments = Randomness.generator()
    for round in 0..<Randomness.setting("TASKLOG_TEST_ROTATED_KILLS", default: 5) {
      let log = try TemporaryLog()
      let victim = try Victim(
        log: log, launcher: ["env", "TASKLOG_VICTIM_ROTATES=200000"], name: "logs/{run}.db")
      try victim.kill(afterEvents: .random(in: 20_000...120_000, using: &moments))
      for file in LogTemplate.files(Self.template(log)) {
        try Recovery.recover(log: file.path)
        #expect(access(file.path + ".spool", F_OK) != 0, "round \(round)")
        // The victim's workers do what no real worker does.
        for finding in try LogCheck(path: file.path).run().findings
        where ![.impossibleTransition, .brokenChain].contains(finding.kind) {
          #expect(finding.severity != .error, "round \(round): \(finding)")
        }
      }
      try Self.merge(log)
      #expect(try log.check(against: victim, "round \(round)") == 0)
    }
  }

  @Test func `a run without rotation has its own file, too`() throws {
    let log = try TemporaryLog()
    var ids: [String] = []
    for _ in 0..<3 {
      let recorder = try Recorder(log: Self.template(log))
      ids.append(recorder.runID)
      #expect(recorder.log.hasSuffix("/logs/\(recorder.runID).db"))
      recorder.channel(for: Source(kind: .scheduler, id: "s", address: "a")).record(
        Event(.start, time: 1))
      recorder.close()
    }
    #expect(LogTemplate.files(Self.template(log)).map(\.run) == ids)
    #expect(LogTemplate.newest(Self.template(log)).hasSuffix("\(ids[2]).db"))
  }

  @Test func `a run continues in another segment when its segment is old enough`() throws {
    let log = try TemporaryLog()
    var options = Recorder.Options()
    options.rotateSeconds = 1
    options.syncSeconds = 0.1
    let recorder = try Recorder(log: Self.template(log), options: options)
    let channel = recorder.channel(for: Source(kind: .scheduler, id: "s", address: "a"))
    // A segment without events is not ended.
    try wait(for: "a second segment") {
      channel.record(Event(.start, time: 1))
      return LogTemplate.files(Self.template(log)).count >= 2
    }
    recorder.close()
  }

  @Test(arguments: [
    ("run.db", "run.db: rotation needs {run} in the name of the log"),
    ("{run}/log.db", "{run}/log.db: expected {run} once, in the file name"),
    ("{run}-{run}.db", "{run}-{run}.db: expected {run} once, in the file name"),
  ])
  func `an invalid template is an error`(name: String, words: String) throws {
    var options = Recorder.Options()
    options.rotateBytes = 1 << 20
    let error = #expect(throws: RecordingError.self) {
      _ = try Recorder(log: name, options: options)
    }
    #expect(error?.description.hasPrefix(words) == true)
  }

  @Test func `only names of logs match a template`() throws {
    let log = try TemporaryLog()
    let run = RunID.make()
    for name in ["\(run).db", "\(run).10.db", "\(run).2.db", "\(run).1.db", "\(run).x.db", "x.db"] {
      try Data().write(to: log.folder.appendingPathComponent(name))
    }
    let files = LogTemplate.files(log.folder.path + "/{run}.db")
    #expect(files.map(\.part) == [1, 2, 10])
    #expect(files.map(\.path.lastPathComponent) == ["\(run).db", "\(run).2.db", "\(run).10.db"])
  }
}
