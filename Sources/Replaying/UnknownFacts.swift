import EventLog
import LogFormat
import TaskLogPlugin

extension RunInfo {
  /// The parts of a state that cannot be rebuilt from this run's events.
  ///
  /// - Parameter missing: how many events of the source are known to be missing.
  package func unavailableState(of kind: Source.Kind, missing: Int64) -> [UnavailableState] {
    var unknown: [UnavailableState] = []
    switch kind {
    case .scheduler:
      if mode == "hooks" { unknown += [.replicas, .wants, .longRunning, .restrictions] }
    case .worker:
      if engine == "dask" { unknown.append(.spans) }
      if metadata[RunMetadataKey.stimuli]?.bool == false { unknown.append(.requests) }
    case .command: break
    }
    if missing > 0 { unknown.append(.missingEvents) }
    if limits.isFiltered { unknown.append(.excludedEvents) }
    return unknown
  }
}
