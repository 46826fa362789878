import LogFormat
import TaskLogPlugin

/// Iterates over the events of one run, a page at a time, each page in its own transaction.
public final class EventCursor {
  /// The sources of the run by row ID.
  package private(set) var sources: [Int64: SourceInfo]

  private let reader: LogReader
  private let connection: Connection
  private let decoder: EventDecoder
  private let pages: PageReader
  /// Reads ahead if many events are to come.
  private var ahead: PagePrefetcher?
  private var mayReadAhead: Bool
  /// The last known seq of the log.
  private var lastSeq: Int64
  private var position: Int64
  private var isAtEnd = false
  /// Whether more events may arrive.
  private var isFollowed: Bool

  private var causal: CausalOrder<EventRow>?
  private var schedulers: Set<Int64>
  /// Number of events of the run that were passed, including unwanted ones.
  @exclusivity(unchecked) public private(set) var count: Int64 = 0
  private var page = EventPage()
  // One thread reads, and nothing here calls back.
  @exclusivity(unchecked) private var ready: [EventRow] = []
  @exclusivity(unchecked) private var next = 0
  /// The point from which this cursor resumes.
  private let beginning: ResumePoint?
  private var largestKey: Int64
  private var waitingAtPageEnd: [Int64: Int64] = [:]

  init(
    reader: LogReader, connection: Connection, run: RunInfo, sources: [SourceInfo],
    order: EventOrder, wanted: Set<Int64>?, isFollowed: Bool, blobs: LogBlobs,
    resumingFrom beginning: ResumePoint? = nil, readsAhead: Bool = false, pageSize: Int = 4096
  ) throws {
    self.beginning = beginning
    largestKey = beginning?.largestKey ?? 0
    count = beginning?.count ?? 0
    self.reader = reader
    self.connection = connection
    decoder = EventDecoder(reader: reader, blobs: blobs)
    // A damaged index may return a row twice.
    self.sources = Dictionary(sources.map { ($0.number, $0) }) { first, _ in first }
    schedulers = Set(sources.filter { $0.source.kind == .scheduler }.map(\.number))
    position = beginning?.start ?? max(run.firstSeq ?? 1, .min + 1) - 1
    lastSeq = run.lastSeq ?? 0
    self.isFollowed = isFollowed
    mayReadAhead = readsAhead && !isFollowed
    // Events of one source arrive in order: if only one source is wanted, no reordering is needed,
    // and the other sources can be skipped unread.
    let skips = (wanted?.count ?? .max) <= 1 && !isFollowed
    // The horizon is before the end of the log while causes of emitted events may still arrive.
    pages = try PageReader(
      connection, path: reader.path,
      PageReader.Choice(
        known: Set(sources.map(\.number)), wanted: wanted, skips: skips,
        horizon: isFollowed ? position : lastSeq, pageSize: pageSize))
    if order == .causal, !skips { causal = try makeCausalOrder() }
  }

  deinit {
    ahead?.close()
  }

  /// Number of events with a reference to a row that is not in the file.
  public var damagedCount: Int { decoder.damagedCount + (beginning?.damagedCount ?? 0) }

  /// Number of events that were emitted before their cause; 0 unless the log contradicts itself or
  /// a cause arrived very late.
  public var outOfOrderCount: Int {
    (causal?.outOfOrderCount ?? 0) + (beginning?.outOfOrderCount ?? 0)
  }

  /// Whether causes block events; false if only the events of one source are wanted.
  package var isCausal: Bool { causal != nil }

  /// The seq of the last event that was read.
  package var lastPosition: Int64 { position }

  /// The point from which another cursor can resume; `nil` in the middle of a page.
  package var place: ResumePoint? {
    // Events that were still blocked at the end have been emitted there without their cause.
    guard next >= ready.count, !isAtEnd || waitingAtPageEnd.isEmpty else { return nil }
    return ResumePoint(
      position: position, known: lastSeq, largestKey: largestKey, isCausal: isCausal,
      waiting: waitingAtPageEnd, count: count, damagedCount: damagedCount,
      outOfOrderCount: outOfOrderCount)
  }

  private func makeCausalOrder() throws -> CausalOrder<EventRow> {
    let pendingLookup = try PendingCauseLookup(connection)
    let emittedLookup = try beginning.map { try EmittedCauseLookup(connection, $0, sources.values) }
    return CausalOrder(
      schedulers: schedulers,
      numberBefore: emittedLookup.map { emittedLookup in { try emittedLookup.number($0, of: $1) } }
    ) { [unowned self] cause, seq in
      try pendingLookup.finds(cause, behind: seq, upTo: lastSeq, sources.values)
    }
  }

  /// The next event; `nil` at the end.
  ///
  /// - Throws: `LogError`.
  public func nextEvent() throws -> RecordedEvent? {
    try reader.translating {
      while let row = try nextUntranslated() {
        if let event = try decoder.event(row) { return event }
      }
      return nil
    }
  }

  /// The next event as row IDs of the file, which is all that a scan of all events needs for most
  /// of them.
  ///
  /// - Throws: `LogError`.
  package func nextRow() throws -> EventRow? {
    try reader.translating { try nextUntranslated() }
  }

  private func nextUntranslated() throws -> EventRow? {
    while true {
      while next < ready.count {
        next += 1
        count += 1
        if !ready[next - 1].role.contains(.isUnwanted) { return ready[next - 1] }
      }
      if isAtEnd { return nil }
      try readPage()
    }
  }

  /// The decoded event of a row; only for the row that was emitted last.
  ///
  /// - Throws: `LogError`.
  package func event(of row: EventRow) throws -> RecordedEvent? {
    try reader.translating { try decoder.event(row) }
  }

  /// The args of the row that was emitted last, in JSON; `nil` if it has none.
  package func withArgs<Result>(
    of row: EventRow, _ body: (UnsafeBufferPointer<UInt8>) throws -> Result
  ) rethrows -> Result? {
    try decoder.withArgs(row, body)
  }

  /// The snapshot of the row that was emitted last, in JSON; `nil` if it has none.
  package func withSnapshot<Result>(
    of row: EventRow, _ body: (UnsafeBufferPointer<UInt8>) throws -> Result
  ) rethrows -> Result? {
    try decoder.withSnapshot(row, body)
  }

  private func readPage() throws {
    next = 0
    ready.removeAll(keepingCapacity: true)
    if let ahead {
      // It must be uniquely referenced, or it would be copied when it is filled again.
      var old = EventPage()
      swap(&old, &page)
      page = try ahead.next(for: consume old)
    } else {
      try pages.read(after: position, page.number &+ 1, into: &page)
      if mayReadAhead, !page.isLast {
        mayReadAhead = false
        ahead = .start(
          reader.path, pages.choice, after: page.position, number: page.number &+ 1)
      }
    }
    isAtEnd = page.isLast
    position = page.position
    count += page.skipped
    largestKey = max(largestKey, page.largestKey)
    decoder.take(&page, keepingOlder: causal?.isWaiting ?? false)
    if causal != nil {
      try decoder.findRoles(of: &page) { schedulers.contains($0) }
      if beginning != nil { markGiven() }
      try causal?.add(page.rows, to: &ready)
      waitingAtPageEnd = causal?.firstWaiting ?? [:]
      if isAtEnd, !isFollowed { try causal?.finish(&ready) }
    } else {
      swap(&page.rows, &ready)
    }
  }

  private func markGiven() {
    guard let beginning else { return }
    for place in page.rows.indices {
      let row = page.rows[place]
      if row.seq > beginning.position { return }
      if beginning.isBehind(row.seq, of: row.source) { page.rows[place].role.insert(.isGiven) }
    }
  }

  // MARK: - Following

  /// Lets a cursor at its end resume with the events that have arrived since.
  ///
  /// - Parameters:
  ///   - last: the seq of the last event in the log.
  ///   - horizon: the seq of the last event to emit; causes are also looked for after it.
  ///   - new: the sources that were not there before.
  ///   - isOver: whether no more events will arrive.
  package func advance(
    to last: Int64, emittingThrough horizon: Int64, sources new: [SourceInfo], isOver: Bool
  ) {
    lastSeq = max(lastSeq, last)
    pages.choice.horizon = horizon
    for info in new {
      sources[info.number] = info
      if info.source.kind == .scheduler { schedulers.insert(info.number) }
      pages.choice.known.insert(info.number)
    }
    causal?.schedulers = schedulers
    isFollowed = !isOver
    isAtEnd = false
  }

  /// Emits the events of these sources from now on.
  package func want(_ sources: Set<Int64>) {
    pages.choice.wanted = sources
  }
}

/// Iterates over the events of one source in order, a page at a time.
package final class SourceCursor {
  private static let pageSize: Int64 = 1024

  private let reader: LogReader
  private let decoder: EventDecoder
  private let select: Statement
  private let source: Int64
  private var position = Int64.min
  private var page = EventPage()
  private var next = 0
  private var isAtEnd = false

  init(reader: LogReader, connection: Connection, source: Int64, blobs: LogBlobs) throws {
    self.reader = reader
    self.source = source
    decoder = EventDecoder(reader: reader, blobs: blobs)
    select = try connection.prepare(
      """
      SELECT \(EventDecoder.columns) FROM event WHERE source = ? AND source_seq > ?
      ORDER BY source_seq LIMIT ?
      """)
  }

  /// Number of events with a reference to a row that is not in the file.
  package var damagedCount: Int { decoder.damagedCount }

  /// The next event; `nil` at the end.
  ///
  /// - Throws: `LogError`.
  package func nextEvent() throws -> RecordedEvent? {
    try reader.translating {
      while true {
        while next < page.rows.count {
          next += 1
          if let event = try decoder.event(page.rows[next - 1]) { return event }
        }
        if isAtEnd { return nil }
        try readPage()
      }
    }
  }

  private func readPage() throws {
    next = 0
    page.rows.removeAll(keepingCapacity: true)
    page.text.removeAll(keepingCapacity: true)
    page.number &+= 1
    defer { select.reset() }
    try select.bind(1, source)
    try select.bind(2, position)
    try select.bind(3, Self.pageSize)
    while try select.step() {
      let sourceSeq = select.integer(2)
      try reader.checkOrder(of: sourceSeq, after: position)
      position = sourceSeq
      page.append(select, seq: select.integer(0), source: source, isWanted: true)
    }
    isAtEnd = page.rows.count < Self.pageSize
    decoder.take(&page, keepingOlder: false)
  }
}
