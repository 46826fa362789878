import EventLog
import Glibc
import Querying

/// Shows events: those that are there, and with `--follow` those that come.
struct EventQuery {
  /// How often a log is looked at for something new. Well below what people notice.
  private static let microsecondsBetweenLooks: UInt32 = 30_000

  private let parts: [EventStream.Part]
  private let selector: String
  private let output: QueryOutputOptions
  private let format: FormatOptions
  private let columns: [EventColumn]
  private let groups: [EventColumn]?
  private let shown: [Column]

  init(
    logs: [JoinedLogs.Part], filter: EventFilter, run selector: String,
    columns wanted: [EventColumn]?,
    groups: [EventColumn]?, output: QueryOutputOptions, format: FormatOptions
  ) throws {
    self.selector = selector
    self.output = output
    self.groups = groups
    self.format = format
    let cursors = try Self.cursors(output.afterCursor, logs.flatMap(\.origins))
    var runCount = 0
    parts = try zip(logs, cursors).map { log, cursor in
      let reader = try log.reader()
      var filter = filter
      let runs = try reader.runs(matching: selector).map(\.number)
      runCount += runs.count
      filter.runs = selector == "all" && output.follow ? nil : runs
      return EventStream.Part(
        name: reader.name, reader: reader, filter: filter,
        after: try Self.seq(of: cursor, reader, reader.name))
    }
    var shown = Queries.eventColumns(
      withHook: filter.hooks != ["transition"], isOneRun: runCount == 1)
    if let wanted {
      columns = wanted
      shown = columns.map { Queries.column($0.name) }
    } else {
      columns = shown.compactMap { EventColumn($0.name) }
    }
    self.shown = (logs.count > 1 ? [Column("log", .address)] : []) + shown
  }

  func run() throws {
    try write()
    for part in parts {
      try RunNotes.tell(part.reader, try part.reader.runs(matching: selector))
    }
  }

  private func write() throws {
    if output.count { return try countAll() }
    if let groups { return try countGroups(groups) }
    var positions = try parts.map { try $0.reader.lastSeq() }
    try format.writeInParts { writer, flush in
      writer.start(shown)
      positions = output.follow ? try follow(&writer, flush) : try show(&writer) ?? positions
      writer.finish()
    }
    if output.showCursor { try tellCursor(positions) }
  }

  /// Shows what is there. With a limit the end of the log may not have been reached.
  private func show(_ writer: inout any RowWriter) throws -> [Int64]? {
    let stream = try EventStream(
      parts, columns: columns, limit: output.limit, isReversed: output.reverse)
    while let row = try stream.next() { writer.row(row) }
    return output.reverse ? nil : stream.positions
  }

  // MARK: - Following

  private func follow(_ writer: inout any RowWriter, _ flush: () -> Void) throws -> [Int64] {
    var parts = parts
    if let limit = output.limit { try showTail(limit, &parts, &writer) }
    let stream = try EventStream(parts, columns: columns)
    while true {
      // Whether it goes on is asked before the last look, so that nothing is left behind.
      let isLive = try isAnyLive()
      let before = try parts.map { try $0.reader.changeCount() }
      while let row = try stream.next() { writer.row(row) }
      writer.flush()
      flush()
      guard isLive else { return stream.positions }
      while try parts.map({ try $0.reader.changeCount() }) == before, try isAnyLive() {
        usleep(Self.microsecondsBetweenLooks)
      }
    }
  }

  /// The last events before those that come.
  private func showTail(
    _ limit: Int, _ parts: inout [EventStream.Part], _ writer: inout any RowWriter
  ) throws {
    let ends = try parts.map { try $0.reader.lastSeq() }
    var tail = parts
    for place in tail.indices {
      tail[place].filter.untilSeq = min(tail[place].filter.untilSeq ?? .max, ends[place])
    }
    let stream = try EventStream(tail, columns: columns, limit: limit, isReversed: true)
    var rows: [[SQLiteValue]] = []
    while let row = try stream.next() { rows.append(row) }
    for row in rows.reversed() { writer.row(row) }
    for place in parts.indices { parts[place].after = max(parts[place].after, ends[place]) }
  }

  private func isAnyLive() throws -> Bool {
    if selector == "all" { return true }
    return try parts.contains { part in
      try part.reader.runs().contains {
        $0.end == .running && part.filter.runs?.contains($0.number) ?? true
      }
    }
  }

  // MARK: - Counts

  private func countAll() throws {
    let count = try parts.reduce(Int64(0)) {
      $0 + (try $1.reader.count(matching: $1.filter, after: $1.after))
    }
    try format.write { writer in
      writer.start([Column("count")])
      writer.row([.integer(count)])
      writer.finish()
    }
  }

  /// Counts of several logs are added up.
  private func countGroups(_ columns: [EventColumn]) throws {
    var groups: [(values: [SQLiteValue], count: Int64)] = []
    var places: [String: Int] = [:]
    for part in parts {
      try part.reader.groups(matching: part.filter, by: columns, after: part.after) { row in
        guard case .integer(let count)? = row.last else { return }
        let values = Array(row.dropLast())
        let name = "\(values)"
        if let place = places[name] {
          groups[place].count += count
        } else {
          places[name] = groups.count
          groups.append((values, count))
        }
      }
    }
    if parts.count > 1 { groups.sort { ($1.count, "\($0.values)") < ($0.count, "\($1.values)") } }
    try format.write { writer in
      writer.start(columns.map { Queries.column($0.name) } + [Column("count")])
      for group in groups.prefix(output.limit ?? .max) {
        writer.row(group.values + [.integer(group.count)])
      }
      writer.finish()
    }
  }

  // MARK: - Cursors

  /// One cursor a log, in the order of the logs, separated by spaces.
  private static func cursors(_ text: String?, _ paths: [String]) throws -> [String?] {
    guard let text else { return paths.map { _ in nil } }
    let cursors = text.split(separator: " ").map(String.init)
    guard cursors.count == paths.count else {
      throw Failure.usage(
        "--after-cursor: has \(Printable.count(cursors.count, "place")), but there "
          + (paths.count == 1 ? "is 1 log" : "are \(paths.count) logs"))
    }
    return cursors
  }

  private static func seq(of cursor: String?, _ reader: LogReader, _ path: String) throws -> Int64 {
    guard let cursor, cursor != "-" else { return 0 }
    guard let seq = try reader.seq(ofCursor: cursor) else {
      throw Failure.run("--after-cursor \(cursor): that event is not in \(path)")
    }
    return seq
  }

  private func tellCursor(_ positions: [Int64]) throws {
    let cursors = try zip(parts, positions).map { part, position in
      try part.reader.cursor(at: position) ?? "-"
    }
    Console.tell("cursor: \(cursors.joined(separator: " "))")
  }
}
