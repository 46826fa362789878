/// An error of a broker or the connection to it. Every message names the address, without the
/// password, and a way to fix it.
public enum AMQPError: Error, Sendable, Equatable {
  case notBuilt
  case badAddress(String, reason: String)
  case badQueue(String)
  case noMemory
  case unreachable(AMQPAddress, reason: String)
  case insecure(AMQPAddress, reason: String)
  case noTLS(AMQPAddress, reason: String)
  case refused(AMQPAddress, reason: String)
  case noVhost(AMQPAddress, reason: String)
  case noQueue(AMQPAddress, queue: String)
  case gone(AMQPAddress, reason: String)
  case returned(AMQPAddress, queue: String)
}

extension AMQPError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .notBuilt:
      "this tasklog was built without RabbitMQ; install librabbitmq-dev and build it with "
        + "'swift build -c release --traits RabbitMQ'"
    case .badAddress(let text, let reason):
      "\(text): \(reason); expected amqp://user:password@host:5672/vhost, or amqps://"
    case .badQueue(let name):
      "'\(name)' is not a valid queue name; expected 1 to 255 bytes"
    case .noMemory: "out of memory for a connection"
    case .unreachable(let address, let reason): "\(address): no broker answers: \(reason)"
    case .insecure(let address, let reason):
      "\(address): the broker's certificate cannot be trusted: \(reason); "
        + "set the authority with '?cacertfile=PATH' after the address, or SSL_CERT_FILE"
    case .noTLS(let address, let reason):
      "\(address): no TLS on this port: \(reason); amqps:// uses port 5671 by default, and "
        + "amqp://, without TLS, to 5672"
    case .refused(let address, let reason):
      "\(address): the broker refused the login of \(address.user): \(reason); set user and "
        + "password in the address, or with TASKLOG_AMQP_USER and TASKLOG_AMQP_PASSWORD"
    case .noVhost(let address, let reason):
      "\(address): the broker refused the virtual host '\(address.vhost)': \(reason); it is the "
        + "path of the address, by default /"
    case .noQueue(let address, let queue):
      "\(address): queue '\(queue)' does not exist; omit --passive to create it"
    case .gone(let address, let reason): "\(address): connection lost: \(reason)"
    case .returned(let address, let queue): "\(address): queue '\(queue)' no longer exists"
    }
  }

  /// Whether the error is in the command line rather than its environment.
  public var isUsage: Bool {
    switch self {
    case .badAddress, .badQueue: true
    default: false
    }
  }

  /// Whether a client that was connected before should retry: a broker that is starting may refuse
  /// what it allows a moment later, but a queue that is gone does not come back.
  public var isTemporary: Bool {
    switch self {
    case .unreachable, .gone, .returned, .insecure, .noTLS, .refused, .noVhost: true
    case .notBuilt, .badAddress, .badQueue, .noMemory, .noQueue: false
    }
  }
}
