import TaskLogPlugin

/// The result of a task that may not have run yet: Dask's `Future`.
///
/// The scheduler keeps the task as long as a future of it exists.
public final class Future<Output: Sendable>: Sendable {
  public let key: Key
  private let client: Client

  init(key: Key, client: Client) {
    self.key = key
    self.client = client
  }

  deinit {
    client.release(key)
  }

  /// Waits for the task and fetches its result from a worker.
  ///
  /// - Throws: `TaskError` if the task or one of its dependencies has failed, `ClusterError`.
  public func result() async throws -> Output {
    let values = try await client.values([key])
    guard let value = values.first as? Output else {
      throw ClusterError.wrongType(
        key: key, expected: String(describing: Output.self),
        found: values.first.map { String(describing: type(of: $0)) } ?? "nothing")
    }
    return value
  }

  /// Waits until the task has run or failed; does not fetch its result.
  ///
  /// - Throws: as `result()`.
  public func wait() async throws {
    try await client.wait(for: key)
  }
}
