import Glibc

/// Understands messages in a thread, while those before them are put into the log: each takes about as
/// long as the other.
final class MessagesAhead {
  typealias Message = Result<QueueMessage, MessageError>

  /// Of fewer a thread makes nothing faster.
  private static let leastBytes = 64 << 10

  private let deliveries: [Delivery]
  private var queue: PartQueue<Message>?
  private var thread: pthread_t?

  init(_ deliveries: [Delivery]) {
    self.deliveries = deliveries
    let bytes = deliveries.reduce(0) { $0 + $1.body.count }
    guard deliveries.count > 1, bytes >= Self.leastBytes, sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1
    else { return }
    let queue = PartQueue<Message>(count: deliveries.count, ahead: deliveries.count)
    thread = ScanThread.start {
      while let place = queue.next() {
        queue.put(.success(Self.message(deliveries[place])), at: place)
      }
    }
    if thread != nil { self.queue = queue }
  }

  private static func message(_ delivery: Delivery) -> Message {
    delivery.body.withUnsafeBytes { body in
      Result { () throws(MessageError) in try QueueMessage(body) }
    }
  }

  /// Each is asked for once, one after the other.
  func message(_ place: Int) -> Message {
    guard case .success(let message)? = queue?.take(place) else {
      return Self.message(deliveries[place])
    }
    return message
  }

  /// Nobody asks any more: waits for the thread to end.
  func close() {
    queue?.close()
    if let thread { pthread_join(thread, nil) }
    thread = nil
  }
}
