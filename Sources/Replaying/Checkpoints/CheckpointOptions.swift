/// Where and how often a replay saves the state of its plugins, if all of them are `Checkpointing`:
/// a later replay of the same run then starts from there.
///
/// Checkpoints are neither saved nor used if only a part is replayed, at a given speed, when
/// following a live run, or with a plugin that is an external program. The results are the same
/// with and without.
public struct CheckpointOptions: Sendable, Equatable {
  /// An existing folder that only its user can write to.
  public var folder: String
  /// The number of events between two checkpoints. A shorter run has none.
  public var every: Int64

  /// A replay of this many events takes about a quarter of a second.
  public static let usual: Int64 = 250_000

  public init(folder: String, every: Int64 = usual) {
    self.folder = folder
    self.every = every
  }
}
