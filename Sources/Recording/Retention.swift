import EventLog
import Glibc
import LogFormat
import LogMaintenance
import Synchronization
import TaskLogPlugin

/// Removes old runs, and old segments of the running one, on its own thread.
final class Retention: @unchecked Sendable {
  /// `7d,20GiB,failures`: how long runs are kept, how large the logs may be together, and that the
  /// stories of failed tasks stay.
  struct Rules: Sendable, Equatable {
    var seconds: Double?
    var bytes: Int64?
    var keepsFailures = false

    /// `nil` if the text is no rule.
    init?(_ text: String) {
      for part in text.split(separator: ",") {
        let rule = String(part.filter { $0 != " " })
        if rule == "failures" {
          keepsFailures = true
        } else if let last = rule.last, last.isLetter, seconds == nil,
          let age = Quantity.seconds(rule), age >= 1
        {
          seconds = age
        } else if let last = rule.last, last.isLetter, bytes == nil,
          let size = Quantity.bytes(rule), size >= 1 << 20
        {
          bytes = Int64(size)
        } else {
          return nil
        }
      }
      guard seconds != nil || bytes != nil else { return nil }
    }
  }

  /// How often rules are applied without a new segment.
  private static let intervalSeconds = 30.0
  private static let pollMicroseconds: UInt32 = 50_000

  private let log: String
  private let rules: Rules
  private let problem: @Sendable (String) -> Void
  private let isStopping = Atomic(false)
  private let isRequested = Atomic(false)
  private let hasEnded = Atomic(false)
  private let hasReported = Atomic(false)

  /// - Parameter log: a path, or a template for the logs of all runs.
  init(log: String, rules: Rules, problem: @escaping @Sendable (String) -> Void) {
    (self.log, self.rules, self.problem) = (log, rules, problem)
  }

  func start() {
    guard let reason = DetachedThread.start("tasklog-prune", work) else { return }
    hasEnded.store(true, ordering: .releasing)
    report(reason)
  }

  /// There is a new segment.
  func request() { isRequested.store(true, ordering: .relaxed) }

  func stop() { isStopping.store(true, ordering: .relaxed) }

  /// Waits until nothing is being removed any more. What takes longer can be interrupted, and the next
  /// recorder or `prune` completes it.
  func finish(within seconds: Double) {
    let deadline = SpoolThread.now() + Int64(saturating: seconds * 1e9)
    while !hasEnded.load(ordering: .acquiring), SpoolThread.now() < deadline { usleep(5_000) }
  }

  private func work() {
    var next = SpoolThread.now() + Int64(saturating: Self.intervalSeconds * 1e9)
    while !isStopping.load(ordering: .relaxed) {
      let isRequested = isRequested.exchange(false, ordering: .relaxed)
      if isRequested || SpoolThread.now() >= next {
        apply()
        next = SpoolThread.now() + Int64(saturating: Self.intervalSeconds * 1e9)
      } else {
        usleep(Self.pollMicroseconds)
      }
    }
    hasEnded.store(true, ordering: .releasing)
  }

  private func apply() {
    // One recorder at a time; the others find their logs pruned.
    let folder = open(log.parentFolder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { return }
    defer { close(folder) }
    guard flock(folder, LOCK_EX | LOCK_NB) == 0 else { return }
    var policy = RetentionPolicy()
    policy.endedBefore = rules.seconds.map { Clock.now() - Int64(saturating: $0 * 1e9) }
    policy.maximumBytes = rules.bytes
    do {
      var progress = LogRetention.Progress()
      progress.isStopped = { [self] in isStopping.load(ordering: .relaxed) }
      _ = try LogRetention(log: log, rules: policy, keepsFailures: rules.keepsFailures)
        .prune(progress)
      hasReported.store(false, ordering: .relaxed)
    } catch {
      report("\(error)")
    }
  }

  private func report(_ reason: String) {
    guard !hasReported.exchange(true, ordering: .relaxed) else { return }
    problem("tasklog: old runs in \(log) are not removed, will try again: \(reason)")
  }
}
