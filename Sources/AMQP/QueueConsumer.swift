import BrokerMessages
import EventLog
import Recording

/// Consumes messages from a queue and records them into a log.
///
/// A message is acknowledged when its transaction has been committed. Otherwise it is redelivered,
/// to this recorder or another.
package struct QueueConsumer {
  package struct Settings: Sendable {
    package var queue: String
    /// Do not create the queue if it does not exist.
    package var isPassive = false
    /// The maximum number of received and unacknowledged messages.
    package var prefetch: UInt16 = 1000
    /// Stop when no message has arrived for this time; never by default.
    package var idleMilliseconds: Int?

    package init(queue: String) { self.queue = queue }
  }

  /// The maximum size of the messages in one commit, in bytes, so that others can write, too.
  static let batchBytes = 16 << 20
  /// The longest time that a message waits for others to be committed with.
  static let batchMilliseconds = 100
  static let firstBackoffMilliseconds = 100
  static let lastBackoffMilliseconds = 5000

  let address: AMQPAddress
  let settings: Settings

  /// - Throws: `AMQPError` if the address or queue name is invalid, or this build has no RabbitMQ.
  package init(_ url: String, _ settings: Settings) throws(AMQPError) {
    address = try AMQPAddress(url)
    self.settings = settings
    guard AMQPQueue.isName(settings.queue) else { throw AMQPError.badQueue(settings.queue) }
    guard hasRabbitMQ else { throw AMQPError.notBuilt }
  }

  /// The name of the queue in the log and in messages.
  package var origin: String { "\(address), queue '\(settings.queue)'" }

  #if !RabbitMQ
    package func run(
      into open: () throws -> QueueRecorder, progress: (DeliveryCounts) -> Void,
      problem: (String) -> Void, isStopped: () -> Bool
    ) throws -> DeliveryCounts {
      throw AMQPError.notBuilt
    }
  #endif
}

#if RabbitMQ
  import CRabbitMQ
  import Glibc

  extension QueueConsumer {
    /// Records until stopped, or until messages stop arriving. If the broker becomes unavailable
    /// later, waits for it.
    ///
    /// - Parameters:
    ///   - open: opens the log, once the broker is reachable: otherwise no log is created.
    ///   - progress: called regularly with the counts so far.
    ///   - problem: called once per outage with the error that is retried.
    /// - Throws: `AMQPError` if there is no broker at the beginning, or it refuses the connection,
    ///   or the queue is gone and must not be created; `LogError` if the log no longer exists.
    package func run(
      into open: () throws -> QueueRecorder, progress: (DeliveryCounts) -> Void,
      problem: (String) -> Void, isStopped: () -> Bool
    ) throws -> DeliveryCounts {
      var connection: ConsumingConnection? = try ConsumingConnection(address, settings)
      let log = try open()
      defer { log.close() }
      var backoff = Self.firstBackoffMilliseconds
      var lastMessage = Self.now()
      var outage = OutageReporting()
      while !isStopped() {
        do {
          let consuming = try connection ?? ConsumingConnection(address, settings)
          if connection == nil, consuming.isQueueNew {
            problem(
              "\(origin): the queue was deleted and has been created again; its messages are lost")
          }
          connection = consuming
          let batch = try consuming.batch()
          if !batch.isEmpty {
            try commit(batch, log, problem, isStopped)
            try consuming.acknowledge()
            lastMessage = Self.now()
            backoff = Self.firstBackoffMilliseconds
            outage.succeed(at: Int64(Self.now()) * 1_000_000)
          }
          progress(log.counts)
          if let idle = settings.idleMilliseconds, Self.now() - lastMessage >= idle { break }
        } catch let error as AMQPError where error.isTemporary {
          connection = nil
          if outage.fail(at: Int64(Self.now()) * 1_000_000) {
            problem("\(error); will try again")
          }
          Self.sleep(backoff, isStopped)
          backoff = min(backoff * 2, Self.lastBackoffMilliseconds)
          lastMessage = Self.now()
        }
      }
      connection?.close()
      return log.counts
    }

    /// Writes a batch to the log, however long that takes: a full disk or a lock is temporary.
    private func commit(
      _ batch: [Delivery], _ log: QueueRecorder, _ problem: (String) -> Void,
      _ isStopped: () -> Bool
    ) throws {
      var hasReported = false
      while true {
        do {
          return try log.take(batch)
        } catch  where log.isInPlace && !isStopped() {
          if !hasReported { problem("\(error); will try again") }
          hasReported = true
          Self.sleep(500, isStopped)
        }
      }
    }

    private static func sleep(_ milliseconds: Int, _ isStopped: () -> Bool) {
      let end = now() + milliseconds
      while now() < end, !isStopped() { usleep(20_000) }
    }

    /// Milliseconds of a monotonic clock.
    static func now() -> Int {
      var time = timespec()
      clock_gettime(CLOCK_MONOTONIC, &time)
      return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }
  }

  /// A connection that consumes a queue, with explicit acknowledgements.
  final class ConsumingConnection {
    private let connection: AMQPConnection
    private let settings: QueueConsumer.Settings
    private var prefetch: Int { Int(settings.prefetch) }
    /// Whether the queue was created by this connection.
    let isQueueNew: Bool
    /// The tags of the last message received and the last one acknowledged.
    private var lastTag: UInt64 = 0
    private var acknowledgedTag: UInt64 = 0

    /// - Throws: `AMQPError`.
    init(_ address: AMQPAddress, _ settings: QueueConsumer.Settings) throws(AMQPError) {
      connection = try AMQPConnection(address)
      self.settings = settings
      isQueueNew = try connection.declare(queue: settings.queue, isPassive: settings.isPassive)
        .isNew
      amqp_basic_qos(connection.state, AMQPConnection.channel, 0, settings.prefetch, 0)
      try connection.check()
      _ = connection.withBytes(of: settings.queue) { name in
        amqp_basic_consume(
          connection.state, AMQPConnection.channel, name, amqp_empty_bytes, 0, 0, 0,
          amqp_empty_table)
      }
      try connection.check()
    }

    /// The messages that are available, or arrive soon.
    ///
    /// - Throws: `AMQPError`.
    func batch() throws(AMQPError) -> [Delivery] {
      var batch: [Delivery] = []
      var bytes = 0
      let end = QueueConsumer.now() + QueueConsumer.batchMilliseconds
      // Half of the prefetch, so that the broker can send the rest meanwhile.
      while batch.count < max(1, prefetch / 2), bytes < QueueConsumer.batchBytes {
        let remaining = end - QueueConsumer.now()
        guard remaining > 0,
          let delivery = try next(
            waitingMilliseconds: batch.isEmpty ? remaining : min(remaining, 5))
        else { break }
        bytes += delivery.body.count
        batch.append(delivery)
      }
      return batch
    }

    private func next(waitingMilliseconds: Int) throws(AMQPError) -> Delivery? {
      amqp_maybe_release_buffers(connection.state)
      var envelope = amqp_envelope_t()
      var timeout = timeval(milliseconds: waitingMilliseconds)
      let reply = amqp_consume_message(connection.state, &envelope, &timeout, 0)
      guard reply.reply_type == AMQP_RESPONSE_NORMAL else {
        try inspect(at: reply)
        return nil
      }
      defer { amqp_destroy_envelope(&envelope) }
      lastTag = envelope.delivery_tag
      let body = envelope.message.body
      return Delivery(
        body: Array(UnsafeRawBufferPointer(start: body.bytes, count: body.len)),
        isRedelivered: envelope.redelivered != 0)
    }

    /// Handles a reply without a message.
    private func inspect(at reply: amqp_rpc_reply_t) throws(AMQPError) {
      guard reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION else {
        return try connection.check()
      }
      switch reply.library_error {
      case AMQP_STATUS_TIMEOUT.rawValue: return
      case AMQP_STATUS_UNEXPECTED_STATE.rawValue:
        // Another frame than a message.
        guard let frame = try connection.frame(waitingMilliseconds: 0),
          Int32(frame.frame_type) == AMQP_FRAME_METHOD
        else { return }
        let method = frame.payload.method
        try connection.checkIsOpen(method)
        if method.id == amqp_method_number_t(AMQP_BASIC_CANCEL_METHOD) {
          throw settings.isPassive
            ? AMQPError.noQueue(connection.address, queue: settings.queue)
            : AMQPError.gone(connection.address, reason: "the queue was deleted")
        }
      default: try connection.check(reply.library_error)
      }
    }

    /// Acknowledges all received messages.
    ///
    /// - Throws: `AMQPError`.
    func acknowledge() throws(AMQPError) {
      guard lastTag > acknowledgedTag else { return }
      try connection.check(
        amqp_basic_ack(connection.state, AMQPConnection.channel, lastTag, 1))
      acknowledgedTag = lastTag
    }

    func close() { connection.close() }
  }
#endif
