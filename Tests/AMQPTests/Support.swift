#if RabbitMQ
  import AMQP
  import BrokerMessages
  import Foundation
  import TaskLogKit
  import TestSupport
  import Testing

  @testable import AMQP

  /// The brokers that tests share; each test has its own queue.
  enum Brokers {
    /// For tests that do not damage it.
    static func well() throws -> Broker { try startedWell.get() }

    /// For tests that do, one at a time: each restores it.
    static func hurt() throws -> Broker { try startedToHurt.get() }

    private static let startedWell = Result { try start() }
    private static let startedToHurt = Result { try start() }

    /// A broker for one test.
    static func start(
      _ certificate: (file: String, key: String)? = nil, _ password: String = "guest"
    ) throws -> Broker {
      let broker = try Broker(certificate: certificate, password: password)
      running.add(broker)
      return broker
    }

    private static let running = Running()

    private final class Running: @unchecked Sendable {
      private let lock = NSLock()
      // Guarded by `lock`.
      private var brokers: [Broker] = []

      // There is no other hook at the end of all tests.
      init() { atexit { Brokers.running.end() } }

      func add(_ broker: Broker) { lock.withLock { brokers.append(broker) } }

      func end() { for broker in lock.withLock({ brokers }) { broker.end() } }
    }
  }

  /// The queue that a test publishes to and consumes from.
  struct Queue {
    let broker: Broker
    let name = "test-\(UUID().uuidString)"
    let folder: TemporaryFolder

    init(on broker: Broker? = nil) throws {
      self.broker = try broker ?? Brokers.well()
      folder = try TemporaryFolder()
    }

    var spool: String { folder("publish.spool") }

    func plugin(
      batch: Int = 1, query: String = "", options: Recorder.Options = Recorder.Options()
    ) throws -> RabbitMQPlugin {
      try RabbitMQPlugin(
        url: broker.url + query, queue: name, payload: .events(batch: batch), spool: spool,
        options: options)
    }

    /// Publishes plain bytes to the queue.
    func publish(_ bodies: [String]) throws {
      try Self.publish(bodies, to: broker.url, name)
    }

    static func publish(_ bodies: [String], to url: String, _ name: String) throws {
      let connection = try PublishingConnection(
        try AMQPAddress(url), queue: name, isPassive: false)
      for body in bodies { try connection.send(Array(body.utf8)) }
      var confirmed: UInt64 = 0
      let isDone = try waits {
        for confirm in try connection.confirms(waitingMilliseconds: 100) {
          confirmed = max(confirmed, confirm.number)
        }
        return confirmed == bodies.count
      }
      #expect(isDone)
      connection.close()
    }

    func delete() throws { try broker.control(["delete_queue", name]) }

    /// The number of messages that wait in the queue.
    func count() throws -> Int {
      let connection = try AMQPConnection(AMQPAddress(broker.url))
      defer { connection.close() }
      return try connection.declare(queue: name, isPassive: false).messageCount
    }

    /// Records the messages of the queue until no more arrive.
    @discardableResult
    func record(
      into log: String = "consumed.db", idleMilliseconds: Int = Int(400 * Patience.factor),
      prefetch: UInt16 = 1000
    ) throws -> DeliveryCounts {
      var settings = QueueConsumer.Settings(queue: name)
      settings.idleMilliseconds = idleMilliseconds
      settings.prefetch = prefetch
      let consumer = try QueueConsumer(broker.url, settings)
      return try consumer.run(
        into: {
          try QueueRecorder(
            path: folder(log), origin: consumer.origin, recorderVersion: taskLogVersion)
        }, progress: { _ in }, problem: { Issue.record("\($0)") }, isStopped: { false })
    }

    /// A separate `tasklog record` process, as a user starts it.
    func recorder(
      into log: String = "consumed.db", query: String = "", _ arguments: [String] = []
    ) throws -> Child {
      try Child(
        [
          Self.program, "record", "--from", broker.url + query, "--queue", name, "--log",
          folder(log),
        ] + arguments, output: .file(folder("output")))
    }

    /// The output of the recorders so far.
    func output() throws -> [String] {
      try String(contentsOfFile: folder("output"), encoding: .utf8)
        .split(separator: "\n").map(String.init)
    }

    /// The number of events in a log, which may not exist yet.
    func eventCount(_ name: String = "consumed.db") -> Int64 {
      guard let log = try? log(name), let runs = try? log.runs() else { return 0 }
      return runs.reduce(0) { $0 + ((try? log.eventCount(of: $1)) ?? 0) }
    }

    /// Whether a log contains its whole run.
    func isWhole(_ name: String = "consumed.db") -> Bool {
      guard let run = try? log(name).runs().last else { return false }
      return run.end == .closed && !run.isPartial
    }

    static var program: String { Programs.path("tasklog") }

    func log(_ name: String = "consumed.db") throws -> LogReader {
      try LogReader(path: folder(name))
    }
  }

  /// An event as it is compared: its identity and all of its content.
  struct Recorded: Equatable, CustomStringConvertible {
    var source: Source
    var sourceSeq: Int64
    var event: Event

    var description: String { "\(source.kind) \(source.id) \(sourceSeq): \(event)" }
  }

  extension LogReader {
    /// All events of the newest run, ordered by identity.
    func recorded() throws -> [Recorded] { try recorded(of: #require(try runs().last)) }

    func recorded(of run: RunInfo) throws -> [Recorded] {
      try sources(of: run).sorted { $0.source.id < $1.source.id }.flatMap { info in
        var events: [Recorded] = []
        let cursor = try self.events(of: info)
        while let event = try cursor.nextEvent() {
          events.append(
            Recorded(source: info.source, sourceSeq: event.sourceSeq, event: event.event))
        }
        return events
      }
    }
  }

  /// Records one run to two destinations.
  final class Tee: RecordingPlugin {
    private let all: [any RecordingPlugin]

    init(_ all: any RecordingPlugin...) { self.all = all }

    func channel(for source: Source) -> any EventChannel {
      Channel(all.map { $0.channel(for: source) })
    }

    func finish() async { for plugin in all { await plugin.finish() } }

    private final class Channel: EventChannel {
      private let all: [any EventChannel]
      init(_ all: [any EventChannel]) { self.all = all }
      func record(_ event: Event) { for channel in all { channel.record(event) } }
    }
  }

  /// Events whose content contains their number.
  func transition(_ number: Int) -> Event {
    Event(
      .transition, time: Int64(number), key: Key("task-\(number)"), start: .processing,
      finish: .memory, stimulusID: "stimulus-\(number / 10)",
      args: Args(named: [
        .init("nbytes", .int(Int64(number))), .init("typename", .string("builtins.int")),
      ]))
  }
#endif
