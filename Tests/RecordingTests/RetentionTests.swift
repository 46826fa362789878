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

/// A recorder removes old runs, and old segments of the running one, by itself.
@Suite(.exclusive(.services), .serialized) struct RetentionTests {
  @Test(
    arguments: [
      ("7d", 604_800, nil, false), ("20GiB", nil, 20 << 30, false),
      ("7d,20GiB,failures", 604_800, 20 << 30, true), (" 12h , 5MB ", 43_200, 5_000_000, false),
    ] as [(String, Double?, Int64?, Bool)])
  func `an age and a size are read`(
    text: String, seconds: Double?, bytes: Int64?, failures: Bool
  ) throws {
    let rules = try #require(Retention.Rules(text))
    #expect(rules.seconds == seconds && rules.bytes == bytes && rules.keepsFailures == failures)
  }

  @Test(arguments: ["", "failures", "7", "7x", "1kB", "7d,8d", "0s", "-1d", "20GiB;7d"])
  func `anything else is refused`(text: String) throws {
    let log = try TemporaryLog()
    var options = Recorder.Options()
    options.keep = text
    #expect(Retention.Rules(text) == nil)
    #expect(throws: RecordingError.wrongRetention(text)) {
      try Recorder(log: log.path, options: options)
    }
  }

  @Test func `segments of the running run are removed while it is recorded`() throws {
    let log = try TemporaryLog()
    let template = log.folder.path + "/{run}.db"
    let problems = Mutex<[String]>([])
    var options = Recorder.Options()
    options.keep = "1MiB"
    options.rotateBytes = 65_536
    options.syncSeconds = 0.02
    options.problem = { line in problems.withLock { $0.append(line) } }
    let recorder = try Recorder(log: template, options: options)
    let channel = recorder.channel(for: Source(kind: .scheduler, id: "s", address: "a"))
    var count: Int64 = 0
    let deadline = Deadline(seconds: 120)
    func parts() -> [Int] { LogTemplate.files(template).map(\.part) }
    while parts().contains(1) || (parts().max() ?? 0) < 8 {
      try #require(!deadline.hasPassed, "\(parts())")
      for _ in 0..<200 {
        count += 1
        channel.record(
          Event(
            .logEvent, time: count, key: Key("k", Int(count)), stimulusID: "s",
            args: Args(named: [.init("text", .string("event \(count)"))])))
      }
      usleep(5000)
    }
    recorder.close()
    #expect(problems.withLock { $0 } == [])
    let files = LogTemplate.files(template)
    #expect(files.map(\.part) == Array((files.first?.part ?? 0)...(files.last?.part ?? 0)))
    // Nothing is lost silently: what remains and what was removed are all events.
    var segments: [RunSegment] = []
    for file in files {
      let findings = try LogCheck(path: file.path).run().findings
      #expect(findings.allSatisfy { $0.severity != .error }, "\(findings)")
      let reader = try LogReader(path: file.path)
      segments.append(RunSegment(reader: reader, run: try #require(try reader.runs().first)))
    }
    let pruned = try segments.pruned()
    #expect(try segments.totals().events + pruned == count && pruned > 0)
  }
}
