import BrokerMessages
import EventLog
import Recording

/// Takes messages out of a queue and records them into a log.
///
/// A message is acknowledged when its transaction has been committed. One that was not comes again, to
/// this recorder or another.
public struct QueueConsumer {
  public struct Settings: Sendable {
    public var queue: String
    /// Does not make the queue where there is none.
    public var isPassive = false
    /// So many messages may be here without having been acknowledged.
    public var prefetch: UInt16 = 1000
    /// Ends when no message has come for so long; never by default.
    public var idleMilliseconds: Int?

    public init(queue: String) { self.queue = queue }
  }

  /// A commit holds at most so many bytes of messages, so that others can write, too.
  static let batchBytes = 16 << 20
  /// A message waits for others to be committed with at most so long.
  static let batchMilliseconds = 100
  static let firstBackoffMilliseconds = 100
  static let lastBackoffMilliseconds = 5000

  let address: AMQPAddress
  let settings: Settings

  /// - Throws: `AMQPError` when the address or queue cannot be right, or there is no RabbitMQ in this
  ///   build.
  public init(_ url: String, _ settings: Settings) throws(AMQPError) {
    address = try AMQPAddress(url)
    self.settings = settings
    guard AMQPQueue.isName(settings.queue) else { throw AMQPError.badQueue(settings.queue) }
    guard hasRabbitMQ else { throw AMQPError.notBuilt }
  }

  /// How the queue is named in the log and to people.
  public var origin: String { "\(address), queue '\(settings.queue)'" }

  #if !RabbitMQ
    public func run(
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
    /// Records until it is to stop, or no more messages come. A broker that is gone later is waited for.
    ///
    /// - Parameters:
    ///   - open: opens the log, once there is a broker: no log is made for one that is not there.
    ///   - progress: told now and then what has come so far.
    ///   - problem: called once per outage with what is tried again.
    /// - Throws: `AMQPError` when there is no broker at the beginning, or it will not have us, or the
    ///   queue is gone and none is to be made; `LogError` when the log is not there any more.
    public func run(
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
          let open = try connection ?? ConsumingConnection(address, settings)
          if connection == nil, open.isQueueNew {
            problem(
              "\(origin): the queue was gone and has been created again; what was in it is lost")
          }
          connection = open
          let batch = try open.batch()
          if !batch.isEmpty {
            try commit(batch, log, problem, isStopped)
            try open.acknowledge()
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

    /// Puts a batch into the log, however long that takes: a full disk or somebody's lock passes.
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

    /// Milliseconds of a clock that never jumps.
    static func now() -> Int {
      var time = timespec()
      clock_gettime(CLOCK_MONOTONIC, &time)
      return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }
  }

  /// A connection on which a queue is consumed, with acknowledgements by us.
  final class ConsumingConnection {
    private let connection: AMQPConnection
    private let settings: QueueConsumer.Settings
    private var prefetch: Int { Int(settings.prefetch) }
    /// Whether there was no queue of the name before.
    let isQueueNew: Bool
    /// The last message that was given out, and the last that has been acknowledged.
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

    /// The messages that are there, or come soon.
    ///
    /// - Throws: `AMQPError`.
    func batch() throws(AMQPError) -> [Delivery] {
      var batch: [Delivery] = []
      var bytes = 0
      let end = QueueConsumer.now() + QueueConsumer.batchMilliseconds
      // Half of what may be on its way, so that the broker has something to do meanwhile.
      while batch.count < max(1, prefetch / 2), bytes < QueueConsumer.batchBytes {
        let left = end - QueueConsumer.now()
        guard left > 0,
          let delivery = try next(waitingMilliseconds: batch.isEmpty ? left : min(left, 5))
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
        try look(at: reply)
        return nil
      }
      defer { amqp_destroy_envelope(&envelope) }
      lastTag = envelope.delivery_tag
      let body = envelope.message.body
      return Delivery(
        body: Array(UnsafeRawBufferPointer(start: body.bytes, count: body.len)),
        isRedelivered: envelope.redelivered != 0)
    }

    /// Why there was no message.
    private func look(at reply: amqp_rpc_reply_t) throws(AMQPError) {
      guard reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION else {
        return try connection.check()
      }
      switch reply.library_error {
      case AMQP_STATUS_TIMEOUT.rawValue: return
      case AMQP_STATUS_UNEXPECTED_STATE.rawValue:
        // Something else than a message.
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

    /// Says that everything that was given out is done.
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
