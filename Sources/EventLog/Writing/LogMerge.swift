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
  private let isKeepingNumbers: Bool
  /// Up to which event each run of a file has been read, where numbers are kept.
  private var positions: [String: Int64] = [:]

  /// - Parameter isKeepingNumbers: for files of runs that go on from one to the next and are to be
  ///   asked as one log: events keep their numbers, and of a file that is added again only what is
  ///   new is read.
  /// - Throws: `LogError`.
  public init(into path: String, isKeepingNumbers: Bool = false) throws {
    writer = try LogWriter(path: path)
    self.isKeepingNumbers = isKeepingNumbers
  }

  /// Adds runs of a log.
  ///
  /// - Parameters:
  ///   - next: the ids of those that go on in a file that is added next; how they end is told by that.
  ///   - show: called with how many events have been read.
  /// - Throws: `LogError`.
  public func add(
    _ reader: LogReader, goingOn next: Set<String> = [], show: (Int64) -> Void = { _ in }
  ) throws -> Result {
    var result = Result()
    do {
      for run in try reader.runs() {
        result.runs += 1
        try add(run, reader, goesOn: next.contains(run.id), &result, show)
      }
    } catch let error as SQLiteError {
      throw error.isBusy
        ? LogError(error, path: writer.path)
        : LogError.cannotWrite(path: writer.path, reason: error.message)
    }
    return result
  }

  /// - Parameter isIndexing: see `LogWriter.close`.
  public func close(isIndexing: Bool = true) { writer.close(isIndexing: isIndexing) }

  private func add(
    _ run: RunInfo, _ reader: LogReader, goesOn: Bool, _ result: inout Result,
    _ show: (Int64) -> Void
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
    let place = reader.path + "#" + run.id
    let cursor = try reader.events(
      of: run, order: .arrival, goingOnFrom: positions[place].map(EventPlace.init(arrived:)))
    if isKeepingNumbers { positions[place] = run.lastSeq }
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
            if isKeepingNumbers { writer.goOn(at: recorded.seq) }
            try writer.append(recorded.event, source: source, sourceSeq: recorded.sourceSeq)
            result.added += 1
          }
        }
      }
      show(result.added + result.known)
    }
    try writer.transaction {
      for own in numbers.values { try mendGaps(of: own) }
      try noteFileBefore(number)
      if !goesOn { try end(run, number, reader, numbers) }
    }
  }

  /// Where files of one run come together, what was in the one before is not missing any more; nor is
  /// what was pruned from one copy of it and not from another.
  private func mendGaps(of source: Int64) throws {
    let select = try writer.connection.prepare(
      """
      SELECT id, source_seq, count, time, reason FROM gap
      WHERE source = ? AND (\(RunFiles.isEarlierSQL) OR \(GapReason.isPrunedSQL))
      ORDER BY \(GapReason.isPrunedSQL), source_seq + count DESC, length(reason) DESC, reason DESC
      """)
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
    if let known = try writer.run(id: run.id) { return known.number }
    return try writer.add(
      RunHeader(
        id: run.id, engine: run.engine, engineVersion: run.engineVersion,
        recorderVersion: run.recorderVersion, mode: run.mode, started: run.started,
        metadata: RunFiles.joined(run.metadata)))
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

  /// Notes which file the first events are in that have not come yet.
  private func noteFileBefore(_ number: Int64) throws {
    let reason = try writer.connection.prepare(
      """
      SELECT reason FROM gap WHERE \(RunFiles.isEarlierSQL)
        AND source IN (SELECT id FROM source WHERE run = ?) ORDER BY length(reason), reason LIMIT 1
      """)
    try reason.bind(1, number)
    let name = try reason.step() ? RunFiles.name(inReason: reason.text(0)) : nil
    try writer.note(RunFiles.continues, name, run: number)
  }

  /// How the run has ended, or in which file it goes on: of its files the last tells that, in whatever
  /// order they come. A run that goes on where it was read has died as far as this file knows.
  private func end(
    _ run: RunInfo, _ number: Int64, _ reader: LogReader, _ numbers: [Int64: Int64]
  ) throws {
    let known = try writer.connection.prepare(
      "SELECT ended, metadata ->> '$.\(RunFiles.continued)' FROM run WHERE id = ?")
    try known.bind(1, number)
    guard try known.step() else { return }
    let (isEnded, goesOn) = (!known.isNull(0), !known.isNull(1))
    known.reset()
    if let name = run.fileBehind {
      guard !isEnded || goesOn, try isLast(numbers, in: reader, number) else { return }
      try writer.note(RunFiles.continued, name, run: number)
    } else if goesOn {
      try writer.note(RunFiles.continued, nil, run: number)
    }
    if run.end != .running {
      try writer.end(run: number, run.end, at: run.ended ?? run.started)
    } else if goesOn {
      try writer.connection.execute("UPDATE run SET ended = NULL, end = NULL WHERE id = \(number)")
    }
  }

  /// Whether nothing of a run that is there comes behind what a file of it holds.
  private func isLast(
    _ numbers: [Int64: Int64], in reader: LogReader, _ run: Int64
  ) throws -> Bool {
    let count = try writer.connection.integer("SELECT count(*) FROM source WHERE run = \(run)")
    guard count == Int64(numbers.count) else { return false }
    return try numbers.allSatisfy { source, own in
      try RunFiles.lastNumber(of: source, reader.connection)
        >= RunFiles.lastNumber(of: own, writer.connection)
    }
  }
}
