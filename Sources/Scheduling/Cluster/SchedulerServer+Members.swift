import TaskLogPlugin

/// Joining and leaving of workers and clients, and who holds what.
extension SchedulerServer {
  func add(_ worker: WorkerServer) {
    workers[worker.facts.address] = worker
    logger.info("worker joins", ["worker": "\(worker.facts.address)"])
    handle(.addWorker(worker.facts), stimulusID("worker-connect"))
    armTimers()
  }

  /// Removes a worker that is gone. `expected` if it was asked to leave.
  func remove(_ address: String, expected: Bool) {
    drain()
    workers[address] = nil
    if expected {
      logger.info("worker leaves", ["worker": "\(address)"])
    } else {
      logger.warning("worker is lost", ["worker": "\(address)"])
    }
    handle(
      .removeWorker(address: address, expected: expected), stimulusID("handle-worker-cleanup"))
    finishRetiring(address, true)
    armTimers()
  }

  /// Asks a worker to leave once its results have been moved to others; returns `false` if it
  /// stays.
  func retire(_ address: String) async -> Bool {
    drain()
    guard !isClosed, workers[address] != nil else { return false }
    return await withCheckedContinuation { continuation in
      let isInProgress = retiring[address] != nil
      retiring[address, default: []].append(continuation)
      if !isInProgress { handle(.retireWorkers([address]), stimulusID("retire-workers")) }
    }
  }

  func finishRetiring(_ address: String, _ succeeded: Bool) {
    for one in retiring.removeValue(forKey: address) ?? [] { one.resume(returning: succeeded) }
  }

  /// Forgets all tasks and removes all workers.
  func restart() {
    drain()
    handle(.restart, stimulusID("restart"))
    for (_, client) in clients { client.cancelAll() }
  }

  /// The addresses of the workers, in the order of joining.
  public func workerAddresses() -> [String] {
    drain()
    return core.state.workers.keys
  }

  func add(_ client: Client) {
    clients[client.id] = client
    handle(.addClient(client.id), stimulusID("client-connect"))
  }

  func remove(_ client: Client) {
    drain()
    handle(.removeClient(client.id), stimulusID("client-disconnect"))
    clients[client.id] = nil
  }

  /// The workers that hold results, by address.
  func whoHas(_ keys: [Key]) -> [(Key, WorkerServer)] {
    drain()
    return keys.compactMap { key in
      core.state.tasks[key]?.whoHas.first.flatMap { workers[$0.address] }.map { (key, $0) }
    }
  }

  /// The address of the worker that processes a task.
  func processingOn(_ key: Key) -> String? {
    drain()
    return core.state.tasks[key]?.processingOn?.address
  }

  /// Distributes data to workers in round-robin order: Dask's `scatter`.
  func scatter(
    _ data: [Scattered], client: String, to addresses: [String], broadcast: Bool
  ) async throws {
    drain()
    let running = core.state.workers.values.filter { worker in
      worker.status == .running && (addresses.isEmpty || addresses.contains(worker.address))
    }
    let recipients = running.compactMap { workers[$0.address] }
    guard !recipients.isEmpty else { throw ClusterError.noWorkers }
    var shares = recipients.map { _ in [Scattered]() }
    for one in data {
      if broadcast {
        for index in shares.indices { shares[index].append(one) }
      } else {
        shares[turn % shares.count].append(one)
        turn += 1
      }
    }
    var holders: [Key: [String]] = [:]
    for (worker, share) in zip(recipients, shares) where !share.isEmpty {
      for key in await worker.scatter(share) {
        holders[key, default: []].append(worker.facts.address)
      }
    }
    drain()
    handle(
      .updateData(client: client, data.map { ($0.data, workers: holders[$0.key] ?? []) }),
      stimulusID("scatter"))
  }
}
