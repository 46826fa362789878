import Recording

extension Publishing {
  /// The queue that Dask's documentation publishes to.
  public static let defaultQueue = "dask_task_status"

  /// Publishes to a queue of a broker.
  ///
  /// - Parameter isPassive: require an existing queue; otherwise a durable one is created.
  /// - Throws: `AMQPError` if the address or queue name is invalid, or this build has no RabbitMQ.
  ///   The broker is contacted later.
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

/// Rules for queue names.
package enum AMQPQueue {
  /// Whether the name is valid for a queue: a short string of AMQP.
  package static func isName(_ name: String) -> Bool {
    (1...255).contains(name.utf8.count) && !name.utf8.contains(0)
  }
}
