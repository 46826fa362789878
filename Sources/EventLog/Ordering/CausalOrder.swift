import TaskLogPlugin

/// What an event may have to wait for.
package struct CausalCause: Hashable {
  enum Kind: Hashable {
    /// The worker's end of a run of the task, by the number of its stimulus.
    case workerDone
    /// The scheduler's → processing, by its run of the task. Dask moves a task that another worker
    /// steals with a new run and without a transition: what it logs of that is the cause then.
    case processing
  }

  /// A worker that leaves one of these states has ended its run of the task.
  static let statesOfRun: [State] = [.executing, .longRunning, .cancelled, .resumed]

  var kind: Kind
  var key: Int64
  var number: Int64
}

/// What `CausalOrder` has to know of an event.
package protocol CausalItem {
  var seq: Int64 { get }
  var source: Int64 { get }
  /// What others may wait for.
  func given(schedulers: Set<Int64>) -> CausalCause?
  /// What this one may have to wait for.
  func cause(schedulers: Set<Int64>) -> CausalCause?
  /// Whether it has been given out before, by a cursor that this one goes on from.
  var isGiven: Bool { get }
}

extension CausalItem {
  package var isGiven: Bool { false }
}

/// Puts the events of a run into causal order.
///
/// Within a source `sourceSeq` is the order of happening, and events of one source arrive in it.
/// Across sources two rules hold: a scheduler's processing → memory (or erred) follows the worker's
/// event of the same (key, stimulusID), and a worker's first event of a (key, taskRunID) follows the
/// scheduler's → processing of it, or its move to a worker that steals it. Everything else stays in the order of arrival.
///
/// The algorithm: events come in the order of arrival. One whose cause has not been given out, but
/// waits itself or lies further on in the log, holds its source up: it and what follows from that
/// source waits. It is looked at again only when that cause is given out. Whether a cause lies
/// further on is answered from the page at hand, and by a look into the log only when it is not
/// there; a cause that was lost holds nothing up. What has been given out is remembered as one
/// number per key, so that memory does not grow with the length of the log. Sources that wait for
/// each other in a circle would do so for ever: the circle is found when it closes, and the event of
/// it that arrived first is given out before its cause.
///
/// The order does not depend on the size of the pages.
package struct CausalOrder<Item: CausalItem> {
  /// More may come while a run goes on.
  var schedulers: Set<Int64>
  /// Whether a cause lies behind this seq in the log.
  private let isAfter: (CausalCause, Int64) throws -> Bool
  /// The number of the last cause of a key that was given out before this order began.
  private let numberBefore: ((CausalCause.Kind, Int64) throws -> Int64?)?
  /// A source that is held up does not make memory grow beyond this many events.
  private let maximumWaiting: Int

  /// The page at hand, the seq of its last event and of the one that is looked at.
  private var page: [Item] = []
  private var pageEnd: Int64 = .min
  private var position: Int64 = .min
  /// The causes in the page, with the last place of each; made when the first is asked for, because
  /// in one process a cause nearly always lies before its effect.
  private var inPage: [CausalCause: Int64]?

  private var doneByKey = IntegerByKey()
  /// One more than the run: Dask's first is 0.
  private var runByKey = IntegerByKey()
  /// The causes that were missing when their effects were given out, likewise. In a run that goes on
  /// they may still come.
  private var missingDone = IntegerByKey()
  private var missingRun = IntegerByKey()

  /// Events of each source that is held up.
  private var waiting: [Int64: Queue] = [:]
  private var waitingCount = 0
  /// The causes that wait themselves, and in which sources: nearly always one.
  private var waitingCauses: [CausalCause: [Int64]] = [:]
  /// The sources that each cause holds up.
  private var blocked: [CausalCause: [Int64]] = [:]

  /// How many events were given out before their cause: because too many had to wait, because causes
  /// contradict each other, or because a cause came when nobody waited for it any more.
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

  /// Takes a page of events in the order of arrival and gives out what is ready.
  mutating func add(_ page: [Item], to output: inout [Item]) throws {
    guard let last = page.last else { return }
    self.page = page
    pageEnd = last.seq
    inPage = nil
    // Whoever fills pages can use the memory of this one again.
    defer { self.page = [] }
    for recorded in page {
      position = recorded.seq
      if recorded.isGiven {
        if let cause = recorded.given(schedulers: schedulers) { note(cause) }
      } else if waitingCount > 0, waiting[recorded.source] != nil {
        waiting[recorded.source]?.append(recorded)
        try hasQueued(recorded, &output)
      } else if let cause = try pendingCause(recorded) {
        waiting[recorded.source] = Queue(recorded, cause)
        blocked[cause, default: []].append(recorded.source)
        try hasQueued(recorded, &output)
      } else {
        try give(recorded, &output)
      }
    }
  }

  /// The log has ended: gives out what still waits, in the order of arrival as far as causes allow.
  mutating func finish(_ output: inout [Item]) throws {
    (page, inPage) = ([], [:])
    (pageEnd, position) = (.max, .max)
    while waitingCount > 0 { try force(waiting.keys, &output) }
  }

  /// Whether events have been taken that have not been given out.
  var isWaiting: Bool { waitingCount > 0 }

  /// The first event of each source that is held up.
  var firstWaiting: [Int64: Int64] { waiting.compactMapValues { $0.first?.seq } }

  // MARK: - Waiting

  /// Events of a source that is held up, in their order.
  private struct Queue {
    private var events: [Item]
    private var start = 0
    /// What holds up the first of them; nothing when that has been given out just now.
    var cause: CausalCause?

    init(_ first: Item, _ cause: CausalCause) {
      events = [first]
      self.cause = cause
    }

    var first: Item? { start < events.count ? events[start] : nil }

    mutating func append(_ recorded: Item) { events.append(recorded) }

    mutating func removeFirst() {
      start += 1
      // Each event is moved once at most in the long run.
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
    // A circle closes where a source begins to wait, or where a cause that others wait for does.
    try breakCircle(from: recorded.source, &output)
    if let cause {
      for source in blocked[cause] ?? [] { try breakCircle(from: source, &output) }
    }
    if waitingCount > maximumWaiting { try force(waiting.keys, &output) }
  }

  /// Follows who waits for whom. Each source waits for one cause; where that waits itself, it does
  /// so in one source, or in several, of which any would do: those are no circle yet.
  private mutating func breakCircle(
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

  /// Gives out what arrived first of the events that hold these sources up, cause or no cause.
  private mutating func force(
    _ sources: some Sequence<Int64>, _ output: inout [Item]
  ) throws {
    let heads = sources.compactMap { source in waiting[source]?.first.map { (source, $0.seq) } }
    guard let source = heads.min(by: { $0.1 < $1.1 })?.0, let cause = waiting[source]?.cause
    else { return }
    blocked[cause]?.removeAll { $0 == source }
    if blocked[cause]?.isEmpty == true { blocked[cause] = nil }
    outOfOrderCount += 1
    if let recorded = take(source) { try give(recorded, thenGoOnWith: source, &output) }
  }

  /// Takes the first waiting event of a source; the source stays held up.
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

  // MARK: - Giving out

  /// Gives out an event, and after it everything that waited for it.
  private mutating func give(
    _ recorded: Item, thenGoOnWith source: Int64? = nil,
    _ output: inout [Item]
  ) throws {
    // Sources that may be able to go on; what they give out may let others go on.
    var ready = giveOne(recorded, &output)
    if let source { ready.insert(source, at: 0) }
    var next = 0
    while next < ready.count {
      ready += try goOn(ready[next], &output)
      next += 1
    }
  }

  /// Gives out an event and tells which sources waited for it, the one that came first first.
  private mutating func giveOne(
    _ recorded: Item, _ output: inout [Item]
  ) -> [Int64] {
    output.append(recorded)
    guard let cause = recorded.given(schedulers: schedulers) else { return [] }
    note(cause)
    if isLate(cause) { outOfOrderCount += 1 }
    guard !blocked.isEmpty, let sources = blocked.removeValue(forKey: cause) else { return [] }
    for source in sources { waiting[source]?.cause = nil }
    return sources.sorted { (waiting[$0]?.first?.seq ?? 0) < (waiting[$1]?.first?.seq ?? 0) }
  }

  /// Remembers that a cause has been given out.
  private mutating func note(_ cause: CausalCause) {
    switch cause.kind {
    case .workerDone: doneByKey[cause.key] = cause.number
    case .processing:
      runByKey[cause.key] = max(runByKey[cause.key], Self.behind(cause.number))
    }
  }

  /// The next number; only a damaged log comes to the last.
  private static func behind(_ run: Int64) -> Int64 { run == .max ? run : run + 1 }

  /// Whether an effect has been given out before this cause of it.
  private mutating func isLate(_ cause: CausalCause) -> Bool {
    switch cause.kind {
    case .workerDone:
      guard missingDone[cause.key] == cause.number else { return false }
      missingDone[cause.key] = 0
    case .processing:
      guard missingRun[cause.key] == Self.behind(cause.number) else { return false }
      missingRun[cause.key] = 0
    }
    return true
  }

  private mutating func recordMissing(_ cause: CausalCause) {
    switch cause.kind {
    case .workerDone: missingDone[cause.key] = cause.number
    case .processing: missingRun[cause.key] = Self.behind(cause.number)
    }
  }

  /// Gives out the waiting events of a source up to the next that has to wait. Its first one waits
  /// no longer for what it waited for.
  private mutating func goOn(
    _ source: Int64, _ output: inout [Item]
  ) throws -> [Int64] {
    var woken: [Int64] = []
    while let recorded = waiting[source]?.first {
      if let cause = try pendingCause(recorded) {
        waiting[source]?.cause = cause
        blocked[cause, default: []].append(source)
        try breakCircle(from: source, &output)
        return woken
      }
      if let recorded = take(source) { woken += giveOne(recorded, &output) }
    }
    waiting[source] = nil
    return woken
  }

  // MARK: - Causes

  /// The cause of an event that is still to come.
  private mutating func pendingCause(_ recorded: Item) throws -> CausalCause? {
    guard let cause = recorded.cause(schedulers: schedulers) else { return nil }
    if let numberBefore { try recall(cause, numberBefore) }
    switch cause.kind {
    case .workerDone:
      if doneByKey[cause.key] == cause.number { return nil }
    case .processing:
      if runByKey[cause.key] >= Self.behind(cause.number) { return nil }
    }
    if try isToCome(cause) { return cause }
    recordMissing(cause)
    return nil
  }

  /// What was given out for a key before this order began is looked up when it is first asked for.
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
        runByKey[cause.key] = try numberBefore(cause.kind, cause.key).map { Self.behind($0) } ?? 0
      }
    }
  }

  /// Whether a cause waits, or has not been reached yet. One that was reached and does not wait has
  /// been given out, whatever else was given out for its key since.
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

/// One number for each key, 0 where there is none. Keys have small numbers, given out one by one;
/// those of a run lie together.
private struct IntegerByKey {
  private static let pageSize: Int64 = 1 << 12
  private static let pageLimit: Int64 = 1 << 16
  private var pages: [ContiguousArray<Int64>] = []
  /// For numbers that only a damaged log has.
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
