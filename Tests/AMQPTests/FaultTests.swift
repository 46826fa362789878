#if RabbitMQ
  import Foundation
  import LogMaintenance
  import TaskLogKit
  import TestSupport
  import TestTraits
  import Testing

  @testable import AMQP

  /// A fault of a broker in the middle of the work.
  enum Fault: String, CaseIterable, CustomTestStringConvertible {
    case killed, stopped, hung
    case hungForLong = "hung for longer than heartbeats"

    var testDescription: String { rawValue }

    /// How often it is reported: once per outage. Whether a broker that hangs for a moment is
    /// noticed depends on how busy the machine is.
    var reports: ClosedRange<Int> { self == .hung ? 0...1 : 1...1 }

    /// Short, so that a hanging broker is given up soon.
    static let query = "?heartbeat=1&connection_timeout=1000"

    /// Causes the fault and repairs it.
    ///
    /// - Parameters:
    ///   - goesOn: whether the work has continued for a while.
    ///   - isNoticed: whether the connected clients have noticed it.
    func happen(
      to broker: Broker, while goesOn: () -> Bool, until isNoticed: () -> Bool
    ) throws {
      switch self {
      case .killed, .stopped:
        // RabbitMQ may not have written a queue that was just declared to its disk, whatever it
        // confirms.
        if self == .killed { try broker.control(["eval", "mnesia:sync_log()."]) }
        broker.stop(self == .killed ? SIGKILL : SIGTERM)
        let hasBeenNoticed = waits(until: isNoticed)
        #expect(hasBeenNoticed)
        try broker.start()
      case .hung, .hungForLong:
        broker.signal(SIGSTOP)
        let isLongEnough = self == .hung ? waits(until: goesOn) : waits(until: isNoticed)
        broker.signal(SIGCONT)
        #expect(isLongEnough)
      }
    }
  }

  /// Brokers that die, stop and hang while publishers and recorders keep running.
  @Suite(.exclusive(.services), .serialized) struct FaultTests {
    /// An ongoing run that is recorded into a log and through a broker.
    private struct Live {
      let queue: Queue
      let told = Told()
      let tee: Tee
      let plugin: RabbitMQPlugin
      let producer: Producer

      init(batch: Int = 5) throws {
        queue = try Queue(on: Brokers.hurt())
        var options = Recorder.Options()
        options.problem = { [told] in told.add($0) }
        options.closeSeconds = 60
        plugin = try queue.plugin(batch: batch, query: Fault.query, options: options)
        tee = Tee(try Recorder(log: queue.folder("direct.db")), plugin)
        producer = Producer(tee.channel(for: Source(kind: .scheduler, id: "s", address: "a")))
      }

      func end() async {
        producer.stop()
        await tee.finish()
      }

      /// Compares the events from the queue with those recorded directly.
      func compare() throws {
        let (expected, found) = (try queue.log("direct.db"), try queue.log())
        let events = try expected.recorded()
        #expect(events.count == producer.count)
        let recorded = try found.recorded()
        let numbers = Set(recorded.map(\.sourceSeq))
        let missing = events.map(\.sourceSeq).filter { !numbers.contains($0) }
        #expect(
          missing.isEmpty,
          "\(missing.count) missing, from \(missing.first ?? 0) to \(missing.last ?? 0)")
        #expect(recorded == events)
        let run = try #require(try found.runs().last)
        #expect(run.end == .closed)
        #expect(!run.isPartial)
        #expect(try found.missing(of: run) == 0)
        #expect(try LogCheck(path: queue.folder("consumed.db")).run().findings.isEmpty)
      }
    }

    @Test(arguments: Fault.allCases)
    func `a publisher loses no event when the broker fails`(_ fault: Fault) async throws {
      let live = try Live()
      #expect(live.plugin.flush(timeoutSeconds: 30))
      #expect(waits { live.producer.count > 500 })
      let before = live.producer.count
      try fault.happen(
        to: live.queue.broker, while: { live.producer.count > before + 2000 },
        until: { !live.told.lines.isEmpty })
      #expect(live.plugin.flush(timeoutSeconds: 60))
      await live.end()
      #expect(fault.reports.contains(live.told.lines.count), "\(live.told.lines)")
      #expect(live.told.lines.allSatisfy { $0.contains("will try again") })
      try live.queue.record()
      try live.compare()
    }

    @Test(arguments: Fault.allCases)
    func `a recorder loses no event when the broker fails`(_ fault: Fault) async throws {
      let live = try Live()
      let recorder = try live.queue.recorder(query: Fault.query, ["--prefetch", "50"])
      #expect(waits { live.queue.eventCount() > 500 })
      let before = live.producer.count
      try fault.happen(
        to: live.queue.broker, while: { live.producer.count > before + 2000 },
        until: {
          !live.told.lines.isEmpty
            && (try? live.queue.output().contains { $0.contains("will try again") }) == true
        })
      #expect(live.plugin.flush(timeoutSeconds: 60))
      await live.end()
      #expect(waits { live.queue.isWhole() })
      #expect(recorder.end(SIGTERM) == 0)
      let output = try live.queue.output()
      #expect(output.last?.contains("recorded") == true, "\(output)")
      let reports = output.dropLast()
      #expect(fault.reports.contains(reports.count), "\(output)")
      #expect(reports.allSatisfy { $0.contains("will try again") }, "\(output)")
      #expect(try live.queue.count() == 0)
      try live.compare()
    }

    @Test func `killed recorders lose no event and record none twice`() async throws {
      let live = try Live()
      #expect(waits { live.producer.count > 3000 })
      for _ in 0..<4 {
        let before = live.queue.eventCount()
        let recorder = try live.queue.recorder(["--prefetch", "100"])
        #expect(waits { live.queue.eventCount() > before + 200 })
        #expect(recorder.end(SIGKILL) == -SIGKILL)
      }
      let last = try live.queue.recorder()
      await live.end()
      #expect(waits { live.queue.isWhole() })
      #expect(last.end(SIGINT) == 0)
      let output = try live.queue.output()
      #expect(output.count == 1 && output[0].contains("messages redelivered"), "\(output)")
      #expect(try live.queue.count() == 0)
      try live.compare()
    }

    @Test func `a killed publisher loses no event, the next publisher sends the rest`()
      async throws
    {
      let queue = try Queue()
      let counters = queue.folder("counters")
      try Data(count: 4096).write(to: URL(fileURLWithPath: counters))
      func returned() throws -> [Int64] {
        let data = try Data(contentsOf: URL(fileURLWithPath: counters))
        return data.withUnsafeBytes { bytes in
          (0..<2).map { bytes.loadUnaligned(fromByteOffset: 64 * $0, as: Int64.self) }
        }
      }
      for round in 0..<3 {
        let victim = try Child(
          [Programs.path("recording-victim"), queue.spool, counters, "2"],
          environment: ["TASKLOG_VICTIM_PUBLISHES": "\(queue.broker.url) \(queue.name)"])
        #expect(try waits { try queue.count() > 50 })
        #expect(victim.end(SIGKILL) == -SIGKILL)
        let least = try returned()

        let told = Told()
        var options = Recorder.Options()
        options.problem = { told.add($0) }
        let next = try queue.plugin(options: options)
        #expect(next.flush(timeoutSeconds: 10))
        next.channel(for: Source(kind: .scheduler, id: "s", address: "a")).record(transition(1))
        #expect(next.flush(timeoutSeconds: 60))
        await next.finish()
        #expect(told.lines.count == 1 && told.lines[0].contains("died"), "\(told.lines)")
        #expect(!FileManager.default.fileExists(atPath: queue.spool))

        let log = "consumed-\(round).db"
        try queue.record(into: log)
        let reader = try queue.log(log)
        let dead = try #require(try reader.runs().first { $0.end == .died })
        #expect(!dead.isPartial)
        #expect(try reader.missing(of: dead) == 0)
        let sources = try reader.sources(of: dead).sorted { $0.source.id < $1.source.id }
        for (source, least) in zip(sources, least) {
          var events: [(Int64, Int64)] = []
          let cursor = try reader.events(of: source)
          while let event = try cursor.nextEvent() {
            events.append((event.sourceSeq, event.event.time))
          }
          #expect(Int64(events.count) >= least)
          #expect(events.enumerated().allSatisfy { $1.0 == Int64($0 + 1) && $1.1 == Int64($0) })
        }
        #expect(sources.count == 2)
        #expect(dead.ended == (try reader.recorded(of: dead).map(\.event.time).max()))
      }
    }
  }

  /// Records on its own thread, at a pace that a reader can follow, until it is stopped.
  final class Producer: @unchecked Sendable {
    private let lock = NSLock()
    private let done = DispatchSemaphore(value: 0)
    // Guarded by `lock`.
    private var number = 0
    private var isStopping = false

    init(_ channel: any EventChannel) {
      Thread.detachNewThread { [self] in
        while lock.withLock({ !isStopping }) {
          for _ in 0..<5 {
            channel.record(transition(number + 1))
            lock.withLock { number += 1 }
          }
          usleep(1000)
        }
        done.signal()
      }
    }

    /// The number of events so far.
    var count: Int { lock.withLock { number } }

    func stop() {
      lock.withLock { isStopping = true }
      done.wait()
      done.signal()
    }
  }
#endif
