import CSupport
import Synchronization

/// What a process says that was forked from one that records, or goes on after the end.
enum ForkGuard {
  /// The generation of processes that has been told, plus one.
  private static let told = Atomic<UInt64>(0)

  /// Says once in each process that events come and are not recorded.
  static func reportOnce() {
    let generation = tl_generation() + 1
    guard told.exchange(generation, ordering: .relaxed) != generation else { return }
    Recorder.complain(
      "tasklog: events come after the end of the recording, or in a forked process; they are not "
        + "recorded")
  }
}
