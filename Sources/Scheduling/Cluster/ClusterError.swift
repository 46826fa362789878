import TaskLogPlugin

/// What can go wrong with a cluster and its futures.
public enum ClusterError: Error, Sendable, CustomStringConvertible {
  case noThread(reason: String)
  case closed(key: Key)
  /// The task was cancelled, or all were by a restart.
  case cancelled(key: Key)
  /// There is nobody to give data to.
  case noWorkers
  /// No worker plugin of this name is registered.
  case unknownPlugin(String)
  /// There is no worker of this address.
  case unknownWorker(String)
  /// A future was asked for its result after the task was forgotten.
  case unknownKey(Key)
  /// The result is of another type than the future's.
  case wrongType(key: Key, expected: String, found: String)

  public var description: String {
    switch self {
    case .noThread(let reason): "no thread for a worker: \(reason)"
    case .closed(let key): "the cluster was closed before task '\(key)' was done"
    case .cancelled(let key): "task '\(key)' was cancelled"
    case .noWorkers: "the cluster has no running worker that may have it"
    case .unknownPlugin(let name): "no worker plugin '\(name)' is registered"
    case .unknownWorker(let address): "the cluster has no worker \(address)"
    case .unknownKey(let key): "the scheduler does not know task '\(key)'"
    case .wrongType(let key, let expected, let found):
      "the result of task '\(key)' is a \(found), not a \(expected)"
    }
  }
}

/// A task has failed, on its own or because one that it needs has.
public struct TaskError: Error, Sendable, CustomStringConvertible {
  /// The task whose result was asked for.
  public var key: Key
  /// The task that failed on its own.
  public var blame: Key
  /// What the error of that task says of itself.
  public var exceptionText: String
  /// Where the task was submitted.
  public var tracebackText: String

  public var description: String {
    let cause = key == blame ? "" : " (because of '\(blame)')"
    return "task '\(key)' has failed\(cause): \(exceptionText)\n\(tracebackText)"
  }
}
