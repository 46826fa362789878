import LogFormat
import TaskLogPlugin

/// A run of which other logs may have the rest: its events came from a queue that other consumers
/// read, too.
///
/// Its metadata say so: `partial` is true, and once the end of the run is known, `last_seqs` is the
/// number of the last event of each source by its id. A hole is a gap only if no log has the
/// missing events, which is decided when logs are merged.
package enum PartialRun {
  package static let gapReason = "in none of the logs"

  package static func marked(_ metadata: Value) -> Value {
    guard case .dict(let entries) = metadata else {
      return .object([RunMetadataKey.isPartial: .bool(true), "metadata": metadata])
    }
    return .dict(
      entries.filter {
        $0.key.string != RunMetadataKey.isPartial && $0.key.string != RunMetadataKey.lastSeqs
      }
        + [.init(.string(RunMetadataKey.isPartial), .bool(true))])
  }

  /// The metadata of a run whose events are put in order.
  package static func ordered(_ metadata: Value) -> Value {
    guard case .dict(let entries) = metadata, metadata[RunMetadataKey.isUnordered] != nil else {
      return metadata
    }
    return .dict(entries.filter { $0.key.string != RunMetadataKey.isUnordered })
  }

  static func isMarked(_ metadata: Value) -> Bool {
    metadata[RunMetadataKey.isPartial]?.bool == true
  }
}

extension RunInfo {
  /// Whether other logs may have more of the run, see `PartialRun`.
  package var isPartial: Bool { PartialRun.isMarked(metadata) }

  /// Whether events of a source have arrived in another order than they happened.
  package var isUnordered: Bool { metadata[RunMetadataKey.isUnordered]?.bool == true }

  /// The last source seq of each source at the end of a partial run, by source id; `nil` if not
  /// known.
  package var lastSourceSeqs: [(id: String, last: Int64)]? { PartialRun.expectedLasts(metadata) }
}

extension LogWriter {
  private func metadata(ofRun run: Int64) throws -> Value {
    let select = try connection.prepare("SELECT metadata FROM run WHERE id = ?")
    try select.bind(1, run)
    guard try select.step() else { return .null }
    return (try? JSONReader.value(select.text(0))) ?? .opaque("unreadable")
  }

  private func setMetadata(_ metadata: Value, run: Int64) throws {
    let update = try connection.prepare("UPDATE run SET metadata = ? WHERE id = ?")
    try update.bind(1, JSONWriter.text(metadata))
    try update.bind(2, run)
    try update.run()
  }

  /// Whether other logs may have more of a run, see `PartialRun`.
  package func isPartial(run: Int64) throws -> Bool {
    PartialRun.isMarked(try metadata(ofRun: run))
  }

  /// Records the last source seq of each source at the end of a run.
  package func expect(_ lasts: [(id: String, last: Int64)], run: Int64) throws {
    let metadata = PartialRun.marked(try metadata(ofRun: run))
    guard case .dict(let entries) = metadata else { return }
    let value = Value.dict(lasts.map { .init(.string($0.id), .int($0.last)) })
    try setMetadata(.dict(entries + [.init(.string(RunMetadataKey.lastSeqs), value)]), run: run)
  }

  /// The last source seq of each source at the end of a partial run, by source id; `nil` if the end
  /// is not known, or the run is complete.
  package func expectedLasts(run: Int64) throws -> [(id: String, last: Int64)]? {
    let metadata = try metadata(ofRun: run)
    guard PartialRun.isMarked(metadata) else { return nil }
    return PartialRun.expectedLasts(metadata)
  }

  /// Called when nothing is missing any more, or the missing events are recorded as gaps.
  func unmarkPartial(run: Int64) throws {
    guard case .dict(let entries) = try metadata(ofRun: run) else { return }
    let rest = entries.filter {
      $0.key.string != RunMetadataKey.isPartial && $0.key.string != RunMetadataKey.lastSeqs
    }
    try setMetadata(.dict(rest), run: run)
  }

  package func markUnordered(run: Int64) throws {
    let update = try connection.prepare(
      "UPDATE run SET metadata = json_set(metadata, '$.\(RunMetadataKey.isUnordered)', json('true')) WHERE id = ?"
    )
    try update.bind(1, run)
    try update.run()
  }

  /// Merges what another log says about a run that this one has, too.
  package func join(_ other: RunInfo, partial run: Int64) throws {
    let own = try metadata(ofRun: run)
    guard PartialRun.isMarked(own) else { return }
    // A log with the complete run proves that nothing is missing.
    guard other.isPartial else { return try unmarkPartial(run: run) }
    guard let lasts = other.lastSourceSeqs, PartialRun.expectedLasts(own) == nil else { return }
    try expect(lasts, run: run)
  }

  /// Whether a partial run is complete by now; if so, it is no longer marked as partial.
  package func completeIfAllThere(run: Int64) throws -> Bool {
    guard let lasts = try expectedLasts(run: run) else { return false }
    try flushRows()
    for (serverID, last) in lasts {
      guard let source = try source(ofRun: run, serverID: serverID),
        try coverage(ofSource: source.id).holes(through: last).isEmpty
      else { return false }
    }
    try unmarkPartial(run: run)
    return true
  }

  /// The known holes of a partial run: up to the known last seq of each source, else up to the last
  /// event of each that is present.
  package func holes(ofPartialRun run: Int64) throws -> [(source: Int64, hole: ClosedRange<Int64>)]
  {
    let metadata = try metadata(ofRun: run)
    guard PartialRun.isMarked(metadata) else { return [] }
    let lasts = Dictionary(PartialRun.expectedLasts(metadata) ?? []) { first, _ in first }
    let select = try connection.prepare("SELECT id, server_id FROM source WHERE run = ?")
    try select.bind(1, run)
    var holes: [(Int64, ClosedRange<Int64>)] = []
    while try select.step() {
      let source = select.integer(0)
      let coverage = try coverage(ofSource: source)
      let last = lasts[select.text(1)] ?? coverage.ranges.last?.upperBound ?? 0
      holes += coverage.holes(through: last).map { (source, $0) }
    }
    return holes
  }

  /// The source seqs of a source's events that are in the log or known to be missing.
  func coverage(ofSource source: Int64) throws -> IntegerRanges {
    try connection.coverage(ofSource: source)
  }
}

extension Connection {
  /// The source seqs of a source's events that are in the log or known to be missing.
  package func coverage(ofSource source: Int64) throws -> IntegerRanges {
    var ranges = try eventRanges(ofSource: source)
    let gaps = try prepare("SELECT source_seq, count FROM gap WHERE source = ?")
    try gaps.bind(1, source)
    while try gaps.step() {
      let (first, count) = (gaps.integer(0), gaps.integer(1))
      guard first > 0, count > 0, first <= .max - count else { continue }
      ranges.insert(first...first + count - 1)
    }
    return ranges
  }

  /// The source seqs of a source's events that are in the log.
  func eventRanges(ofSource source: Int64) throws -> IntegerRanges {
    var ranges = IntegerRanges()
    let events = try prepare(
      """
      SELECT min(source_seq), max(source_seq) FROM (
        SELECT source_seq, source_seq - row_number() OVER (ORDER BY source_seq) AS island
        FROM event WHERE source = ?)
      GROUP BY island ORDER BY 1
      """)
    try events.bind(1, source)
    while try events.step() { ranges.insert(events.integer(0)...events.integer(1)) }
    return ranges
  }
}

extension PartialRun {
  static func expectedLasts(_ metadata: Value) -> [(id: String, last: Int64)]? {
    guard case .dict(let entries)? = metadata[RunMetadataKey.lastSeqs] else { return nil }
    return entries.compactMap { entry in
      guard let id = entry.key.string, let last = entry.value.int else { return nil }
      return (id, last)
    }
  }
}
