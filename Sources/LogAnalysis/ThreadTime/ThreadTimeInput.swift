/// What the threads of a run's workers did and waited for, as intervals of time. Intervals of one
/// kind may overlap, and need no order. All times are nanoseconds since 1970 UTC.
package struct ThreadTimeInput: Sendable {
  package struct Interval: Sendable, Hashable {
    package var start: Int64
    package var stop: Int64

    package init(_ start: Int64, _ stop: Int64) {
      (self.start, self.stop) = (start, stop)
    }
  }

  /// A thread that works on a task.
  package struct Work: Sendable {
    package var interval: Interval
    /// `computing`, `deserializing`, `lock` or `disk`.
    package var kind: ThreadTime.Class
    /// An index in `tasks`.
    package var task: Int
    /// What it waits for: the kind and the name of a lock.
    package var lock: String?

    package init(
      _ start: Int64, _ stop: Int64, _ kind: ThreadTime.Class = .computing, task: Int,
      lock: String? = nil
    ) {
      (interval, self.kind, self.task) = (Interval(start, stop), kind, task)
      self.lock = lock
    }
  }

  /// What all tasks of a kind have in common.
  package struct Task: Sendable, Hashable {
    package var prefix: String?
    package var client: String?
    package var span: String?
    package var job: String?
    /// Whether these attempts brought no result that lasted: they failed, were lost, or repeated others.
    package var isWasted = false
    /// Whether it counts if only some tasks do.
    package var isSelected = true

    package init(
      prefix: String?, client: String? = nil, span: String? = nil, job: String? = nil
    ) {
      (self.prefix, self.client, self.span, self.job) = (prefix, client, span, job)
    }
  }

  package struct Worker: Sendable {
    package var name: String
    package var threads: Int64
    /// When it was there.
    package var present: [Interval]
    package var work: [Work] = []
    // When something applied to it, in the order in which an idle thread asks.
    package var changing: [Interval] = []
    package var paused: [Interval] = []
    package var disk: [Interval] = []
    /// A task that it was given waited for inputs from other workers.
    package var transfers: [Interval] = []
    /// A task that it was given had all inputs, and no thread.
    package var ready: [Interval] = []
    /// A task was sent to it, of which it has recorded nothing yet.
    package var sent: [Interval] = []
    /// A task had all inputs, and no resource.
    package var constrained: [Interval] = []
    /// The share of computing that was on a processor, by prefix, as far as it is known.
    package var cpuShares: [String: Double] = [:]

    /// All for which an idle thread is `ThreadTime.Class.ready`.
    var allReady: [Interval] { ready + sent + constrained }

    package init(_ name: String, threads: Int64, present: [Interval]) {
      (self.name, self.threads, self.present) = (name, threads, present)
    }
  }

  package var workers: [Worker] = []
  package var tasks: [Task] = []
  /// The bytes of the largest result that came to the scheduler.
  package var largestResult: Int64 = 0
  /// When a task was ready at the scheduler and not sent yet, or a result was on its way to it.
  package var schedulerLag: [Interval] = []
  /// When a task of a graph was not finished.
  package var unfinished: [Interval] = []
  /// The same of the tasks of each client, if `TaskIndex` knows the clients of tasks, and there are several.
  package var unfinishedOfClients: [String: [Interval]] = [:]
  /// When the log knows what the scheduler did.
  package var known: [Interval] = []
  /// The time that counts.
  package var window = Interval(.min, .max)
  /// Whether only work on selected tasks counts, and no idle time. `ThreadTime.total` is of all.
  package var selectsTasks = false
  /// The number of intervals over time.
  package var intervalCount = 60

  package init() {}
}
