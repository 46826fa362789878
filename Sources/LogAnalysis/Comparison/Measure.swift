/// A number of a run that runs can be compared by.
package struct Measure: Sendable, Hashable {
  package enum Unit: Sendable {
    case seconds, bytes, count
  }

  package enum Name: String, Sendable, CaseIterable {
    case makespan, work, idle, tasks, failed, retried, bytes, missing, time, p50, p95

    package var unit: Unit {
      switch self {
      case .makespan, .work, .idle, .time, .p50, .p95: .seconds
      case .bytes: .bytes
      case .tasks, .failed, .retried, .missing: .count
      }
    }

    /// Whether it can be of the tasks with one prefix; whether it is always.
    package var takesPrefix: Bool { ![.makespan, .idle, .missing, .time].contains(self) }
    package var needsPrefix: Bool { self == .p50 || self == .p95 }
  }

  package var name: Name
  /// The prefix of the tasks; `nil` for all of the run.
  package var prefix: String?
  /// The class of `ThreadTime`, for `time`.
  package var timeClass: String?

  package init(_ name: Name, prefix: String? = nil, timeClass: String? = nil) {
    (self.name, self.prefix, self.timeClass) = (name, prefix, timeClass)
  }

  package var unit: Unit { name.unit }

  /// The value for a run; `nil` if the run has none.
  package func value(_ run: RunFigures) -> Double? {
    if let prefix, run.prefixes[prefix] == nil, name.needsPrefix { return nil }
    let part = prefix.map { run.prefixes[$0] ?? RunSummary.Prefix() } ?? run.whole
    switch name {
    case .makespan: return run.makespan
    case .idle: return run.idle
    case .missing: return Double(run.missing)
    case .time:
      let isIdle = RunFigures.comparedClasses.contains { $0.name == timeClass && !$0.isBusy }
      return run.isOfJob && isIdle ? nil : run.classes[timeClass ?? ""] ?? 0
    case .work: return part.computeSeconds
    case .tasks: return Double(part.tasks)
    case .failed: return Double(part.failed)
    case .retried: return Double(part.retried)
    case .bytes: return Double(part.nbytes)
    case .p50: return part.computeP50.map { Double($0) / 1e9 }
    case .p95: return part.computeP95.map { Double($0) / 1e9 }
    }
  }

  /// What comparisons show of these runs: figures of the whole, of each class of time, and of each prefix.
  package static func all(of runs: [RunFigures]) -> [Measure] {
    var measures: [Measure] = [
      Measure(.makespan), Measure(.work), Measure(.idle), Measure(.tasks), Measure(.failed),
      Measure(.retried), Measure(.bytes),
    ]
    for kind in RunFigures.comparedClasses
    where runs.contains(where: { $0.classes[kind.name] != nil }) {
      measures.append(Measure(.time, timeClass: kind.name))
    }
    for prefix in Set(runs.flatMap(\.prefixes.keys)).sorted() {
      measures += [.tasks, .failed, .p50, .p95, .bytes].map { Measure($0, prefix: prefix) }
    }
    return measures
  }
}
