/// What can be wrong with a broker, or the way to it. Every wording names the address, without the
/// password, and the way out.
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
      "\(text): \(reason); a broker is named as amqp://user:password@host:5672/vhost, or amqps://"
    case .badQueue(let name):
      "'\(name)' cannot be the name of a queue; it has from 1 to 255 bytes"
    case .noMemory: "there is no memory for a connection"
    case .unreachable(let address, let reason): "\(address): no broker answers there: \(reason)"
    case .insecure(let address, let reason):
      "\(address): the broker's certificate cannot be trusted: \(reason); "
        + "'?cacertfile=PATH' behind the address, or SSL_CERT_FILE, names the authority"
    case .noTLS(let address, let reason):
      "\(address): nobody speaks TLS there: \(reason); amqps:// goes to port 5671 by default, and "
        + "amqp://, without TLS, to 5672"
    case .refused(let address, let reason):
      "\(address): the broker refuses the login of \(address.user): \(reason); the user and password "
        + "come from the address, or from TASKLOG_AMQP_USER and TASKLOG_AMQP_PASSWORD"
    case .noVhost(let address, let reason):
      "\(address): the broker refuses the virtual host '\(address.vhost)': \(reason); it is the path "
        + "of the address, / where there is none"
    case .noQueue(let address, let queue):
      "\(address): there is no queue '\(queue)'; without --passive it is made"
    case .gone(let address, let reason): "\(address): the connection is gone: \(reason)"
    case .returned(let address, let queue): "\(address): the queue '\(queue)' is not there any more"
    }
  }

  /// Whether the command that was given is wrong, and not the world.
  public var isUsage: Bool {
    switch self {
    case .badAddress, .badQueue: true
    default: false
    }
  }

  /// Whether it is of use to try again for whoever has been connected already: a broker that starts
  /// may refuse what it allows a moment later, but a queue that is gone does not come back.
  public var isTemporary: Bool {
    switch self {
    case .unreachable, .gone, .returned, .insecure, .noTLS, .refused, .noVhost: true
    case .notBuilt, .badAddress, .badQueue, .noMemory, .noQueue: false
    }
  }
}
