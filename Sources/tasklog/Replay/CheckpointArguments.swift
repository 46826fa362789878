import ArgumentParser
import PluginLoading
import Replaying

/// Whether a replay begins where the last one ended.
struct CheckpointArguments: ParsableArguments {
  @Flag(
    name: .customLong("no-checkpoint"),
    help: "Replay from the first event, and save nothing for the next time.")
  var isOff = false

  @Option(
    name: .customLong("checkpoint-every"), parsing: .unconditional,
    help: ArgumentHelp(
      "How many events lie between two checkpoints. By default 250000.", valueName: "events"))
  var every: Int64?

  func validate() throws {
    if let every, every < 1 {
      throw ValidationError(
        "--checkpoint-every \(every): must be 1 or more; --no-checkpoint turns checkpoints off")
    }
  }

  /// - Parameters:
  ///   - events: how many the run has at most; nothing is touched for a short one.
  ///   - complain: takes what is wrong with the cache; the replay goes on without.
  func options(events: Int64, complain: (String) -> Void) -> CheckpointOptions? {
    guard !isOff, events >= every ?? CheckpointOptions.usual else { return nil }
    switch CacheFolder.make("checkpoints") {
    case .success(let folder):
      return CheckpointOptions(folder: folder, every: every ?? CheckpointOptions.usual)
    case .failure(let failure):
      // Who has asked for none need not readConfirms that there are none.
      if every != nil { complain("no checkpoints are kept: \(failure.reason)") }
      return nil
    }
  }
}
