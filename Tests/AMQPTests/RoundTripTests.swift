#if RabbitMQ
  import Foundation
  import TaskLogKit
  import TestSupport
  import TestTraits
  import Testing

  @testable import AMQP

  /// From a scheduler through a real broker into a log.
  @Suite(.exclusive(.services)) struct RoundTripTests {
    @Test(arguments: [1, 50])
    func `a run sent through the broker equals the run recorded directly`(
      batch: Int
    ) async throws {
      let queue = try Queue()
      let direct = queue.folder("direct.db")
      let cluster = try await LocalCluster(
        workers: 2, recorder: Tee(Recorder(log: direct), queue.plugin(batch: batch)))
      let squares = cluster.client.map("square", Array(1...200)) { $0 * $0 }
      let total = cluster.client.submit("total", all: squares) { $0.reduce(0, +) }
      #expect(try await total.result() == (1...200).reduce(0) { $0 + $1 * $1 })
      let wrong = cluster.client.submit("wrong") { () throws -> Int in
        throw CocoaError(.fileNoSuchFile)
      }
      _ = try? await wrong.result()
      await cluster.close()
      #expect(!FileManager.default.fileExists(atPath: queue.spool))

      let counts = try queue.record()
      let (expected, found) = (try LogReader(path: direct), try queue.log())
      #expect(try found.recorded() == expected.recorded())
      let run = try #require(try found.runs().last)
      #expect(run.end == .closed)
      #expect(!run.isPartial)
      #expect(run.engine == "tasklog")
      #expect(counts.events == Int64(try expected.recorded().count))
      #expect(counts.malformed == 0)
      #expect(batch == 1 || counts.messages < counts.events / 5)
      #expect(try queue.count() == 0)
    }

    @Test func `every kind of value is preserved`() async throws {
      let queue = try Queue()
      var random = SplitMix64(seed: 10)
      let events = (0..<300).map { number in
        let key: Key? =
          switch number % 4 {
          case 0: Key("inc", number)
          case 1: Key("plain\(number)")
          case 2: Key(.tuple([.string("a\0b"), .double(1.5), .int(Int64(number))]))
          default: nil
          }
        return Event(
          Hook(number % 7 == 0 ? "from the future" : "transition"), time: Int64(number), key: key,
          start: State("waiting"), finish: State("brand-new"), stimulusID: "s\u{e9}\"\n",
          worker: "tcp://127.0.0.1:1", taskRunID: Int64(number),
          args: Args(
            positional: number % 3 == 0 ? random.values(1) : [],
            named: [.init("$odd", random.value()), .init("plain", random.value())]),
          snapshot: number % 5 == 0 ? .other(.dict([.init("x", random.value())])) : .none)
      }
      let direct = queue.folder("direct.db")
      let tee = Tee(try Recorder(log: direct), try queue.plugin(batch: 7))
      let channel = tee.channel(for: Source(kind: .worker, id: "w", address: "a", name: .int(3)))
      for event in events { channel.record(event) }
      await tee.finish()
      try queue.record()
      let (expected, found) = (try LogReader(path: direct), try queue.log())
      #expect(try found.recorded() == expected.recorded())
      #expect(try found.recorded().count == 300)
    }

    @Test func `a message that is published twice is recorded once`() async throws {
      let queue = try Queue()
      let log = queue.folder("direct.db")
      let recorder = try Recorder(log: log)
      let channel = recorder.channel(for: Source(kind: .scheduler, id: "s", address: "a"))
      for number in 1...500 { channel.record(transition(number)) }
      await recorder.finish()
      for batch in [1, 100] {
        let replay = try Child(
          [
            Queue.program, "replay", "--plugin", "rabbitmq", "--option", "url=\(queue.broker.url)",
            "--option", "queue=\(queue.name)", "--option", "batch=\(batch)", "--log", log,
          ], output: .file(queue.folder("replayed")))
        #expect(replay.wait() == 0)
      }
      let counts = try queue.record()
      #expect(counts.events == 500)
      #expect(counts.known == 500)
      let again = try queue.log()
      #expect(try again.recorded() == LogReader(path: log).recorded())
      #expect(try again.runs().map(\.end) == [.closed])
      #expect(try again.runs().map(\.isPartial) == [false])
    }

    @Test func `messages as in Dask's documentation are recorded and replayed`() throws {
      let queue = try Queue()
      try queue.publish([
        #"{"key": "inc-1", "start": "processing", "finish": "memory"}"#,
        #"{"key": ["x", [1, 2.5]], "start": "released", "finish": "waiting"}"#,
        #"{"key": "inc-1", "start": "memory", "finish": "released", "at": 5}"#,
      ])
      let counts = try queue.record()
      #expect(counts.events == 3)
      let log = try queue.log()
      let recorded = try log.recorded()
      #expect(recorded.map(\.event.key?.text) == ["inc-1", "('x', (1, 2.5))", "inc-1"])
      #expect(recorded.map(\.event.start) == [.processing, .released, .memory])
      #expect(recorded.map(\.event.finish) == [.memory, .waiting, .released])
      #expect(recorded[2].event.args["at"] == .int(5))
      #expect(try log.runs().map(\.mode) == ["transitions"])
      #expect(try log.runs().map(\.end) == [.closed])

      let other = try Queue()
      let replay = try Child([
        Queue.program, "replay", "--plugin", "rabbitmq", "--option", "url=\(other.broker.url)",
        "--option", "queue=\(other.name)", "--option", "payload=transitions", "--log",
        queue.folder("consumed.db"),
      ])
      #expect(replay.wait() == 0)
      #expect(try other.record().events == 3)
      let again = try other.log().recorded()
      #expect(again.map(\.event.key) == recorded.map(\.event.key))
      #expect(again.map(\.event.finish) == recorded.map(\.event.finish))
    }

    @Test func `a message that cannot be decoded is stored as bytes and acknowledged`() throws {
      let queue = try Queue()
      let bodies = [
        "no JSON", "", "{}", "[1]", #"{"tasklog": 99}"#, #"{"tasklog": 1, "run": {"id": "../x"}}"#,
        #"{"key": true, "start": "a", "finish": "b"}"#,
        #"{"tasklog":1,"run":{"id":"r","engine":"e","mode":"full","started":1},"events":[{"source":0}]}"#,
      ]
      try queue.publish(bodies + [#"{"key": "x", "start": "a", "finish": "b"}"#])
      let counts = try queue.record()
      #expect(counts.malformed == Int64(bodies.count))
      #expect(counts.events == 1)
      #expect(try queue.count() == 0)
      let kept = try queue.log().recorded().filter { $0.event.hook.name == "malformed" }
      #expect(kept.map { $0.event.args["bytes"] } == bodies.map { .bytes(Array($0.utf8)) })
      #expect(kept.allSatisfy { $0.event.args["reason"]?.string?.isEmpty == false })
    }

    @Test func `a redelivered message without an identity is recorded and marked`() throws {
      let queue = try Queue()
      try queue.publish((0..<10).map { #"{"key": "k\#($0)", "start": "a", "finish": "b"}"# })
      // A consumer takes the messages and disconnects without acknowledging them.
      let gone = try ConsumingConnection(
        AMQPAddress(queue.broker.url), QueueConsumer.Settings(queue: queue.name))
      #expect(try waits { try !gone.batch().isEmpty })
      gone.close()
      let counts = try queue.record()
      #expect(counts.redelivered == 10)
      #expect(try queue.log().recorded().allSatisfy { $0.event.args["redelivered"] == .bool(true) })
    }

    @Test func `a publisher without a broker ends its run, and the next one sends it`() async throws
    {
      let queue = try Queue()
      let told = Told()
      var options = Recorder.Options()
      options.closeSeconds = 0.3
      options.problem = { told.add($0) }
      let lost = try RabbitMQPlugin(
        url: "amqp://me:secret@127.0.0.1:\(Broker.freePort())", queue: queue.name,
        payload: .events(batch: 10), spool: queue.spool, options: options)
      let channel = lost.channel(for: Source(kind: .scheduler, id: "s", address: "a"))
      for number in 1...1000 { channel.record(transition(number)) }
      await lost.finish()
      #expect(told.lines.count == 2)
      #expect(told.lines.allSatisfy { !$0.contains("secret") })
      #expect(told.lines.last?.contains("stays in") == true)

      let next = try queue.plugin(options: options)
      next.channel(for: Source(kind: .scheduler, id: "s", address: "a")).record(transition(1))
      #expect(next.flush(timeoutSeconds: 30))
      await next.finish()
      try queue.record()
      let log = try queue.log()
      #expect(try log.runs().map(\.id).sorted() == [lost.runID, next.runID].sorted())
      #expect(try log.runs().map { try log.eventCount(of: $0) }.sorted() == [1, 1000])
      #expect(try log.runs().map { try log.missing(of: $0) } == [0, 0])
      #expect(try log.runs().map(\.isPartial) == [false, false])
      #expect(try log.runs().map(\.end) == [.closed, .closed])
      #expect(!FileManager.default.fileExists(atPath: queue.spool))
    }
  }

  /// The problems that were reported.
  final class Told: @unchecked Sendable {
    private let lock = NSLock()
    // Guarded by `lock`.
    private var all: [String] = []

    var lines: [String] { lock.withLock { all } }

    func add(_ line: String) { lock.withLock { all.append(line) } }
  }
#endif
