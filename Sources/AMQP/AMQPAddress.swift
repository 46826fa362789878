import Glibc
import TaskLogPlugin

/// The address of a broker with credentials: `amqp://user:password@host:port/vhost?heartbeat=30`.
///
/// Follows RabbitMQ's URI specification (https://www.rabbitmq.com/docs/uri-spec), with three of its
/// query parameters (https://www.rabbitmq.com/docs/uri-query-parameters): `heartbeat` in seconds,
/// `connection_timeout` in milliseconds, `cacertfile`. A user and password that the address lacks
/// come from `TASKLOG_AMQP_USER` and `TASKLOG_AMQP_PASSWORD`, else they are `guest`.
public struct AMQPAddress: Sendable, Equatable {
  package var isEncrypted: Bool
  package var host: String
  package var port: Int32
  package var vhost: String
  package var user: String
  var password: String
  package var heartbeatSeconds: Int32 = 30
  package var timeoutMilliseconds: Int = 10_000
  /// A file of trusted certificates; `nil` for the system's.
  package var authorities: String?

  /// - Throws: `AMQPError.badAddress`.
  package init(_ text: String) throws(AMQPError) {
    try self.init(text) { name in getenv(name).map { String(cString: $0) } }
  }

  /// - Parameter environment: returns the value of an environment variable.
  /// - Throws: `AMQPError.badAddress`.
  package init(_ text: String, environment: (String) -> String?) throws(AMQPError) {
    let shown = Self.withoutPassword(text)
    func bad(_ reason: String) -> AMQPError { .badAddress(shown, reason: reason) }
    func decoded(_ part: some StringProtocol) throws(AMQPError) -> String {
      guard let text = Self.decoded(part) else { throw bad("has an invalid %-escape") }
      return text
    }
    let rest: Substring
    if text.hasPrefix("amqp://") {
      isEncrypted = false
      rest = text.dropFirst("amqp://".count)
    } else if text.hasPrefix("amqps://") {
      isEncrypted = true
      rest = text.dropFirst("amqps://".count)
    } else {
      throw bad("not the address of a broker")
    }
    let query = rest.firstIndex(of: "?").map { rest[$0...].dropFirst() }
    let base = rest.prefix { $0 != "?" }
    let authority = base.prefix { $0 != "/" }
    let path = base.dropFirst(authority.count).dropFirst()
    vhost = path.isEmpty ? "/" : try decoded(path)
    let at = authority.lastIndex(of: "@")
    let hostAndPort = at.map { authority[$0...].dropFirst() } ?? authority
    user = environment(EnvironmentVariable.amqpUser.rawValue) ?? "guest"
    password = environment(EnvironmentVariable.amqpPassword.rawValue) ?? "guest"
    if let at {
      let parts = authority[..<at].split(
        separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      if let name = parts.first, !name.isEmpty { user = try decoded(name) }
      if parts.count == 2 { password = try decoded(parts[1]) }
    }
    let (host, port) = Self.split(hostAndPort)
    self.host = try decoded(host)
    guard !self.host.isEmpty, !self.host.utf8.contains(0) else { throw bad("has no host") }
    if let port {
      guard let number = Int32(port), (1...65_535).contains(number) else {
        throw bad("'\(port)' is not a port")
      }
      self.port = number
    } else {
      self.port = isEncrypted ? 5671 : 5672
    }
    for parameter in (query ?? "").split(separator: "&") {
      let parts = parameter.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let value = parts.count == 2 ? try decoded(parts[1]) : ""
      switch parts[0] {
      case "heartbeat":
        guard let seconds = Int32(value), (0...3600).contains(seconds) else {
          throw bad("expected heartbeat in seconds, from 0 to 3600")
        }
        heartbeatSeconds = seconds
      case "connection_timeout":
        guard let milliseconds = Int(value), (1...600_000).contains(milliseconds) else {
          throw bad("expected connection_timeout in milliseconds, from 1 to 600000")
        }
        timeoutMilliseconds = milliseconds
      case "cacertfile": authorities = value
      default: throw bad("unknown parameter '\(parts[0])'")
      }
    }
    if authorities == nil { authorities = environment("SSL_CERT_FILE") }
  }

  /// Whether the host is an IP address: librabbitmq compares certificates with names only.
  var isNumeric: Bool {
    var parsed = in6_addr()
    return inet_pton(AF_INET, host, &parsed) == 1 || inet_pton(AF_INET6, host, &parsed) == 1
  }

  /// The host and port of `host:port`; `[::1]` is in brackets.
  private static func split(_ hostAndPort: Substring) -> (host: Substring, port: Substring?) {
    if hostAndPort.first == "[", let end = hostAndPort.firstIndex(of: "]") {
      let rest = hostAndPort[end...].dropFirst()
      return (hostAndPort[..<end].dropFirst(), rest.first == ":" ? rest.dropFirst() : nil)
    }
    guard let colon = hostAndPort.lastIndex(of: ":") else { return (hostAndPort, nil) }
    return (hostAndPort[..<colon], hostAndPort[colon...].dropFirst())
  }

  private static func decoded(_ text: some StringProtocol) -> String? {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard rest.count >= 2,
        let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
      else { return nil }
      rest = rest.dropFirst(2)
      bytes.append(value)
    }
    return String(validating: bytes, as: UTF8.self)
  }

  /// The text of an address, valid or not, with the credentials removed.
  static func withoutPassword(_ text: String) -> String {
    guard let at = text.lastIndex(of: "@") else { return text }
    let start = text.range(of: "://")?.upperBound ?? text.startIndex
    guard start <= at else { return text }
    return text[..<start] + "…" + text[at...]
  }
}

extension AMQPAddress: CustomStringConvertible {
  /// The address without credentials.
  public var description: String {
    let scheme = isEncrypted ? "amqps" : "amqp"
    let name = host.contains(":") ? "[\(host)]" : host
    return "\(scheme)://\(name):\(port)" + (vhost == "/" ? "" : "/\(vhost)")
  }
}

extension StringProtocol {
  /// A substitute for Foundation's method, which this module cannot link.
  fileprivate func range(of text: String) -> Range<Index>? {
    var start = startIndex
    while start < endIndex {
      if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
      start = index(after: start)
    }
    return nil
  }
}
