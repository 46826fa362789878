/// A connection to a broker that confirms each message once it answers for it.
///
/// Belongs to one thread. After an error it is of no use any more.
public protocol MessageConnection: AnyObject {
  /// Whether connecting created the queue: what an earlier queue of the name held is lost.
  var isQueueNew: Bool { get }

  /// Sends a message that is to survive the broker's restart. Messages are numbered from 1 on.
  ///
  /// - Throws: when the connection is gone.
  func send(_ body: [UInt8]) throws

  /// What the broker has said of the messages; waits for it at most so long. Also keeps an idle
  /// connection alive, so it is to be called every second at least.
  ///
  /// - Throws: when the connection is gone.
  func confirms(waitingMilliseconds: Int) throws -> [MessageConfirm]

  /// Says goodbye.
  func close()
}

/// What a broker says of messages.
public struct MessageConfirm: Sendable {
  /// The number of the message on its connection.
  public var number: UInt64
  /// Whether it is about all messages up to this one.
  public var isMultiple: Bool
  /// False when the broker could not take care of them.
  public var isAccepted: Bool

  public init(number: UInt64, isMultiple: Bool, isAccepted: Bool) {
    self.number = number
    self.isMultiple = isMultiple
    self.isAccepted = isAccepted
  }
}

/// Where to publish, and how.
public struct Publishing: Sendable {
  public enum Payload: Sendable, Equatable {
    /// Everything that a log holds, up to so many events to a message; see `EventMessage`.
    case events(batch: Int)
    /// The scheduler's transitions as in Dask's documentation; see `TransitionMessage`.
    case transitions
  }

  /// The folder in which events wait until they are confirmed; several publishers can share it.
  public var spool: String
  public var payload: Payload
  /// At most so many messages, and of so many bytes, are sent without having been confirmed. A broker
  /// that hangs holds up nobody as long as they fit into the buffers of the network.
  public var windowMessages = 1000
  public var windowBytes = 1 << 20
  /// How it is named where a problem is told: without a password.
  public var destination: String
  public var connect: @Sendable () throws -> any MessageConnection

  public init(
    destination: String, payload: Payload = .events(batch: 1),
    spool: String = Publishing.defaultSpool,
    connect: @escaping @Sendable () throws -> any MessageConnection
  ) {
    self.destination = destination
    self.payload = payload
    self.spool = spool
    self.connect = connect
  }

  /// In the working folder.
  public static let defaultSpool = "tasklog-publish.spool"
}
