import TaskLogPlugin

/// Selection of the workers to close.
extension SchedulerServer {
  /// The addresses of workers that can be closed at little cost: those without tasks and with the
  /// smallest results first. Dask's `workers_to_close`. Plugins are asked which workers may be
  /// closed (`validWorkersDownscaling`), and their answer is recorded.
  ///
  /// - Parameters:
  ///   - count: how many to close; by default all that are idle and hold no results that would be
  ///     missed.
  ///   - minimum: how many must remain.
  public func workersToClose(_ count: Int? = nil, minimum: Int = 0) -> [String] {
    let all = knownWorkers()
    if count ?? 0 == 0, all.allSatisfy({ !$0.processing.isEmpty }) { return [] }
    var candidates = downscalable(all.filter(\.longRunning.isEmpty)).sorted { a, b in
      let (isIdle, isOtherIdle) = (a.processing.isEmpty, b.processing.isEmpty)
      return isIdle == isOtherIdle ? a.nbytes < b.nbytes : isIdle
    }
    let nbytes = candidates.reduce(0) { $0 + $1.nbytes }
    var limit = candidates.reduce(0) { $0 + $1.memoryLimit }
    var chosen: [String] = []
    candidates.reverse()
    while let worker = candidates.popLast() {
      let remaining = all.count - chosen.count - 1
      limit -= worker.memoryLimit
      guard count != nil || worker.processing.isEmpty, remaining >= minimum else { break }
      if let count {
        guard chosen.count < count else { break }
      } else {
        // Keep memory for twice the results.
        guard limit >= 2 * nbytes else { break }
      }
      chosen.append(worker.address)
    }
    return chosen
  }
}
