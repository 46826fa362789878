import CSQLite
import LogFormat
import TaskLogPlugin

/// How the segments of a rotated run refer to each other.
package enum RunFiles {
  private static let earlier = "in an earlier file: "

  package static func gapReason(_ name: String) -> String { earlier + name }

  /// Whether the events of a gap are in an earlier segment.
  package static func isEarlier(_ reason: String) -> Bool { reason.hasPrefix(earlier) }

  /// The segment that has the events of such a gap.
  package static func name(inReason reason: String) -> String {
    String(reason.dropFirst(earlier.count))
  }

  /// The metadata of a run whose segments are merged.
  package static func joined(_ metadata: Value) -> Value {
    guard case .dict(let entries) = metadata else { return metadata }
    let local = [
      RunMetadataKey.previousSegment, RunMetadataKey.nextSegment, RunMetadataKey.retainedKeys,
    ]
    return .dict(entries.filter { !local.contains($0.key.string ?? "") })
  }

  package static let isEarlierSQL = "reason LIKE '\(earlier)%'"
}

extension RunInfo {
  /// The file name of the previous segment, in the same folder.
  package var previousFile: String? { metadata[RunMetadataKey.previousSegment]?.string }
  /// The file name of the next segment, in the same folder.
  package var nextFile: String? { metadata[RunMetadataKey.nextSegment]?.string }
}

extension LogWriter {
  /// Ends a run in this file because it continues in the next segment.
  ///
  /// - Throws: `SQLiteError`.
  package func endFile(run: Int64, continuesIn name: String, at time: Int64) throws {
    try transaction(synced: true) {
      try setSpoolPosition(run: run, nil)
      try end(run: run, .closed, at: time)
      try note(RunMetadataKey.nextSegment, name, run: run)
    }
  }

  /// Records the name of another segment in the metadata of a run, or removes it; inside a
  /// transaction.
  package func note(_ entry: String, _ name: String?, run: Int64) throws {
    let update = try connection.prepare(
      name == nil
        ? "UPDATE run SET metadata = json_remove(metadata, '$.\(entry)') WHERE id = ?1"
        : "UPDATE run SET metadata = json_set(metadata, '$.\(entry)', ?2) WHERE id = ?1")
    try update.bind(1, run)
    if let name { try update.bind(2, name) }
    try update.run()
  }

  /// Records a value in the metadata of a run, while a writer has the log open.
  ///
  /// - Parameter id: that of the run.
  /// - Throws: `SQLiteError`, `LogError`.
  package static func note(
    _ entry: String, _ value: Value, run id: String, log path: String
  ) throws {
    let connection = try Connection(path: path, mode: .readWrite)
    try LogFile.checkSchema(
      connection, path, of: Int64(LogFile.newestVersion), isWriting: true)
    let update = try connection.prepare(
      "UPDATE run SET metadata = json_set(metadata, '$.\(entry)', json(?2)) WHERE uuid = ?1")
    try update.bind(1, id)
    try update.bind(2, JSONWriter.text(value))
    try update.run()
  }

  /// The file name of a run's previous segment.
  ///
  /// - Throws: `SQLiteError`.
  package func previousFile(run: Int64) throws -> String? {
    let select = try connection.prepare(
      "SELECT metadata ->> '$.\(RunMetadataKey.previousSegment)' FROM run WHERE id = ?")
    try select.bind(1, run)
    return try select.step() ? select.optionalText(0) : nil
  }
}
