#if RabbitMQ
  import Foundation
  import TaskLogKit
  import TestSupport
  import TestTraits
  import Testing

  @testable import AMQP

  /// A publisher under faults: the scheduler continues, one line is logged, and the events wait on
  /// the disk.
  @Suite(.exclusive(.services)) struct PublisherTests {
    private static let source = Source(kind: .scheduler, id: "s", address: "a")

    private func options(_ told: Told, closeSeconds: Double = 60) -> Recorder.Options {
      var options = Recorder.Options()
      options.problem = { told.add($0) }
      options.closeSeconds = closeSeconds
      return options
    }

    @Test func `publishing options are read from text and from numbers`() throws {
      func publishing(_ options: [(String, Value)]) throws -> Publishing? {
        var publishing = PublishingOptions()
        for (name, value) in options { try publishing.set(name, value) }
        return try publishing.publishing()
      }
      #expect(try publishing([("queue", "q")]) == nil)
      let url: (String, Value) = ("url", "amqp://user:secret@host")
      let all = try #require(
        try publishing([url, ("queue", "q"), ("batch", "7"), ("spool", "s"), ("passive", "yes")]))
      #expect(all.payload == .events(batch: 7) && all.spool == "s")
      #expect(all.destination.contains("'q'") && !all.destination.contains("secret"))
      #expect(try publishing([url, ("batch", 7)])?.payload == .events(batch: 7))
      #expect(try publishing([url, ("payload", "transitions")])?.payload == .transitions)
      let wrong: [(String, Value)] = [
        ("batch", "0"), ("batch", 100_001), ("batch", "many"), ("batch", .double(1.5)),
        ("payload", "all"), ("passive", "maybe"), ("queue", 7), ("url", .null), ("colour", "red"),
      ]
      for option in wrong {
        #expect(throws: PluginError.self, "\(option)") { try publishing([url, option]) }
      }
    }

    @Test func `redacted values never reach the broker, and filtered events are counted`()
      async throws
    {
      let queue = try Queue()
      let told = Told()
      var options = options(told)
      options.redactedArgs = ["pass*"]
      options.maximumArgsBytes = 1000
      options.filter.excludeHooks = ["stimulus"]
      options.filter.excludeKeys = ["hidden-*"]
      func record(_ plugin: RabbitMQPlugin) {
        let channel = plugin.channel(for: Self.source)
        for number in 1...100 {
          channel.record(
            Event(
              .transition, time: Int64(number), key: Key("task-\(number)"), start: .waiting,
              finish: .memory,
              args: Args(named: [
                .init("password", .string("geheim")),
                .init(
                  "inner", .object(["passphrase": .string("geheim"), "x": .int(Int64(number))])),
              ])))
          channel.record(
            Event(.stimulus, time: 1, args: Args(named: [.init("x", .string("geheim"))])))
          channel.record(
            Event(.transition, time: 1, key: Key("hidden-1"), start: .waiting, finish: .memory))
        }
        channel.record(
          Event(
            .logEvent, time: 101,
            args: Args(named: [.init("long", .string(String(repeating: "long", count: 10_000)))])))
      }
      let plugin = try queue.plugin(batch: 10, options: options)
      record(plugin)
      #expect(plugin.flush(timeoutSeconds: 30))
      await plugin.finish()
      let looker = try ConsumingConnection(
        AMQPAddress(queue.broker.url), QueueConsumer.Settings(queue: queue.name))
      var bodies: [String] = []
      #expect(
        try waits {
          bodies += try looker.batch().map { String(decoding: $0.body, as: UTF8.self) }
          return bodies.last?.contains("\"end\"") == true
        })
      looker.close()
      #expect(bodies.allSatisfy { !$0.contains("geheim") && !$0.contains("hidden-1") })
      #expect(bodies.allSatisfy { $0.utf8.count < 10_000 })

      try queue.record()
      func expectLimits(_ id: String) throws {
        let log = try queue.log()
        let run = try #require(try log.runs().first { $0.id == id })
        #expect(run.end == .closed && !run.isPartial)
        #expect(run.limits.isFiltered)
        #expect(try log.excluded(of: run).reduce(0) { $0 + $1.events } == 200)
        let events = try log.recorded(of: run).filter { $0.event.hook == .transition }
        #expect(events.count == 100)
        #expect(events.allSatisfy { $0.event.args["password"]?.string == nil })
        #expect(
          events.enumerated().allSatisfy { $1.event.args["inner"]?["x"] == .int(Int64($0 + 1)) })
      }
      try expectLimits(plugin.runID)

      // The same if there is no broker at the end, and another publisher sends the rest.
      options.closeSeconds = 0.3
      let lonely = try RabbitMQPlugin(
        url: "amqp://127.0.0.1:\(Broker.freePort())", queue: queue.name, spool: queue.spool,
        options: options)
      record(lonely)
      await lonely.finish()
      for name in try FileManager.default.subpathsOfDirectory(atPath: queue.spool) {
        guard let data = FileManager.default.contents(atPath: queue.spool + "/" + name) else {
          continue
        }
        #expect(data.range(of: Data("geheim".utf8)) == nil, "\(name)")
      }
      let next = try queue.plugin()
      next.channel(for: Self.source).record(transition(1))
      #expect(next.flush(timeoutSeconds: 30))
      await next.finish()
      try queue.record()
      try expectLimits(lonely.runID)
    }

    @Test func `unreadable records are reported and stay`() async throws {
      let queue = try Queue()
      let folder = queue.spool + "/01942f00-0000-7000-8000-00000000000b"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      for (name, text) in [("lock", ""), ("1", "segment"), ("publisher.json", "{")] {
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/" + name))
      }
      let told = Told()
      let plugin = try queue.plugin(options: options(told))
      plugin.channel(for: Self.source).record(transition(1))
      #expect(plugin.flush(timeoutSeconds: 30))
      await plugin.finish()
      #expect(told.lines.count == 1 && told.lines[0].contains("\(folder)/publisher.json cannot"))
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).contains("1"))
      #expect(try queue.record().events == 1)
    }

    @Test func `a refused login is logged once, and the next publisher sends the waiting events`()
      async throws
    {
      let queue = try Queue()
      let told = Told()
      let refused = try RabbitMQPlugin(
        url: "amqp://guest:geheim@127.0.0.1:\(queue.broker.port)", queue: queue.name,
        spool: queue.spool, options: options(told, closeSeconds: 0.5))
      let channel = refused.channel(for: Self.source)
      for number in 1...500 { channel.record(transition(number)) }
      #expect(waits { !told.lines.isEmpty })
      #expect(!refused.flush(timeoutSeconds: 0.5))
      await refused.finish()
      #expect(told.lines.count == 2)
      #expect(told.lines[0].contains("the broker refused the login of guest"), "\(told.lines)")
      #expect(told.lines.allSatisfy { !$0.contains("geheim") })
      let next = try queue.plugin()
      next.channel(for: Self.source).record(transition(1))
      #expect(next.flush(timeoutSeconds: 30))
      await next.finish()
      try queue.record()
      let run = try #require(try queue.log().runs().first { $0.id == refused.runID })
      #expect(run.end == .closed && !run.isPartial)
      #expect(try queue.log().eventCount(of: run) == 500)
    }

    @Test func `a deleted queue is declared again for unconfirmed messages`() async throws {
      let queue = try Queue()
      let told = Told()
      let plugin = try queue.plugin(options: options(told))
      let producer = Producer(plugin.channel(for: Self.source))
      #expect(try waits { try queue.count() > 100 })
      try queue.delete()
      let deleted = producer.count
      #expect(waits { told.lines.count > 1 && producer.count > deleted + 500 })
      #expect(plugin.flush(timeoutSeconds: 30))
      producer.stop()
      await plugin.finish()
      #expect(told.lines.count == 2)
      #expect(
        told.lines.last?.contains("has been created again; events that were confirmed") == true,
        "\(told.lines)")
      #expect(
        told.lines.first?.contains("queue '\(queue.name)' no longer exists") == true,
        "\(told.lines)")
      try queue.record()
      let seqs = try queue.log().recorded().map(\.sourceSeq)
      let first = try #require(seqs.min())
      // Confirmed messages were deleted with the queue; every other one is there exactly once.
      #expect(first <= Int64(deleted) + 1)
      #expect(seqs.sorted() == Array(first...Int64(producer.count)))
    }

    @Test func `a publisher waits for a full queue and logs it once`() async throws {
      let queue = try Queue()
      try queue.publish([])
      try queue.broker.control([
        "set_policy", queue.name, "^\(queue.name)$",
        #"{"max-length": 50, "overflow": "reject-publish"}"#, "--apply-to", "queues",
      ])
      let told = Told()
      let direct = queue.folder("direct.db")
      let plugin = try queue.plugin(options: options(told))
      let tee = Tee(try Recorder(log: direct), plugin)
      let channel = tee.channel(for: Self.source)
      for number in 1...400 { channel.record(transition(number)) }
      #expect(waits { !told.lines.isEmpty })
      #expect(!plugin.flush(timeoutSeconds: 1))
      #expect(told.lines.count == 1)
      #expect(told.lines[0].contains("the broker refused a message; its queue"))
      // A consumer takes the messages.
      let recorder = try queue.recorder()
      #expect(plugin.flush(timeoutSeconds: 60))
      await tee.finish()
      #expect(waits { queue.isWhole() })
      #expect(recorder.end(SIGTERM) == 0)
      let (expected, found) = (
        try queue.log("direct.db").recorded(), try queue.log().recorded()
      )
      #expect(found.sorted { $0.sourceSeq < $1.sourceSeq } == expected)
    }
  }
#endif
