import EventLog
import LogFormat
import TaskLogPlugin

/// The figures of one run that runs are compared by.
package struct RunFigures: Sendable, Equatable {
  /// Those of the tasks with one prefix.
  package struct Prefix: Sendable, Equatable {
    package var tasks: Int64 = 0
    package var failed: Int64 = 0
    package var retried: Int64 = 0
    /// The sizes of the results, in bytes.
    package var nbytes: Int64 = 0
    /// Seconds of computing.
    package var work = 0.0
    /// Nearest-rank percentiles of the seconds that tasks computed; `nil` if none did.
    package var p50: Double?
    package var p95: Double?

    package init() {}
  }

  /// The seconds from the first event of a task at the scheduler until the last task was done or had
  /// failed; `nil` if none did.
  package var makespan: Double?
  /// Number of events known to be missing.
  package var missing: Int64 = 0
  /// The seconds of all threads in each class of `comparedClasses`, by its name; those with none are left
  /// out.
  package var classes: [String: Double] = [:]
  package var prefixes: [String: Prefix] = [:]

  /// Thread-seconds in which no task was worked on.
  package var idle: Double {
    Self.comparedClasses.reduce(0) { $1.isBusy ? $0 : $0 + (classes[$1.name] ?? 0) }
  }

  /// The sum over all prefixes.
  package var whole: Prefix {
    // In one order: sums of floats depend on it.
    prefixes.sorted { $0.key < $1.key }.reduce(into: Prefix()) { whole, prefix in
      whole.tasks += prefix.value.tasks
      whole.failed += prefix.value.failed
      whole.retried += prefix.value.retried
      whole.nbytes += prefix.value.nbytes
      whole.work += prefix.value.work
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
  /// The figures of a run, from two passes over its events.
  ///
  /// - Parameter summary: that of the run, if it is known already.
  /// - Throws: `LogError`.
  package func figures(of run: RunInfo, _ summary: RunSummary? = nil) throws -> RunFigures {
    let summary = try summary ?? self.summary(of: run)
    var figures = RunFigures()
    figures.makespan = summary.makespan.map { Double($0) / 1e9 }
    figures.missing = try totals(of: run).missing
    for row in summary.prefixes {
      var prefix = RunFigures.Prefix()
      (prefix.tasks, prefix.failed, prefix.retried) = (row.tasks, row.failed, row.retried)
      (prefix.nbytes, prefix.work) = (row.nbytes, row.computeSeconds)
      prefix.p50 = row.computeP50.map { Double($0) / 1e9 }
      prefix.p95 = row.computeP95.map { Double($0) / 1e9 }
      figures.prefixes[row.name ?? ""] = prefix
    }
    let split = try threadTime(of: run, intervals: 1, splitsComputing: false).split
    for kind in RunFigures.comparedClasses where split[kind] > 0 {
      figures.classes[kind.name] = Double(split[kind]) / 1e9
    }
    return figures
  }
}

/// As JSON, for a catalogue.
extension RunFigures {
  package var value: Value {
    func optional(_ number: Double?) -> Value { number.map { .double($0) } ?? .null }
    func named(_ values: [String: Value]) -> Value {
      .dict(values.map { Value.Entry(.string($0), $1) })
    }
    return .object([
      "makespan": optional(makespan), "missing": .int(missing),
      "classes": named(classes.mapValues { .double($0) }),
      "prefixes": named(
        prefixes.mapValues { prefix in
          .list([
            .int(prefix.tasks), .int(prefix.failed), .int(prefix.retried), .int(prefix.nbytes),
            .double(prefix.work), optional(prefix.p50), optional(prefix.p95),
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
    self.missing = missing
    for entry in classes {
      if let name = entry.key.string { self.classes[name] = entry.value.number }
    }
    for entry in prefixes {
      guard let name = entry.key.string, case .list(let row) = entry.value, row.count == 7,
        let tasks = row[0].int, let failed = row[1].int, let retried = row[2].int,
        let nbytes = row[3].int,
        let work = row[4].number
      else { return nil }
      var prefix = Prefix()
      (prefix.tasks, prefix.failed, prefix.retried) = (tasks, failed, retried)
      (prefix.nbytes, prefix.work) = (nbytes, work)
      (prefix.p50, prefix.p95) = (row[5].number, row[6].number)
      self.prefixes[name] = prefix
    }
  }
}
