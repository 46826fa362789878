import LogFormat

/// When the tasks of workers waited for locks, semaphores, events, queues and variables, until their end
/// is known.
struct LockWaits {
  struct Wait {
    var interval: ThreadTimeInput.Interval
    /// The kind and the name: `lock planted`.
    var lock: String
  }

  private var waits: [ThreadTimeScan.WorkerTask: [Wait]] = [:]

  /// Adds what a worker recorded of a wait: when it had begun, if it is long, and when it ended.
  ///
  /// - Parameter time: the time of the scheduler's clock at a time of the worker's.
  mutating func add(
    _ args: UnsafeBufferPointer<UInt8>, of task: ThreadTimeScan.WorkerTask,
    _ time: (Int64) -> Int64
  ) {
    var (kind, name): (String, String?) = ("lock", nil)
    var (start, stop): (Double?, Double?) = (nil, nil)
    var scanner = JSONScanner(args)
    scanner.members { member, scanner in
      func text(_ range: Range<Int>) -> String {
        OutcomeScan.text(UnsafeBufferPointer(rebasing: args[range]))
      }
      if scanner.equals(member, "kind") {
        kind = scanner.string().map(text) ?? kind
      } else if scanner.equals(member, "name") {
        name = scanner.string().map(text)
      } else if scanner.equals(member, "start") {
        start = scanner.number()
      } else if scanner.equals(member, "stop") {
        stop = scanner.number()
      }
    }
    func nanoseconds(_ seconds: Double) -> Int64? { Int64(exactly: (seconds * 1e9).rounded()) }
    guard let start = start.flatMap(nanoseconds).map(time) else { return }
    let end = stop.flatMap(nanoseconds).map(time)
    let interval = ThreadTimeInput.Interval(start, end ?? .max)
    let lock = name.map { "\(kind) \($0)" } ?? kind
    let begun = waits[task]?.lastIndex {
      $0.interval.start == start && $0.interval.stop == .max && $0.lock == lock
    }
    if let begun {
      waits[task]?[begun].interval = interval
    } else {
      waits[task, default: []].append(Wait(interval: interval, lock: lock))
    }
  }

  /// Removes the waits of a task, whose end is known.
  mutating func take(_ task: ThreadTimeScan.WorkerTask) -> [Wait] {
    waits.isEmpty ? [] : waits.removeValue(forKey: task) ?? []
  }
}

extension [LockWaits.Wait] {
  /// The parts of an interval in which the task waited, which do not overlap.
  func parts(of interval: ThreadTimeInput.Interval) -> [LockWaits.Wait] {
    var (parts, time): (Self, Int64) = ([], interval.start)
    for wait in sorted(by: { $0.interval.start < $1.interval.start }) {
      let rest = ThreadTimeInput.Interval(Swift.max(time, wait.interval.start), wait.interval.stop)
      guard let part = rest.part(of: interval) else { continue }
      parts.append(.init(interval: part, lock: wait.lock))
      time = part.stop
    }
    return parts
  }
}
