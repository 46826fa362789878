import EventLog
import Glibc
import LogFormat
import LogMaintenance
import Querying

/// Shows recorded events, and with `--follow` new events as they arrive.
struct EventQuery {
  /// The interval between checks of a log for new events. Well below what people notice.
  private static let pollMicroseconds: UInt32 = 30_000

  /// The queried logs.
  struct Logs {
    /// The files, each with the selector of its runs.
    var files: [LogSet.Part] = []
    /// Their common name template if they are the consecutive segments of one run.
    var template: String?
  }

  private let parts: [EventStream.Part]
  private let logs: Logs
  private let filter: EventFilter
  private let output: QueryOutputOptions
  private let format: FormatOptions
  private let columns: [EventColumn]
  private let groups: [EventColumn]?
  private let shown: [Column]

  init(
    logs: Logs, filter: EventFilter, columns chosen: [EventColumn]?, groups: [EventColumn]?,
    output: QueryOutputOptions, format: FormatOptions
  ) throws {
    self.logs = logs
    self.filter = filter
    self.output = output
    self.groups = groups
    self.format = format
    var parts = try logs.files.map { try Self.part($0, filter, output) }
    if let cursor = output.afterCursor {
      parts =
        try logs.template.map { try Self.parts(parts, after: cursor, $0) }
        ?? Self.parts(parts, after: cursor)
    }
    self.parts = parts
    let runCount = logs.template != nil ? 1 : parts.reduce(0) { $0 + ($1.filter.runs?.count ?? 2) }
    var shown = EventQueries.eventColumns(
      withHook: filter.hooks != ["transition"], isOneRun: runCount == 1)
    if let chosen {
      columns = chosen
      shown = columns.map { EventQueries.column($0.name) }
    } else {
      columns = shown.compactMap { EventColumn($0.name) }
    }
    self.shown =
      (parts.count > 1 && logs.template == nil ? [Column("log", .address)] : []) + shown
  }

  private static func part(
    _ log: LogSet.Part, _ filter: EventFilter, _ output: QueryOutputOptions
  ) throws -> EventStream.Part {
    let reader = try log.reader()
    var filter = filter
    let runIDs = try reader.runs(matching: log.selector).map(\.number)
    filter.runs = log.selector == "all" && output.follow ? nil : runIDs
    try filter.resolveSpans(reader, reports: !output.follow)
    return EventStream.Part(name: log.name, reader: reader, filter: filter)
  }

  func run() throws {
    try write()
    let segments = try logs.files.map { file in
      let reader = try LogReader(path: file.path, name: file.name)
      return try reader.runs(matching: file.selector).map { RunSegment(reader: reader, run: $0) }
    }
    if logs.template != nil { return try RunWarnings.print(files: segments.compactMap(\.last)) }
    for part in segments.joined() {
      try RunWarnings.print(
        part.reader, [part.run], of: logs.files.count > 1 ? part.reader.name : nil)
    }
  }

  private func write() throws {
    if output.count { return try countAll() }
    if let groups { return try countGroups(groups) }
    var positions = try parts.map { ($0, try $0.reader.lastSeq()) }
    try format.writeInParts { writer, flush in
      writer.start(shown)
      positions = output.follow ? try follow(&writer, flush) : try show(&writer) ?? positions
      writer.finish()
    }
    if output.showCursor { try reportCursor(positions) }
  }

  private typealias ResumePositions = [(part: EventStream.Part, seq: Int64)]

  /// Shows the recorded events. `nil` if the end of the log may not have been reached: the order is
  /// reversed.
  private func show(_ writer: inout any RowWriter) throws -> ResumePositions? {
    let stream = try EventStream(
      parts, columns: columns, limit: output.limit, isReversed: output.reverse,
      isOneRun: logs.template != nil)
    while let row = try stream.next() { writer.row(row) }
    return output.reverse ? nil : Array(zip(parts, stream.positions))
  }

  // MARK: - Following

  private func follow(
    _ writer: inout any RowWriter, _ flush: () -> Void
  ) throws -> ResumePositions {
    var parts = parts
    if let limit = output.limit { try showTail(limit, &parts, &writer) }
    let stream = try EventStream(parts, columns: columns, isOneRun: logs.template != nil)
    while true {
      // Checked before the last read, so that no event is missed.
      let isLive = try Self.isAnyLive(parts)
      let before = try parts.map { try $0.reader.changeCount() }
      while let row = try stream.next() { writer.row(row) }
      writer.flush()
      flush()
      if !isLive {
        guard let next = try nextFile(parts) else { return Array(zip(parts, stream.positions)) }
        parts.append(next)
        try stream.append(next)
        continue
      }
      while try parts.map({ try $0.reader.changeCount() }) == before, try Self.isAnyLive(parts) {
        usleep(Self.pollMicroseconds)
      }
    }
  }

  /// The next segment of the run.
  private func nextFile(_ parts: [EventStream.Part]) throws -> EventStream.Part? {
    guard let template = logs.template, let last = parts.last,
      let path = SegmentFollower.next(after: last.name, template)
    else { return nil }
    return try Self.part(
      LogSet.Part(path: path, name: path, selector: "latest"), filter, output)
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
    let stream = try EventStream(
      tail, columns: columns, limit: limit, isReversed: true, isOneRun: logs.template != nil)
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

  // MARK: - Counts

  private func countAll() throws {
    var count: Int64 = 0
    if let stream = try deduplicatingStream([]) {
      while try stream.next() != nil { count += 1 }
    } else {
      for part in parts {
        count += try part.reader.count(matching: part.filter, after: part.after)
      }
    }
    try format.write { writer in
      writer.start([Column("count")])
      writer.row([.integer(count)])
      writer.finish()
    }
  }

  /// A stream of single events if several logs may contain the same events; else `nil`.
  private func deduplicatingStream(_ columns: [EventColumn]) throws -> EventStream? {
    guard parts.count > 1 else { return nil }
    let stream = try EventStream(parts, columns: columns, isOneRun: logs.template != nil)
    return stream.mayRepeat ? stream : nil
  }

  /// Counts events by columns; the counts of several logs are added up.
  private func countGroups(_ columns: [EventColumn]) throws {
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
    try format.write { writer in
      writer.start(columns.map { EventQueries.column($0.name) } + [Column("count")])
      for group in groups.prefix(output.limit ?? .max) {
        writer.row(group.values + [.integer(group.count)])
      }
      writer.finish()
    }
  }

  // MARK: - Cursors

  /// Applies one cursor per log, in the order of the logs, separated by spaces.
  private static func parts(
    _ parts: [EventStream.Part], after text: String
  ) throws -> [EventStream.Part] {
    let cursors = text.split(separator: " ").map(String.init)
    guard cursors.count == parts.count else {
      throw Failure.usage(
        "--after-cursor: expected one cursor per log, but got \(cursors.count) for "
          + Printable.count(parts.count, "log"))
    }
    return try zip(parts, cursors).map { part, cursor in
      guard cursor != "-" else { return part }
      guard let seq = try part.reader.seq(ofCursor: cursor) else {
        throw Failure.run("--after-cursor \(cursor): this event is not in \(part.name)")
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
    throw Failure.run("--after-cursor \(cursor): this event is not in \(template)")
  }

  private static func part(_ part: EventStream.Part, after seq: Int64) -> EventStream.Part {
    var part = part
    part.after = seq
    return part
  }

  private func reportCursor(_ positions: ResumePositions) throws {
    var cursors = try positions.map { try $0.part.reader.cursor(at: $0.seq) ?? "-" }
    if logs.template != nil { cursors = [cursors.last { $0 != "-" } ?? "-"] }
    Console.printError("cursor: \(cursors.joined(separator: " "))")
  }
}
