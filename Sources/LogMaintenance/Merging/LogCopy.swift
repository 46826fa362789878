import EventLog
import LogFormat
import TaskLogPlugin

/// Copies of logs that are sent from the machine of a recorder to another one.
package enum LogCopy {
  /// Copies a log as it is now, also while it is recorded.
  ///
  /// - Parameters:
  ///   - target: an empty file, which is a log that is complete in itself when this returns.
  ///   - interval: after how many nanoseconds the next copy is to be made; `nil` for a single one.
  /// - Throws: `LogError`.
  package static func copy(
    _ path: String, to target: String, interval: Int64? = nil, at now: Int64 = Clock.now()
  ) throws {
    // Checks that it is a log.
    let reader = try LogReader(path: path)
    let live = try reader.runs().filter { $0.end == .running }
    do {
      try reader.connection.copy(to: target)
      try mark(live, copiedAt: now, interval, in: target)
    } catch {
      throw LogError.cannotWrite(path: target, reason: error.message)
    }
  }

  /// Notes in a copy which of its runs were being recorded: there is no recorder's lock next to it.
  private static func mark(
    _ runs: [RunInfo], copiedAt time: Int64, _ interval: Int64?, in copy: String
  ) throws(SQLiteError) {
    guard !runs.isEmpty else { return }
    let connection = try Connection(path: copy, mode: .readWrite)
    let update = try connection.prepare(
      """
      UPDATE run SET metadata = json_set(
        metadata, '$.\(RunMetadataKey.copied)', ?1, '$.\(RunMetadataKey.copyInterval)', ?2)
      WHERE uuid = ?3 AND end IS NULL
      """)
    for run in runs {
      update.reset()
      try update.bind(1, time)
      try update.bind(2, interval)
      try update.bind(3, run.id)
      try update.run()
    }
  }

  /// Writes the runs of several logs into a new one.
  ///
  /// - Throws: `LogError`, also if one of the logs is being recorded, since it would go on without
  ///   the events that its recorder has still to write.
  package static func combine(_ paths: [String], into target: String) throws {
    let readers = try paths.map { try LogReader(path: $0) }
    for (path, reader) in zip(paths, readers)
    where try reader.runs().contains(where: { $0.end == .running }) {
      throw LogError.cannotWrite(path: path, reason: "it is being recorded by another recorder")
    }
    let merge = try LogMerge(into: target)
    defer { merge.close() }
    _ = try merge.add(readers)
  }
}
