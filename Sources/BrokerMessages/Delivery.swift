/// A message as a queue gives it out.
public struct Delivery: Sendable {
  public var body: [UInt8]
  /// Whether the queue has given it out before, to somebody who has not said that it is done.
  public var isRedelivered: Bool

  public init(body: [UInt8], isRedelivered: Bool) {
    self.body = body
    self.isRedelivered = isRedelivered
  }
}

/// What has come out of a queue so far.
public struct DeliveryCounts: Sendable, Equatable {
  public var messages: Int64 = 0
  /// Events that are in the log now.
  public var events: Int64 = 0
  /// Events that were in the log already.
  public var known: Int64 = 0
  /// Messages that the queue had given out before.
  public var redelivered: Int64 = 0
  /// Messages that could not be understood; their bytes are in the log.
  public var malformed: Int64 = 0

  public init() {}

  static func += (a: inout DeliveryCounts, b: DeliveryCounts) {
    a.messages += b.messages
    a.events += b.events
    a.known += b.known
    a.redelivered += b.redelivered
    a.malformed += b.malformed
  }
}
