import EventLog
import LogFormat
import TaskLogPlugin

/// The figures of one run, or of a job in it, that they are compared by.
package struct RunFigures: Sendable, Equatable {
  /// The seconds from the first event of a task at the scheduler until the last task was done or had
  /// failed; `nil` if none did.
  package var makespan: Double?
  /// Number of events known to be missing.
  package var missing: Int64 = 0
  /// The seconds of all threads in each class of `comparedClasses`, by its name; those with none are left
  /// out.
  package var classes: [String: Double] = [:]
  /// By prefix, whose name they do not repeat.
  package var prefixes: [String: RunSummary.Prefix] = [:]

  /// Whether they are those of a job, for which no time of idle threads is counted.
  package var isOfJob = false

  /// Thread-seconds in which no task was worked on; `nil` for a job.
  package var idle: Double? {
    guard !isOfJob else { return nil }
    return Self.comparedClasses.reduce(0) { $1.isBusy ? $0 : $0 + (classes[$1.name] ?? 0) }
  }

  /// The sum over all prefixes.
  package var whole: RunSummary.Prefix {
    // In one order: sums of floats depend on it.
    prefixes.sorted { $0.key < $1.key }.reduce(into: RunSummary.Prefix()) { whole, prefix in
      whole.tasks += prefix.value.tasks
      whole.done += prefix.value.done
      whole.failed += prefix.value.failed
      whole.retried += prefix.value.retried
      whole.nbytes += prefix.value.nbytes
      whole.computeSeconds += prefix.value.computeSeconds
    }
  }

  package init() {}

  /// The classes of `ThreadTime` that runs are compared by. Whether computing was on a processor is left
  /// out: not every run knows it.
  package static let comparedClasses = ThreadTime.Class.allCases.filter {
    $0 != .cpu && $0 != .notCPU
  }
}

extension LogReader {
  /// The figures of a run or of a job in it, from two passes over its events.
  ///
  /// - Parameter summary: that of the run, if it is known already.
  /// - Throws: `LogError`, `ScopeError`.
  package func figures(
    of run: RunInfo, _ summary: RunSummary? = nil, job: Job? = nil
  ) throws -> RunFigures {
    let scope = try job.flatMap { try self.scope(of: run, $0.scope) }
    let summary = try summary ?? self.summary(of: run, in: scope)
    var figures = RunFigures()
    figures.isOfJob = job != nil
    figures.makespan = summary.makespan.map { Double($0) / 1e9 }
    figures.missing = try totals(of: run).missing
    for var prefix in summary.prefixes {
      let name = prefix.name ?? ""
      prefix.name = nil
      figures.prefixes[name] = prefix
    }
    let split = try threadTime(
      of: run, in: scope, intervals: 1, splitsComputing: false
    ).split
    for kind in RunFigures.comparedClasses where split[kind] > 0 {
      figures.classes[kind.name] = Double(split[kind]) / 1e9
    }
    return figures
  }
}

/// As JSON, for a catalogue.
extension RunFigures {
  package var value: Value {
    func named(_ values: [String: Value]) -> Value {
      .dict(values.map { Value.Entry(.string($0), $1) })
    }
    return .object([
      "job": .bool(isOfJob), "makespan": makespan.map { .double($0) } ?? .null,
      "missing": .int(missing),
      "classes": named(classes.mapValues { .double($0) }),
      "prefixes": named(
        prefixes.mapValues { prefix in
          .list([
            .int(prefix.tasks), .int(prefix.done), .int(prefix.failed), .int(prefix.retried),
            .int(prefix.nbytes), .double(prefix.computeSeconds),
            prefix.computeP50.map { .int($0) } ?? .null,
            prefix.computeP95.map { .int($0) } ?? .null,
          ])
        }),
    ])
  }

  /// `nil` if the value is none of figures.
  package init?(_ value: Value) {
    guard let missing = value["missing"]?.int, case .dict(let classes)? = value["classes"],
      case .dict(let prefixes)? = value["prefixes"]
    else { return nil }
    makespan = value["makespan"]?.number
    isOfJob = value["job"]?.bool ?? false
    self.missing = missing
    for entry in classes {
      if let name = entry.key.string { self.classes[name] = entry.value.number }
    }
    for entry in prefixes {
      guard let name = entry.key.string, case .list(let row) = entry.value, row.count == 8,
        let tasks = row[0].int, let done = row[1].int, let failed = row[2].int,
        let retried = row[3].int, let nbytes = row[4].int, let seconds = row[5].number
      else { return nil }
      var prefix = RunSummary.Prefix()
      (prefix.tasks, prefix.done, prefix.failed) = (tasks, done, failed)
      (prefix.retried, prefix.nbytes, prefix.computeSeconds) = (retried, nbytes, seconds)
      (prefix.computeP50, prefix.computeP95) = (row[6].int, row[7].int)
      self.prefixes[name] = prefix
    }
  }
}
