import EventLog
import Glibc
import LogFormat
import TaskLogPlugin

/// Removes one of the segments of a rotated run.
///
/// Its events are missing from then on: the gaps that record their location in later segments are
/// changed to say that they were pruned. That is done first, so that a command that is killed on
/// the way has already recorded what the next one removes.
package struct RunFileRemoval {
  private let path: String
  private var name: String { path.lastPathComponent }

  package init(_ path: String) {
    self.path = path
  }

  /// The part of a run in a file.
  private struct Part {
    var run: RunInfo
    /// The numbers of its events, present or missing, by the id of their source.
    var numbers: [String: ClosedRange<Int64>] = [:]
  }

  /// - Parameter others: the run's other segments.
  /// - Returns: false if a live recorder uses the file, and then nothing is changed.
  /// - Throws: `LogError`.
  package func remove(others: [String]) throws -> Bool {
    guard !LogRemoval.isInUse(path) else { return false }
    let parts = try parts()
    for other in others where other != path {
      do {
        try recordRemoval(parts, in: other)
      } catch let error as SQLiteError {
        throw LogError(error, path: other)
      }
    }
    return try LogRemoval.remove(path)
  }

  private func parts() throws -> [Part] {
    let reader = try LogReader(path: path)
    return try reader.translating {
      try reader.runs().map { run in
        var part = Part(run: run)
        for info in try reader.sources(of: run) {
          let last = try LastSourceSeq.value(of: info.number, in: reader.connection)
          // Events of still earlier segments are gone with it if none of those segments exists.
          let earlier = try reader.connection.integer(
            "SELECT max(source_seq + count) FROM gap WHERE \(RunFiles.isEarlierSQL) "
              + "AND source = \(info.number)")
          let first = hasFile(run.previousFile) ? earlier ?? 1 : 1
          if first <= last { part.numbers[info.source.id] = first...last }
        }
        return part
      }
    }
  }

  private func hasFile(_ name: String?) -> Bool {
    guard let name, UntrustedName.isFileName(name) else { return false }
    return access(path.sibling(name), F_OK) == 0
  }

  private func recordRemoval(_ parts: [Part], in other: String) throws {
    let reader = try LogReader(path: other)
    let mine = try reader.runs().compactMap { run in
      parts.first { $0.run.id == run.id }.map { (run, $0) }
    }
    guard !mine.isEmpty else { return }
    let writer = try LogWriter(path: other)
    defer { writer.close(isIndexing: false) }
    for (run, part) in mine {
      let before = hasFile(part.run.previousFile) ? part.run.previousFile : nil
      let behind = hasFile(part.run.nextFile) ? part.run.nextFile : nil
      let sources = try reader.sources(of: run)
      try writer.transaction {
        for info in sources {
          guard let gone = part.numbers[info.source.id] else { continue }
          try recordRemoval(gone, of: info.number, before: before, writer)
        }
        if run.previousFile == name {
          try writer.note(RunMetadataKey.previousSegment, before, run: run.number)
        }
        if run.nextFile == name {
          try writer.note(RunMetadataKey.nextSegment, behind, run: run.number)
        }
      }
    }
  }

  /// Splits the gap for events in earlier segments into the removed part and the remaining part.
  private func recordRemoval(
    _ gone: ClosedRange<Int64>, of source: Int64, before: String?, _ writer: LogWriter
  ) throws {
    let select = try writer.connection.prepare(
      "SELECT id, source_seq, source_seq + count - 1, time, reason FROM gap "
        + "WHERE source = ? AND \(RunFiles.isEarlierSQL)")
    try select.bind(1, source)
    var gaps: [(id: Int64, numbers: ClosedRange<Int64>, time: Int64, reason: String)] = []
    while try select.step() {
      let (first, last) = (select.integer(1), select.integer(2))
      guard first <= last, gone.overlaps(first...last) else { continue }
      gaps.append((select.integer(0), first...last, select.integer(3), select.text(4)))
    }
    select.reset()
    var pruned = try PrunedGaps(writer.connection)
    for gap in gaps {
      try writer.connection.execute("DELETE FROM gap WHERE id = \(gap.id)")
      let lost = gap.numbers.clamped(to: gone)
      try pruned.add(
        source: source, first: lost.lowerBound, count: Int64(lost.count))
      for (first, end) in [
        (gap.numbers.lowerBound, lost.lowerBound),
        (lost.upperBound + 1, gap.numbers.upperBound + 1),
      ] where first < end {
        let reason =
          RunFiles.name(inReason: gap.reason) == name
          ? before.map(RunFiles.gapReason) ?? gap.reason : gap.reason
        try writer.addGap(
          source: source, sourceSeq: first, count: end - first, time: gap.time, reason: reason)
      }
    }
  }
}
