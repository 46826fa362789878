import EventLog
import LogFormat
import TaskLogPlugin

/// The destination of the records of a spool: a log, or messages.
protocol SpoolSink {
  /// Adds a source, given its index within the spool; returns its id at the destination.
  func add(_ source: Source, run: Int64, number: Int?) throws -> Int64
  func append(_ event: EncodedEvent, source: Int64, sourceSeq: Int64) throws
  func addGap(source: Int64, sourceSeq: Int64, count: Int64, time: Int64, reason: String) throws
}

extension LogWriter: SpoolSink {}

/// Writes the records of one spool to the log, live or after the death of its process.
///
/// Every source numbers its events. An event whose source_seq is not above the last one is in the
/// log already (after a death: drained, but the position was not stored); a skipped source_seq
/// means that events are missing, and a gap is written for them.
struct SpoolDrain {
  private let run: Int64
  /// By their index within the spool.
  private var sources: [LogWriter.SourceProgress?] = []
  /// The registered sources, for a log that must be created anew.
  private var registered: [Int: Source] = [:]
  /// Partially read records that are split over several: by source, with the position of the first
  /// part.
  private var parts: [Int: (start: SpoolPosition, bytes: [UInt8])] = [:]
  /// The number of records that cannot be decoded.
  private(set) var unreadableCount = 0

  init(run: Int64, sources: [Int: LogWriter.SourceProgress] = [:]) {
    self.run = run
    for (index, source) in sources { set(source, index) }
  }

  /// Resumes in a log that has the run already, with the state of another drain.
  init(run: Int64, sources: [Int: LogWriter.SourceProgress], of other: SpoolDrain) {
    self.init(run: run, sources: sources)
    registered = other.registered
    parts = other.parts
    unreadableCount = other.unreadableCount
  }

  /// Starts over in a log that lacks the run: adds all sources, and for each a gap for the events
  /// that the previous log had.
  func restarted(
    run: Int64, into writer: LogWriter, reason: String = "log deleted or moved"
  ) throws -> SpoolDrain {
    var fresh = SpoolDrain(run: run, sources: [:], of: self)
    for (index, old) in sources.enumerated() {
      guard let old else { continue }
      if let source = registered[index] {
        let id = try writer.add(source, run: run, number: index)
        fresh.set(.init(id: id, lastSourceSeq: 0), index)
      }
      try fresh.fill(
        index, through: old.lastSourceSeq, reason, Clock.now(), writer)
    }
    return fresh
  }

  /// Stands for an unknown last source_seq: events are accepted, and nothing before them counts as
  /// missing.
  static let unknownSeq: Int64 = -1

  /// The last source_seq of each source, by its index within the spool.
  var lastSourceSeqs: [(source: Int, last: Int64)] {
    sources.enumerated().compactMap { index, source in
      source.flatMap { $0.lastSourceSeq > 0 ? (index, $0.lastSourceSeq) : nil }
    }
  }

  /// The registered sources, by their index within the spool.
  var registeredSources: [Int: Source] { registered }

  /// No recorder has more sources than this; a higher index is damage.
  private static let maximumSources = 1 << 20

  private subscript(index: Int) -> LogWriter.SourceProgress? {
    index < sources.count ? sources[index] : nil
  }

  private mutating func set(_ source: LogWriter.SourceProgress, _ index: Int) {
    while sources.count <= index { sources.append(nil) }
    sources[index] = source
  }

  /// Whether no record is partially read.
  var isWhole: Bool { parts.isEmpty }

  /// The position before which all records are completely in the log.
  func position(readTo position: SpoolPosition) -> SpoolPosition {
    parts.values.map(\.start).min() ?? position
  }

  /// Applies a record; call it inside a transaction.
  mutating func take(
    _ content: UnsafeRawBufferPointer, at position: SpoolPosition, into writer: some SpoolSink
  ) throws {
    do {
      try put(SpoolRecord(content), at: position, into: writer)
    } catch is MessagePackError {
      // The source_seqs of its source show that it is missing.
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
    case .source(let index, let source):
      registered[index] = source
      guard self[index] == nil else { return }
      let id = try writer.add(source, run: run, number: index)
      set(.init(id: id, lastSourceSeq: 0), index)
    case .event(let index, let sourceSeq, let event):
      // A source does one thing at a time: parts that are incomplete by now will stay so.
      if !parts.isEmpty { parts[index] = nil }
      guard let source = try advance(index, sourceSeq, event.time, writer) else { return }
      try writer.append(event, source: source.id, sourceSeq: sourceSeq)
      sources[index]?.lastSourceSeq = sourceSeq
    case .gap(let index, let sourceSeq, let count, let time, let reason):
      parts[index] = nil
      guard count > 0, try advance(index, sourceSeq, time, writer) != nil else { return }
      try fill(index, through: sourceSeq + count - 1, reason, time, writer)
    case .part(let index, let partIndex, let count, let bytes):
      try put(part: bytes, partIndex, count, index, at: position, into: writer)
    }
  }

  private mutating func put(
    part bytes: [UInt8], _ partIndex: Int, _ count: Int, _ index: Int, at position: SpoolPosition,
    into writer: some SpoolSink
  ) throws {
    if partIndex == 0 { parts[index] = (position, []) }
    parts[index]?.bytes += bytes
    guard partIndex == count - 1, let record = parts.removeValue(forKey: index) else { return }
    try record.bytes.withUnsafeBytes { try take($0, at: record.start, into: writer) }
  }

  /// Advances to an event's source_seq and returns its source; `nil` if the event is in the log
  /// already.
  private mutating func advance(
    _ index: Int, _ sourceSeq: Int64, _ time: Int64, _ writer: some SpoolSink
  ) throws -> LogWriter.SourceProgress? {
    if self[index] == nil { try addUnknown(index, writer) }
    guard let source = self[index], sourceSeq > source.lastSourceSeq else { return nil }
    if source.lastSourceSeq == Self.unknownSeq {
      sources[index]?.lastSourceSeq = sourceSeq - 1
    } else if sourceSeq > source.lastSourceSeq + 1 {
      try fill(index, through: sourceSeq - 1, GapReason.lostInSpool, time, writer)
    }
    return source
  }

  /// Records a gap for the missing events of a source up to a source_seq, if there are any.
  mutating func fill(
    _ index: Int, through last: Int64, _ reason: String, _ time: Int64, _ writer: some SpoolSink
  ) throws {
    if last > 0, self[index] == nil { try addUnknown(index, writer) }
    guard let source = self[index], last > source.lastSourceSeq,
      source.lastSourceSeq != Self.unknownSeq
    else { return }
    try writer.addGap(
      source: source.id, sourceSeq: source.lastSourceSeq + 1, count: last - source.lastSourceSeq,
      time: time, reason: reason)
    sources[index]?.lastSourceSeq = last
  }

  /// Adds a source whose registration is lost.
  private mutating func addUnknown(_ index: Int, _ writer: some SpoolSink) throws {
    let source = Source(
      kind: index == 0 ? .scheduler : .worker, id: "unknown-\(index)", address: "unknown")
    let id = try writer.add(source, run: run, number: index)
    set(.init(id: id, lastSourceSeq: 0), index)
  }
}
