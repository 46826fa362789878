import LogFormat

/// Groups the tasks of a run that failed on their own by their exceptions.
package struct CauseTable {
  /// In the order of first occurrence.
  private var causes: [ErrorCause] = []
  // By bytes, like SQL's comparison.
  private var workers: [Set<[UInt8]>] = []
  private var indexes: [[UInt8]: Int] = [:]

  /// The maximum number of tasks, of workers and of dependents that a cause names.
  private let examples: Int

  package init(examples: Int = 0) { self.examples = examples }

  /// - Parameter error: comes after those that were added before.
  /// - Returns: the index of its cause, in the order of first occurrence.
  @discardableResult
  package mutating func add(_ error: FailedTask) -> Int {
    let name = Array("\(error.exception)".utf8)
    let index = indexes[name] ?? causes.count
    if index == causes.count {
      indexes[name] = index
      causes.append(
        ErrorCause(
          exception: error.exception, firstSeq: error.seq, firstKey: error.key,
          firstTraceback: error.traceback, firstTime: error.time))
      workers.append([])
    }
    causes[index].tasks += 1
    causes[index].dependents += error.dependents
    causes[index].retries = max(causes[index].retries, error.retries)
    if causes[index].keys.count < examples { causes[index].keys.append(error.key) }
    if error.worker != .null, workers[index].insert(Array("\(error.worker)".utf8)).inserted,
      workers[index].count <= examples, case .text(let address) = error.worker
    {
      causes[index].workerAddresses.append(address)
    }
    return index
  }

  /// - Parameter index: the index of the cause that the task failed with.
  package mutating func add(_ task: AffectedTask, failedWith index: Int) {
    guard causes[index].dependentKeys.count < examples else { return }
    causes[index].dependentKeys.append(task.key)
  }

  /// The causes with their indexes in the order of first occurrence, the most frequent first.
  package func sorted() -> [(index: Int, cause: ErrorCause)] {
    causes.enumerated().map { index, cause in
      var cause = cause
      cause.workers = Int64(workers[index].count)
      return (index, cause)
    }.sorted { ($1.cause.tasks, $0.cause.firstSeq) < ($0.cause.tasks, $1.cause.firstSeq) }
  }
}
