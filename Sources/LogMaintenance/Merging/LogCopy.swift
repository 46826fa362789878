import EventLog
import LogFormat

/// Copies of logs that are sent from the machine of a recorder to another one.
package enum LogCopy {
  /// Copies a log as it is now, also while it is recorded.
  ///
  /// - Parameters:
  ///   - target: an empty file, which is a log that is complete in itself when this returns.
  ///   - origin: what the copy says about itself.
  /// - Throws: `LogError`.
  package static func copy(
    _ path: String, to target: String, origin: LogCopyOrigin? = nil
  ) throws {
    // Checks that it is a log.
    let reader = try LogReader(path: path)
    do {
      try reader.connection.copy(to: target)
      if let origin { try origin.write(to: Connection(path: target, mode: .readWrite)) }
    } catch {
      throw LogError.cannotWrite(path: target, reason: error.message)
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
