import TaskLogPlugin

/// Puts the runs of logs into one log.
///
/// An event is told by its run, its source and its number within the source: what is there already
/// is passed over, so that a merge can be repeated, and halves of a run that were recorded apart come
/// together. Events keep the order of arrival of the log that they come from.
public final class LogMerge {
  public struct Result: Sendable {
    public var runs = 0
    public var added: Int64 = 0
    /// Events that were there already.
    public var known: Int64 = 0
  }

  private static let eventsAtOnce = 4096
  private let writer: LogWriter
  /// The largest numbers of the events of sources.
  private var lasts: [Int64: Int64] = [:]
  private var unordered: Set<Int64> = []

  /// - Throws: `LogError`.
  public init(into path: String) throws {
    writer = try LogWriter(path: path)
  }

  /// Adds all runs of several logs at once. One of which several logs hold parts, or whose events did
  /// not arrive in their order, is put in order meanwhile: by time, and by number within each source.
  ///
  /// - Parameter show: called with how many events have been read.
  /// - Throws: `LogError`.
  public func add(_ readers: [LogReader], show: (Int64) -> Void = { _ in }) throws -> Result {
    var parts: [String: [(run: RunInfo, reader: LogReader)]] = [:]
    for reader in readers {
      for run in try reader.runs() { parts[run.id, default: []].append((run, reader)) }
    }
    var result = Result()
    do {
      let order = parts.values.sorted {
        ($0[0].run.started, $0[0].run.id) < ($1[0].run.started, $1[0].run.id)
      }
      for parts in order {
        result.runs += 1
        if parts.count == 1, !parts[0].run.isUnordered {
          try add(parts[0].run, parts[0].reader, &result, show)
        } else {
          try add(parts, &result, show)
        }
      }
    } catch let error as SQLiteError {
      throw translated(error)
    }
    return result
  }

  /// Writes down as gaps what none of the logs that were put in has of runs that were spread over them;
  /// for a log to which no more is added.
  ///
  /// - Throws: `LogError`.
  public func judge(_ run: String) throws {
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

  /// Adds all runs of a log.
  ///
  /// - Parameter show: called with how many events have been read.
  /// - Throws: `LogError`.
  public func add(_ reader: LogReader, show: (Int64) -> Void = { _ in }) throws -> Result {
    var result = Result()
    do {
      for run in try reader.runs() {
        result.runs += 1
        try add(run, reader, &result, show)
      }
    } catch let error as SQLiteError {
      throw translated(error)
    }
    return result
  }

  public func close() { writer.close() }

  private func add(
    _ run: RunInfo, _ reader: LogReader, _ result: inout Result, _ show: (Int64) -> Void
  ) throws {
    let sources = try reader.sources(of: run)
    let (number, numbers) = try writer.transaction {
      let number = try self.number(of: run)
      var numbers: [Int64: Int64] = [:]
      for source in sources { numbers[source.number] = try self.number(of: source, run: number) }
      for source in sources {
        if let own = numbers[source.number] { try addGaps(of: source, own, reader) }
      }
      return (number, numbers)
    }
    let isThere = try writer.connection.prepare(
      "SELECT 1 FROM event WHERE source = ? AND source_seq = ?")
    let cursor = try reader.events(of: run, order: .arrival)
    var isAtEnd = false
    while !isAtEnd {
      try writer.transaction {
        for _ in 0..<Self.eventsAtOnce {
          guard let recorded = try cursor.nextEvent() else {
            isAtEnd = true
            break
          }
          guard let source = numbers[recorded.source] else { continue }
          defer { isThere.reset() }
          try isThere.bind(1, source)
          try isThere.bind(2, recorded.sourceSeq)
          if try isThere.step() {
            result.known += 1
          } else {
            try append(recorded, source, run: number)
            result.added += 1
          }
        }
      }
      show(result.added + result.known)
    }
    try finish([run], number, Array(numbers.values))
  }

  /// Adds a run of which several logs hold parts.
  private func add(
    _ parts: [(run: RunInfo, reader: LogReader)], _ result: inout Result, _ show: (Int64) -> Void
  ) throws {
    var sources: [Int64: SpreadSource] = [:]
    var number: Int64 = 0
    try writer.transaction {
      for (run, reader) in parts {
        number = try self.number(of: run)
        for source in try reader.sources(of: run) {
          let own = try self.number(of: source, run: number)
          try addGaps(of: source, own, reader)
          let spread = sources[own] ?? SpreadSource(target: own)
          sources[own] = spread
          try spread.add(source.number, reader)
        }
      }
    }
    var events = try SpreadRun(sources.sorted { $0.key < $1.key }.map(\.value))
    let isThere = try writer.connection.prepare(
      "SELECT 1 FROM event WHERE source = ? AND source_seq = ?")
    var isAtEnd = false
    while !isAtEnd {
      try writer.transaction {
        for _ in 0..<Self.eventsAtOnce {
          guard let (recorded, source, copies) = try events.next() else {
            isAtEnd = true
            break
          }
          defer { isThere.reset() }
          try isThere.bind(1, source)
          try isThere.bind(2, recorded.sourceSeq)
          if try isThere.step() {
            result.known += copies
          } else {
            try append(recorded, source, run: number)
            result.added += 1
            result.known += copies - 1
          }
        }
      }
      show(result.added + result.known)
    }
    try finish(parts.map(\.run), number, Array(sources.keys))
  }

  private func append(_ recorded: RecordedEvent, _ source: Int64, run: Int64) throws {
    let last =
      try lasts[source] ?? writer.connection.integer(
        "SELECT max(source_seq) FROM event WHERE source = \(source)") ?? 0
    if recorded.sourceSeq < last, unordered.insert(run).inserted {
      try writer.markUnordered(run: run)
    }
    lasts[source] = max(last, recorded.sourceSeq)
    try writer.append(recorded.event, source: source, sourceSeq: recorded.sourceSeq)
  }

  /// What can be said once all events are there.
  private func finish(_ runs: [RunInfo], _ number: Int64, _ sources: [Int64]) throws {
    try writer.transaction {
      for own in sources { try mendGaps(of: own) }
      _ = try writer.completeIfAllThere(run: number)
    }
    for run in runs { try end(run, number) }
  }

  /// Where files of one run come together, what was in the one before is not missing any more.
  private func mendGaps(of source: Int64) throws {
    let select = try writer.connection.prepare(
      "SELECT id, source_seq, count, time, reason FROM gap WHERE source = ? AND \(RunFiles.isEarlierSQL)"
    )
    let others = try writer.connection.prepare(
      """
      SELECT source_seq, 1 FROM event WHERE source = ?1 AND source_seq BETWEEN ?2 AND ?3
      UNION ALL SELECT source_seq, count FROM gap
      WHERE source = ?1 AND source_seq <= ?3 AND source_seq + count > ?2 AND id != ?4
      ORDER BY 1
      """)
    let delete = try writer.connection.prepare("DELETE FROM gap WHERE id = ?")
    var gaps: [(id: Int64, first: Int64, count: Int64, time: Int64, reason: String)] = []
    try select.bind(1, source)
    while try select.step() {
      gaps.append(
        (
          select.integer(0), select.integer(1), select.integer(2), select.integer(3),
          select.text(4)
        ))
    }
    for gap in gaps {
      let end = gap.first + gap.count
      for (place, number) in [source, gap.first, end - 1, gap.id].enumerated() {
        try others.bind(Int32(place + 1), number)
      }
      var holes: [(first: Int64, count: Int64)] = []
      var next = gap.first
      while try others.step() {
        let first = others.integer(0)
        if first > next { holes.append((next, first - next)) }
        next = max(next, first + others.integer(1))
      }
      others.reset()
      if next < end { holes.append((next, end - next)) }
      guard holes.count != 1 || holes[0] != (gap.first, gap.count) else { continue }
      try delete.bind(1, gap.id)
      try delete.run()
      for hole in holes {
        try writer.addGap(
          source: source, sourceSeq: hole.first, count: hole.count, time: gap.time,
          reason: gap.reason)
      }
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

  private func addGaps(of source: SourceInfo, _ own: Int64, _ reader: LogReader) throws {
    let select = try reader.connection.prepare(
      "SELECT source_seq, count, time, reason FROM gap WHERE source = ? ORDER BY id")
    let find = try writer.connection.prepare(
      "SELECT 1 FROM gap WHERE source = ? AND source_seq = ? AND count = ? AND reason = ?")
    try select.bind(1, source.number)
    while try select.step() {
      defer { find.reset() }
      try find.bind(1, own)
      try find.bind(2, select.integer(0))
      try find.bind(3, select.integer(1))
      try find.bind(4, select.text(3))
      guard try !find.step() else { continue }
      try writer.addGap(
        source: own, sourceSeq: select.integer(0), count: select.integer(1),
        time: select.integer(2), reason: select.text(3))
    }
  }

  /// A run that goes on where it was read has died as far as this file knows.
  private func end(_ run: RunInfo, _ number: Int64) throws {
    // How a run has ended of which others hold the rest, they may know.
    guard run.end == .closed || run.end == .died && !run.isPartial else { return }
    let known = try writer.connection.integer("SELECT ended FROM run WHERE id = \(number)")
    let isClosed = try writer.connection.integer(
      "SELECT end = 'closed' FROM run WHERE id = \(number)")
    // Of the files of one run the last tells how it ended, in whatever order they come; of the same run
    // in several logs who has heard that it is over.
    let isPartOfFiles = run.fileBefore != nil || run.fileBehind != nil
    guard run.fileBehind == nil || known == nil else { return }
    guard run.end == .closed || isClosed != 1 || isPartOfFiles else { return }
    try writer.transaction {
      try writer.end(run: number, run.end, at: run.ended ?? run.started)
    }
  }
}
