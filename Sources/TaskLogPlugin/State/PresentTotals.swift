/// The totals of prefixes and groups when a recorder was attached.
extension SchedulerState {
  func restoreTotals(_ attached: Value) {
    if case .dict(let entries)? = attached["groups"] {
      for entry in entries {
        guard let name = entry.key.string, let group = groups[name] else { continue }
        group.restoreTotals(entry.value)
        for other in (entry.value["dependencies"]?.elements ?? []).lazy.compactMap(\.string) {
          if let dependency = groups[other] { group.dependencies.insert(dependency) }
        }
      }
    }
    if case .dict(let entries)? = attached["prefixes"] {
      for entry in entries {
        guard let name = entry.key.string else { continue }
        prefix(name).restoreTotals(entry.value)
      }
    }
  }
}

extension TaskGroup {
  /// Dask's totals, which include tasks that had been forgotten.
  fileprivate func restoreTotals(_ value: Value) {
    nbytesTotal = value["nbytes_total"]?.int ?? nbytesTotal
    allDurations = durations(value) ?? allDurations
    addForgotten(value["states"]?["forgotten"]?.int.flatMap(Int.init(exactly:)) ?? 0)
  }
}

extension TaskPrefix {
  fileprivate func restoreTotals(_ value: Value) {
    allDurations = durations(value) ?? allDurations
    suspicious = value["suspicious"]?.int.flatMap(Int.init(exactly:)) ?? suspicious
  }
}

/// Seconds by action.
private func durations(_ value: Value) -> OrderedMap<String, Double>? {
  guard case .dict(let entries)? = value["_all_durations_us"] else { return nil }
  var durations = OrderedMap<String, Double>()
  for entry in entries {
    if let action = entry.key.string, let microseconds = entry.value.number {
      durations[action] = microseconds / 1e6
    }
  }
  return durations
}
