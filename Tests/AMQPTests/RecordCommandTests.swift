#if RabbitMQ
  import Foundation
  import TaskLogKit
  import TestSupport
  import TestTraits
  import Testing

  @testable import AMQP

  /// `tasklog record` as people use it: how it ends, what it prints, and faults of its
  /// surroundings.
  @Suite(.exclusive(.services)) struct RecordCommandTests {
    private static func messages(_ numbers: ClosedRange<Int>) -> [String] {
      numbers.map { #"{"key": "k\#($0)", "start": "a", "finish": "b"}"# }
    }

    /// Runs a line of shell in a folder, and returns the exit code and the output.
    private func shell(_ line: String, _ queue: Queue) throws -> (code: Int32?, output: String) {
      let name = queue.folder(UUID().uuidString)
      let path = URL(fileURLWithPath: Queue.program).deletingLastPathComponent().path
      let child = try Child(
        ["sh", "-c", "cd '\(queue.folder.url.path)'; PATH=\(path):$PATH; " + line],
        output: .file(name))
      let code = child.wait()
      return (code, try String(contentsOfFile: name, encoding: .utf8))
    }

    private func arguments(_ queue: Queue) -> String {
      "--from \(queue.broker.url) --queue \(queue.name) --log consumed.db"
    }

    @Test(arguments: [SIGINT, SIGTERM])
    func `after a signal the consumed messages are in the log and the rest stays in the queue`(
      _ signal: Int32
    ) throws {
      let queue = try Queue()
      try queue.publish(Self.messages(1...20_000))
      let recorder = try queue.recorder(["--prefetch", "100"])
      #expect(waits { queue.eventCount() > 100 })
      #expect(recorder.end(signal) == 0)
      let taken = queue.eventCount()
      #expect(try queue.output() == ["\(taken) messages, \(taken) events recorded"])
      #expect(taken < 20_000)
      #expect(try waits { try queue.count() == 20_000 - Int(taken) })
      #expect(try queue.log().runs().map(\.end) == [.closed])
      #expect(!FileManager.default.fileExists(atPath: queue.folder("consumed.db.spool")))
      #expect(!FileManager.default.fileExists(atPath: queue.folder("consumed.db-wal")))
      // The next recorder gets the unacknowledged messages as redelivered, and records them once.
      try queue.record(into: "rest.db")
      #expect(queue.eventCount("rest.db") == 20_000 - taken)
    }

    @Test func `in a pipe only the total at the end is printed`() throws {
      let queue = try Queue()
      try queue.publish(Self.messages(1...10) + ["malformed"])
      let result = try shell(
        "tasklog record \(arguments(queue)) --idle 0.3 2>errors | cat; wc -c < errors", queue)
      #expect(result.output == "11 messages, 10 events recorded, 1 malformed and stored\n0\n")
    }

    @Test func `on a terminal the number of events and their rate are shown`() async throws {
      let queue = try Queue()
      let plugin = try queue.plugin()
      let producer = Producer(
        plugin.channel(for: Source(kind: .scheduler, id: "s", address: "a")))
      let recorder = try Child(
        [
          "script", "-qec",
          "\(Queue.program) record \(arguments(queue).replacing("consumed.db", with: queue.folder("consumed.db")))",
          "/dev/null",
        ], output: .file(queue.folder("output")))
      func shown() -> String {
        (try? String(contentsOfFile: queue.folder("output"), encoding: .utf8)) ?? ""
      }
      #expect(
        waits { shown().contains(/\r[1-9]\d* events  [1-9]\d* events\/s\u{1B}\[K/) }, "\(shown())")
      recorder.end(SIGTERM)
      producer.stop()
      await plugin.finish()
    }

    @Test func `a second signal ends it immediately`() throws {
      let queue = try Queue()
      try queue.publish(Self.messages(1...10))
      let recorder = try queue.recorder()
      #expect(waits { queue.eventCount() == 10 })
      let holder = try LogHolder(queue.folder("consumed.db"))
      try queue.publish(Self.messages(11...20))
      // It has consumed messages that it cannot store.
      #expect(try waits { try queue.count() == 0 })
      recorder.signal(SIGTERM)
      #expect(
        waits {
          recorder.signal(SIGTERM)
          return recorder.code != nil
        })
      #expect(recorder.code == -SIGTERM || recorder.code == 1)
      holder.end()
      #expect(try queue.record().redelivered == 10)
      #expect(queue.eventCount() == 20)
    }

    @Test func `a locked log is waited for and logged once`() throws {
      let queue = try Queue()
      try queue.publish(Self.messages(1...10))
      let recorder = try queue.recorder()
      #expect(waits { queue.eventCount() == 10 })
      let holder = try LogHolder(queue.folder("consumed.db"))
      try queue.publish(Self.messages(11...500))
      #expect(waits { (try? queue.output().first)?.contains("will try again") == true })
      holder.end()
      #expect(waits { queue.eventCount() == 500 })
      #expect(recorder.end(SIGTERM) == 0)
      let output = try queue.output()
      #expect(output.count == 2 && output[1].hasPrefix("500 messages, 500 events"), "\(output)")
      #expect(try queue.log().recorded().count == 500)
    }

    @Test func `a full disk loses no event`() throws {
      let queue = try Queue()
      try queue.publish(Self.messages(1...5000))
      let recorder = try Child(
        [
          "sh", "-c",
          "trap '' XFSZ; ulimit -f 4000; exec '\(Queue.program)' record --from \(queue.broker.url) "
            + "--queue \(queue.name) --log '\(queue.folder("consumed.db"))' --prefetch 200",
        ], output: .file(queue.folder("output")))
      #expect(waits { (try? queue.output().first)?.contains("will try again") == true })
      let first = queue.eventCount()
      #expect(first > 0 && first < 5000)
      #expect(recorder.end(SIGTERM) == 1)
      #expect(try queue.output().count == 2)
      #expect(queue.eventCount() == first)
      try queue.record()
      #expect(queue.eventCount() == 5000)
      let keys = try queue.log().runs().flatMap { try queue.log().recorded(of: $0) }
        .compactMap(\.event.key?.text)
      #expect(Set(keys).count == 5000)
    }

    @Test func `removing the log ends the command, and events not stored stay in the queue`()
      throws
    {
      let queue = try Queue()
      try queue.publish(Self.messages(1...10))
      let recorder = try queue.recorder()
      #expect(waits { queue.eventCount() == 10 })
      try FileManager.default.removeItem(atPath: queue.folder("consumed.db"))
      try queue.publish(Self.messages(11...20))
      #expect(recorder.wait() == 1)
      let output = try queue.output()
      #expect(output.count == 1 && output[0].contains("it was deleted or moved"), "\(output)")
      #expect(try waits { try queue.count() == 10 })
    }

    @Test func `a deleted queue is declared again, or ends the command with --passive`() throws {
      let queue = try Queue()
      try queue.publish(Self.messages(1...10))
      let recorder = try queue.recorder()
      let passive = try Queue()
      try passive.publish(Self.messages(1...10))
      let strict = try passive.recorder(["--passive"])
      #expect(waits { queue.eventCount() == 10 && passive.eventCount() == 10 })
      try queue.delete()
      try passive.delete()
      #expect(strict.wait() == 1)
      let told = try passive.output()
      #expect(told.count == 1)
      #expect(
        told.first
          == "tasklog: \(passive.broker.url): queue '\(passive.name)' does not exist; "
          + "omit --passive to create it")
      #expect(waits { (try? queue.output().first)?.contains("the queue was deleted") == true })
      #expect(waits { (try? queue.output().last)?.contains("has been created again") == true })
      try queue.publish(Self.messages(11...20))
      #expect(waits { queue.eventCount() == 20 })
      #expect(recorder.end(SIGTERM) == 0)
      #expect(try queue.output().count == 3)
    }

    @Test func `an error is one line that says what to do`() throws {
      let queue = try Queue()
      let (port, nobody) = (queue.broker.port, try Broker.freePort())
      func expect(_ words: String, _ code: Int32, _ message: String) throws {
        let result = try shell("tasklog \(words)", queue)
        #expect(result.code == code, "\(words)")
        #expect(result.output == "tasklog: \(message)\n", "\(words)")
      }
      let named = "; expected amqp://user:password@host:5672/vhost, or amqps://"
      try expect(
        "record --from http://me:secret@h", 64, "http://…@h: not the address of a broker" + named)
      try expect("record --from nonsense", 64, "nonsense: not the address of a broker" + named)
      try expect("record --from amqp://", 64, "amqp://: has no host" + named)
      try expect(
        "record --from amqp://h:99999", 64, "amqp://h:99999: '99999' is not a port" + named)
      try expect(
        "record --from 'amqp://me:s%zz@h'", 64, "amqp://…@h: has an invalid %-escape" + named)
      try expect(
        "record --from 'amqp://h?colour=red'", 64,
        "amqp://h?colour=red: unknown parameter 'colour'" + named)
      try expect(
        "record --from amqp://h --queue ''", 64,
        "'' is not a valid queue name; expected 1 to 255 bytes")
      try expect(
        "record --from amqp://h --prefetch 0", 64,
        "--prefetch 0: expected 1 or more; see 'tasklog help'")
      try expect(
        "record --from amqp://h --idle -1", 64,
        "missing value for '--idle <seconds>'; see 'tasklog help'")
      try expect(
        "record amqp://me:secret@h --from amqp://h", 64,
        "unexpected argument 'amqp://me:…@h'; see 'tasklog help'")
      try expect(
        "record --from amqp://h --log 'logs/{run}.db'", 64,
        "logs/{run}.db: this command writes all runs into one log; omit {run} from its name")
      try expect(
        "record --from amqp://me:secret@127.0.0.1:\(nobody)", 1,
        "amqp://127.0.0.1:\(nobody): no broker answers: a socket error occurred")
      try expect(
        "record --from amqp://no-such-host.invalid", 1,
        "amqp://no-such-host.invalid:5672: no broker answers: hostname lookup failed")
      try expect(
        "record --from amqp://guest:secret@127.0.0.1:\(port)", 1,
        "amqp://127.0.0.1:\(port): the broker refused the login of guest: ACCESS_REFUSED - Login was "
          + "refused using authentication mechanism PLAIN. For details see the broker logfile; set user "
          + "and password in the address, or with TASKLOG_AMQP_USER and TASKLOG_AMQP_PASSWORD"
      )
      try expect(
        "record --from amqp://127.0.0.1:\(port)/nope", 1,
        "amqp://127.0.0.1:\(port)/nope: the broker refused the virtual host 'nope': NOT_ALLOWED - vhost "
          + "nope not found; it is the path of the address, by default /")
      try expect(
        "record --from amqp://127.0.0.1:\(port) --queue '\(queue.name)' --passive", 1,
        "amqp://127.0.0.1:\(port): queue '\(queue.name)' does not exist; omit --passive to create it"
      )
      #expect(
        try FileManager.default.contentsOfDirectory(atPath: queue.folder.url.path)
          .allSatisfy { !$0.contains("db") })
      try expect(
        "record \(arguments(queue).replacing("consumed.db", with: "no/such.db"))", 1,
        "no/such.db: the folder no does not exist; create it or name another log")
    }

    @Test func `an error of a replay to a broker is one line, too`() throws {
      let queue = try Queue()
      let nobody = try Broker.freePort()
      let recorder = try Recorder(log: queue.folder("run.db"))
      let channel = recorder.channel(for: Source(kind: .scheduler, id: "s", address: "a"))
      for number in 1...300 { channel.record(transition(number)) }
      recorder.close()
      func expect(_ options: [String], _ code: Int32, _ message: String) throws {
        let words = options.map { "--option '\($0)'" }.joined(separator: " ")
        let result = try shell("tasklog replay --plugin rabbitmq --log run.db \(words)", queue)
        #expect(result.code == code, "\(options)")
        #expect(result.output.contains("tasklog: \(message)"), "\(result.output)")
        #expect(result.output.split(separator: "\n").count == 1, "\(result.output)")
        #expect(!result.output.contains("secret"))
      }
      let url = "url=\(queue.broker.url)"
      try expect([], 64, "--plugin rabbitmq: name the broker with --option url=amqp://host")
      try expect([url, "batch=0"], 64, "")
      try expect([url, "batch=many"], 64, "")
      try expect([url, "payload=some"], 64, "")
      try expect([url, "passive=perhaps"], 64, "")
      try expect([url, "colour=red"], 64, "")
      try expect(
        [url, "queue=\(queue.name)", "passive=yes"], 1,
        "\(queue.broker.url): queue '\(queue.name)' does not")
      try expect(
        ["url=amqp://me:secret@127.0.0.1:\(nobody)"], 1, "amqp://127.0.0.1:\(nobody): no broker")
      try expect(
        ["url=amqp://guest:secret@127.0.0.1:\(queue.broker.port)"], 1,
        "\(queue.broker.url): the broker refused the login of guest")
    }
  }

  /// Keeps a log locked.
  private struct LogHolder {
    private let child: Child

    init(_ path: String) throws {
      let told = path + "-is-held"
      child = try Child([
        "python3", "-c",
        """
        import sqlite3, sys, time
        log = sqlite3.connect(sys.argv[1], isolation_level=None)
        log.execute("BEGIN IMMEDIATE")
        open(sys.argv[2], "w").close()
        time.sleep(600)
        """, path, told,
      ])
      try #require(waits { FileManager.default.fileExists(atPath: told) })
    }

    func end() { child.end(SIGKILL) }
  }
#endif
