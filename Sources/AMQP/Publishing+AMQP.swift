import Recording

extension Publishing {
  /// What Dask's documentation publishes to.
  public static let defaultQueue = "dask_task_status"

  /// Publishes to a queue of a broker.
  ///
  /// - Parameter isPassive: the queue has to be there; else a durable one is made.
  /// - Throws: `AMQPError` when the address or queue cannot be right, or there is no RabbitMQ in this
  ///   build. Whether there is a broker is seen later.
  public init(
    to url: String, queue: String = Publishing.defaultQueue, isPassive: Bool = false,
    payload: Payload = .events(batch: 1), spool: String = Publishing.defaultSpool
  ) throws(AMQPError) {
    let address = try AMQPAddress(url)
    guard AMQPQueue.isName(queue) else { throw AMQPError.badQueue(queue) }
    #if RabbitMQ
      self.init(destination: "\(address), queue '\(queue)'", payload: payload, spool: spool) {
        try PublishingConnection(address, queue: queue, isPassive: isPassive)
      }
    #else
      throw AMQPError.notBuilt
    #endif
  }
}

/// What is known of names of queues.
public enum AMQPQueue {
  /// Whether there can be a queue of this name: a short string of AMQP.
  public static func isName(_ name: String) -> Bool {
    (1...255).contains(name.utf8.count) && !name.utf8.contains(0)
  }
}
