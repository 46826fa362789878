import TaskLogPlugin

/// Operations on keys other than fetching results: release, cancel, fire-and-forget, scatter.
extension Client {
  /// Called when a future of the key is deallocated.
  func release(_ key: Key) {
    state.withLock { state in
      let remaining = state.entries.change(key) { entry in
        entry.holders -= 1
        return entry.holders
      }
      guard remaining == 0 else { return }
      state.entries[key] = nil
      guard !state.isClosed else { return }
      send(.clientReleasesKeys(client: id, keys: [key]), "client-releases-keys", &state)
    }
  }

  /// Cancels tasks and their dependents: Dask's `Client.cancel`. Their futures fail with
  /// `ClusterError.cancelled`. A running task continues to its end, and its result is dropped.
  ///
  /// - Parameter force: cancel also if another client wants the tasks.
  public func cancel<Output>(_ futures: [Future<Output>], force: Bool = false) {
    state.withLock { state in
      guard !state.isClosed else { return }
      send(.cancel(client: id, keys: futures.map(\.key), force: force), "cancel-key", &state)
    }
  }

  /// Runs tasks to their end even if their futures are released: Dask's `fire_and_forget`.
  public func fireAndForget<Output>(_ futures: Future<Output>...) {
    state.withLock { state in
      guard !state.isClosed else { return }
      send(
        .clientDesiresKeys(client: SchedulerCore.fireAndForget, keys: futures.map(\.key)),
        "client-desires-keys", &state)
    }
  }

  // MARK: - Scattering

  /// Distributes values to workers in round-robin order, so that tasks can use them as inputs:
  /// Dask's `Client.scatter`.
  ///
  ///     let table = try await client.scatter([lines], broadcast: true)[0]
  ///     let counts = client.submit("count", table) { $0.count }
  ///
  /// Scattered data cannot be recomputed: if the worker that holds it is lost, its futures fail
  /// with `ClusterError.cancelled`.
  ///
  /// - Parameters:
  ///   - keys: the key of each value; by default derived from the type and the value, so that equal
  ///     values share a key, or from a counter if values are not hashable.
  ///   - workers: addresses of the recipients; all workers by default.
  ///   - broadcast: send every value to each of these workers.
  ///   - hash: `false` to give equal values distinct keys.
  /// - Throws: `ClusterError.noWorkers`, `ClusterError.closed`.
  public func scatter<Value: Sendable>(
    _ values: [Value], keys: [Key]? = nil, workers: [String] = [], broadcast: Bool = false,
    hash: Bool = true
  ) async throws -> [Future<Value>] {
    let type = OutcomeType<Value>()
    let data = values.enumerated().map { index, value in
      let key = keys.flatMap { index < $0.count ? $0[index] : nil }
      return Scattered(key ?? scatterKey(value, type.typeName, hash), Outcome(value, type))
    }
    let isClosed = state.withLock { state in
      guard !state.isClosed else { return true }
      for one in data { state.entries[one.key, default: Entry(graph: 0)].holders += 1 }
      return false
    }
    guard !isClosed else {
      throw ClusterError.closed(key: data.first?.key ?? "scatter")
    }
    let futures = data.map { Future<Value>(key: $0.key, client: self) }
    try await scheduler.scatter(data, client: id, to: workers, broadcast: broadcast)
    return futures
  }

  private func scatterKey<Value>(_ value: Value, _ name: String, _ hash: Bool) -> Key {
    guard hash, let value = value as? any Hashable else { return makeKey(name) }
    let words = [0, 1].map { seed in
      var hasher = Hasher()
      hasher.combine(seed)
      hasher.combine(value)
      return String(UInt64(bitPattern: Int64(hasher.finalize())), radix: 16)
    }
    return Key(
      "\(name)-" + words.map { String(repeating: "0", count: 16 - $0.count) + $0 }.joined())
  }
}

/// A value being sent to workers.
struct Scattered: Sendable {
  var key: Key
  var outcome: Outcome

  init(_ key: Key, _ outcome: Outcome) {
    self.key = key
    self.outcome = outcome
  }

  var data: ScatteredData {
    ScatteredData(key: key, nbytes: outcome.nbytes, typeName: outcome.typeName)
  }
}
