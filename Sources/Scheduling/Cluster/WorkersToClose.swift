import TaskLogPlugin

/// Which workers can be spared.
extension SchedulerServer {
  /// The addresses of workers that can be sent away at little cost: those without tasks and with few
  /// results first. Dask's `workers_to_close`. Plugins are asked which may go
  /// (`validWorkersDownscaling`); what they answer is recorded.
  ///
  /// - Parameters:
  ///   - count: how many are to go; by default as many as have nothing to do and hold nothing that
  ///     would be missed.
  ///   - minimum: how many have to stay.
  public func workersToClose(_ count: Int? = nil, minimum: Int = 0) -> [String] {
    let all = knownWorkers()
    if count ?? 0 == 0, all.allSatisfy({ !$0.processing.isEmpty }) { return [] }
    var candidates = downscalable(all.filter(\.longRunning.isEmpty)).sorted { a, b in
      let (isIdle, isOtherIdle) = (a.processing.isEmpty, b.processing.isEmpty)
      return isIdle == isOtherIdle ? a.nbytes < b.nbytes : isIdle
    }
    let nbytes = candidates.reduce(0) { $0 + $1.nbytes }
    var limit = candidates.reduce(0) { $0 + $1.facts.memoryLimit }
    var chosen: [String] = []
    candidates.reverse()
    while let worker = candidates.popLast() {
      let remaining = all.count - chosen.count - 1
      limit -= worker.facts.memoryLimit
      guard count != nil || worker.processing.isEmpty, remaining >= minimum else { break }
      if let count {
        guard chosen.count < count else { break }
      } else {
        // Twice the room for what there is.
        guard limit >= 2 * nbytes else { break }
      }
      chosen.append(worker.address)
    }
    return chosen
  }
}
