import EventLog
import LogFormat

/// The events of one or several logs that match a filter, as rows.
///
/// Within a log they are in order of arrival. Of several logs, the one whose next event is oldest
/// is next, and each row begins with the name of its log. The files of one run are emitted one
/// after the other. An event of a run that is spread over several logs is emitted once. At the end
/// the stream keeps its position: a later call to `next()` returns events that have arrived since.
package final class EventStream {
  /// A log with its filter and starting position.
  package struct Part {
    package var name: String
    package var reader: LogReader
    package var filter: EventFilter
    /// Only events after this seq.
    package var after: Int64

    package init(name: String, reader: LogReader, filter: EventFilter, after: Int64 = 0) {
      self.name = name
      self.reader = reader
      self.filter = filter
      self.after = after
    }
  }

  private let names: [String]
  private var rows: [EventRows]
  private let columns: [EventColumn]
  private let isReversed: Bool
  private let isOneRun: Bool
  private var heads: [[SQLiteValue]?]
  private var remaining: Int
  /// The number of finished files of one run.
  private var turn = 0
  /// The seq of the last row of each log that was emitted, and the number of extra columns per row.
  private var emitted: [Int64]
  private let extraCount: Int
  private var duplicates: DuplicateFilter?

  /// The columns for the last position and for the order of logs: `time_ns` comes last.
  private static let order = ["seq", "time_ns"].compactMap { EventColumn($0) }

  /// - Throws: `LogError`.
  package init(
    _ parts: [Part], columns: [EventColumn], limit: Int? = nil, isReversed: Bool = false,
    isOneRun: Bool = false
  ) throws {
    names = parts.map(\.name)
    self.columns = columns
    self.isReversed = isReversed
    self.isOneRun = isOneRun
    remaining = limit ?? .max
    heads = parts.map { _ in nil }
    emitted = parts.map { isReversed ? .max : $0.after }
    let duplicates =
      parts.count > 1 && !isOneRun ? try DuplicateFilter.of(parts, isReversed: isReversed) : nil
    self.duplicates = duplicates
    let extra =
      parts.count > 1 ? (duplicates == nil ? [] : DuplicateFilter.identity) + Self.order : []
    extraCount = extra.count
    rows = try parts.map {
      try $0.reader.rows(
        matching: $0.filter, columns: columns + extra, after: $0.after,
        // With duplicates, more rows than the limit have to be read.
        limit: duplicates?.mayRepeat == true ? nil : limit, isReversed: isReversed)
    }
  }

  /// Whether several logs contain parts of the same run.
  package var mayRepeat: Bool { duplicates?.mayRepeat ?? false }

  /// The seq up to which each log has been read; once the limit is reached, that of its last row.
  package var positions: [Int64] {
    remaining > 0 || extraCount == 0 ? rows.map(\.position) : emitted
  }

  /// Appends the next file of the run, to be read after those before it.
  ///
  /// - Throws: `LogError`.
  package func append(_ part: Part) throws {
    let extra = extraCount > 0 ? Self.order : []
    rows.append(
      try part.reader.rows(matching: part.filter, columns: columns + extra, after: part.after))
    emitted.append(part.after)
  }

  /// The next row, or `nil` at the end.
  ///
  /// - Throws: `LogError`.
  package func next() throws -> [SQLiteValue]? {
    guard remaining > 0 else { return nil }
    if isOneRun { return try nextOfRun() }
    guard rows.count > 1 else {
      let row = try rows.first?.next()
      if row != nil { remaining -= 1 }
      return row
    }
    while let logIndex = try nextLog(), let row = heads[logIndex] {
      heads[logIndex] = nil
      let isRepeated =
        try duplicates?.isRepeated(row.suffix(extraCount), of: logIndex, emitted) ?? false
      let shown = emit(row, of: logIndex)
      if isRepeated { continue }
      remaining -= 1
      return [.text(names[logIndex])] + shown
    }
    return nil
  }

  /// The index of the log whose next event is the oldest, or the newest in reverse order.
  private func nextLog() throws -> Int? {
    var best: (logIndex: Int, time: Int64)?
    for logIndex in rows.indices {
      if heads[logIndex] == nil { heads[logIndex] = try rows[logIndex].next() }
      guard case .integer(let time)? = heads[logIndex]?.last else { continue }
      if best.map({ isReversed ? time > $0.time : time < $0.time }) ?? true {
        best = (logIndex, time)
      }
    }
    return best?.logIndex
  }

  /// Records a row as emitted and removes its extra columns.
  private func emit(_ row: [SQLiteValue], of logIndex: Int) -> [SQLiteValue] {
    guard extraCount > 0 else { return row }
    if case .integer(let seq) = row[row.count - Self.order.count] { emitted[logIndex] = seq }
    return row.dropLast(extraCount)
  }

  /// A finished file receives no more events; only the last one does.
  private func nextOfRun() throws -> [SQLiteValue]? {
    while turn < rows.count {
      let logIndex = isReversed ? rows.count - 1 - turn : turn
      if let row = try rows[logIndex].next() {
        remaining -= 1
        return emit(row, of: logIndex)
      }
      guard turn + 1 < rows.count else { return nil }
      turn += 1
    }
    return nil
  }
}
