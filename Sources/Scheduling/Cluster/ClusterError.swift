import TaskLogPlugin

/// Errors of a cluster and its futures.
public enum ClusterError: Error, Sendable, CustomStringConvertible {
  case noThread(reason: String)
  case closed(key: Key)
  /// The task was cancelled, or all were by a restart.
  case cancelled(key: Key)
  /// No worker can receive the data.
  case noWorkers
  /// No worker plugin of this name is registered.
  case unknownPlugin(String)
  /// The cluster has no worker with this address.
  case unknownWorker(String)
  /// The result of a future was requested after the task had been forgotten.
  case unknownKey(Key)
  /// The result has a different type than the future.
  case wrongType(key: Key, expected: String, found: String)

  public var description: String {
    switch self {
    case .noThread(let reason): "cannot start a worker thread: \(reason)"
    case .closed(let key): "the cluster was closed before task '\(key)' was done"
    case .cancelled(let key): "task '\(key)' was cancelled"
    case .noWorkers: "no running worker may receive the data"
    case .unknownPlugin(let name): "no worker plugin '\(name)' is registered"
    case .unknownWorker(let address): "the cluster has no worker \(address)"
    case .unknownKey(let key): "the scheduler does not know task '\(key)'"
    case .wrongType(let key, let expected, let found):
      "the result of task '\(key)' is a \(found), not a \(expected)"
    }
  }
}

/// A task has failed, by itself or because a task it depends on has.
public struct TaskError: Error, Sendable, CustomStringConvertible {
  /// The task whose result was requested.
  public var key: Key
  /// The task that failed by itself.
  public var blame: Key
  /// The description of that task's error.
  public var exceptionText: String
  /// Where the task was submitted.
  public var tracebackText: String

  public var description: String {
    let cause = key == blame ? "" : " (because of '\(blame)')"
    return "task '\(key)' has failed\(cause): \(exceptionText)\n\(tracebackText)"
  }
}
