import TaskLogPlugin

/// Decodes rows of the table `event` in two steps: the row IDs first, and the values they refer to
/// when the event is emitted.
package final class EventDecoder {
  package static let columns = """
    seq, source, source_seq, time, hook, key, start, finish, stimulus, worker, task_run, args, \
    snapshot
    """

  /// Number of events with a reference to a row that is not in the file.
  private(set) var damagedCount = 0

  private let reader: LogReader
  private let blobs: LogBlobs
  // One thread reads, and nothing here calls back: the checks of exclusive access cost a tenth of a
  // replay and could not find anything.
  @exclusivity(unchecked) private var texts = TextStore()
  /// Hooks and states are few and have small row IDs.
  @exclusivity(unchecked) private var hooks = SmallIntegerMap<Hook>()
  @exclusivity(unchecked) private var states = SmallIntegerMap<State>()

  package init(reader: LogReader, blobs: LogBlobs) {
    self.reader = reader
    self.blobs = blobs
  }

  /// Stores the text of a page whose rows are to be decoded.
  ///
  /// - Parameter keepingOlder: whether rows of earlier pages have still to be decoded.
  package func take(_ page: inout EventPage, keepingOlder: Bool) {
    texts.take(&page, keepingOlder: keepingOlder)
  }

  /// Describes rows to the causal order.
  func findRoles(of page: inout EventPage, isScheduler: (Int64) -> Bool) throws {
    for place in page.rows.indices {
      let role = try role(page.rows[place], isScheduler: isScheduler(page.rows[place].source))
      page.rows[place].role.formUnion(role)
    }
  }

  /// Same rules as in `RecordedEvent`.
  private func role(_ row: EventRow, isScheduler: Bool) throws -> EventRow.Role {
    guard row.key != 0 else { return [] }
    if !isScheduler {
      // Dask counts its runs from 0 and uses -1 for no run.
      let hasRun = row.role.contains(.hasTaskRun) && row.taskRun >= 0
      var role: EventRow.Role = hasRun ? .waitsForProcessing : []
      if row.finish != 0, row.stimulus != 0, let start = try state(row.start),
        CausalCause.statesOfRun.contains(start), try hook(row.hook) == .transition
      {
        role.insert(.givesWorkerDone)
      }
      return role
    }
    let hook = try hook(row.hook)
    if hook == .logEvent { return row.role.contains(.hasTaskRun) ? .givesProcessing : [] }
    guard hook == .transition, let finish = try state(row.finish) else { return [] }
    if finish == .processing { return row.role.contains(.hasTaskRun) ? .givesProcessing : [] }
    guard finish == .memory || finish == .erred, row.stimulus != 0,
      try state(row.start) == .processing
    else { return [] }
    return .waitsForWorkerDone
  }

  /// The event of a row; `nil` if its hook is not in the file.
  package func event(_ row: EventRow) throws -> RecordedEvent? {
    guard let hook = try hook(row.hook) else {
      damagedCount += 1
      return nil
    }
    let key = try interned(row.key, reader.keys)
    let stimulusID = try interned(row.stimulus, reader.texts)
    return RecordedEvent(
      seq: row.seq, source: row.source, sourceSeq: row.sourceSeq,
      keyNumber: key == nil ? 0 : row.key, stimulusNumber: stimulusID == nil ? 0 : row.stimulus,
      event: Event(
        hook, time: row.time, key: key, start: try knownState(row.start),
        finish: try knownState(row.finish), stimulusID: stimulusID,
        worker: try interned(row.worker, reader.texts),
        taskRunID: row.role.contains(.hasTaskRun) ? row.taskRun : nil,
        args: texts.text(row.args).map { Args(json: EncodedJSON(args($0, row), blobs: blobs)) }
          ?? .none,
        snapshot: texts.text(row.snapshot).map { .encoded(EncodedJSON($0, blobs: blobs)) }
          ?? .none))
  }

  private func args(_ text: String, _ row: EventRow) -> String {
    text.utf8.first == UInt8(ascii: "\"") ? blobs.args(text, time: row.time) : text
  }

  /// The args of a row in JSON, in memory that is valid until the call returns; `nil` if it has
  /// none.
  func withArgs<Result>(
    _ row: EventRow, _ body: (UnsafeBufferPointer<UInt8>) throws -> Result
  ) rethrows -> Result? {
    try texts.withBytes(row.args, body)
  }

  /// The snapshot of a row, under the same conditions.
  func withSnapshot<Result>(
    _ row: EventRow, _ body: (UnsafeBufferPointer<UInt8>) throws -> Result
  ) rethrows -> Result? {
    try texts.withBytes(row.snapshot, body)
  }

  /// The value of a row ID; `nil` for 0 (NULL).
  private func interned<Element>(
    _ number: Int64, _ cache: InternCache<Element>
  ) throws -> Element? {
    guard number != 0 else { return nil }
    let element = try cache.element(number)
    if element == nil { damagedCount += 1 }
    return element
  }

  private func hook(_ number: Int64) throws -> Hook? {
    if let hook = hooks[number] { return hook }
    guard let name = try reader.texts.element(number) else { return nil }
    let hook = Hook(name)
    hooks[number] = hook
    return hook
  }

  private func state(_ number: Int64) throws -> State? {
    guard number != 0 else { return nil }
    if let state = states[number] { return state }
    guard let name = try reader.texts.element(number) else { return nil }
    let state = State(name)
    states[number] = state
    return state
  }

  private func knownState(_ number: Int64) throws -> State? {
    let state = try state(number)
    if state == nil, number != 0 { damagedCount += 1 }
    return state
  }
}

/// A small map by row ID, for IDs that are mostly small.
private struct SmallIntegerMap<Element> {
  private var dense = [Element?](repeating: nil, count: 1024)
  private var sparse: [Int64: Element] = [:]

  subscript(number: Int64) -> Element? {
    get {
      if number >= 0, number < 1024 { return dense[Int(number)] }
      return sparse[number]
    }
    set {
      if number >= 0, number < 1024 {
        dense[Int(number)] = newValue
      } else {
        sparse[number] = newValue
      }
    }
  }
}
