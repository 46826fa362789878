import Glibc
import LogFormat

/// Understands messages in a thread, while those before them are put into the log: each takes about as
/// long as the other.
final class MessagePrefetcher {
  typealias Message = Result<QueueMessage, MessageError>

  /// Of fewer a thread makes nothing faster.
  private static let leastBytes = 64 << 10

  /// All of them where there is no thread: whoever is locked out meanwhile does not wait for that.
  private var understood: [Message] = []
  private let queue: OrderedWorkQueue<Message>
  private var thread: pthread_t?

  init(_ deliveries: [Delivery]) {
    queue = OrderedWorkQueue(count: deliveries.count, ahead: deliveries.count)
    if ParallelThread.processors > 1, deliveries.count > 1,
      deliveries.reduce(0, { $0 + $1.body.count }) >= Self.leastBytes
    {
      thread = ParallelThread.start { [queue] in
        while let place = queue.next() {
          queue.put(.success(Self.message(deliveries[place])), at: place)
        }
      }
    }
    if thread == nil { understood = deliveries.map(Self.message) }
  }

  private static func message(_ delivery: Delivery) -> Message {
    delivery.body.withUnsafeBytes { body in
      Result { () throws(MessageError) in try QueueMessage(body) }
    }
  }

  /// Each is asked for once, one after the other.
  func message(_ place: Int) throws -> Message {
    thread == nil ? understood[place] : try queue.take(place).get()
  }

  /// Nobody asks any more: waits for the thread to end.
  func close() {
    queue.close()
    if let thread { pthread_join(thread, nil) }
    thread = nil
  }
}
