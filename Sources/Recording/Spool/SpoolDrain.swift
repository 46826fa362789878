import EventLog
import LogFormat
import TaskLogPlugin

/// Where the records of a spool go: a log, or messages.
protocol SpoolSink {
  /// Takes in a source by its number within the spool; gives the one that it has here.
  func add(_ source: Source, run: Int64, number: Int?) throws -> Int64
  func append(_ event: EncodedEvent, source: Int64, sourceSeq: Int64) throws
  func addGap(source: Int64, sourceSeq: Int64, count: Int64, time: Int64, reason: String) throws
}

extension LogWriter: SpoolSink {}

/// Puts the records of one spool into the log, live or after the death of its process.
///
/// Every source numbers its events. One whose number is not above the last is in the log already
/// (after a death, what was drained but not noted); one that leaves numbers out shows that events are
/// missing, and a gap is written for them.
struct SpoolDrain {
  private let run: Int64
  /// By their number within the spool.
  private var sources: [LogWriter.SourceProgress?] = []
  /// Who they are, for a log that must be begun anew.
  private var registered: [Int: Source] = [:]
  /// Records that were too long for one, being put together: their source, and where they begin.
  private var parts: [Int: (start: SpoolPosition, bytes: [UInt8])] = [:]
  /// Records whose content made no sense.
  private(set) var unreadableCount = 0

  init(run: Int64, sources: [Int: LogWriter.SourceProgress] = [:]) {
    self.run = run
    for (number, source) in sources { set(source, number) }
  }

  /// Goes on in a log that knows the run already, with what another drain has begun.
  init(run: Int64, sources: [Int: LogWriter.SourceProgress], of other: SpoolDrain) {
    self.init(run: run, sources: sources)
    registered = other.registered
    parts = other.parts
    unreadableCount = other.unreadableCount
  }

  /// Begins anew in a log that knows nothing of the run: all sources, and for each a gap for what
  /// was in the log before.
  func again(
    run: Int64, into writer: LogWriter, reason: String = "log deleted or moved"
  ) throws -> SpoolDrain {
    var fresh = SpoolDrain(run: run, sources: [:], of: self)
    for (number, old) in sources.enumerated() {
      guard let old else { continue }
      if let source = registered[number] {
        let id = try writer.add(source, run: run, number: number)
        fresh.set(.init(id: id, lastSourceSeq: 0), number)
      }
      try fresh.fill(
        number, through: old.lastSourceSeq, reason, Clock.now(), writer)
    }
    return fresh
  }

  /// Stands for the number of a source's last event where nobody knows it: what comes is taken in, and
  /// nothing before it counts as missing.
  static let unknownSeq: Int64 = -1

  /// How far each source has come, by its number within the spool.
  var lastSourceSeqs: [(source: Int, last: Int64)] {
    sources.enumerated().compactMap { number, source in
      source.flatMap { $0.lastSourceSeq > 0 ? (number, $0.lastSourceSeq) : nil }
    }
  }

  /// The sources that have been registered, by their number within the spool.
  var registeredSources: [Int: Source] { registered }

  /// No recorder has more sources than this; a higher number is damage.
  private static let maximumSources = 1 << 20

  private subscript(number: Int) -> LogWriter.SourceProgress? {
    number < sources.count ? sources[number] : nil
  }

  private mutating func set(_ source: LogWriter.SourceProgress, _ number: Int) {
    while sources.count <= number { sources.append(nil) }
    sources[number] = source
  }

  /// Whether no record is there in part.
  var isWhole: Bool { parts.isEmpty }

  /// Everything before this position is in the log as a whole.
  func position(readTo position: SpoolPosition) -> SpoolPosition {
    parts.values.map(\.start).min() ?? position
  }

  /// Takes in a record; inside a transaction.
  mutating func take(
    _ content: UnsafeRawBufferPointer, at position: SpoolPosition, into writer: some SpoolSink
  ) throws {
    do {
      try put(SpoolRecord(content), at: position, into: writer)
    } catch is MessagePackError {
      // The numbers of its source's events tell that it is missing.
      unreadableCount += 1
    }
  }

  private mutating func put(
    _ record: SpoolRecord, at position: SpoolPosition, into writer: some SpoolSink
  ) throws {
    guard record.number < Self.maximumSources else {
      unreadableCount += 1
      return
    }
    switch record {
    case .source(let number, let source):
      registered[number] = source
      guard self[number] == nil else { return }
      let id = try writer.add(source, run: run, number: number)
      set(.init(id: id, lastSourceSeq: 0), number)
    case .event(let number, let sourceSeq, let event):
      // A source does one thing after the other: parts that are not complete by now never will be.
      if !parts.isEmpty { parts[number] = nil }
      guard let source = try reach(number, sourceSeq, event.time, writer) else { return }
      try writer.append(event, source: source.id, sourceSeq: sourceSeq)
      sources[number]?.lastSourceSeq = sourceSeq
    case .gap(let number, let sourceSeq, let count, let time, let reason):
      parts[number] = nil
      guard count > 0, try reach(number, sourceSeq, time, writer) != nil else { return }
      try fill(number, through: sourceSeq + count - 1, reason, time, writer)
    case .part(let number, let index, let count, let bytes):
      try put(part: bytes, index, count, number, at: position, into: writer)
    }
  }

  private mutating func put(
    part bytes: [UInt8], _ index: Int, _ count: Int, _ number: Int, at position: SpoolPosition,
    into writer: some SpoolSink
  ) throws {
    if index == 0 { parts[number] = (position, []) }
    parts[number]?.bytes += bytes
    guard index == count - 1, let whole = parts.removeValue(forKey: number) else { return }
    try whole.bytes.withUnsafeBytes { try take($0, at: whole.start, into: writer) }
  }

  /// Comes to an event's number and gives its source, nothing when it is in the log already.
  private mutating func reach(
    _ number: Int, _ sourceSeq: Int64, _ time: Int64, _ writer: some SpoolSink
  ) throws -> LogWriter.SourceProgress? {
    if self[number] == nil { try addUnknown(number, writer) }
    guard let source = self[number], sourceSeq > source.lastSourceSeq else { return nil }
    if source.lastSourceSeq == Self.unknownSeq {
      sources[number]?.lastSourceSeq = sourceSeq - 1
    } else if sourceSeq > source.lastSourceSeq + 1 {
      try fill(number, through: sourceSeq - 1, "lost in the spool", time, writer)
    }
    return source
  }

  /// Writes down that the events of a source up to a number are missing, as far as they are.
  mutating func fill(
    _ number: Int, through last: Int64, _ reason: String, _ time: Int64, _ writer: some SpoolSink
  ) throws {
    if last > 0, self[number] == nil { try addUnknown(number, writer) }
    guard let source = self[number], last > source.lastSourceSeq,
      source.lastSourceSeq != Self.unknownSeq
    else { return }
    try writer.addGap(
      source: source.id, sourceSeq: source.lastSourceSeq + 1, count: last - source.lastSourceSeq,
      time: time, reason: reason)
    sources[number]?.lastSourceSeq = last
  }

  /// A source whose registration is lost.
  private mutating func addUnknown(_ number: Int, _ writer: some SpoolSink) throws {
    let source = Source(
      kind: number == 0 ? .scheduler : .worker, id: "unknown-\(number)", address: "unknown")
    let id = try writer.add(source, run: run, number: number)
    set(.init(id: id, lastSourceSeq: 0), number)
  }
}
