#if RabbitMQ
  import AMQP
  import EventLog
  import Glibc
  import Recording
  import TaskLogPlugin
  import TestSupport

  /// The rate of events to a real broker and from there into a log, compared with the plugin of
  /// Dask's documentation on the same broker.
  ///
  /// The broker, the publisher and the recorder share the processors of one machine, which they
  /// need not do. Each figure is a median of rounds in which everything is measured in turns; a
  /// share is that of the same round.
  struct RabbitMQBenchmark {
    var events: Int
    var rounds: Int
    /// A Python that has `pika` and `distributed`.
    var python: String?

    /// The number of events in a message.
    private static let batches = [1, 100, 1000]

    func run() async throws {
      let broker = try Broker()
      defer { broker.end() }
      say("RabbitMQ: a broker on this machine, durable queues, persistent messages")
      say()
      try await caller(broker)
      var table = RateTable(baseline: "pika, without confirms")
      for round in 0..<rounds {
        try await measure(broker, round, &table)
      }
      say("\(events) events (of single ones and by pika a part), median of \(rounds) rounds")
      table.report()
      if python == nil {
        say("  pika is left out: TASKLOG_TEST_PYTHON names no Python with pika and distributed")
      }
      say()
    }

    // MARK: - Rates

    private func measure(_ broker: Broker, _ round: Int, _ table: inout RateTable) async throws {
      if let python {
        let pika = try PikaBenchmark(python: python, broker: broker)
        let (many, few) = (max(1000, events / 20), max(200, events / 200))
        table.add("pika, without confirms", many, try pika.seconds(many))
        table.add("pika, with confirms", few, try pika.seconds(few, confirms: true))
      }
      for batch in Self.batches {
        let workload = Workload(events: batch == 1 ? max(1000, events / 10) : events)
        let place = BrokerPlace(broker, "rate-\(round)-\(batch)")
        let folder = try TemporaryFolder()
        let name = batch == 1 ? "single events" : "\(batch) events a message"
        let count = workload.events.count
        let published = try await place.publish(workload, batch: batch, spool: folder.spool)
        table.add("published and confirmed, \(name)", count, published)
        let recorder = try place.startRecorder(into: folder.log)
        let recorded = try seconds { try place.wait(for: count, in: folder.log) }
        table.add("queue to log by tasklog record, \(name)", count, recorded)
        recorder.end(SIGTERM)
      }
      if let python { try measurePikaAtOnce(broker, python, &table) }
      for batch in Self.batches.dropFirst() {
        try await measureAtOnce(broker, round, batch, &table)
      }
    }

    /// Publisher, broker and recorder at the same time, and so on the same processors.
    private func measureAtOnce(
      _ broker: Broker, _ round: Int, _ batch: Int, _ table: inout RateTable
    ) async throws {
      let workload = Workload(events: events)
      let count = workload.events.count
      let place = BrokerPlace(broker, "rate-\(round)-\(batch)-at-once")
      let folder = try TemporaryFolder()
      let recorder = try place.startRecorder(into: folder.log)
      // It creates the log when it subscribes to the queue.
      try TestSupport.wait(for: "the log") { access(folder.log, F_OK) == 0 }
      let start = now()
      _ = try await place.publish(workload, batch: batch, spool: folder.spool)
      try place.wait(for: count, in: folder.log)
      table.add(
        "published, confirmed and recorded at once, \(batch) events a message", count,
        Double(now() - start) / 1e9)
      recorder.end(SIGTERM)
    }

    /// The same with the plugin of Dask's documentation. Its program starts by itself, so the
    /// measured time is that from its first event in the log to the last one.
    private func measurePikaAtOnce(
      _ broker: Broker, _ python: String, _ table: inout RateTable
    ) throws {
      let count = max(1000, events / 20)
      let folder = try TemporaryFolder()
      let recorder = try BrokerPlace(broker, Publishing.defaultQueue).startRecorder(
        into: folder.log)
      try TestSupport.wait(for: "the log") { access(folder.log, F_OK) == 0 }
      _ = try PikaBenchmark(python: python, broker: broker).seconds(count, isKept: true)
      try BrokerPlace(broker, Publishing.defaultQueue).wait(for: count, in: folder.log)
      recorder.end(SIGTERM)
      let reader = try LogReader(path: folder.log)
      guard let source = try reader.sources(of: reader.runs()[0]).first else { return }
      let cursor = try reader.events(of: source)
      var times: [Int64] = []
      while let recorded = try cursor.nextEvent() { times.append(recorded.event.time) }
      guard let first = times.first, let last = times.last, last > first else { return }
      table.add(RateTable.atOnce, count, Double(last - first) / 1e9)
    }

    // MARK: - The caller

    private func caller(_ broker: Broker) async throws {
      let benchmark = CallerBenchmark(events: max(20_000, events / 4))
      say("caller's cost of an event without args, in nanoseconds (paced: 20,000 a second)")
      say(CallerBenchmark.head)
      for isPaced in [false, true] {
        let pace = isPaced ? ", paced" : ""
        func row(_ name: String, _ channel: any EventChannel) {
          let samples = benchmark.feed([channel], Kind.all[0], isPaced: isPaced)
          say(CallerBenchmark.row(name + pace, "1", samples.columns))
        }
        row("no recorder", Nobody())
        let folder = try TemporaryFolder()
        let recorder = try Recorder(log: folder.log)
        row("into a file", recorder.channel(for: Workload.sources[0]))
        await recorder.finish()
        for batch in Self.batches {
          let plugin = try RabbitMQPlugin(
            url: broker.url, queue: "caller-\(batch)-\(isPaced)", payload: .events(batch: batch),
            spool: folder.spool)
          row("to RabbitMQ, \(batch) to a message", plugin.channel(for: Workload.sources[0]))
          await plugin.finish()
        }
      }
      say()
    }
  }

  /// A queue for one measurement.
  private struct BrokerPlace {
    let broker: Broker
    let queue: String

    init(_ broker: Broker, _ queue: String) { (self.broker, self.queue) = (broker, queue) }

    /// Seconds from the first event until all are confirmed and the run has ended.
    func publish(_ workload: Workload, batch: Int, spool: String) async throws -> Double {
      let plugin = try RabbitMQPlugin(
        url: broker.url, queue: queue, payload: .events(batch: batch), spool: spool)
      let channels = Workload.sources.map { plugin.channel(for: $0) }
      let start = now()
      for (source, event) in workload.events { channels[source].record(event) }
      // The end waits for a broker only for a limited time.
      guard plugin.flush(timeoutSeconds: 600) else { throw BenchmarkError.noBroker }
      await plugin.finish()
      return Double(now() - start) / 1e9
    }

    func startRecorder(into log: String) throws -> Child {
      try Child([
        tasklogProgram, "record", "--from", broker.url, "--queue", queue, "--log", log,
      ])
    }

    /// Waits until a log contains this number of events of a run.
    func wait(for count: Int, in log: String) throws {
      try TestSupport.wait(for: "\(count) events in the log", seconds: 600) {
        guard let reader = try? LogReader(path: log), let run = try? reader.runs().last,
          let found = try? reader.eventCount(of: run)
        else { return false }
        return found >= count
      }
    }
  }

  /// The plugin of Dask's documentation, called by Python.
  private struct PikaBenchmark {
    private let python: String
    private let script: String

    init(python: String, broker: Broker) throws {
      self.python = python
      let folder = #filePath.split(separator: "/").dropLast().joined(separator: "/")
      script = "/\(folder)/documented_pika.py"
      setenv("TASKLOG_TEST_BROKER_PORT", "\(broker.port)", 1)
    }

    /// - Parameter isKept: whether the messages stay in the queue.
    func seconds(_ count: Int, confirms: Bool = false, isKept: Bool = false) throws -> Double {
      try outputNumber(
        of: [python, script, "\(count)"] + (confirms ? ["confirms"] : isKept ? ["kept"] : []))
    }
  }

  /// Rates of several ways to do the same, each compared with the first.
  private struct RateTable {
    /// The rate of publishing and recording at once, which is compared with this one, too.
    static let atOnce = "pika, without confirms, and recorded at once"

    let baseline: String
    private var names: [String] = []
    private var rates: [String: [Double]] = [:]

    init(baseline: String) { self.baseline = baseline }

    mutating func add(_ name: String, _ events: Int, _ seconds: Double) {
      if rates[name] == nil { names.append(name) }
      rates[name, default: []].append(Double(events) / seconds)
    }

    func report() {
      for name in names {
        guard let own = rates[name] else { continue }
        var line = "\(name): \(Int(median(own))) events/s"
        if let base = rates[baseline], name != baseline {
          let ratio = median(zip(own, base).map { $0 / $1 })
          line += ", \(rounded(ratio, 100)) times \(baseline)"
        }
        if let base = rates[Self.atOnce], name.contains(" at once, ") {
          let ratio = median(zip(own, base).map { $0 / $1 })
          line += ", \(rounded(ratio, 100)) times that recorded at once"
        }
        say(line)
      }
    }
  }
#endif
