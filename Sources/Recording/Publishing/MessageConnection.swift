/// A connection to a broker that confirms each message once it is responsible for it.
///
/// Used by one thread. After an error it is unusable.
package protocol MessageConnection: AnyObject {
  /// Whether connecting created the queue: the content of an earlier queue of this name is lost.
  var isQueueNew: Bool { get }

  /// Sends a persistent message, which survives a restart of the broker. Messages are numbered from
  /// 1.
  ///
  /// - Throws: if the connection is lost.
  func send(_ body: [UInt8]) throws

  /// Waits for confirms for up to this time. Also keeps an idle connection alive, so call it at
  /// least every second.
  ///
  /// - Throws: if the connection is lost.
  func confirms(waitingMilliseconds: Int) throws -> [MessageConfirm]

  /// Closes the connection in an orderly way.
  func close()
}

/// A broker's confirm of messages.
package struct MessageConfirm: Sendable {
  /// The number of the message on its connection.
  package var number: UInt64
  /// Whether it applies to all messages up to this one.
  package var isMultiple: Bool
  /// False if the broker could not store them.
  package var isAccepted: Bool

  package init(number: UInt64, isMultiple: Bool, isAccepted: Bool) {
    self.number = number
    self.isMultiple = isMultiple
    self.isAccepted = isAccepted
  }
}

/// Where to publish, and how.
public struct Publishing: Sendable {
  public enum Payload: Sendable, Equatable {
    /// Everything that a log holds, up to `batch` events per message, at least 1; see
    /// `EventMessage`.
    case events(batch: Int)
    /// The scheduler's transitions as in Dask's documentation; see `TransitionMessage`.
    case transitions
  }

  /// The folder that holds events until they are confirmed; several publishers can share it.
  public var spool: String
  public var payload: Payload
  /// The maximum number and size in bytes of unconfirmed messages. As long as they fit into the
  /// network buffers, a broker that hangs does not block the publisher.
  public var windowMessages = 1000
  public var windowBytes = 1 << 20
  /// The name of the destination in reported problems: without a password.
  package var destination: String
  package var connect: @Sendable () throws -> any MessageConnection

  package init(
    destination: String, payload: Payload = .events(batch: 1),
    spool: String = Publishing.defaultSpool,
    connect: @escaping @Sendable () throws -> any MessageConnection
  ) {
    self.destination = destination
    self.payload = payload
    self.spool = spool
    self.connect = connect
  }

  /// Relative to the working directory.
  public static let defaultSpool = "tasklog-publish.spool"
}
