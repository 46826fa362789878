/// Where and how often a replay saves what its plugins have in themselves, if all of them are
/// `Checkpointing`: another one of the same run then begins there.
///
/// Nothing is saved, and nothing taken up, where only a part is replayed, where time is kept, where a
/// live run is followed, or where a plugin is a program of its own. What comes out is the same with
/// and without.
public struct CheckpointOptions: Sendable, Equatable {
  /// A folder that is there and that only its user may write to.
  public var folder: String
  /// How many events lie between two checkpoints. A run with fewer has none.
  public var every: Int64

  /// A replay takes about a quarter of a second for so many.
  public static let usual: Int64 = 250_000

  public init(folder: String, every: Int64 = usual) {
    self.folder = folder
    self.every = every
  }
}
