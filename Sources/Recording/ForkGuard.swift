import CSupport
import Synchronization

/// The warning of a forked child of a recording process, or of a process that continues after the
/// recording ended.
enum ForkGuard {
  /// The generation of processes that has been warned, plus one.
  private static let reportedGeneration = Atomic<UInt64>(0)

  /// Warns, once per process, that events are not recorded.
  static func reportOnce() {
    let generation = tl_generation() + 1
    guard reportedGeneration.exchange(generation, ordering: .relaxed) != generation else { return }
    Recorder.printWarning(
      "tasklog: events after the end of the recording, or in a forked process, are not "
        + "recorded")
  }
}
