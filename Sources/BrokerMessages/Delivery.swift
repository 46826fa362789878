/// A message as delivered by a queue.
public struct Delivery: Sendable {
  public var body: [UInt8]
  /// Whether the queue delivered the message before, to a consumer that did not acknowledge it.
  public var isRedelivered: Bool

  public init(body: [UInt8], isRedelivered: Bool) {
    self.body = body
    self.isRedelivered = isRedelivered
  }
}

/// What a queue has delivered so far.
public struct DeliveryCounts: Sendable, Equatable {
  public var messages: Int64 = 0
  /// Events that this recorder added to the log.
  public var events: Int64 = 0
  /// Events that were already in the log.
  public var known: Int64 = 0
  /// Messages that the queue had delivered before.
  public var redelivered: Int64 = 0
  /// Messages that could not be decoded; their bytes are in the log.
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
