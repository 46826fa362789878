import EventLog
import LogFormat
import TaskLogPlugin

/// Reads the heartbeats of a run in the order of arrival.
enum HeartbeatScan {
  private struct Beat: Sendable {
    var worker: String
    var seq: Int64
    var time: Int64
    var args: String
  }

  /// - Parameter body: called with the address of the worker, and with the args as an object.
  /// - Throws: `LogError`.
  static func forEach(
    _ reader: LogReader, _ run: RunInfo,
    _ body: (
      _ worker: String, _ seq: Int64, _ time: Int64, _ args: UnsafeBufferPointer<UInt8>
    ) throws -> Void
  ) throws {
    guard let range = try reader.range(of: run), let hook = try reader.number(ofText: "heartbeat")
    else { return }
    let schedulers = try reader.sources(of: run).filter { $0.source.kind == .scheduler }
    let ids = schedulers.map { String($0.number) }.joined(separator: ", ")
    // The unary plus keeps SQLite from an index that would sort all rows.
    let sql = """
      SELECT seq, (SELECT text FROM text WHERE id = event.worker), time, args FROM event
      WHERE seq BETWEEN ? AND ? AND +hook = \(hook) AND +source IN (\(ids)) ORDER BY seq
      """
    let (path, blobs) = (reader.path, reader.blobs)
    try ParallelScan<[Beat]>(sql, over: range).run(reader) { select, range in
      var beats: [Beat] = []
      try select.forEachRow(in: range, path) { seq in
        guard let worker = select.optionalText(1) else { return }
        let time = select.integer(2)
        beats.append(
          Beat(
            worker: worker, seq: seq, time: time, args: blobs.args(select.text(3), time: time)))
      }
      return beats
    } take: { beats in
      for var beat in beats {
        try beat.args.withUTF8 { try body(beat.worker, beat.seq, beat.time, $0) }
      }
    }
  }
}
