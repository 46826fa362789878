/// A move of a task to another worker while it was processing: work stealing.
package struct TaskReassignment: Sendable {
  package var seq: Int64
  package var source: Int64
  package var key: Int64
  /// By the scheduler's clock, in nanoseconds since 1970 UTC.
  package var time: Int64
  /// The address of the worker that has stolen it.
  package var worker: String
}

extension LogReader {
  /// The moves of stolen tasks of a run, in the order of arrival.
  ///
  /// - Throws: `LogError`.
  package func taskMoves(of run: RunInfo) throws -> [TaskReassignment] {
    try translating {
      try makeDerivedTables()
      let select = try connection.prepare(
        """
        SELECT seq, source, key, time, worker FROM task_move
        WHERE source IN (SELECT id FROM source WHERE run = ?) ORDER BY seq
        """)
      try select.bind(1, run.number)
      var moves: [TaskReassignment] = []
      while try select.step() {
        moves.append(
          TaskReassignment(
            seq: select.integer(0), source: select.integer(1), key: select.integer(2),
            time: select.integer(3), worker: select.text(4)))
      }
      return moves
    }
  }

  /// The seq of the last move of a task by a scheduler; `nil` if it was never moved.
  ///
  /// - Throws: `LogError`.
  package func lastMove(of key: Int64, _ scheduler: SourceInfo) throws -> Int64? {
    try translating {
      try makeDerivedTables()
      let select = try connection.prepare(
        "SELECT max(seq) FROM task_move WHERE source = ? AND key = ?")
      try select.bind(1, scheduler.number)
      try select.bind(2, key)
      return try select.step() ? select.optionalInteger(0) : nil
    }
  }
}
