import EventLog
import Glibc
import LogAnalysis
import LogFormat
import LogMaintenance

/// The events of logs that match a filter, as rows or counts, and new events as they arrive.
package final class EventQuery {
  /// The interval between checks of a log for new events. Well below what people notice.
  private static let pollMicroseconds: UInt32 = 30_000

  package struct Options: Sendable {
    /// The maximum number of rows; when following, of the last recorded rows.
    package var limit: Int?
    /// Emits the last event first.
    package var isReversed = false
    /// Emits new events until all runs have ended.
    package var follows = false
    /// Only events after this cursor: one per log, separated by spaces.
    package var afterCursor: String?
    /// The columns; `nil` for the default.
    package var columns: [EventColumn]?
    /// How the columns are shown, if not by their names.
    package var shownColumns: [Column]?
    package var result = Result.events

    package init() {}
  }

  package enum Result: Sendable {
    case events
    /// The number of events.
    case count
    /// The number of events by columns.
    case groups([EventColumn])
  }

  private let logs: LogSet
  private let filter: EventFilter
  private let options: Options
  private let parts: [EventStream.Part]
  private let columns: [EventColumn]
  private let shown: [Column]
  private var positions: [(part: EventStream.Part, seq: Int64)]

  /// Why the spans of the filter select no task, one line for each run; empty if they select one.
  package let emptyReasons: [String]

  private var isOneRun: Bool { logs.template != nil }

  /// - Throws: `LogError`, `EventQueryError`.
  package init(_ logs: LogSet, filter: EventFilter, options: Options = Options()) throws {
    (self.logs, self.filter, self.options) = (logs, filter, options)
    var emptyReasons: [String] = []
    var parts = try logs.parts.map { try Self.part($0, filter, options, &emptyReasons) }
    self.emptyReasons = emptyReasons
    if let cursor = options.afterCursor {
      parts =
        try logs.template.map { try Self.parts(parts, after: cursor, $0) }
        ?? Self.parts(parts, after: cursor)
    }
    self.parts = parts
    let isOneRun = logs.template != nil
    let runCount = isOneRun ? 1 : parts.reduce(0) { $0 + ($1.filter.runs?.count ?? 2) }
    var shown = EventQueries.eventColumns(
      withHook: filter.hooks != ["transition"], isOneRun: runCount == 1)
    if let chosen = options.columns {
      columns = chosen
      shown = options.shownColumns ?? columns.map { EventQueries.column($0.name) }
    } else {
      columns = shown.compactMap { EventColumn($0.name) }
    }
    self.shown = (parts.count > 1 && !isOneRun ? [Column("log", .address)] : []) + shown
    positions = try parts.map { ($0, try $0.reader.lastSeq()) }
  }

  private static func part(
    _ log: LogSet.Part, _ filter: EventFilter, _ options: Options, _ emptyReasons: inout [String]
  ) throws -> EventStream.Part {
    let reader = try log.reader()
    var filter = filter
    let runs = try log.runs(reader).map(\.number)
    let isEveryRun = RunSelector(log.selector) == .all && options.follows
    filter.runs = isEveryRun ? nil : runs
    let reasons = try filter.resolveSubmissions(reader)
    // A run that is followed may still get tasks in the spans.
    if !options.follows { emptyReasons += reasons }
    return EventStream.Part(name: log.name, reader: reader, filter: filter)
  }

  /// Writes the rows.
  ///
  /// - Parameter flush: called after each batch when following.
  /// - Throws: `LogError`.
  package func write(
    to writer: inout any RowWriter, flush: () -> Void = {}
  ) throws {
    switch options.result {
    case .events:
      writer.start(shown)
      try options.follows ? follow(&writer, flush) : show(&writer)
    case .count:
      writer.start([Column("count")])
      writer.row([.integer(try count())])
    case .groups(let columns): try writeGroups(columns, to: &writer)
    }
    writer.finish()
  }

  private func stream(
    _ parts: [EventStream.Part], _ columns: [EventColumn], limit: Int? = nil,
    isReversed: Bool = false
  ) throws -> EventStream {
    try EventStream(
      parts, columns: columns, limit: limit, isReversed: isReversed, isOneRun: isOneRun)
  }

  private func show(_ writer: inout any RowWriter) throws {
    let stream = try stream(
      parts, columns, limit: options.limit, isReversed: options.isReversed)
    while let row = try stream.next() { writer.row(row) }
    // In reverse order the end of the log may not have been reached.
    if !options.isReversed { positions = Array(zip(parts, stream.positions)) }
  }

  // MARK: - Following

  private func follow(_ writer: inout any RowWriter, _ flush: () -> Void) throws {
    var parts = parts
    if let limit = options.limit { try showTail(limit, &parts, &writer) }
    var last = logs.parts.last
    let stream = try stream(parts, columns)
    while true {
      // Checked before the last read, so that no event is missed.
      let isLive = try Self.isAnyLive(parts)
      let before = try parts.map { try $0.reader.changeCount() }
      while let row = try stream.next() { writer.row(row) }
      writer.flush()
      flush()
      if !isLive {
        guard let next = last.flatMap(logs.nextSegment) else { break }
        last = next
        var reasons: [String] = []
        let part = try Self.part(next, filter, options, &reasons)
        parts.append(part)
        try stream.append(part)
        continue
      }
      while try parts.map({ try $0.reader.changeCount() }) == before, try Self.isAnyLive(parts) {
        usleep(Self.pollMicroseconds)
      }
    }
    positions = Array(zip(parts, stream.positions))
  }

  /// Shows the last recorded events; following starts after them.
  private func showTail(
    _ limit: Int, _ parts: inout [EventStream.Part], _ writer: inout any RowWriter
  ) throws {
    let ends = try parts.map { try $0.reader.lastSeq() }
    var tail = parts
    for index in tail.indices {
      tail[index].filter.untilSeq = min(tail[index].filter.untilSeq ?? .max, ends[index])
    }
    let stream = try stream(tail, columns, limit: limit, isReversed: true)
    var rows: [[SQLiteValue]] = []
    while let row = try stream.next() { rows.append(row) }
    for row in rows.reversed() { writer.row(row) }
    for index in parts.indices { parts[index].after = max(parts[index].after, ends[index]) }
  }

  private static func isAnyLive(_ parts: [EventStream.Part]) throws -> Bool {
    if parts.contains(where: { $0.filter.runs == nil }) { return true }
    return try parts.contains { part in
      try part.reader.runs().contains {
        $0.end == .running && part.filter.runs?.contains($0.number) ?? true
      }
    }
  }

  /// The selected runs that died, also in segments that were started while following.
  ///
  /// - Throws: `LogError`.
  package func deadRuns() throws -> [(log: String, run: RunInfo)] {
    try positions.flatMap { part, _ in
      try part.reader.runs().filter {
        $0.hasDied && part.filter.runs?.contains($0.number) ?? true
      }.map { (part.name, $0) }
    }
  }

  // MARK: - Counts

  private func count() throws -> Int64 {
    guard let stream = try deduplicatingStream([]) else {
      return try parts.reduce(0) { try $0 + $1.reader.count(matching: $1.filter, after: $1.after) }
    }
    var count: Int64 = 0
    while try stream.next() != nil { count += 1 }
    return count
  }

  /// A stream of single events if several logs may contain the same events; else `nil`.
  private func deduplicatingStream(_ columns: [EventColumn]) throws -> EventStream? {
    guard parts.count > 1 else { return nil }
    let stream = try stream(parts, columns)
    return stream.mayRepeat ? stream : nil
  }

  /// Counts events by columns; the counts of several logs are added up.
  private func writeGroups(_ columns: [EventColumn], to writer: inout any RowWriter) throws {
    var groups: [(values: [SQLiteValue], count: Int64)] = []
    var groupIndex: [String: Int] = [:]
    func add(_ values: [SQLiteValue], _ count: Int64) {
      let name = "\(values)"
      if let index = groupIndex[name] {
        groups[index].count += count
      } else {
        groupIndex[name] = groups.count
        groups.append((values, count))
      }
    }
    if let stream = try deduplicatingStream(columns) {
      // The first value is the name of the log.
      while let row = try stream.next() { add(Array(row.dropFirst()), 1) }
    } else {
      for part in parts {
        try part.reader.groups(matching: part.filter, by: columns, after: part.after) { row in
          guard case .integer(let count)? = row.last else { return }
          add(Array(row.dropLast()), count)
        }
      }
    }
    if parts.count > 1 { groups.sort { ($1.count, "\($0.values)") < ($0.count, "\($1.values)") } }
    writer.start(columns.map { EventQueries.column($0.name) } + [Column("count")])
    for group in groups.prefix(options.limit ?? .max) {
      writer.row(group.values + [.integer(group.count)])
    }
  }

  // MARK: - Cursors

  /// The cursor after the rows written so far, for `Options.afterCursor`.
  ///
  /// - Throws: `LogError`.
  package func cursor() throws -> String {
    let cursors = try positions.map { try $0.part.reader.cursor(at: $0.seq) ?? "-" }
    return isOneRun ? cursors.last { $0 != "-" } ?? "-" : cursors.joined(separator: " ")
  }

  /// Applies one cursor per log, in the order of the logs.
  private static func parts(
    _ parts: [EventStream.Part], after text: String
  ) throws -> [EventStream.Part] {
    let cursors = text.split(separator: " ").map(String.init)
    guard cursors.count == parts.count else {
      throw EventQueryError.cursorCount(cursors.count, logs: parts.count)
    }
    return try zip(parts, cursors).map { part, cursor in
      guard cursor != "-" else { return part }
      guard let seq = try part.reader.seq(ofCursor: cursor) else {
        throw EventQueryError.unknownCursor(cursor, log: part.name)
      }
      return Self.part(part, after: seq)
    }
  }

  /// Applies one cursor to all segments of a run; new segments may have been added since.
  private static func parts(
    _ parts: [EventStream.Part], after cursor: String, _ template: String
  ) throws -> [EventStream.Part] {
    if cursor == "-" { return parts }
    for (index, part) in parts.enumerated().reversed() {
      guard let seq = try part.reader.seq(ofCursor: cursor) else { continue }
      return [Self.part(part, after: seq)] + parts[(index + 1)...]
    }
    throw EventQueryError.unknownCursor(cursor, log: template)
  }

  private static func part(_ part: EventStream.Part, after seq: Int64) -> EventStream.Part {
    var part = part
    part.after = seq
    return part
  }
}
