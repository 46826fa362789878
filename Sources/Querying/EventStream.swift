import EventLog

/// The events of one or several logs that a filter lets through, as rows.
///
/// Within a log they come in the order of arrival. Of several logs, the one whose next event is the
/// oldest is next; then each row begins with the name of its log. At its end it stays where it is:
/// asked again, it gives what has arrived since.
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
  private let rows: [EventRows]
  private let isReversed: Bool
  private var heads: [[SQLiteValue]?]
  private var remaining: Int

  /// - Throws: `LogError`.
  public init(
    _ parts: [Part], columns: [EventColumn], limit: Int? = nil, isReversed: Bool = false
  ) throws {
    names = parts.map(\.name)
    self.isReversed = isReversed
    remaining = limit ?? .max
    heads = parts.map { _ in nil }
    // What tells which log is next, when there are several.
    let order = parts.count > 1 ? [EventColumn("time_ns")].compactMap(\.self) : []
    rows = try parts.map {
      try $0.reader.rows(
        matching: $0.filter, columns: columns + order, after: $0.after, limit: limit,
        isReversed: isReversed)
    }
  }

  /// Up to where each log has been looked at.
  public var positions: [Int64] { rows.map(\.position) }

  /// The next row, nothing at the end.
  ///
  /// - Throws: `LogError`.
  public func next() throws -> [SQLiteValue]? {
    guard remaining > 0 else { return nil }
    guard rows.count > 1 else {
      let row = try rows.first?.next()
      if row != nil { remaining -= 1 }
      return row
    }
    var best: (place: Int, time: Int64)?
    for place in rows.indices {
      if heads[place] == nil { heads[place] = try rows[place].next() }
      guard case .integer(let time)? = heads[place]?.last else { continue }
      if best.map({ isReversed ? time > $0.time : time < $0.time }) ?? true {
        best = (place, time)
      }
    }
    guard let place = best?.place, let row = heads[place] else { return nil }
    heads[place] = nil
    remaining -= 1
    return [.text(names[place])] + row.dropLast()
  }
}
