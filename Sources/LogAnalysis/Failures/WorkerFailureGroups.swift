import EventLog
import LogFormat

/// An exception that only workers recorded, with the tasks that had it.
package struct WorkerFailureGroup: Sendable {
  package var first: WorkerFailure
  package var tasks: Int64 = 0
  package var workers: Int64 = 0
  package var keys: [String] = []
}

extension RunFailures {
  /// The failures that only workers recorded, grouped by exception, in the order of arrival.
  ///
  /// - Parameter examples: at most so many keys of each.
  /// - Throws: `LogError`.
  package func workerFailureGroups(examples: Int) throws -> [WorkerFailureGroup] {
    var groups: [WorkerFailureGroup] = []
    var places: [[UInt8]: Int] = [:]
    var workers: [Set<[UInt8]>] = []
    try forEachAtWorkers { failure in
      let name = Array("\(failure.exception)".utf8)
      let place = places[name] ?? groups.count
      if place == groups.count {
        places[name] = place
        groups.append(WorkerFailureGroup(first: failure))
        workers.append([])
      }
      groups[place].tasks += 1
      if groups[place].keys.count < examples { groups[place].keys.append(failure.key) }
      workers[place].insert(Array(failure.worker.utf8))
    }
    for place in groups.indices { groups[place].workers = Int64(workers[place].count) }
    return groups
  }
}
