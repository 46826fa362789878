import TaskLogPlugin

/// The kinds of cause that an event may have to wait for.
package struct CausalCause: Hashable {
  enum Kind: Hashable {
    /// The worker's end of a run of the task, by the row ID of its stimulus.
    case workerDone
    /// The scheduler's → processing, by its run of the task. Dask moves a task that another worker
    /// steals with a new run and without a transition: the event that it logs for the move is the
    /// cause then.
    case processing
  }

  /// A worker's transition out of one of these states ends its run of the task.
  static let statesOfRun: [State] = [.executing, .longRunning, .cancelled, .resumed]

  var kind: Kind
  var key: Int64
  var number: Int64
}

/// What `CausalOrder` needs of an event.
package protocol CausalItem {
  var seq: Int64 { get }
  var source: Int64 { get }
  /// The cause that this event is for others.
  func given(schedulers: Set<Int64>) -> CausalCause?
  /// The cause that this event may have to wait for.
  func cause(schedulers: Set<Int64>) -> CausalCause?
  /// Whether it has been emitted before, by the cursor that this one resumes.
  var isGiven: Bool { get }
}

extension CausalItem {
  package var isGiven: Bool { false }
}

/// Emits the events of a run in causal order.
///
/// Within a source, `sourceSeq` is the order of happening, and events of one source arrive in it.
/// Across sources two rules hold: a scheduler's processing → memory (or erred) follows the worker's
/// event of the same (key, stimulusID), and a worker's first event of a (key, taskRunID) follows
/// the scheduler's → processing of it, or its move to a worker that steals it. Everything else
/// stays in the order of arrival.
///
/// The algorithm: events come in the order of arrival. If an event's cause has not been emitted,
/// because it waits itself or comes later in the log, its source is blocked: the event and the
/// following events of that source are buffered. They are checked again only when that cause is
/// emitted. Whether a cause comes later is answered from the current page, and by a query of the
/// log only if it is not in the page; a lost cause blocks nothing. Emitted causes are remembered as
/// one number per key, so that memory does not grow with the length of the log. Sources that wait
/// for each other in a cycle would never proceed: the cycle is detected when it closes, and the
/// event of it that arrived first is emitted before its cause.
///
/// The order does not depend on the page size.
package struct CausalOrder<Item: CausalItem> {
  /// Whether more events may arrive while the run continues.
  var schedulers: Set<Int64>
  /// Whether a cause comes after this seq in the log.
  private let isAfter: (CausalCause, Int64) throws -> Bool
  /// The number of the last cause of a key that was emitted before this order began.
  private let numberBefore: ((CausalCause.Kind, Int64) throws -> Int64?)?
  /// Blocked sources buffer at most this many events in memory.
  private let maximumWaiting: Int

  /// The current page, the seq of its last event and the seq of the current event.
  private var page: [Item] = []
  private var pageEnd: Int64 = .min
  private var position: Int64 = .min
  /// The causes in the page, with the last seq of each; built when the first one is looked up,
  /// because in one process a cause nearly always comes before its effect.
  private var inPage: [CausalCause: Int64]?

  private var doneByKey = IntegerByKey()
  /// The run plus one: Dask's first run is 0.
  private var runByKey = IntegerByKey()
  /// The same for causes that were missing when their effects were emitted. In a run that continues
  /// they may still arrive.
  private var missingDone = IntegerByKey()
  private var missingRun = IntegerByKey()

  /// The buffered events of each blocked source.
  private var waiting: [Int64: Queue] = [:]
  private var waitingCount = 0
  /// The causes that are buffered themselves, and in which sources: nearly always one.
  private var waitingCauses: [CausalCause: [Int64]] = [:]
  /// The sources that each cause blocks.
  private var blocked: [CausalCause: [Int64]] = [:]

  /// Number of events that were emitted before their cause: because the buffer was full, because
  /// causes contradict each other, or because a cause arrived after its effect no longer waited for
  /// it.
  private(set) var outOfOrderCount = 0

  init(
    schedulers: Set<Int64>, maximumWaiting: Int = 1 << 20,
    numberBefore: ((CausalCause.Kind, Int64) throws -> Int64?)? = nil,
    isAfter: @escaping (CausalCause, Int64) throws -> Bool
  ) {
    self.schedulers = schedulers
    self.numberBefore = numberBefore
    self.maximumWaiting = maximumWaiting
    self.isAfter = isAfter
  }

  /// Adds a page of events in the order of arrival and emits those that are ready.
  mutating func add(_ page: [Item], to output: inout [Item]) throws {
    guard let last = page.last else { return }
    self.page = page
    pageEnd = last.seq
    inPage = nil
    // The owner of the pages can reuse the memory of this one.
    defer { self.page = [] }
    for recorded in page {
      position = recorded.seq
      if recorded.isGiven {
        if let cause = recorded.given(schedulers: schedulers) { record(cause) }
      } else if waitingCount > 0, waiting[recorded.source] != nil {
        waiting[recorded.source]?.append(recorded)
        try hasQueued(recorded, &output)
      } else if let cause = try pendingCause(recorded) {
        waiting[recorded.source] = Queue(recorded, cause)
        blocked[cause, default: []].append(recorded.source)
        try hasQueued(recorded, &output)
      } else {
        try emit(recorded, &output)
      }
    }
  }

  /// Called at the end of the log: emits the buffered events, in the order of arrival as far as
  /// causes allow.
  mutating func finish(_ output: inout [Item]) throws {
    (page, inPage) = ([], [:])
    (pageEnd, position) = (.max, .max)
    while waitingCount > 0 { try force(waiting.keys, &output) }
  }

  /// Whether events are buffered.
  var isWaiting: Bool { waitingCount > 0 }

  /// The first event of each blocked source.
  var firstWaiting: [Int64: Int64] { waiting.compactMapValues { $0.first?.seq } }

  // MARK: - Waiting

  /// The buffered events of a blocked source, in order.
  private struct Queue {
    private var events: [Item]
    private var start = 0
    /// The cause that blocks the first event; `nil` if that cause has just been emitted.
    var cause: CausalCause?

    init(_ first: Item, _ cause: CausalCause) {
      events = [first]
      self.cause = cause
    }

    var first: Item? { start < events.count ? events[start] : nil }

    mutating func append(_ recorded: Item) { events.append(recorded) }

    mutating func removeFirst() {
      start += 1
      // Amortized, each event is moved at most once.
      guard start >= 64, start * 2 >= events.count else { return }
      events.removeFirst(start)
      start = 0
    }
  }

  private mutating func hasQueued(
    _ recorded: Item, _ output: inout [Item]
  ) throws {
    waitingCount += 1
    let cause = recorded.given(schedulers: schedulers)
    if let cause { waitingCauses[cause, default: []].append(recorded.source) }
    // A cycle closes when a source becomes blocked, or when a cause that others wait for is
    // buffered.
    try breakCycle(from: recorded.source, &output)
    if let cause {
      for source in blocked[cause] ?? [] { try breakCycle(from: source, &output) }
    }
    if waitingCount > maximumWaiting { try force(waiting.keys, &output) }
  }

  /// Follows the chain of waiting sources. Each source waits for one cause; if that is buffered, it
  /// is in one source or in several, of which any would do: the latter is no cycle yet.
  private mutating func breakCycle(
    from source: Int64, _ output: inout [Item]
  ) throws {
    var path = [source]
    while let cause = waiting[path[path.count - 1]]?.cause,
      let holders = waitingCauses[cause], let next = holders.first,
      holders.allSatisfy({ $0 == next })
    {
      if let place = path.firstIndex(of: next) { return try force(path[place...], &output) }
      path.append(next)
    }
  }

  /// Emits the event that arrived first among those that block these sources, regardless of its
  /// cause.
  private mutating func force(
    _ sources: some Sequence<Int64>, _ output: inout [Item]
  ) throws {
    let heads = sources.compactMap { source in waiting[source]?.first.map { (source, $0.seq) } }
    guard let source = heads.min(by: { $0.1 < $1.1 })?.0, let cause = waiting[source]?.cause
    else { return }
    blocked[cause]?.removeAll { $0 == source }
    if blocked[cause]?.isEmpty == true { blocked[cause] = nil }
    outOfOrderCount += 1
    if let recorded = take(source) { try emit(recorded, thenResume: source, &output) }
  }

  /// Removes the first buffered event of a source; the source stays blocked.
  private mutating func take(_ source: Int64) -> Item? {
    guard let recorded = waiting[source]?.first else { return nil }
    waiting[source]?.removeFirst()
    waitingCount -= 1
    if let cause = recorded.given(schedulers: schedulers), var sources = waitingCauses[cause] {
      if let place = sources.firstIndex(of: source) { sources.remove(at: place) }
      waitingCauses[cause] = sources.isEmpty ? nil : sources
    }
    return recorded
  }

  // MARK: - Emitting

  /// Emits an event, and after it everything that waited for it.
  private mutating func emit(
    _ recorded: Item, thenResume source: Int64? = nil,
    _ output: inout [Item]
  ) throws {
    // Sources that may be able to resume; the events that they emit may let others resume.
    var ready = emitOne(recorded, &output)
    if let source { ready.insert(source, at: 0) }
    var next = 0
    while next < ready.count {
      ready += try resume(ready[next], &output)
      next += 1
    }
  }

  /// Emits an event and returns the sources that waited for it, the one that came first first.
  private mutating func emitOne(
    _ recorded: Item, _ output: inout [Item]
  ) -> [Int64] {
    output.append(recorded)
    guard let cause = recorded.given(schedulers: schedulers) else { return [] }
    record(cause)
    if isLate(cause) { outOfOrderCount += 1 }
    guard !blocked.isEmpty, let sources = blocked.removeValue(forKey: cause) else { return [] }
    for source in sources { waiting[source]?.cause = nil }
    return sources.sorted { (waiting[$0]?.first?.seq ?? 0) < (waiting[$1]?.first?.seq ?? 0) }
  }

  /// Records that a cause has been emitted.
  private mutating func record(_ cause: CausalCause) {
    switch cause.kind {
    case .workerDone: doneByKey[cause.key] = cause.number
    case .processing:
      runByKey[cause.key] = max(runByKey[cause.key], Self.after(cause.number))
    }
  }

  /// The next number; only a damaged log reaches the last.
  private static func after(_ run: Int64) -> Int64 { run == .max ? run : run + 1 }

  /// Whether an effect of this cause has been emitted before it.
  private mutating func isLate(_ cause: CausalCause) -> Bool {
    switch cause.kind {
    case .workerDone:
      guard missingDone[cause.key] == cause.number else { return false }
      missingDone[cause.key] = 0
    case .processing:
      guard missingRun[cause.key] == Self.after(cause.number) else { return false }
      missingRun[cause.key] = 0
    }
    return true
  }

  private mutating func recordMissing(_ cause: CausalCause) {
    switch cause.kind {
    case .workerDone: missingDone[cause.key] = cause.number
    case .processing: missingRun[cause.key] = Self.after(cause.number)
    }
  }

  /// Emits the buffered events of a source up to the next one that has to wait. Its first one no
  /// longer waits for its cause.
  private mutating func resume(
    _ source: Int64, _ output: inout [Item]
  ) throws -> [Int64] {
    var woken: [Int64] = []
    while let recorded = waiting[source]?.first {
      if let cause = try pendingCause(recorded) {
        waiting[source]?.cause = cause
        blocked[cause, default: []].append(source)
        try breakCycle(from: source, &output)
        return woken
      }
      if let recorded = take(source) { woken += emitOne(recorded, &output) }
    }
    waiting[source] = nil
    return woken
  }

  // MARK: - Causes

  /// The cause of an event that has not been emitted yet.
  private mutating func pendingCause(_ recorded: Item) throws -> CausalCause? {
    guard let cause = recorded.cause(schedulers: schedulers) else { return nil }
    if let numberBefore { try recall(cause, numberBefore) }
    switch cause.kind {
    case .workerDone:
      if doneByKey[cause.key] == cause.number { return nil }
    case .processing:
      if runByKey[cause.key] >= Self.after(cause.number) { return nil }
    }
    if try isToCome(cause) { return cause }
    recordMissing(cause)
    return nil
  }

  /// What was emitted for a key before this order began is looked up on first use.
  private mutating func recall(
    _ cause: CausalCause, _ numberBefore: (CausalCause.Kind, Int64) throws -> Int64?
  ) throws {
    switch cause.kind {
    case .workerDone:
      if doneByKey[cause.key] == 0 {
        doneByKey[cause.key] = try numberBefore(cause.kind, cause.key) ?? 0
      }
    case .processing:
      if runByKey[cause.key] == 0 {
        runByKey[cause.key] = try numberBefore(cause.kind, cause.key).map { Self.after($0) } ?? 0
      }
    }
  }

  /// Whether a cause is buffered or not yet reached. A cause that was reached and is not buffered
  /// has been emitted, whatever else was emitted for its key since.
  private mutating func isToCome(_ cause: CausalCause) throws -> Bool {
    if waitingCauses[cause] != nil { return true }
    if let seq = causesInPage()[cause], seq > position { return true }
    return pageEnd == .max ? false : try isAfter(cause, pageEnd)
  }

  private mutating func causesInPage() -> [CausalCause: Int64] {
    if let inPage { return inPage }
    var causes: [CausalCause: Int64] = [:]
    for recorded in page where !recorded.isGiven {
      if let cause = recorded.given(schedulers: schedulers) { causes[cause] = recorded.seq }
    }
    inPage = causes
    return causes
  }
}

/// One number per key, 0 if there is none. Row IDs of keys are small and assigned one by one; those
/// of a run are adjacent.
private struct IntegerByKey {
  private static let pageSize: Int64 = 1 << 12
  private static let pageLimit: Int64 = 1 << 16
  private var pages: [ContiguousArray<Int64>] = []
  /// For row IDs that only a damaged log has.
  private var sparse: [Int64: Int64] = [:]

  subscript(key: Int64) -> Int64 {
    get {
      let page = key >> 12
      if page >= 0, page < Int64(pages.count) {
        let numbers = pages[Int(page)]
        return numbers.isEmpty ? 0 : numbers[Int(key & (Self.pageSize - 1))]
      }
      return sparse.isEmpty ? 0 : sparse[key] ?? 0
    }
    set {
      let page = key >> 12
      guard page >= 0, page < Self.pageLimit else {
        sparse[key] = newValue
        return
      }
      while pages.count <= Int(page) { pages.append([]) }
      if pages[Int(page)].isEmpty {
        pages[Int(page)] = ContiguousArray(repeating: 0, count: Int(Self.pageSize))
      }
      pages[Int(page)][Int(key & (Self.pageSize - 1))] = newValue
    }
  }
}
