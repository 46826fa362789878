/// What prefixes and groups had added up when a recorder was attached.
extension SchedulerState {
  func restoreTotals(_ found: Value) {
    if case .dict(let entries)? = found["groups"] {
      for entry in entries {
        guard let name = entry.key.string, let group = groups[name] else { continue }
        group.take(entry.value)
        for other in (entry.value["dependencies"]?.elements ?? []).lazy.compactMap(\.string) {
          if let dependency = groups[other] { group.dependencies.insert(dependency) }
        }
      }
    }
    if case .dict(let entries)? = found["prefixes"] {
      for entry in entries {
        guard let name = entry.key.string else { continue }
        prefix(name).take(entry.value)
      }
    }
  }
}

extension TaskGroup {
  /// Dask's totals; tasks that are forgotten by now are in them.
  fileprivate func take(_ value: Value) {
    nbytesTotal = value["nbytes_total"]?.int ?? nbytesTotal
    allDurations = durations(value) ?? allDurations
    addForgotten(value["states"]?["forgotten"]?.int.flatMap(Int.init(exactly:)) ?? 0)
  }
}

extension TaskPrefix {
  fileprivate func take(_ value: Value) {
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
