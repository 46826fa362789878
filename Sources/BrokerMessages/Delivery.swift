/// A message as delivered by a queue.
package struct Delivery: Sendable {
  package var body: [UInt8]
  /// Whether the queue delivered the message before, to a consumer that did not acknowledge it.
  package var isRedelivered: Bool

  package init(body: [UInt8], isRedelivered: Bool) {
    self.body = body
    self.isRedelivered = isRedelivered
  }
}

/// What a queue has delivered so far.
package struct DeliveryCounts: Sendable, Equatable {
  package var messages: Int64 = 0
  /// Events that this recorder added to the log.
  package var events: Int64 = 0
  /// Events that were already in the log.
  package var known: Int64 = 0
  /// Messages that the queue had delivered before.
  package var redelivered: Int64 = 0
  /// Messages that could not be decoded; their bytes are in the log.
  package var malformed: Int64 = 0

  package init() {}

  static func += (a: inout DeliveryCounts, b: DeliveryCounts) {
    a.messages += b.messages
    a.events += b.events
    a.known += b.known
    a.redelivered += b.redelivered
    a.malformed += b.malformed
  }
}
