import TaskLogPlugin

/// Results of tasks.
extension Client {
  /// The results of several tasks, in their order.
  ///
  /// - Throws: `TaskError` of the first task that failed, `ClusterError`.
  public func gather<Output: Sendable>(_ futures: [Future<Output>]) async throws -> [Output] {
    let values = try await values(futures.map(\.key))
    return try zip(futures, values).map { future, value in
      guard let output = value as? Output else {
        throw ClusterError.wrongType(
          key: future.key, expected: String(describing: Output.self),
          found: String(describing: type(of: value)))
      }
      return output
    }
  }

  func values(_ keys: [Key]) async throws -> [any Sendable] {
    var results: [Key: any Sendable] = [:]
    // A result can be lost between the notification that it exists and fetching it.
    while true {
      let missing = keys.filter { results[$0] == nil }
      guard !missing.isEmpty else { break }
      for key in missing { try await wait(for: key, toFetch: true) }
      var byWorker: [(WorkerServer, [Key])] = []
      for (key, worker) in await scheduler.whoHas(missing) {
        if let index = byWorker.firstIndex(where: { $0.0 === worker }) {
          byWorker[index].1.append(key)
        } else {
          byWorker.append((worker, [key]))
        }
      }
      for (worker, keys) in byWorker {
        for (key, held) in await worker.values(keys) { results[key] = held.value }
      }
    }
    return keys.compactMap { results[$0] }
  }

  /// - Parameter toFetch: whether the result will be fetched, which is impossible once the cluster
  ///   is closed.
  func wait(for key: Key, toFetch: Bool = false) async throws {
    if let answer = answer(for: key, toFetch) { return try answer.get() }
    try await withCheckedThrowingContinuation { continuation in
      if let answer = answer(for: key, toFetch, orTell: continuation) {
        continuation.resume(with: answer)
      }
    }
  }

  /// The outcome of a task, or `nil` while it is pending; then `waiting` is resumed later.
  private func answer(
    for key: Key, _ toFetch: Bool, orTell waiting: CheckedContinuation<Void, any Error>? = nil
  ) -> Result<Void, any Error>? {
    state.withLock { state in
      guard let entry = state.entries[key] else {
        return .failure(ClusterError.unknownKey(key))
      }
      switch entry.status {
      case .finished where toFetch && state.isClosed:
        return .failure(ClusterError.closed(key: key))
      case .finished: return .success(())
      case .erred(let error): return .failure(error)
      case .cancelled: return .failure(ClusterError.cancelled(key: key))
      case .pending:
        if state.isClosed { return .failure(ClusterError.closed(key: key)) }
        if let waiting { state.entries[key]?.waiting.append(waiting) }
        return nil
      }
    }
  }

  // MARK: - News from the scheduler

  /// - Parameter graph: the last graph of this client that the scheduler received.
  func finished(_ key: Key, asOf graph: Int) {
    settle(key, .finished, .success(()), graph)
  }

  func erred(_ error: TaskError, asOf graph: Int) {
    settle(error.key, .erred(error), .failure(error), graph)
  }

  func lost(_ key: Key) {
    state.withLock { _ = $0.entries.change(key) { $0.status = .pending } }
  }

  /// The scheduler has restarted: all keys of this client are cancelled.
  func cancelAll() {
    let waiting = state.withLock { state in
      var waiting: [(Key, CheckedContinuation<Void, any Error>)] = []
      for (key, entry) in state.entries {
        waiting += entry.waiting.map { (key, $0) }
        state.entries[key]?.waiting = []
        state.entries[key]?.status = .cancelled
      }
      return waiting
    }
    for (key, continuation) in waiting {
      continuation.resume(throwing: ClusterError.cancelled(key: key))
    }
  }

  func cancelled(_ keys: [Key], asOf graph: Int) {
    for key in keys {
      settle(key, .cancelled, .failure(ClusterError.cancelled(key: key)), graph)
    }
  }

  private func settle(
    _ key: Key, _ status: Status, _ result: Result<Void, any Error>, _ graph: Int
  ) {
    let waiting = state.withLock { state in
      state.entries.change(key) { entry in
        guard entry.graph <= graph else { return [CheckedContinuation<Void, any Error>]() }
        entry.status = status
        let waiting = entry.waiting
        if !waiting.isEmpty { entry.waiting = [] }
        return waiting
      }
    }
    for continuation in waiting ?? [] { continuation.resume(with: result) }
  }
}
