/// One stay of a worker with the scheduler; a row of the table `worker_registration`.
package struct WorkerPresence {
  var address: String
  /// The engine's id of the worker; `nil` if the log does not say.
  var serverID: String?
  /// Its host as the scheduler knew it.
  var host: String?
  /// The number of tasks that ended on it according to the scheduler.
  var ended: Int64
}

extension LogReader {
  /// The stays of workers in this segment of a run, in order. `isContinued` is true if a stay began
  /// before it.
  ///
  /// - Throws: `LogError`.
  fileprivate func segmentStays(of run: RunInfo) throws -> [(
    stay: WorkerPresence, isContinued: Bool
  )] {
    try translating {
      let select = try totals(
        """
        SELECT worker, joined_seq, tasks_ended FROM worker_registration
        WHERE source IN (SELECT id FROM source WHERE run = ? AND kind = 'scheduler')
        ORDER BY joined_seq
        """)
      let facts = try connection.prepare(
        """
        SELECT snapshot ->> '$.worker.serverID', snapshot ->> '$.worker.host' FROM event
        WHERE seq = ? AND json_valid(snapshot)
        """)
      guard let select else { return [] }
      try select.bind(1, run.number)
      var stays: [(WorkerPresence, Bool)] = []
      while try select.step() {
        var stay = WorkerPresence(address: select.text(0), ended: select.integer(2))
        defer { facts.reset() }
        try facts.bind(1, select.integer(1))
        if try facts.step() {
          (stay.serverID, stay.host) = (facts.optionalText(0), facts.optionalText(1))
        }
        stays.append((stay, select.integer(1) == 0))
      }
      return stays
    }
  }

  /// The number of tasks that ended on each worker of a run according to its own events, by the row
  /// ID of its source.
  ///
  /// - Throws: `LogError`.
  func endedAtSources(of run: RunInfo) throws -> [Int64: Int64] {
    try translating {
      let select = try totals(
        """
        SELECT source, tasks_ended FROM source_total
        WHERE source IN (SELECT id FROM source WHERE run = ?)
        """)
      guard let select else { return [:] }
      try select.bind(1, run.number)
      var ended: [Int64: Int64] = [:]
      while try select.step() { ended[select.integer(0)] = select.integer(1) }
      return ended
    }
  }
}

extension [RunSegment] {
  /// The stays of all workers of a run, in order; the ends of a stay that continued from segment to
  /// segment are added up.
  ///
  /// - Throws: `LogError`.
  package func stays() throws -> [WorkerPresence] {
    var stays: [WorkerPresence] = []
    var latest: [String: Int] = [:]
    for part in self {
      for (stay, isContinued) in try part.reader.segmentStays(of: part.run) {
        if isContinued, let place = latest[stay.address] {
          stays[place].ended += stay.ended
        } else {
          latest[stay.address] = stays.count
          stays.append(stay)
        }
      }
    }
    return stays
  }
}
