import EventLog
import LogFormat
import TaskLogPlugin

/// One source of a run whose parts are in several logs: its events in the order in which they
/// happened, each of them once, whatever their order of arrival.
package final class SourceMergeIterator {
  private static let eventsPerBatch: Int64 = 64

  private final class Part {
    let reader: LogReader
    let number: Int64
    let select: Statement
    let decoder: EventDecoder
    /// The next events, in reverse order.
    var events: [RecordedEvent] = []
    var last: Int64 = 0
    var isAtEnd = false

    init(_ reader: LogReader, _ number: Int64, _ select: Statement, _ decoder: EventDecoder) {
      self.reader = reader
      self.number = number
      self.select = select
      self.decoder = decoder
    }

    func head() throws -> RecordedEvent? {
      while events.isEmpty, !isAtEnd { try fill() }
      return events.last
    }

    /// Each batch is read in its own transaction, so that a live log can be checkpointed.
    private func fill() throws {
      defer { select.reset() }
      try select.bind(1, number)
      try select.bind(2, last)
      var page = EventPage()
      while try select.step() {
        page.append(select, seq: select.integer(0), source: number, isWanted: true)
        last = select.integer(2)
      }
      isAtEnd = page.rows.count < SourceMergeIterator.eventsPerBatch
      decoder.take(&page, keepingOlder: false)
      events = try page.rows.reversed().compactMap { try decoder.event($0) }
    }
  }

  private var parts: [Part] = []
  /// The row ID of the source in the target log.
  let target: Int64

  package init(target: Int64) { self.target = target }

  package func add(_ number: Int64, _ reader: LogReader) throws {
    let select = try reader.connection.prepare(
      """
      SELECT \(EventDecoder.columns) FROM event WHERE source = ? AND source_seq > ?
      ORDER BY source_seq LIMIT \(Self.eventsPerBatch)
      """)
    parts.append(
      Part(reader, number, select, EventDecoder(reader: reader, blobs: reader.blobs)))
  }

  /// The next event; it stays the next one until `pass`.
  func head() throws -> RecordedEvent? {
    var first: RecordedEvent?
    for part in parts {
      guard let head = try part.head() else { continue }
      if head.sourceSeq < first?.sourceSeq ?? .max { first = head }
    }
    return first
  }

  /// Advances past an event, in all logs that contain it.
  ///
  /// - Returns: the number of those logs.
  func pass(_ event: RecordedEvent) throws -> Int64 {
    var count: Int64 = 0
    for part in parts where try part.head()?.sourceSeq == event.sourceSeq {
      part.events.removeLast()
      count += 1
    }
    return count
  }
}

/// The events of a run whose parts are in several logs, by time; the events of each source stay in
/// the order in which they happened.
package struct RunMergeIterator {
  private let sources: [SourceMergeIterator]
  /// The times of the next events, the earliest last, each with the index of its source.
  private var ready: [(time: Int64, index: Int)] = []

  package init(_ sources: [SourceMergeIterator]) throws {
    self.sources = sources
    for index in sources.indices { try insert(index) }
  }

  private mutating func insert(_ index: Int) throws {
    guard let time = try sources[index].head()?.event.time else { return }
    var (low, high) = (0, ready.count)
    while low < high {
      let middle = (low + high) / 2
      if ready[middle].time > time { low = middle + 1 } else { high = middle }
    }
    ready.insert((time, index), at: low)
  }

  /// The next event, its source in the target log, and the number of logs that contain it.
  package mutating func next() throws -> (event: RecordedEvent, source: Int64, copies: Int64)? {
    guard let index = ready.popLast()?.index, let event = try sources[index].head() else {
      return nil
    }
    let copies = try sources[index].pass(event)
    try insert(index)
    return (event, sources[index].target, copies)
  }
}
