import EventLog
import LogFormat
import TaskLogPlugin

/// Records messages delivered by a queue into a log.
///
/// Complete events are stored under their run and source, exactly once: an event that is already
/// there is skipped, in whatever order and however often messages arrive. Other recorders may
/// consume the same queue, so such a run is marked as partial until all of it is there. Transitions
/// as in Dask's documentation have no identity; they become events of this recorder's own run, with
/// `redelivered` among their args if the queue had delivered them before. What cannot be decoded is
/// stored there, too, as an event `malformed` with its bytes.
///
/// Once `take` has returned, everything is on disk.
package final class QueueRecorder {
  /// The hook of messages that could not be decoded.
  package static let malformedHook = Hook("malformed")

  package let path: String
  package private(set) var counts = DeliveryCounts()
  private let writer: LogWriter
  private let recorderVersion: String
  /// The origin of the messages, without a password.
  private let origin: String
  private let existing: EventLookup
  private let gapIsThere: Statement
  private let dataVersion: Statement

  /// The state of a run that messages refer to.
  private struct Run {
    var number: Int64
    var isPartial: Bool
    var isUnordered = false
    /// Whether the last seq of each of its sources is known.
    var hasEnd: Bool
    var sources: [String: KnownSource] = [:]
  }

  private struct KnownSource {
    var number: Int64
    /// The events that this recorder has stored.
    var seqs = IntegerRanges()
    /// Whether the log may contain more of its events.
    var isOlder: Bool
    /// The largest seq so far.
    var last: Int64 = 0
  }

  private var runs: [String: Run] = [:]
  /// Held as long as more events are expected, so that these runs do not count as dead.
  private var locks: [String: RecorderLock] = [:]
  /// Runs that are over and may be complete.
  private var ended: Set<String> = []
  /// The source of events without an identity, and the number of its events.
  private var own: (run: String, source: Int64, count: Int64)?
  /// SQLite's counter of commits by other connections:
  /// https://sqlite.org/pragma.html#pragma_data_version
  private var seenVersion: Int64?
  private var isShared = false

  /// - Throws: `LogError`.
  package init(path: String, origin: String, recorderVersion: String) throws {
    self.path = path
    self.origin = origin
    self.recorderVersion = recorderVersion
    writer = try LogWriter(path: path)
    do {
      existing = try EventLookup(writer.connection)
      gapIsThere = try writer.connection.prepare(
        "SELECT 1 FROM gap WHERE source = ? AND source_seq = ? AND count = ? AND reason = ?")
      dataVersion = try writer.connection.prepare("PRAGMA data_version")
    } catch {
      throw LogError(error, path: path)
    }
  }

  /// Whether the file is still at its path.
  package var isInPlace: Bool { writer.isInPlace }

  // MARK: - Messages

  /// Records messages in one transaction; after an error none of them is stored.
  ///
  /// - Throws: `LogError`.
  package func take(_ deliveries: [Delivery]) throws {
    let messages = MessagePrefetcher(deliveries)
    defer { messages.close() }
    var counts = DeliveryCounts()
    do {
      try writer.transaction(synced: true) {
        try detectConcurrentWriter()
        for (index, delivery) in deliveries.enumerated() {
          try put(delivery, try messages.message(index), &counts)
        }
        for id in ended { try completeIfAllThere(id) }
      }
    } catch {
      // What this transaction stored or looked up does not exist after the rollback.
      runs.removeAll()
      own = nil
      ended.removeAll()
      throw error as? LogError ?? LogError.cannotWrite(path: path, reason: Self.reason(error))
    }
    guard writer.isInPlace else {
      throw LogError.cannotWrite(path: path, reason: "it was deleted or moved")
    }
    ended.removeAll()
    for id in locks.keys where runs[id]?.isPartial == false { locks[id] = nil }
    self.counts += counts
    writer.limitWAL()
  }

  private static func reason(_ error: any Error) -> String {
    (error as? SQLiteError)?.message ?? "\(error)"
  }

  private func put(
    _ delivery: Delivery, _ message: Result<QueueMessage, MessageError>,
    _ counts: inout DeliveryCounts
  ) throws {
    counts.messages += 1
    if delivery.isRedelivered { counts.redelivered += 1 }
    switch message {
    case .success(.events(let message)):
      do {
        try delivery.body.withUnsafeBytes { try put(message, $0, &counts) }
      } catch let error as MessagePackError {
        try storeMalformed(delivery, MessageError("\(error)"), &counts)
      }
    case .success(.transition(let transition)):
      var args = transition.args.content
      if delivery.isRedelivered { args.named.append(.init("redelivered", .bool(true))) }
      try appendLocal(
        Event(
          .transition, time: Clock.now(), key: transition.key, start: transition.start,
          finish: transition.finish, args: Args(args)))
      counts.events += 1
    case .failure(let error): try storeMalformed(delivery, error, &counts)
    }
  }

  /// Stores a message that could not be decoded.
  private func storeMalformed(
    _ delivery: Delivery, _ error: MessageError, _ counts: inout DeliveryCounts
  ) throws {
    counts.malformed += 1
    try appendLocal(
      Event(
        Self.malformedHook, time: Clock.now(),
        args: Args(named: [
          .init("reason", .string(error.description)), .init("bytes", .bytes(delivery.body)),
          .init("redelivered", .bool(delivery.isRedelivered)),
        ])))
  }

  // MARK: - Whole events

  private func put(
    _ message: EventMessage, _ body: UnsafeRawBufferPointer, _ counts: inout DeliveryCounts
  ) throws {
    let id = message.run.id
    try ensureRun(message.run)
    try putEvents(of: message, body, &counts)
    for gap in message.gaps {
      let known = try ensureSource(message.sources[gap.source], id)
      defer { gapIsThere.reset() }
      try gapIsThere.bind(1, known.number)
      try gapIsThere.bind(2, gap.sourceSeq)
      try gapIsThere.bind(3, gap.count)
      try gapIsThere.bind(4, gap.reason)
      guard try !gapIsThere.step() else { continue }
      try writer.addGap(
        source: known.number, sourceSeq: gap.sourceSeq, count: gap.count, time: gap.time,
        reason: gap.reason)
    }
    if let end = message.end {
      for last in end.lastSourceSeqs { _ = try ensureSource(message.sources[last.source], id) }
      try record(end, of: message, id)
    }
    if let run = runs[id], run.isPartial, run.hasEnd { ended.insert(id) }
  }

  private func putEvents(
    of message: EventMessage, _ body: UnsafeRawBufferPointer, _ counts: inout DeliveryCounts
  ) throws {
    let id = message.run.id
    // Each source is looked up once instead of for every event; also one that is listed twice.
    var known: [KnownSource] = []
    var ids: [String: Int] = [:]
    let indexes = try message.sources.map { source in
      if let index = ids[source.id] { return index }
      known.append(try ensureSource(source, id))
      ids[source.id] = known.count - 1
      return known.count - 1
    }
    // Two owners of the same ranges would copy them at every change.
    for serverID in ids.keys { runs[id]?.sources[serverID] = nil }
    // Also if an event cannot be read: the ones before it are stored.
    defer { for (serverID, index) in ids { runs[id]?.sources[serverID] = known[index] } }
    func put(_ source: Int, _ sourceSeq: Int64, _ append: (Int64) throws -> Void) throws {
      let index = indexes[source]
      if try known[index].seqs.contains(sourceSeq) || isThere(sourceSeq, known[index]) {
        counts.known += 1
        return
      }
      try append(known[index].number)
      known[index].seqs.insert(sourceSeq)
      if sourceSeq < known[index].last { try recordDisorder(id) }
      known[index].last = max(known[index].last, sourceSeq)
      counts.events += 1
    }
    for item in message.events {
      try put(item.source, item.sourceSeq) {
        try writer.append(item.event, source: $0, sourceSeq: item.sourceSeq)
      }
    }
    try message.scanned?.forEach(in: body) { item, event, texts in
      try put(item.source, item.sourceSeq) {
        try writer.append(event, texts: texts, source: $0, sourceSeq: item.sourceSeq)
      }
    }
  }

  private func recordDisorder(_ id: String) throws {
    guard let run = runs[id], !run.isUnordered else { return }
    try writer.markUnordered(run: run.number)
    runs[id]?.isUnordered = true
  }

  private func isThere(_ sourceSeq: Int64, _ source: KnownSource) throws -> Bool {
    guard source.isOlder || isShared else { return false }
    return try existing.contains(sourceSeq, of: source.number)
  }

  /// Checks whether another process writes to this log.
  private func detectConcurrentWriter() throws {
    defer { dataVersion.reset() }
    _ = try dataVersion.step()
    let version = dataVersion.integer(0)
    if let seenVersion, seenVersion != version { isShared = true }
    seenVersion = version
  }

  private func ensureRun(_ header: RunHeader) throws {
    guard runs[header.id] == nil else { return }
    if let known = try writer.run(id: header.id) {
      runs[header.id] = Run(
        number: known.number, isPartial: try writer.isPartial(run: known.number),
        hasEnd: try writer.expectedLasts(run: known.number) != nil)
    } else {
      var header = header
      header.metadata = PartialRun.marked(header.metadata)
      runs[header.id] = Run(
        number: try writer.add(header), isPartial: true, hasEnd: false)
    }
    try acquireLock(header.id)
  }

  private func acquireLock(_ run: String) throws {
    guard locks[run] == nil, !RecorderLock.isHeld(log: path, run: run) else { return }
    locks[run] = try RecorderLock(log: path, run: run)
  }

  private func ensureSource(_ source: Source, _ id: String) throws -> KnownSource {
    if let known = runs[id]?.sources[source.id] { return known }
    let run = runs[id]?.number ?? 0
    let known: KnownSource
    if let older = try writer.source(ofRun: run, serverID: source.id) {
      known = KnownSource(number: older.id, isOlder: true, last: older.lastSourceSeq)
    } else {
      known = KnownSource(number: try writer.add(source, run: run), isOlder: false)
    }
    runs[id]?.sources[source.id] = known
    return known
  }

  private func record(_ end: EventMessage.End, of message: EventMessage, _ id: String) throws {
    guard let run = runs[id] else { return }
    // The recorder that resumes after a crash may report the death again, with more precise data.
    let isClosed =
      try writer.connection.integer(
        "SELECT end = 'closed' FROM run WHERE id = \(run.number)") ?? 0
    if isClosed == 0 || end.end == .closed {
      try writer.end(run: run.number, end.end, at: end.time)
    }
    guard run.isPartial, !end.lastSourceSeqs.isEmpty else { return }
    try writer.expect(
      end.lastSourceSeqs.map { (message.sources[$0.source].id, $0.sourceSeq) }, run: run.number)
    runs[id]?.hasEnd = true
  }

  private func completeIfAllThere(_ id: String) throws {
    guard let run = runs[id], try writer.completeIfAllThere(run: run.number) else { return }
    runs[id]?.isPartial = false
  }

  // MARK: - Events without identity

  private func appendLocal(_ event: Event) throws {
    var own = try own ?? beginLocalRun()
    own.count += 1
    try writer.append(event, source: own.source, sourceSeq: own.count)
    self.own = own
  }

  /// Begins or resumes the run for events without an identity.
  private func beginLocalRun() throws -> (run: String, source: Int64, count: Int64) {
    let id = ownRun
    let source = Source(kind: .scheduler, id: "queue", address: origin)
    if let known = try writer.run(id: id),
      let progress = try writer.source(ofRun: known.number, serverID: source.id)
    {
      return (id, progress.id, progress.lastSourceSeq)
    }
    let run = try writer.add(
      RunHeader(
        id: id, engine: "unknown", engineVersion: "unknown", recorderVersion: recorderVersion,
        mode: "transitions", started: Clock.now(),
        metadata: .object(["from": .string(origin)])))
    try acquireLock(id)
    return (id, try writer.add(source, run: run), 0)
  }

  private let ownRun = RunID.make()

  // MARK: - The end

  /// Ends this recorder's own run. Runs of other recorders continue elsewhere or have ended.
  package func close() {
    if own != nil {
      try? writer.transaction(synced: true) {
        if let run = try writer.run(id: ownRun) {
          try writer.end(run: run.number, .closed, at: Clock.now())
        }
      }
    }
    locks.removeAll()
    writer.close()
  }
}
