#if RabbitMQ
  import Foundation
  import TaskLogKit
  import TestSupport
  import TestTraits
  import Testing

  @testable import AMQP

  /// Certificates that OpenSSL makes for a test.
  struct Certificates {
    let folder: TemporaryFolder
    /// The authority that signs the broker's certificate, and another authority.
    var authority: String { folder("ca.pem") }
    var stranger: String { folder("stranger.pem") }
    var files: (file: String, key: String) {
      (folder("broker.pem"), folder("broker.key"))
    }

    /// - Parameter days: how long the broker's certificate, which is for `localhost`, is valid.
    init(days: Int = 30) throws {
      folder = try TemporaryFolder()
      let script = """
        cd '\(folder.url.path)'
        for name in ca stranger; do
          openssl req -x509 -newkey rsa:2048 -nodes -keyout $name.key -out $name.pem -days 30 \
            -subj "/CN=Test $name" || exit 1
        done
        openssl req -newkey rsa:2048 -nodes -keyout broker.key -out broker.csr \
          -subj /CN=localhost || exit 1
        echo 'subjectAltName=DNS:localhost' > names
        openssl x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial \
          -days \(days) -extfile names -out broker.pem
        """
      try #require(try Child(["sh", "-c", script]).wait() == 0, "openssl makes no certificates")
    }
  }

  @Suite(.exclusive(.services), .serialized) struct TLSTests {
    private static let password = "geheim-und-lang"
    private static let broker = Result {
      let certificates = try Certificates()
      return (try Brokers.start(certificates.files, password), certificates)
    }

    /// The output of `tasklog record` and its exit code.
    private func record(
      _ address: String, _ queue: Queue, environment: [String: String] = [:]
    ) throws -> (code: Int32?, lines: [String]) {
      let name = UUID().uuidString
      let child = try Child(
        [
          Queue.program, "record", "--from", address, "--queue", queue.name, "--idle", "0.2",
          "--log", queue.folder("consumed.db"),
        ], environment: environment, output: .file(queue.folder(name)))
      let code = child.wait()
      let output = try String(contentsOfFile: queue.folder(name), encoding: .utf8)
      #expect(!output.contains(Self.password), "\(output)")
      return (code, output.split(separator: "\n").map(String.init))
    }

    @Test func `events are sent over TLS, and the password is never printed`() async throws {
      let (broker, certificates) = try Self.broker.get()
      let port = try #require(broker.tlsPort)
      let queue = try Queue(on: broker)
      let address =
        "amqps://guest:\(Self.password)@localhost:\(port)?cacertfile=\(certificates.authority)"
      let plugin = try RabbitMQPlugin(url: address, queue: queue.name, spool: queue.spool)
      let channel = plugin.channel(for: Source(kind: .scheduler, id: "s", address: "a"))
      for number in 1...500 { channel.record(transition(number)) }
      #expect(plugin.flush(timeoutSeconds: 30))
      // The content of the disk while it runs.
      try expectNoPassword(in: queue.folder)
      await plugin.finish()
      let answer = try record(address, queue)
      #expect(answer.code == 0)
      #expect(answer.lines == ["501 messages, 500 events recorded"])
      #expect(queue.isWhole())

      // The password can come from the environment, and so can the authority.
      let again = try record(
        "amqps://localhost:\(port)", queue,
        environment: [
          "TASKLOG_AMQP_PASSWORD": Self.password, "SSL_CERT_FILE": certificates.authority,
        ])
      #expect(again.code == 0)
      #expect(again.lines == ["0 messages, 0 events recorded"])
      // A message without an identity is in a run that names the broker.
      try Queue.publish(
        [#"{"key": "a", "start": "b", "finish": "c"}"#, "malformed"], to: address, queue.name)
      #expect(try record(address, queue).code == 0)
      try expectNoPassword(in: queue.folder)
      let inspected = try Child(
        [Queue.program, "inspect", "--log", queue.folder("consumed.db")],
        output: .file(queue.folder("inspected")))
      #expect(inspected.wait() == 0)
      try expectNoPassword(in: queue.folder)
    }

    private func expectNoPassword(in folder: TemporaryFolder) throws {
      for name in try FileManager.default.subpathsOfDirectory(atPath: folder.url.path) {
        guard let data = FileManager.default.contents(atPath: folder(name)) else { continue }
        #expect(data.range(of: Data(Self.password.utf8)) == nil, "\(name)")
      }
    }

    @Test func `the password is not visible in the list of processes`() throws {
      let (broker, _) = try Self.broker.get()
      let queue = try Queue(on: broker)
      let child = try Child([
        Queue.program, "record", "--from",
        "amqp://guest:\(Self.password)@127.0.0.1:\(broker.port)", "--queue", queue.name,
        "--log", queue.folder("consumed.db"),
      ])
      #expect(waits { FileManager.default.fileExists(atPath: queue.folder("consumed.db")) })
      let shown = try String(contentsOfFile: "/proc/\(child.pid)/cmdline", encoding: .utf8)
      #expect(shown.contains("amqp://guest:xxxx"))
      #expect(!shown.contains(Self.password))
      #expect(child.end(SIGTERM) == 0)
    }

    @Test func `a broker that is not trusted is refused`() throws {
      let (broker, certificates) = try Self.broker.get()
      let port = try #require(broker.tlsPort)
      let queue = try Queue(on: broker)
      let user = "guest:\(Self.password)@"
      func expectRefusal(_ address: String, _ reason: String) throws {
        let answer = try record(address, queue)
        #expect(answer.code == 1)
        #expect(answer.lines.count == 1)
        #expect(answer.lines.first?.contains(reason) == true, "\(answer.lines)")
      }
      try expectRefusal(
        "amqps://\(user)localhost:\(port)",
        "amqps://localhost:\(port): the broker's certificate cannot be trusted: no trusted "
          + "authority has signed it, or it has expired; set the authority with '?cacertfile=PATH'")
      try expectRefusal(
        "amqps://\(user)localhost:\(port)?cacertfile=\(certificates.stranger)",
        "no trusted authority has signed it")
      try expectRefusal(
        "amqps://\(user)127.0.0.1:\(port)?cacertfile=\(certificates.authority)",
        "it is not for the host '127.0.0.1', use the name in the certificate")
      try expectRefusal(
        "amqps://\(user)localhost:\(port)?cacertfile=/nowhere.pem",
        "'/nowhere.pem' has no certificates")
      try expectRefusal(
        "amqps://\(user)localhost:\(broker.port)?cacertfile=\(certificates.authority)",
        "no TLS on this port")
      try expectRefusal("amqp://\(user)localhost:\(port)", "no broker answers")
      try expectRefusal(
        "amqps://guest:wrong@localhost:\(port)?cacertfile=\(certificates.authority)",
        "the broker refused the login of guest: ACCESS_REFUSED")
      #expect(!FileManager.default.fileExists(atPath: queue.folder("consumed.db")))
    }

    @Test func `an expired certificate is refused, also by a publisher`() async throws {
      let certificates = try Certificates(days: -1)
      let broker = try Brokers.start(certificates.files, Self.password)
      let queue = try Queue(on: broker)
      let port = try #require(broker.tlsPort)
      let address =
        "amqps://guest:\(Self.password)@localhost:\(port)?cacertfile=\(certificates.authority)"
      let answer = try record(address, queue)
      #expect(answer.code == 1)
      #expect(answer.lines.count == 1 && answer.lines[0].contains("or it has expired"))
      let told = Told()
      var options = Recorder.Options()
      options.problem = { told.add($0) }
      options.closeSeconds = 0.5
      let plugin = try RabbitMQPlugin(
        url: address, queue: queue.name, spool: queue.spool, options: options)
      plugin.channel(for: Source(kind: .scheduler, id: "s", address: "a")).record(transition(1))
      #expect(waits { !told.lines.isEmpty })
      await plugin.finish()
      #expect(told.lines.count == 2 && told.lines[0].contains("or it has expired"))
      #expect(told.lines.allSatisfy { !$0.contains(Self.password) })
      try expectNoPassword(in: queue.folder)
      broker.end()
    }
  }
#endif
