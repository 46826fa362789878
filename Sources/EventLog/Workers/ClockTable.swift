import LogFormat
import TaskLogPlugin

/// Writes the table `clock_offset`: by how much the clock of a worker is behind the scheduler's.
///
/// Dask's workers measure it with each heartbeat: the scheduler's time, compared with the middle
/// between the worker's times of request and response. The true offset is within half of the time
/// between these two, the uncertainty, and a busy scheduler makes that large. So an offset is kept
/// as long as no measurement contradicts it, starting with no offset: clocks that agree stay as
/// they are. An offset that is contradicted is replaced by the measured one.
final class ClockTable {
  /// Used if a log does not say how long the response took: measurements of older recorders. A
  /// worker's first one may take a second if the scheduler is busy with other workers that join.
  static let assumedUncertainty: Int64 = 2_000_000_000
  /// An offset of more than a century is not from a clock.
  private static let largest = 3e18

  private let select: Statement
  private let insert: Statement
  private let update: Statement
  /// The last row of each source that was looked up.
  private var last: [Int64: Offset?] = [:]

  private struct Offset {
    var sourceSeq, offset, uncertainty: Int64
  }

  /// - Throws: `SQLiteError`.
  init(_ connection: Connection) throws {
    select = try connection.prepare(
      """
      SELECT source_seq, offset, uncertainty FROM clock_offset WHERE source = ?
      ORDER BY source_seq DESC LIMIT 1
      """)
    insert = try connection.prepare(
      """
      INSERT OR REPLACE INTO clock_offset (source, source_seq, offset, uncertainty)
      VALUES (?, ?, ?, ?)
      """)
    update = try connection.prepare(
      "UPDATE clock_offset SET uncertainty = ?3 WHERE source = ?1 AND source_seq = ?2")
  }

  func forget() { last.removeAll() }

  func offset(ofSource source: Int64) throws -> Int64 { try lastRow(of: source)?.offset ?? 0 }

  func take(_ row: DerivedTables.Row) throws {
    guard let args = try? JSONReader.value(row.args ?? ""), args["op"]?.string == "clock-offset",
      let measured = Self.nanoseconds(args["scheduler_delay"]?.number)
    else { return }
    let uncertainty =
      Self.nanoseconds(args["round_trip"]?.number).map { max(0, $0 / 2) }
      ?? Self.assumedUncertainty
    guard let before = try lastRow(of: row.source) else {
      // Valid from the first event on: nothing is known about the time before.
      return try put(row.source, from: 0, measured, uncertainty, keeping: 0)
    }
    if abs(measured - before.offset) > uncertainty {
      try put(row.source, from: row.sourceSeq, measured, uncertainty, keeping: nil)
    } else if abs(measured - before.offset) + uncertainty < before.uncertainty {
      let now = Offset(
        sourceSeq: before.sourceSeq, offset: before.offset,
        uncertainty: abs(measured - before.offset) + uncertainty)
      try update.bind(1, row.source)
      try update.bind(2, now.sourceSeq)
      try update.bind(3, now.uncertainty)
      try update.run()
      last[row.source] = now
    }
  }

  private func put(
    _ source: Int64, from sourceSeq: Int64, _ measured: Int64, _ uncertainty: Int64,
    keeping known: Int64?
  ) throws {
    let isKept = known.map { abs(measured - $0) <= uncertainty } ?? false
    let offset = isKept ? known ?? measured : measured
    let now = Offset(
      sourceSeq: sourceSeq, offset: offset, uncertainty: abs(measured - offset) + uncertainty)
    try insert.bind(1, source)
    try insert.bind(2, now.sourceSeq)
    try insert.bind(3, now.offset)
    try insert.bind(4, now.uncertainty)
    try insert.run()
    last[source] = now
  }

  private func lastRow(of source: Int64) throws -> Offset? {
    if let known = last[source] { return known }
    defer { select.reset() }
    try select.bind(1, source)
    let found =
      try select.step()
      ? Offset(
        sourceSeq: select.integer(0), offset: select.integer(1), uncertainty: select.integer(2))
      : nil
    last[source] = .some(found)
    return found
  }

  private static func nanoseconds(_ seconds: Double?) -> Int64? {
    guard let seconds, abs(seconds * 1e9) < largest else { return nil }
    return Int64(saturating: (seconds * 1e9).rounded())
  }
}
