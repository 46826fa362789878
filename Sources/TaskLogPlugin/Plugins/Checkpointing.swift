/// A plugin that can save and restore its own state, so that a replay of a log that has grown
/// resumes where the last one ended.
///
///     extension Counter: Checkpointing {
///       func checkpoint() -> Value { .int(Int64(counter)) }
///       func restore(_ checkpoint: Value) throws {
///         guard let count = checkpoint.int else { throw CheckpointError.unknown }
///         counter = Int(count)
///       }
///     }
///
/// State that it reads from `scheduler` or `worker` is not part of it: that is rebuilt from the
/// log.
public protocol Checkpointing: Plugin {
  /// Returns everything that the plugin has collected so far. Called between two events.
  func checkpoint() throws -> Value

  /// Restores what `checkpoint()` returned for an instance on the same scheduler or worker, created
  /// with the same options. Called once, after `start(scheduler:)` or `setup(worker:)` and before
  /// any other hook; the visible state is then that of the checkpoint.
  ///
  /// - Throws: if the checkpoint is unusable. The replay then starts at the beginning.
  func restore(_ checkpoint: Value) throws
}

/// A checkpoint that a plugin cannot use.
public enum CheckpointError: Error, Sendable, CustomStringConvertible {
  case unknown

  public var description: String { "the checkpoint has an unknown format" }
}
