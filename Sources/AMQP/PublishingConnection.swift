#if RabbitMQ
  import CRabbitMQ
  import Recording

  /// A connection that publishes persistent messages to a queue, with confirms.
  final class PublishingConnection: MessageConnection {
    private let connection: AMQPConnection
    private let queue: String
    let isQueueNew: Bool
    private var properties = amqp_basic_properties_t()
    /// Lives as long as the properties that point at it.
    private static let contentType: StaticString = "application/json"

    /// - Throws: `AMQPError`.
    init(_ address: AMQPAddress, queue: String, isPassive: Bool) throws(AMQPError) {
      connection = try AMQPConnection(address)
      self.queue = queue
      isQueueNew = try connection.declare(queue: queue, isPassive: isPassive).isNew
      amqp_confirm_select(connection.state, AMQPConnection.channel)
      try connection.check()
      properties._flags = UInt32(AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG)
      properties.content_type = amqp_bytes_t(
        UnsafeRawBufferPointer(
          start: Self.contentType.utf8Start, count: Self.contentType.utf8CodeUnitCount))
      properties.delivery_mode = 2
    }

    func send(_ body: [UInt8]) throws {
      let code = connection.withBytes(of: queue) { name in
        body.withUnsafeBytes { bytes in
          // Mandatory: if the queue is gone, the message is returned instead of being confirmed and
          // lost.
          amqp_basic_publish(
            connection.state, AMQPConnection.channel, amqp_empty_bytes, name, 1, 0, &properties,
            amqp_bytes_t(bytes))
        }
      }
      try connection.check(code)
    }

    func confirms(waitingMilliseconds: Int) throws -> [MessageConfirm] {
      var confirms: [MessageConfirm] = []
      while let frame = try connection.frame(
        waitingMilliseconds: confirms.isEmpty ? waitingMilliseconds : 0)
      {
        guard Int32(frame.frame_type) == AMQP_FRAME_METHOD else { continue }
        if let confirm = try confirm(frame.payload.method) { confirms.append(confirm) }
      }
      return confirms
    }

    private func confirm(_ method: amqp_method_t) throws -> MessageConfirm? {
      guard let decoded = method.decoded else { return nil }
      switch method.id {
      case amqp_method_number_t(AMQP_BASIC_ACK_METHOD):
        let ack = decoded.assumingMemoryBound(to: amqp_basic_ack_t.self).pointee
        return MessageConfirm(
          number: ack.delivery_tag, isMultiple: ack.multiple != 0, isAccepted: true)
      case amqp_method_number_t(AMQP_BASIC_NACK_METHOD):
        let nack = decoded.assumingMemoryBound(to: amqp_basic_nack_t.self).pointee
        return MessageConfirm(
          number: nack.delivery_tag, isMultiple: nack.multiple != 0, isAccepted: false)
      case amqp_method_number_t(AMQP_BASIC_RETURN_METHOD):
        throw AMQPError.returned(connection.address, queue: queue)
      default:
        try connection.checkIsOpen(method)
        return nil
      }
    }

    func close() { connection.close() }
  }
#endif
