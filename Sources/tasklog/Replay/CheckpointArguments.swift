import ArgumentParser
import LogFormat
import Replaying

/// The options of checkpoints, with which a replay resumes where the last one ended.
struct CheckpointArguments: ParsableArguments {
  @Flag(
    name: .customLong("no-checkpoint"),
    help: "Replay from the first event, and save no checkpoints.")
  var isOff = false

  @Option(
    name: .customLong("checkpoint-every"), parsing: .unconditional,
    help: ArgumentHelp(
      "The number of events between two checkpoints. By default 250000.", valueName: "events"))
  var every: Int64?

  func validate() throws {
    if let every, every < 1 {
      throw ValidationError(
        "--checkpoint-every \(every): expected 1 or more; "
          + "turn checkpoints off with --no-checkpoint")
    }
  }

  /// - Parameters:
  ///   - events: an upper bound of the run's events; a short run has no checkpoints.
  ///   - warn: receives a problem of the cache; the replay then runs without checkpoints.
  func options(events: Int64, warn: (String) -> Void) -> CheckpointOptions? {
    guard !isOff, events >= every ?? CheckpointOptions.usual else { return nil }
    switch CacheFolder.make("checkpoints") {
    case .success(let folder):
      return CheckpointOptions(folder: folder, every: every ?? CheckpointOptions.usual)
    case .failure(let failure):
      // Not reported unless checkpoints were requested explicitly.
      if every != nil { warn("no checkpoints are saved: \(failure.reason)") }
      return nil
    }
  }
}
