import BrokerMessages
import EventLog
import LogFormat
import TaskLogPlugin

/// Copies the runs of several logs into one log.
///
/// An event is identified by its run, its source and its number within the source: an event that is
/// already there is skipped, so that a merge can be repeated, and parts of a run that were recorded
/// separately are combined. Events keep the order of arrival of their original log.
package final class LogMerge {
  package struct Result: Sendable {
    package var runs = 0
    package var added: Int64 = 0
    /// Events that were already in the log.
    package var known: Int64 = 0
  }

  private static let eventsPerBatch = 4096
  private static let runsPerBatch = 256
  let writer: LogWriter
  private let preservesSeq: Bool
  /// The last event that was read of each run of a file, if event numbers are preserved.
  private var positions: [String: Int64] = [:]
  /// The largest event number of each source.
  private var lasts: [Int64: Int64] = [:]
  private var unordered: Set<Int64> = []
  private var isInTransaction = false

  /// - Parameter preservesSeq: for segments of rotated runs that are queried as one log: events
  ///   keep their numbers, and of a segment that is added again only new events are read.
  /// - Throws: `LogError`.
  package init(into path: String, preservesSeq: Bool = false) throws {
    writer = try LogWriter(path: path)
    self.preservesSeq = preservesSeq
  }

  /// Adds all runs of several logs at once. A run whose parts are in several logs, or whose events
  /// did not arrive in order, is sorted meanwhile: by time, and by number within each source.
  ///
  /// - Parameter show: called with the number of events read so far.
  /// - Throws: `LogError`.
  package func add(_ readers: [LogReader], show: (Int64) -> Void = { _ in }) throws -> Result {
    var parts: [String: [(run: RunInfo, reader: LogReader)]] = [:]
    for reader in readers {
      for run in try reader.runs() { parts[run.id, default: []].append((run, reader)) }
    }
    var result = Result()
    do {
      let order = parts.values.sorted {
        ($0[0].run.started, $0[0].run.id) < ($1[0].run.started, $1[0].run.id)
      }
      let events = { (parts: [(run: RunInfo, reader: LogReader)]) in
        parts.reduce(0) { $0 + $1.run.seqCount }
      }
      try together(order, seqCount: events) { parts in
        result.runs += 1
        if parts.count == 1, !parts[0].run.isUnordered {
          try add(parts[0].run, parts[0].reader, goesOn: false, &result, show)
        } else {
          try add(parts, &result, show)
        }
      }
    } catch let error as SQLiteError {
      throw translated(error)
    }
    return result
  }

  /// Records as gaps the events that none of the merged logs contains, of runs that were in several
  /// of them; for a log to which nothing more is added.
  ///
  /// - Throws: `LogError`.
  package func recordMissingAsGaps(_ run: String) throws {
    do {
      try writer.transaction {
        guard let number = try writer.run(id: run)?.number else { return }
        for (source, hole) in try writer.holes(ofPartialRun: number) {
          try writer.addGap(
            source: source, sourceSeq: hole.lowerBound, count: Int64(hole.count),
            time: Clock.now(), reason: PartialRun.gapReason)
        }
      }
    } catch let error as SQLiteError {
      throw translated(error)
    }
  }

  private func translated(_ error: SQLiteError) -> LogError {
    error.isBusy
      ? LogError(error, path: writer.path)
      : LogError.cannotWrite(path: writer.path, reason: error.message)
  }

  /// Adds runs of a log.
  ///
  /// - Parameters:
  ///   - next: the ids of those that continue in a file that is added next, which determines their
  ///     end.
  ///   - show: called with the number of events read so far.
  /// - Throws: `LogError`.
  package func add(
    _ reader: LogReader, goingOn next: Set<String> = [], show: (Int64) -> Void = { _ in }
  ) throws -> Result {
    var result = Result()
    do {
      try together(try reader.runs(), seqCount: \.seqCount) { run in
        result.runs += 1
        try add(run, reader, goesOn: next.contains(run.id), &result, show)
      }
    } catch let error as SQLiteError {
      throw translated(error)
    }
    return result
  }

  /// Adds runs, short ones many in a transaction: a log may have 100,000 of an event each.
  private func together<Run>(
    _ runs: [Run], seqCount: (Run) -> Int64, _ add: (Run) throws -> Void
  ) throws {
    var rest = runs[...]
    while let next = rest.first {
      let isShort = seqCount(next) <= Int64(Self.eventsPerBatch)
      guard isShort, !preservesSeq else {
        try add(next)
        rest.removeFirst()
        continue
      }
      try writer.transaction {
        isInTransaction = true
        defer { isInTransaction = false }
        var events: Int64 = 0
        for run in rest.prefix(Self.runsPerBatch) {
          events += seqCount(run)
          if events > Int64(Self.eventsPerBatch) { break }
          try add(run)
          rest.removeFirst()
        }
      }
    }
  }

  /// Runs a body in a transaction, or in the one in which short runs are added.
  private func transaction<Result>(_ body: () throws -> Result) throws -> Result {
    guard isInTransaction else { return try writer.transaction(body) }
    let result = try body()
    try writer.flush()
    return result
  }

  /// - Parameter isIndexing: see `LogWriter.close`.
  package func close(isIndexing: Bool = true) { writer.close(isIndexing: isIndexing) }

  private func add(
    _ run: RunInfo, _ reader: LogReader, goesOn: Bool, _ result: inout Result,
    _ show: (Int64) -> Void
  ) throws {
    let sources = try reader.sources(of: run)
    let (number, numbers) = try transaction {
      let number = try self.number(of: run)
      var numbers: [Int64: Int64] = [:]
      for source in sources { numbers[source.number] = try self.number(of: source, run: number) }
      for source in sources {
        if let own = numbers[source.number] { try addGaps(of: source, own, reader) }
      }
      return (number, numbers)
    }
    let positionKey = reader.path + "#" + run.id
    let cursor = try reader.events(
      of: run, order: .arrival, resumingFrom: positions[positionKey].map(ResumePoint.init(arrived:))
    )
    try append(to: number, &result, show) {
      while let recorded = try cursor.nextEvent() {
        if let source = numbers[recorded.source] { return (recorded, source, 1) }
      }
      return nil
    }
    // Not earlier: after an error the run is read again.
    if preservesSeq { positions[positionKey] = run.lastSeq }
    try finish(
      [Part(run: run, reader: reader, numbers: numbers)], number, Array(numbers.values),
      goesOn: goesOn)
  }

  /// Adds a run of which several logs have parts.
  private func add(
    _ parts: [(run: RunInfo, reader: LogReader)], _ result: inout Result, _ show: (Int64) -> Void
  ) throws {
    var sources: [Int64: SourceMergeIterator] = [:]
    var number: Int64 = 0
    var added: [Part] = []
    try transaction {
      for (run, reader) in parts {
        number = try self.number(of: run)
        var part = Part(run: run, reader: reader, numbers: [:])
        defer { added.append(part) }
        for source in try reader.sources(of: run) {
          let own = try self.number(of: source, run: number)
          part.numbers[source.number] = own
          try addGaps(of: source, own, reader)
          let spread = sources[own] ?? SourceMergeIterator(target: own)
          sources[own] = spread
          try spread.add(source.number, reader)
        }
      }
    }
    var events = try RunMergeIterator(sources.sorted { $0.key < $1.key }.map(\.value))
    try append(to: number, &result, show) { try events.next() }
    try finish(added, number, Array(sources.keys), goesOn: false)
  }

  /// Appends the events that are not in the log yet, each batch in a transaction.
  ///
  /// - Parameter next: the next event, the row ID of its source in the target, and the number of its
  ///   copies in the merged logs.
  private func append(
    to run: Int64, _ result: inout Result, _ show: (Int64) -> Void,
    _ next: () throws -> (event: RecordedEvent, source: Int64, copies: Int64)?
  ) throws {
    let existing = try EventLookup(writer.connection)
    var isAtEnd = false
    while !isAtEnd {
      try transaction {
        for _ in 0..<Self.eventsPerBatch {
          guard let (recorded, source, copies) = try next() else {
            isAtEnd = true
            break
          }
          if try existing.contains(recorded.sourceSeq, of: source) {
            result.known += copies
          } else {
            try append(recorded, source, run: run)
            result.added += 1
            result.known += copies - 1
          }
        }
      }
      show(result.added + result.known)
    }
  }

  private func append(_ recorded: RecordedEvent, _ source: Int64, run: Int64) throws {
    let last =
      try lasts[source] ?? writer.connection.integer(
        "SELECT max(source_seq) FROM event WHERE source = \(source)") ?? 0
    if recorded.sourceSeq < last, unordered.insert(run).inserted {
      try writer.markUnordered(run: run)
    }
    lasts[source] = max(last, recorded.sourceSeq)
    if preservesSeq { writer.reserveSeq(from: recorded.seq) }
    try writer.append(
      copyOf: recorded.event, source: source, sourceSeq: recorded.sourceSeq)
  }

  /// The part of a run in a log, with the row IDs of its sources in the target.
  private struct Part {
    var run: RunInfo
    var reader: LogReader
    var numbers: [Int64: Int64]
  }

  /// Records what is only known once all events are there.
  private func finish(
    _ parts: [Part], _ number: Int64, _ sources: [Int64], goesOn: Bool
  ) throws {
    try transaction {
      for own in sources { try mendGaps(of: own) }
      for part in parts { try markComplete(part) }
      _ = try writer.completeIfAllThere(run: number)
      try recordPreviousFile(number)
      if !goesOn { for part in parts { try end(part, number) } }
    }
  }

  /// Marks sources as complete that the log knows to be complete, without an event that says so.
  private func markComplete(_ part: Part) throws {
    for (source, last) in try part.reader.completeSources(of: part.run) {
      guard let own = part.numbers[source] else { continue }
      try writer.markComplete(source: own, through: last)
    }
  }

  private func number(of run: RunInfo) throws -> Int64 {
    if let known = try writer.run(id: run.id) {
      try writer.join(run, partial: known.number)
      return known.number
    }
    return try writer.add(
      RunHeader(
        id: run.id, engine: run.engine, engineVersion: run.engineVersion,
        recorderVersion: run.recorderVersion, mode: run.mode, started: run.started,
        metadata: PartialRun.ordered(RunFiles.joined(run.metadata))))
  }

  private func number(of source: SourceInfo, run: Int64) throws -> Int64 {
    let find = try writer.connection.prepare(
      "SELECT id FROM source WHERE run = ? AND server_id = ?")
    try find.bind(1, run)
    try find.bind(2, source.source.id)
    if try find.step() { return find.integer(0) }
    return try writer.add(source.source, run: run)
  }

  /// Records which file contains the first events that have not been added yet.
  private func recordPreviousFile(_ number: Int64) throws {
    let reason = try writer.connection.prepare(
      """
      SELECT reason FROM gap WHERE \(RunFiles.isEarlierSQL)
        AND source IN (SELECT id FROM source WHERE run = ?) ORDER BY length(reason), reason LIMIT 1
      """)
    try reason.bind(1, number)
    let name = try reason.step() ? RunFiles.name(inReason: reason.text(0)) : nil
    try writer.note(RunMetadataKey.previousSegment, name, run: number)
  }

  /// Records how the run ended, or in which segment it continues: its last segment determines that,
  /// in whatever order the segments are added. A run that is still live in its source has died as
  /// far as this file knows.
  private func end(_ part: Part, _ number: Int64) throws {
    let run = part.run
    let known = try writer.connection.prepare(
      "SELECT ended, metadata ->> '$.\(RunMetadataKey.nextSegment)', end = 'closed' FROM run WHERE id = ?"
    )
    try known.bind(1, number)
    guard try known.step() else { return }
    let (isEnded, goesOn, isClosed) = (!known.isNull(0), !known.isNull(1), known.integer(2) == 1)
    known.reset()
    if let name = run.nextFile {
      guard !isEnded || goesOn, try isLast(part, number) else { return }
      try writer.note(RunMetadataKey.nextSegment, name, run: number)
    } else if goesOn {
      try writer.note(RunMetadataKey.nextSegment, nil, run: number)
    }
    guard run.end != .running else {
      if goesOn {
        try writer.connection.execute(
          "UPDATE run SET ended = NULL, end = NULL WHERE id = \(number)")
      }
      return
    }
    // How a run of which others have the rest ended is known to them; for the same run in several
    // logs, to those that recorded its end.
    guard run.end == .closed || run.end == .died && !run.isPartial else { return }
    let isPartOfFiles = run.previousFile != nil || run.nextFile != nil
    guard run.end == .closed || !isClosed || isPartOfFiles else { return }
    try writer.end(run: number, run.end, at: run.ended ?? run.started)
  }

  /// Whether no event of the run in the target comes after those of a segment of it.
  private func isLast(_ part: Part, _ run: Int64) throws -> Bool {
    let count = try writer.connection.integer("SELECT count(*) FROM source WHERE run = \(run)")
    guard count == Int64(part.numbers.count) else { return false }
    return try part.numbers.allSatisfy { source, own in
      try LastSourceSeq.value(of: source, in: part.reader.connection)
        >= LastSourceSeq.value(of: own, in: writer.connection)
    }
  }
}
