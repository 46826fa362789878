import EventLog
import LogFormat

/// The events of one or several logs that a filter lets through, as rows.
///
/// Within a log they come in the order of arrival. Of several logs, the one whose next event is the
/// oldest is next; then each row begins with the name of its log. Of the files of one run, one after
/// the other, all of one come before those of the next. What several logs hold of a run that is spread
/// over them comes once. At its end it stays where it is: asked again, it gives what has arrived since.
public final class EventStream {
  /// A log, and what is wanted of it.
  public struct Part {
    public var name: String
    public var reader: LogReader
    public var filter: EventFilter
    /// Only events that have arrived after this one.
    public var after: Int64

    public init(name: String, reader: LogReader, filter: EventFilter, after: Int64 = 0) {
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
  /// How many files of one run are over.
  private var turn = 0
  /// The last row of each log that was given out, and how many columns tell of that.
  private var given: [Int64]
  private let extraCount: Int
  private var copies: DuplicateFilter?

  /// What tells which row was the last, and of which log the next one is: `time_ns` is the last of them.
  private static let order = ["seq", "time_ns"].compactMap { EventColumn($0) }

  /// - Throws: `LogError`.
  public init(
    _ parts: [Part], columns: [EventColumn], limit: Int? = nil, isReversed: Bool = false,
    isOneRun: Bool = false
  ) throws {
    names = parts.map(\.name)
    self.columns = columns
    self.isReversed = isReversed
    self.isOneRun = isOneRun
    remaining = limit ?? .max
    heads = parts.map { _ in nil }
    given = parts.map { isReversed ? .max : $0.after }
    let copies =
      parts.count > 1 && !isOneRun ? try DuplicateFilter.of(parts, isReversed: isReversed) : nil
    self.copies = copies
    let extra = parts.count > 1 ? (copies == nil ? [] : DuplicateFilter.identity) + Self.order : []
    extraCount = extra.count
    rows = try parts.map {
      try $0.reader.rows(
        matching: $0.filter, columns: columns + extra, after: $0.after,
        // Where something may come twice more has to be read.
        limit: copies?.mayRepeat == true ? nil : limit, isReversed: isReversed)
    }
  }

  /// Whether the logs hold parts of a run that others hold parts of, too.
  public var mayRepeat: Bool { copies?.mayRepeat ?? false }

  /// Up to where each log has been looked at; when there was to be no more, up to its last row.
  public var positions: [Int64] {
    remaining > 0 || extraCount == 0 ? rows.map(\.position) : given
  }

  /// Goes on with the next file of the run when those before it are at their end.
  ///
  /// - Throws: `LogError`.
  public func append(_ part: Part) throws {
    let extra = extraCount > 0 ? Self.order : []
    rows.append(
      try part.reader.rows(matching: part.filter, columns: columns + extra, after: part.after))
    given.append(part.after)
  }

  /// The next row, nothing at the end.
  ///
  /// - Throws: `LogError`.
  public func next() throws -> [SQLiteValue]? {
    guard remaining > 0 else { return nil }
    if isOneRun { return try nextOfRun() }
    guard rows.count > 1 else {
      let row = try rows.first?.next()
      if row != nil { remaining -= 1 }
      return row
    }
    while let place = try nextPlace(), let row = heads[place] {
      heads[place] = nil
      let isRepeated = try copies?.isRepeated(row.suffix(extraCount), of: place, given) ?? false
      let shown = give(row, of: place)
      if isRepeated { continue }
      remaining -= 1
      return [.text(names[place])] + shown
    }
    return nil
  }

  /// The log whose next event is the oldest, or against the order the newest.
  private func nextPlace() throws -> Int? {
    var best: (place: Int, time: Int64)?
    for place in rows.indices {
      if heads[place] == nil { heads[place] = try rows[place].next() }
      guard case .integer(let time)? = heads[place]?.last else { continue }
      if best.map({ isReversed ? time > $0.time : time < $0.time }) ?? true {
        best = (place, time)
      }
    }
    return best?.place
  }

  /// A row without what was only for this.
  private func give(_ row: [SQLiteValue], of place: Int) -> [SQLiteValue] {
    guard extraCount > 0 else { return row }
    if case .integer(let seq) = row[row.count - Self.order.count] { given[place] = seq }
    return row.dropLast(extraCount)
  }

  /// To a file that is over nothing comes any more, but to the last one.
  private func nextOfRun() throws -> [SQLiteValue]? {
    while turn < rows.count {
      let place = isReversed ? rows.count - 1 - turn : turn
      if let row = try rows[place].next() {
        remaining -= 1
        return give(row, of: place)
      }
      guard turn + 1 < rows.count else { return nil }
      turn += 1
    }
    return nil
  }
}
