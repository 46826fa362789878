extension LogWriter {
  /// Copies what the previous segment says about a run's workers, which is derived from its events;
  /// inside a transaction, after the run's sources are inserted.
  package func inheritWorkers(ofRun run: Int64, from before: LogWriter, run runBefore: Int64) throws
  {
    let lives = try before.connection.prepare(
      """
      SELECT worker, first_seq, life, server_id, name, nthreads, joined_ns, left_ns, gone_seq, gone_ns
      FROM worker_life WHERE run = ?
      """)
    let insertLife = try connection.prepare(
      "INSERT OR IGNORE INTO worker_life VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    try lives.bind(1, runBefore)
    while try lives.step() {
      try insertLife.bind(1, run)
      for column in 0..<lives.columnCount { try insertLife.bind(column + 2, lives.value(column)) }
      try insertLife.run()
    }
    let clocks = try before.connection.prepare(
      """
      SELECT server_id, offset, uncertainty FROM source JOIN clock_offset AS last
      ON last.source = source.id AND last.source_seq = (
        SELECT max(source_seq) FROM clock_offset WHERE clock_offset.source = source.id)
      WHERE source.run = ?
      """)
    // The last values of a segment are valid from the beginning of the next one.
    let insertClock = try connection.prepare(
      """
      INSERT OR IGNORE INTO clock_offset (source, source_seq, offset, uncertainty)
      SELECT id, 0, ?3, ?4 FROM source WHERE run = ?1 AND server_id = ?2
      """)
    try clocks.bind(1, runBefore)
    while try clocks.step() {
      try insertClock.bind(1, run)
      for column in 0..<clocks.columnCount {
        try insertClock.bind(column + 2, clocks.value(column))
      }
      try insertClock.run()
    }
  }
}
