#if RabbitMQ
  import BrokerMessages
  import Foundation
  import LogMaintenance
  import TaskLogKit
  import TestSupport
  import TestTraits
  import Testing

  @testable import AMQP

  /// A run that several recorders consumed from one queue is one run for readers of all their logs.
  @Suite(.exclusive(.services)) struct SeveralRecordersTests {
    private static let names = ["a.db", "b.db", "c.db"]

    /// What a command prints about logs, without their names.
    private func ask(
      _ words: [String], _ logs: [String], _ folder: TemporaryFolder, code: Int32 = 0
    ) throws -> String {
      let output = folder(UUID().uuidString)
      let child = try Child(
        [Queue.program] + words + logs.flatMap { ["--log", folder($0)] }, output: .file(output))
      #expect(child.wait() == code)
      let text = try String(contentsOfFile: output, encoding: .utf8)
      let name = logs.map { folder($0) }.joined(separator: " + ")
      return text.replacingOccurrences(of: name, with: "LOG")
        .replacingOccurrences(of: folder.url.path + "/", with: "")
    }

    /// The identities of the events that are in any of the logs.
    private static func identities(_ queue: Queue) -> Set<String> {
      names.reduce(into: []) { all, name in
        // A log that was just created may contain no run yet.
        guard let log = try? queue.log(name), let run = try? log.runs().last else { return }
        for event in (try? log.recorded(of: run)) ?? [] {
          all.insert("\(event.source.id) \(event.sourceSeq)")
        }
      }
    }

    @Test func `the logs of three recorders, one of them killed, hold the whole run`() async throws
    {
      let queue = try Queue()
      let cluster = try await LocalCluster(
        workers: 2,
        recorder: Tee(Recorder(log: queue.folder("direct.db")), queue.plugin(batch: 3)))
      let squares = cluster.client.map("square", Array(1...150)) { $0 * $0 }
      let total = cluster.client.submit("total", all: squares) { $0.reduce(0, +) }
      #expect(try await total.result() == (1...150).reduce(0) { $0 + $1 * $1 })
      await cluster.close()

      // All recorders are connected before the first message: each gets its share.
      let recorders = try Self.names.map { try queue.recorder(into: $0, ["--prefetch", "2"]) }
      #expect(waits { queue.eventCount("a.db") > 20 })
      #expect(recorders[0].end(SIGKILL) == -SIGKILL)
      let direct = try queue.log("direct.db").recorded()
      #expect(waits { Self.identities(queue).count == direct.count })
      for recorder in recorders[1...] { #expect(recorder.end(SIGTERM) == 0) }

      for name in Self.names {
        let run = try #require(try queue.log(name).runs().last)
        #expect(run.isPartial)
        let alone = try ask(["check"], [name], queue.folder)
        #expect(alone.contains("partial-run") && !alone.contains("hole-in-source"), "\(alone)")
      }
      let counts = Self.names.map { queue.eventCount($0) }
      #expect(counts.allSatisfy { $0 > 0 })
      #expect(counts.reduce(0, +) >= direct.count)

      for words in [
        ["summary"], ["story", total.key.text], ["errors"], ["workers", "--format", "csv"],
        ["critical-path", "--format", "csv"],
        ["query", "--count"], ["query", "--count", "--hook", "*"],
        ["query", "--group-by", "worker,key,start,finish,stimulus", "--format", "csv"],
        ["query", "SELECT count(*), min(time_ns), max(time_ns) FROM events"],
        ["query", "SELECT * FROM tasks ORDER BY key", "--format", "csv"],
        ["inspect", "--table", "kinds"], ["inspect", "--table", "gaps"],
        ["replay", "--plugin", "counter", "--plugin", "errors"],
        ["export", "--to", "dask"],
      ] {
        let (expected, found) = (
          try ask(words, ["direct.db"], queue.folder), try ask(words, Self.names, queue.folder)
        )
        // Positions within a log differ between the logs.
        let isSame =
          found.replacing(/"seq":\d+/, with: "") == expected.replacing(/"seq":\d+/, with: "")
        #expect(isSame, "\(words)")
      }
      let merged = try ask(
        ["merge"] + Self.names.map { queue.folder($0) }
          + ["--into", queue.folder("all.db")], [], queue.folder)
      #expect(merged.contains("\(direct.count) events added"), "\(merged)")
      #expect(try queue.log("all.db").recorded() == direct)
      #expect(queue.isWhole("all.db"))
      #expect(try !queue.log("all.db").runs()[0].isUnordered)
      #expect(try LogCheck(path: queue.folder("all.db")).run().findings.isEmpty)
      let checked = try ask(["check", "--strict"], Self.names, queue.folder)
      #expect(checked.split(separator: "\n").allSatisfy { $0.contains("partial-run") })
      let runs = try ask(["runs", "--format", "csv"], Self.names, queue.folder)
      #expect(
        runs.split(whereSeparator: \.isNewline).count == 2 && runs.contains(",closed,"), "\(runs)")
      _ = try ask(["report", "-o", queue.folder("report.html")], Self.names, queue.folder)
      #expect(FileManager.default.fileExists(atPath: queue.folder("report.html")))
    }

    // MARK: - Missing events

    /// A run of messages with ten events each, and its end.
    ///
    /// - Parameter count: the total number of events.
    private func messages(_ count: Int = 30) throws -> [[UInt8]] {
      let collector = Collector()
      let publishing = Publishing(destination: "nowhere", payload: .events(batch: 10)) { collector }
      let sender = try MessageSender(
        publishing,
        run: RunHeader(
          id: "01942f00-0000-7000-8000-00000000000a", engine: "tasklog", engineVersion: "1",
          recorderVersion: "1", mode: "full", started: 1))
      sender.add(Source(kind: .scheduler, id: "s", address: "tcp://s:1"), number: 0)
      for number in 1...count {
        try sender.send(transition(number), source: 0, sourceSeq: Int64(number))
      }
      sender.end(.closed, at: 99, lastSourceSeqs: [(0, Int64(count))])
      try sender.close()
      return collector.bodies
    }

    private func record(_ bodies: [[UInt8]], _ name: String, _ folder: TemporaryFolder) throws {
      let log = try QueueRecorder(path: folder(name), origin: "nowhere", recorderVersion: "1")
      for body in bodies { try log.take([Delivery(body: body, isRedelivered: false)]) }
      log.close()
    }

    @Test func `only an event that no log contains is missing`() throws {
      let folder = try TemporaryFolder()
      let messages = try messages()
      #expect(messages.count == 4)
      try record([messages[0]], "a.db", folder)
      try record([messages[2], messages[3]], "b.db", folder)
      try record([messages[1], messages[1]], "c.db", folder)
      let two = ["a.db", "b.db"]
      #expect(try ask(["query", "--count"], two, folder).contains(#"{"count":20}"#))
      let runs = try ask(["runs"], two, folder)
      #expect(runs.contains(#""end":"closed""#) && runs.contains(#""missing":10"#), "\(runs)")
      #expect(runs.contains("run #1 is partial even with all of these logs: 10 events are"))
      let checked = try ask(["check"], two, folder)
      #expect(checked.contains(#""finding":"in-no-log","log":"LOG""#), "\(checked)")
      #expect(checked.contains("10 events of run 01942f00"))
      _ = try ask(["check", "--strict"], two, folder, code: 2)
      let gaps = try ask(["query", "SELECT source_seq, count, reason FROM gaps"], two, folder)
      #expect(
        gaps.contains(#"{"source_seq":11,"count":10,"reason":"in none of the logs"}"#), "\(gaps)")

      // The third log contains them, in any order of the logs.
      for names in [["a.db", "b.db", "c.db"], ["c.db", "b.db", "a.db"]] {
        let runs = try ask(["runs"], names, folder)
        #expect(runs.contains(#""end":"closed""#) && runs.contains(#""missing":0"#), "\(runs)")
        #expect(!runs.contains("partial"))
        #expect(try !ask(["check", "--strict"], names, folder).contains("in-no-log"))
        #expect(
          try ask(["query", "--columns", "key"], names, folder).split(separator: "\n").count == 30)
      }
      // A single log reports what it lacks.
      let alone = try ask(["summary"], ["a.db"], folder)
      #expect(alone.contains("run #1 is partial: the rest may be in its queue, or in the logs"))
      #expect(try ask(["check", "--strict"], ["a.db"], folder).contains("partial-run"))
    }

    @Test func `a batch of messages is stored in order, including those that cannot be decoded`()
      throws
    {
      let folder = try TemporaryFolder()
      var messages = try messages(5000)
      #expect(messages.reduce(0) { $0 + $1.count } > 128 << 10)
      messages.insert(Array("nonsense".utf8), at: 250)
      let log = try QueueRecorder(
        path: folder("a.db"), origin: "nowhere", recorderVersion: "1")
      try log.take(messages.map { Delivery(body: $0, isRedelivered: false) })
      #expect(log.counts.messages == 502 && log.counts.events == 5000)
      #expect(log.counts.malformed == 1)
      // All of it again, before the messages that cannot be stored.
      try log.take(messages.map { Delivery(body: $0, isRedelivered: true) })
      #expect(log.counts.known == 5000 && log.counts.malformed == 2)
      try FileManager.default.removeItem(atPath: folder("a.db"))
      #expect(throws: LogError.self) {
        try log.take(messages.map { Delivery(body: $0, isRedelivered: true) })
      }
      log.close()
    }

    @Test func `events of a batch of messages are in order`() throws {
      let folder = try TemporaryFolder()
      let log = try QueueRecorder(
        path: folder("a.db"), origin: "nowhere", recorderVersion: "1")
      try log.take(try messages(5000).map { Delivery(body: $0, isRedelivered: false) })
      log.close()
      let reader = try LogReader(path: folder("a.db"))
      #expect(try reader.recorded().map(\.sourceSeq) == Array(1...5000))
      #expect(try !reader.runs()[0].isPartial && !reader.runs()[0].isUnordered)
    }

    @Test func `an event consumed by two recorders is shown once, also with a cursor`()
      throws
    {
      let folder = try TemporaryFolder()
      let messages = try messages()
      try record([messages[0], messages[1]], "a.db", folder)
      try record([messages[1], messages[2], messages[3]], "b.db", folder)
      for names in [["a.db", "b.db"], ["b.db", "a.db"]] {
        func numbers(_ words: [String]) throws -> [Int] {
          try ask(["query", "--columns", "source_seq"] + words, names, folder)
            .matches(of: /"source_seq":(\d+)/).compactMap { Int($0.1) }
        }
        #expect(try numbers(["--follow"]) == Array(1...30))
        let notes = try ask(["query", "--follow"], names, folder)
        #expect(notes.contains("run #1 of a.db is partial") && !notes.contains("--log"), "\(notes)")
        #expect(try numbers(["--follow", "-n", "15"]) == Array(16...30))
        #expect(try numbers(["--show-cursor", "-n", "15"]) == Array(1...15))
        #expect(try numbers(["--show-cursor", "--reverse", "-n", "15"]) == (16...30).reversed())
        let all = ["--after-cursor", "- -"]
        #expect(try numbers(all) == Array(1...30))
        #expect(try ask(["query", "--count"] + all, names, folder).contains(#""count":30"#))
        #expect(
          try ask(["query", "--group-by", "finish"] + all, names, folder).contains(#""count":30"#))
        let half = try ask(["query", "-n", "15", "--show-cursor"], names, folder)
        let cursor = try #require(half.firstMatch(of: /cursor: (.*)/)).1
        #expect(try numbers(["--after-cursor", String(cursor)]) == Array(16...30))
      }
    }

    @Test func `a temporary merged log is removed however the command ends`()
      throws
    {
      let folder = try TemporaryFolder()
      let messages = try messages()
      try record([messages[0]], "a.db", folder)
      try record([messages[2]], "b.db", folder)
      let scratch = folder("scratch")
      let stale = scratch + "/tasklog-scratch-of-the-dead"
      try FileManager.default.createDirectory(atPath: stale, withIntermediateDirectories: true)
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSinceNow: -3600)], ofItemAtPath: stale)
      for line in ["query --hook '*'", "query --hook '*' | true", "summary", "summary --run nope"] {
        let child = try Child(
          [
            "sh", "-c",
            "cd '\(folder.url.path)'; '\(Queue.program)' \(line.replacing(" |", with: " --log a.db --log b.db |")) "
              + (line.contains("|") ? "" : "--log a.db --log b.db"),
          ], environment: ["TMPDIR": scratch])
        #expect(child.wait() != nil)
        #expect(
          try waits { try FileManager.default.contentsOfDirectory(atPath: scratch) == [] },
          "\(line)")
      }
    }

    @Test func `a merge recovers pending events first`() throws {
      let folder = try TemporaryFolder()
      let messages = try messages()
      try record([messages[2], messages[3]], "b.db", folder)
      try record([messages[0], messages[1]], "a.db", folder)
      let into = ["--into", folder("all.db")]
      _ = try ask(["merge", folder("b.db")] + into, [], folder)
      let half = try LogReader(path: folder("all.db"))
      #expect(try half.runs().map(\.isPartial) == [true])
      #expect(try half.missing(of: half.runs()[0]) == 0)
      #expect(try LogCheck(path: folder("all.db")).run().hasWarnings == false)
      _ = try ask(["merge", folder("a.db")] + into, [], folder)
      let all = try LogReader(path: folder("all.db"))
      let run = try all.runs()[0]
      #expect(!run.isPartial && run.end == .closed)
      // They arrived in the wrong order, which replay corrects.
      #expect(run.isUnordered)
      let replayed = try ask(["replay", "--plugin", "exec:cat"], ["all.db"], folder)
      let seqs = replayed.matches(of: /"sourceSeq":(\d+)/).compactMap { Int($0.1) }
      #expect(seqs == seqs.sorted(), "\(replayed)")
      // So does a comparison with a run that arrived in order.
      try record(messages, "ordered.db", folder)
      let difference = try ask(
        [
          "compare", "latest", "latest", "--log2", folder("ordered.db"), "--table",
          "first_difference", "--format", "csv",
        ], ["all.db"], folder)
      #expect(difference.split(separator: "\n").count == 1, "\(difference)")
    }

    @Test func `a run that a recorder is still consuming is live and has no gaps yet`()
      throws
    {
      let folder = try TemporaryFolder()
      let messages = try messages()
      try record([messages[0]], "a.db", folder)
      let live = try QueueRecorder(path: folder("b.db"), origin: "nowhere", recorderVersion: "1")
      try live.take([Delivery(body: messages[2], isRedelivered: false)])
      let runs = try ask(["runs"], ["a.db", "b.db"], folder)
      #expect(runs.contains(#""end":"running""#) && runs.contains(#""missing":0"#), "\(runs)")
      #expect(try !ask(["check"], ["a.db", "b.db"], folder).contains("in-no-log"))
      live.close()
      #expect(try ask(["runs"], ["a.db", "b.db"], folder).contains(#""end":"died""#))
    }

    @Test func `a run whose end was not received is not closed`() throws {
      let folder = try TemporaryFolder()
      let messages = try messages()
      try record([messages[0]], "a.db", folder)
      try record([messages[2]], "b.db", folder)
      let runs = try ask(["runs"], ["a.db", "b.db"], folder)
      #expect(runs.contains(#""end":"died""#) && runs.contains(#""missing":10"#), "\(runs)")
      #expect(runs.contains("and none has its end"))
      #expect(
        try ask(["check"], ["a.db", "b.db"], folder).contains("and none knows its end"))
    }
  }

  /// Receives messages as a broker does, and keeps them.
  /// Used by one thread, which `@unchecked` relies on.
  private final class Collector: MessageConnection, @unchecked Sendable {
    let isQueueNew = false
    var bodies: [[UInt8]] = []
    private var confirmed = 0

    func send(_ body: [UInt8]) throws { bodies.append(body) }

    func confirms(waitingMilliseconds: Int) throws -> [MessageConfirm] {
      guard bodies.count > confirmed else { return [] }
      confirmed = bodies.count
      return [MessageConfirm(number: UInt64(confirmed), isMultiple: true, isAccepted: true)]
    }

    func close() {}
  }
#endif
