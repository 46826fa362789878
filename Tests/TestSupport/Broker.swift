import Foundation

/// A separate RabbitMQ for a test: on loopback, with its own folders, ports, cookie and port
/// mapper, from Debian's `rabbitmq-server`, whose service is not needed. Its processes are ended by
/// their pids.
package final class Broker: @unchecked Sendable {
  // All of it is set before other threads see it, except what `lock` guards.
  package let folder: URL
  package let port: Int
  package let tlsPort: Int?
  private let distributionPort: Int
  private let mapper: Child
  private let mapperPort: Int
  /// Ends all processes if this process ends before it could.
  private let watcher: Child
  private let lock = NSLock()
  private var server: Child?

  package struct Failure: Error, CustomStringConvertible {
    package var description: String
  }

  private static let script = "/usr/lib/rabbitmq/bin/rabbitmq-server"

  /// Starts a broker and waits until it listens.
  ///
  /// - Parameters:
  ///   - certificate: files of a certificate and its key; with them it listens for TLS, too.
  ///   - password: that of the only user, `guest`.
  package init(
    certificate: (file: String, key: String)? = nil, password: String = "guest"
  ) throws {
    guard FileManager.default.isExecutableFile(atPath: Self.script) else {
      throw Failure(description: "no RabbitMQ: install rabbitmq-server")
    }
    folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("tasklog-broker-\(UUID().uuidString)")
    port = try Self.freePort()
    tlsPort = try certificate == nil ? nil : Self.freePort()
    distributionPort = try Self.freePort()
    mapperPort = try Self.freePort()
    let home = folder.appendingPathComponent("home")
    for name in ["mnesia", "log", "home"] {
      try FileManager.default.createDirectory(
        at: folder.appendingPathComponent(name), withIntermediateDirectories: true)
    }
    let cookie = home.appendingPathComponent(".erlang.cookie")
    try Data(UUID().uuidString.utf8).write(to: cookie)
    try FileManager.default.setAttributes([.posixPermissions: 0o400], ofItemAtPath: cookie.path)
    var configuration = """
      listeners.tcp.1 = 127.0.0.1:\(port)
      loopback_users.guest = true
      default_pass = \(password)
      log.console = false

      """
    if let certificate, let tlsPort {
      configuration += """
        listeners.ssl.1 = 127.0.0.1:\(tlsPort)
        ssl_options.cacertfile = \(certificate.file)
        ssl_options.certfile = \(certificate.file)
        ssl_options.keyfile = \(certificate.key)
        ssl_options.verify = verify_none

        """
    }
    try Data(configuration.utf8).write(to: folder.appendingPathComponent("rabbitmq.conf"))
    try Data("[].".utf8).write(to: folder.appendingPathComponent("enabled_plugins"))
    mapper = try Child(["epmd", "-port", "\(mapperPort)", "-address", "127.0.0.1"])
    watcher = try Child([
      "sh", "-c",
      """
      while kill -0 \(getpid()) 2>/dev/null; do sleep 1; done
      kill -9 $(cat '\(folder.path)/pid') \(mapper.pid)
      rm -r '\(folder.path)'
      """,
    ])
    do {
      try start()
    } catch {
      end()
      throw error
    }
  }

  deinit { end() }

  package var url: String { "amqp://127.0.0.1:\(port)" }

  private var pidFile: URL { folder.appendingPathComponent("pid") }

  /// The process of the broker itself.
  package var pid: Int32? {
    (try? String(contentsOf: pidFile, encoding: .utf8)).flatMap {
      Int32($0.trimmingCharacters(in: .whitespacesAndNewlines))
    }
  }

  /// Starts the server (again), with the data on its disk.
  package func start() throws {
    try? FileManager.default.removeItem(at: pidFile)
    let server = try Child([Self.script], environment: environment)
    lock.withLock { self.server = server }
    let isUp = waits(seconds: 90) { isListening || server.code != nil }
    guard isUp, server.code == nil else {
      throw Failure(description: "RabbitMQ does not start; see \(folder.path)/log")
    }
  }

  /// The environment of all of its programs.
  private var environment: [String: String] {
    [
      "HOME": folder.appendingPathComponent("home").path,
      "RABBITMQ_NODENAME": "tl\(port)@localhost",
      "RABBITMQ_MNESIA_BASE": folder.appendingPathComponent("mnesia").path,
      "RABBITMQ_LOG_BASE": folder.appendingPathComponent("log").path,
      "RABBITMQ_CONFIG_FILE": folder.appendingPathComponent("rabbitmq").path,
      "RABBITMQ_ENABLED_PLUGINS_FILE": folder.appendingPathComponent("enabled_plugins").path,
      "RABBITMQ_PID_FILE": pidFile.path, "RABBITMQ_DIST_PORT": "\(distributionPort)",
      "ERL_EPMD_ADDRESS": "127.0.0.1", "ERL_EPMD_PORT": "\(mapperPort)",
      "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
      "RABBITMQ_CONF_ENV_FILE": "/dev/null",
    ]
  }

  private var isListening: Bool {
    Self.canConnect(port) && tlsPort.map(Self.canConnect) ?? true && pid != nil
  }

  /// Runs `rabbitmqctl`.
  package func control(_ words: [String]) throws {
    let output = folder.appendingPathComponent("control").path
    let child = try Child(
      ["/usr/lib/rabbitmq/bin/rabbitmqctl"] + words, environment: environment, output: .file(output)
    )
    guard child.wait() == 0 else {
      let said = (try? String(contentsOfFile: output, encoding: .utf8)) ?? ""
      throw Failure(description: "rabbitmqctl \(words.joined(separator: " ")): \(said)")
    }
  }

  /// Sends the broker a signal.
  package func signal(_ number: Int32) {
    if let pid { kill(pid, number) }
  }

  /// Ends the broker by a signal, and waits until it is gone.
  package func stop(_ number: Int32 = SIGTERM) {
    let server = lock.withLock { self.server }
    signal(SIGCONT)
    signal(number)
    // Its child processes end with it.
    if server?.wait(seconds: 30) == nil {
      signal(SIGKILL)
      server?.end(SIGKILL)
    }
    lock.withLock { self.server = nil }
  }

  /// Ends it for good.
  package func end() {
    watcher.end(SIGKILL)
    stop(SIGKILL)
    mapper.end(SIGTERM)
    try? FileManager.default.removeItem(at: folder)
  }

  // MARK: - Ports

  private static func withSocket<Result>(
    _ port: Int, _ body: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }

  private static func canConnect(_ port: Int) -> Bool {
    withSocket(port) { connect($0, $1, $2) == 0 }
  }

  /// A port without a listener.
  package static func freePort() throws -> Int {
    let port: Int? = withSocket(0) { descriptor, address, length in
      guard bind(descriptor, address, length) == 0 else { return nil }
      var bound = sockaddr_in()
      var size = length
      let code = withUnsafeMutablePointer(to: &bound) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          getsockname(descriptor, $0, &size)
        }
      }
      return code == 0 ? Int(UInt16(bigEndian: bound.sin_port)) : nil
    }
    guard let port else { throw Failure(description: "there is no free port") }
    return port
  }
}
