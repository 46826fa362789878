import TaskLogPlugin

/// Goes through the events of one run, a page at a time, each page in a transaction of its own.
public final class EventCursor {
  private static let pageSize = 4096

  /// The sources of the run by their number in the file.
  public let sources: [Int64: SourceInfo]

  private let reader: LogReader
  private let connection: Connection
  private let decoder: EventDecoder
  private let select: Statement
  private let lastSeq: Int64
  private var position: Int64
  private var isAtEnd = false

  private var causal: CausalOrder<EventRow>?
  private let schedulers: Set<Int64>
  /// What was asked last; events of one source often lie together.
  private var lastSource: Int64 = .min
  private var lastIsKnown = false
  private var lastIsScheduler = false
  private var lastIsWanted = true
  /// The sources whose events are given out; nothing for all.
  private let wanted: Set<Int64>?
  private let passesOver: Bool
  /// How many events of the run have been passed, unwanted ones included.
  public private(set) var count: Int64 = 0
  private var page: [EventRow] = []
  @exclusivity(unchecked) private var ready: [EventRow] = []
  @exclusivity(unchecked) private var next = 0

  init(
    reader: LogReader, connection: Connection, run: RunInfo, sources: [SourceInfo],
    order: EventOrder, wanted: Set<Int64>?, blobs: LogBlobs
  ) throws {
    self.wanted = wanted
    self.reader = reader
    self.connection = connection
    decoder = EventDecoder(reader: reader, blobs: blobs)
    // A damaged index may give a row twice.
    self.sources = Dictionary(sources.map { ($0.number, $0) }) { first, _ in first }
    schedulers = Set(sources.filter { $0.source.kind == .scheduler }.map(\.number))
    position = max(run.firstSeq ?? 1, .min + 1) - 1
    lastSeq = run.lastSeq ?? 0
    select = try connection.prepare(
      "SELECT \(EventDecoder.columns) FROM event WHERE seq > ? ORDER BY seq")
    // Events of one source arrive in their order: where only one is wanted, there is nothing to put
    // right, and the others can be passed over unread.
    passesOver = (wanted?.count ?? .max) <= 1
    if order == .causal, !passesOver { causal = try makeCausalOrder(sources) }
  }

  /// Events that pointed at something that is not in the file.
  public var damagedCount: Int { decoder.damagedCount }

  /// How many events were given out before their cause; 0 unless the log contradicts itself or a
  /// cause came very late.
  public var forcedCount: Int { causal?.forcedCount ?? 0 }

  private func makeCausalOrder(_ sources: [SourceInfo]) throws -> CausalOrder<EventRow> {
    let workers = sources.filter { $0.source.kind == .worker }.map(\.number)
    func list(_ numbers: [Int64]) -> String { numbers.map(String.init).joined(separator: ", ") }
    // Exactly the events that `CausalOrder` takes for causes: what it waits for must come.
    let states = CausalCause.statesOfRun.map { "'\($0.name)'" }.joined(separator: ", ")
    let common = """
      SELECT 1 FROM event WHERE key = ? AND seq > ? AND seq <= ?
        AND hook = (SELECT id FROM text WHERE text = 'transition')
      """
    let done = try connection.prepare(
      """
      \(common) AND stimulus = ? AND finish IS NOT NULL AND source IN (\(list(workers)))
        AND start IN (SELECT id FROM text WHERE text IN (\(states))) LIMIT 1
      """)
    let processing = try connection.prepare(
      """
      \(common) AND task_run = ? AND source IN (\(list(schedulers.sorted())))
        AND finish = (SELECT id FROM text WHERE text = 'processing') LIMIT 1
      """)
    let lastSeq = lastSeq
    return CausalOrder(schedulers: schedulers) { cause, seq in
      let statement = cause.kind == .workerDone ? done : processing
      defer { statement.reset() }
      try statement.bind(1, cause.key)
      try statement.bind(2, seq)
      try statement.bind(3, lastSeq)
      try statement.bind(4, cause.number)
      return try statement.step()
    }
  }

  /// The next event, nothing at the end.
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

  /// The next event as the numbers that stand for it in the file; what a pass over all events needs
  /// of most of them.
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

  /// What an event says in full; only of the row that was given out last.
  ///
  /// - Throws: `LogError`.
  package func event(of row: EventRow) throws -> RecordedEvent? {
    try reader.translating { try decoder.event(row) }
  }

  /// The args of the row that was given out last, in JSON; nothing without.
  package func withArgs<Result>(
    of row: EventRow, _ body: (UnsafeBufferPointer<UInt8>) throws -> Result
  ) rethrows -> Result? {
    try decoder.withArgs(row, body)
  }

  /// The snapshot of the row that was given out last, in JSON; nothing without.
  package func withSnapshot<Result>(
    of row: EventRow, _ body: (UnsafeBufferPointer<UInt8>) throws -> Result
  ) rethrows -> Result? {
    try decoder.withSnapshot(row, body)
  }

  private func readPage() throws {
    next = 0
    decoder.beginPage(keepingOlder: causal?.isWaiting ?? false)
    ready.removeAll(keepingCapacity: true)
    page.removeAll(keepingCapacity: true)
    defer { select.reset() }
    try select.bind(1, position)
    isAtEnd = true
    var position = position
    var count = 0
    while try select.step() {
      let seq = select.integer(0)
      if seq > lastSeq { break }
      try reader.checkOrder(of: seq, after: position)
      position = seq
      let source = select.integer(1)
      if source != lastSource { look(at: source) }
      if lastIsKnown, passesOver, !lastIsWanted {
        self.count += 1
      } else if lastIsKnown {
        page.append(
          try decoder.row(select, seq: seq, isScheduler: lastIsScheduler, isWanted: lastIsWanted))
      }
      count += 1
      if count == Self.pageSize {
        isAtEnd = false
        break
      }
    }
    self.position = position
    if causal != nil {
      try causal?.add(page, to: &ready)
      if isAtEnd { try causal?.finish(&ready) }
    } else {
      swap(&page, &ready)
    }
  }

  private func look(at source: Int64) {
    lastSource = source
    lastIsKnown = sources[source] != nil
    lastIsScheduler = schedulers.contains(source)
    lastIsWanted = wanted?.contains(source) ?? true
  }
}

/// Goes through the events of one source in their order, a page at a time.
public final class SourceCursor {
  private static let pageSize: Int64 = 1024

  private let reader: LogReader
  private let decoder: EventDecoder
  private let select: Statement
  private let source: Int64
  private var position = Int64.min
  private var page: [RecordedEvent] = []
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

  /// Events that pointed at something that is not in the file.
  public var damagedCount: Int { decoder.damagedCount }

  /// The next event, nothing at the end.
  ///
  /// - Throws: `LogError`.
  public func nextEvent() throws -> RecordedEvent? {
    while next >= page.count {
      if isAtEnd { return nil }
      try reader.translating { try readPage() }
    }
    defer { next += 1 }
    return page[next]
  }

  private func readPage() throws {
    next = 0
    page.removeAll(keepingCapacity: true)
    decoder.beginPage(keepingOlder: false)
    defer { select.reset() }
    try select.bind(1, source)
    try select.bind(2, position)
    try select.bind(3, Self.pageSize)
    var count: Int64 = 0
    while try select.step() {
      count += 1
      let sourceSeq = select.integer(2)
      try reader.checkOrder(of: sourceSeq, after: position)
      position = sourceSeq
      if let recorded = try decoder.event(
        decoder.row(select, seq: select.integer(0), isScheduler: false))
      {
        page.append(recorded)
      }
    }
    isAtEnd = count < Self.pageSize
  }
}
