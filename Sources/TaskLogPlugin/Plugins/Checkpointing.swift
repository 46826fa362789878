/// A plugin that can save what it has in itself and take it back, so that a replay of a log that has
/// grown begins where the last one ended.
///
///     extension Counter: Checkpointing {
///       func checkpoint() -> Value { .int(Int64(counter)) }
///       func restore(_ checkpoint: Value) throws {
///         guard let count = checkpoint.int else { throw CheckpointError.unknown }
///         counter = Int(count)
///       }
///     }
///
/// What it looks up in `scheduler` or `worker` is not part of it: that is rebuilt from the log.
public protocol Checkpointing: Plugin {
  /// All that the plugin has gathered so far. Called between two events.
  func checkpoint() throws -> Value

  /// Takes back what `checkpoint()` of an instance on the same scheduler or worker, made with the same
  /// options, has given. Called once, behind `start(scheduler:)` or `setup(worker:)` and before any
  /// other hook; the state that can be looked at is then that of the checkpoint.
  ///
  /// - Throws: when it can do nothing with it. The replay then begins at the beginning.
  func restore(_ checkpoint: Value) throws
}

/// What a plugin says of a checkpoint that it can do nothing with.
public enum CheckpointError: Error, Sendable, CustomStringConvertible {
  case unknown

  public var description: String { "the checkpoint is of another kind" }
}
