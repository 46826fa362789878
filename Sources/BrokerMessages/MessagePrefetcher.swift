import Glibc
import LogFormat

/// Decodes messages in a thread while the previous ones are stored in the log: both steps take
/// about the same time.
final class MessagePrefetcher {
  typealias Message = Result<QueueMessage, MessageError>

  /// Below this size a thread does not pay off.
  private static let leastBytes = 64 << 10

  /// All messages, if there is no thread. They are decoded up front, so that other writers, which
  /// the transaction locks out, do not wait for the decoding.
  private var decoded: [Message] = []
  private let queue: OrderedWorkQueue<Message>
  private var thread: pthread_t?

  init(_ deliveries: [Delivery]) {
    queue = OrderedWorkQueue(count: deliveries.count, ahead: deliveries.count)
    if ParallelThread.processors > 1, deliveries.count > 1,
      deliveries.reduce(0, { $0 + $1.body.count }) >= Self.leastBytes
    {
      thread = ParallelThread.start { [queue] in
        while let index = queue.next() {
          queue.put(.success(Self.message(deliveries[index])), at: index)
        }
      }
    }
    if thread == nil { decoded = deliveries.map(Self.message) }
  }

  private static func message(_ delivery: Delivery) -> Message {
    delivery.body.withUnsafeBytes { body in
      Result { () throws(MessageError) in try QueueMessage(body) }
    }
  }

  /// Each message is requested once, in order.
  func message(_ index: Int) throws -> Message {
    thread == nil ? decoded[index] : try queue.take(index).get()
  }

  /// Call when no more messages are requested: waits for the thread to end.
  func close() {
    queue.close()
    if let thread { pthread_join(thread, nil) }
    thread = nil
  }
}
