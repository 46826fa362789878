#if RabbitMQ
  import CRabbitMQ
  import Glibc

  /// A connection to a broker with one channel; used by one thread. After an error it is unusable.
  ///
  /// Heartbeats are served within the calls that wait, so these must come every few seconds.
  ///
  /// Invariant of the unsafe parts: `state` is valid from `init` to `deinit`, and the memory that a
  /// frame points at is valid until the buffers are released, which happens only between two
  /// frames.
  final class AMQPConnection {
    /// The channel for all but `probe`.
    static let channel: amqp_channel_t = 1
    /// The channel for checking whether a queue exists: the broker closes it if not.
    private static let probe: amqp_channel_t = 2
    /// Larger frames need fewer headers; this is the usual default of brokers.
    private static let frameSize: Int32 = 131_072
    /// Where systems keep their trusted certificates.
    private static let systemAuthorities = [
      "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
      "/etc/ssl/cert.pem",
    ]

    let address: AMQPAddress
    let state: amqp_connection_state_t

    /// Connects, logs in and opens the channel.
    ///
    /// - Throws: `AMQPError`.
    init(_ address: AMQPAddress) throws(AMQPError) {
      self.address = address
      guard let state = amqp_new_connection() else { throw AMQPError.noMemory }
      self.state = state
      let socket = try openSocket()
      var timeout = timeval(milliseconds: address.timeoutMilliseconds)
      let code = amqp_socket_open_noblock(socket, address.host, address.port, &timeout)
      guard code == AMQP_STATUS_OK.rawValue else {
        throw Self.error(code, address)
      }
      boundSending()
      amqp_set_handshake_timeout(state, &timeout)
      amqp_set_rpc_timeout(state, &timeout)
      let reply = tl_amqp_login(
        state, address.vhost, Self.frameSize, address.heartbeatSeconds, address.user,
        address.password)
      if let problem = Problem(reply) {
        guard problem.isFromBroker else {
          throw AMQPError.unreachable(address, reason: problem.text)
        }
        throw problem.code == Problem.notAllowed
          ? AMQPError.noVhost(address, reason: problem.text)
          : AMQPError.refused(address, reason: problem.text)
      }
      amqp_channel_open(state, Self.channel)
      try check()
    }

    deinit {
      amqp_destroy_connection(state)
    }

    private func openSocket() throws(AMQPError) -> OpaquePointer {
      guard address.isEncrypted else {
        guard let socket = amqp_tcp_socket_new(state) else { throw AMQPError.noMemory }
        return socket
      }
      guard let socket = amqp_ssl_socket_new(state) else { throw AMQPError.noMemory }
      amqp_ssl_socket_set_verify_peer(socket, 1)
      amqp_ssl_socket_set_verify_hostname(socket, 1)
      amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST)
      let authorities: String =
        address.authorities ?? Self.systemAuthorities.first { access($0, R_OK) == 0 } ?? ""
      guard amqp_ssl_socket_set_cacert(socket, authorities) == AMQP_STATUS_OK.rawValue else {
        throw AMQPError.insecure(address, reason: "'\(authorities)' has no certificates")
      }
      return socket
    }

    /// The error for a failed connection attempt.
    private static func error(_ code: Int32, _ address: AMQPAddress) -> AMQPError {
      switch code {
      case AMQP_STATUS_SSL_PEER_VERIFY_FAILED.rawValue:
        .insecure(address, reason: "no trusted authority has signed it, or it has expired")
      case AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED.rawValue:
        .insecure(
          address,
          reason: "it is not for the host '\(address.host)'"
            + (address.isNumeric ? ", use the name in the certificate" : ""))
      case AMQP_STATUS_SSL_CONNECTION_FAILED.rawValue, AMQP_STATUS_SSL_ERROR.rawValue:
        .noTLS(address, reason: String(cString: amqp_error_string2(code)))
      default: .unreachable(address, reason: String(cString: amqp_error_string2(code)))
      }
    }

    /// Limits the time for sending to a broker that hangs, which the library does not: with this
    /// the kernel gives up on data that is not acknowledged (`tcp(7)`, TCP_USER_TIMEOUT).
    private func boundSending() {
      var milliseconds = UInt32(max(2 * Int(address.heartbeatSeconds) * 1000, 10_000))
      setsockopt(
        amqp_get_sockfd(state), Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, &milliseconds,
        socklen_t(MemoryLayout<UInt32>.size))
    }

    // MARK: - Requests

    /// Creates a durable queue unless it exists. An existing queue is used as it is: it may have
    /// been given a limit, or another type.
    ///
    /// - Parameter isPassive: never create the queue.
    /// - Throws: `AMQPError`.
    @discardableResult
    func declare(queue: String, isPassive: Bool) throws(AMQPError) -> DeclaredQueue {
      amqp_channel_open(state, Self.probe)
      try check()
      let (count, problem) = declare(queue, isPassive: true, on: Self.probe)
      guard let problem else {
        amqp_channel_close(state, Self.probe, AMQP_REPLY_SUCCESS)
        return DeclaredQueue(messageCount: count, isNew: false)
      }
      guard problem.code == Problem.notFound else {
        throw AMQPError.gone(address, reason: problem.text)
      }
      var answer = amqp_channel_close_ok_t()
      try check(
        amqp_send_method(
          state, Self.probe, amqp_method_number_t(AMQP_CHANNEL_CLOSE_OK_METHOD), &answer))
      guard !isPassive else { throw AMQPError.noQueue(address, queue: queue) }
      let created = declare(queue, isPassive: false, on: Self.channel)
      if let problem = created.problem { throw AMQPError.gone(address, reason: problem.text) }
      return DeclaredQueue(messageCount: created.count, isNew: true)
    }

    private func declare(
      _ queue: String, isPassive: Bool, on channel: amqp_channel_t
    ) -> (count: Int, problem: Problem?) {
      withBytes(of: queue) { name in
        let answer = amqp_queue_declare(
          state, channel, name, isPassive ? 1 : 0, 1, 0, 0, amqp_empty_table)
        let problem = Problem(amqp_get_rpc_reply(state))
        return (Int(answer?.pointee.message_count ?? 0), problem)
      }
    }

    /// Checks the result of the last request.
    ///
    /// - Throws: `AMQPError.gone`.
    func check() throws(AMQPError) {
      guard let problem = Problem(amqp_get_rpc_reply(state)) else { return }
      throw AMQPError.gone(address, reason: problem.text)
    }

    /// - Throws: `AMQPError.gone`.
    func check(_ code: Int32) throws(AMQPError) {
      guard code != AMQP_STATUS_OK.rawValue else { return }
      throw AMQPError.gone(address, reason: String(cString: amqp_error_string2(code)))
    }

    func withBytes<Result>(of text: String, _ body: (amqp_bytes_t) -> Result) -> Result {
      var text = text
      return text.withUTF8 { body(amqp_bytes_t(UnsafeRawBufferPointer($0))) }
    }

    /// The next frame; `nil` on timeout.
    ///
    /// - Throws: `AMQPError.gone`.
    func frame(waitingMilliseconds: Int) throws(AMQPError) -> amqp_frame_t? {
      amqp_maybe_release_buffers(state)
      var frame = amqp_frame_t()
      var timeout = timeval(milliseconds: waitingMilliseconds)
      let code = amqp_simple_wait_frame_noblock(state, &frame, &timeout)
      if code == AMQP_STATUS_TIMEOUT.rawValue { return nil }
      try check(code)
      return frame
    }

    /// - Throws: `AMQPError.gone` if the frame closes the connection or the channel.
    func checkIsOpen(_ method: amqp_method_t) throws(AMQPError) {
      guard let problem = Problem(closing: method) else { return }
      throw AMQPError.gone(address, reason: problem.text)
    }

    /// Closes the connection in an orderly way, if the broker responds.
    func close() {
      var timeout = timeval(milliseconds: min(address.timeoutMilliseconds, 2000))
      amqp_set_rpc_timeout(state, &timeout)
      amqp_connection_close(state, AMQP_REPLY_SUCCESS)
    }
  }

  /// A broker's reply about a queue.
  struct DeclaredQueue {
    /// The number of messages in the queue.
    var messageCount: Int
    /// Whether the queue was created by this declaration.
    var isNew: Bool
  }

  /// Why a request failed.
  struct Problem {
    static let notFound: UInt16 = 404
    static let notAllowed: UInt16 = 530

    var text: String
    var code: UInt16 = 0
    /// Whether the broker reported it.
    var isFromBroker = false

    /// `nil` if the request succeeded.
    init?(_ reply: amqp_rpc_reply_t) {
      switch reply.reply_type {
      case AMQP_RESPONSE_NORMAL: return nil
      case AMQP_RESPONSE_LIBRARY_EXCEPTION:
        text = String(cString: amqp_error_string2(reply.library_error))
      case AMQP_RESPONSE_SERVER_EXCEPTION:
        guard let problem = Problem(closing: reply.reply) else {
          text = "unexpected reply"
          return
        }
        self = problem
      default: text = "no reply"
      }
    }

    /// `nil` if the method does not close anything.
    init?(closing method: amqp_method_t) {
      guard let decoded = method.decoded else { return nil }
      switch method.id {
      case amqp_method_number_t(AMQP_CONNECTION_CLOSE_METHOD):
        let close = decoded.assumingMemoryBound(to: amqp_connection_close_t.self).pointee
        text = String(close.reply_text)
        code = close.reply_code
      case amqp_method_number_t(AMQP_CHANNEL_CLOSE_METHOD):
        let close = decoded.assumingMemoryBound(to: amqp_channel_close_t.self).pointee
        text = String(close.reply_text)
        code = close.reply_code
      default: return nil
      }
      if text.hasSuffix(".") { text.removeLast() }
      isFromBroker = true
    }
  }

  extension amqp_bytes_t {
    /// Valid only as long as the bytes.
    init(_ bytes: UnsafeRawBufferPointer) {
      self.init(len: bytes.count, bytes: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
    }
  }

  extension String {
    init(_ bytes: amqp_bytes_t) {
      self.init(
        decoding: UnsafeRawBufferPointer(start: bytes.bytes, count: bytes.len), as: UTF8.self)
    }
  }

  extension timeval {
    init(milliseconds: Int) {
      self.init(tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000)
    }
  }
#endif
