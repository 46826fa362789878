import EventLog
import TaskLogPlugin

/// Sums up what workers did during a scan of a run; rows as in the view `workers`.
struct WorkerScan {
  private struct Figures {
    var row: RunSummary.Worker
    var firstSeen = Int64.max
    var given: Int64 = 0
  }

  private let lives: WorkerLives
  private let scope: RunScope?
  private var figures: [Figures] = []
  /// The addresses that occurred, and their row IDs in the file.
  private var addresses: [String] = []
  private var byAddress: [String: Int] = [:]
  private var byText: [Int64: Int] = [:]
  /// By index of an address: its only worker; negative if there are none or several.
  private var only: [Int] = []
  /// By index of a source: its worker, and the time of its last event.
  private var workerAt: [Int?] = []
  private var lastTimes: [Int64] = []
  private var source: Int?
  private var worker: Int?
  private var time = Int64.min
  private var first = Int64.max
  private var end: Int64 = 0

  /// - Parameter scope: `nil` for all of the run.
  init(sources: [SourceInfo], lives: WorkerLives, _ scope: RunScope?) {
    self.lives = lives
    self.scope = scope
    for life in lives.lives {
      var row = RunSummary.Worker(address: life.address)
      row.name = life.name
      row.life = life.number
      (row.joined, row.left, row.nthreads) = (life.joined, life.left, life.nthreads)
      figures.append(Figures(row: row))
    }
    for source in sources {
      lastTimes.append(.min)
      workerAt.append(lives.place(ofSource: source.number))
    }
  }

  /// The index of an address.
  mutating func address(_ text: String) -> Int {
    if let place = byAddress[text] { return place }
    let place = addresses.count
    addresses.append(text)
    byAddress[text] = place
    let first = lives.place(text, at: .min)
    let isOnly = first == lives.place(text, at: .max)
    only.append(isOnly ? first ?? -1 : -1)
    return place
  }

  /// The worker that the scheduler's event meant with the address at an index; `nil` if it is no
  /// worker of this run: args may name any address.
  func place(_ address: Int, at seq: Int64) -> Int? {
    only[address] >= 0 ? only[address] : lives.place(addresses[address], at: seq)
  }

  /// The same by the row ID of the address in the file.
  mutating func place(ofText number: Int64, at seq: Int64, _ reader: LogReader) throws -> Int? {
    guard number != 0 else { return nil }
    if let known = byText[number] { return place(known, at: seq) }
    guard let text = try reader.texts.element(number) else { return nil }
    let address = address(text)
    byText[number] = address
    return place(address, at: seq)
  }

  /// Whether what a worker did counts, by the index of its source.
  @inline(__always)
  func isSourceIncluded(_ source: Int) -> Bool {
    scope == nil || scope?.includes(worker: workerAt[source]) ?? true
  }

  /// The following events are of the source at this index.
  mutating func look(at place: Int?) {
    if let source, time != .min { lastTimes[source] = time }
    if let worker { figures[worker].firstSeen = min(first, figures[worker].firstSeen) }
    source = place
    worker = place.flatMap { workerAt[$0] }
    (time, first) = (.min, .max)
  }

  @inline(__always)
  mutating func count(_ time: Int64) {
    self.time = time
    if time < first { first = time }
  }

  mutating func runEnd() {
    look(at: nil)
    end = lastTimes.max() ?? .min
    if end == .min { end = 0 }
  }

  mutating func addBusy(_ place: Int?, _ seconds: Double) {
    if let place { figures[place].row.busySeconds += seconds }
  }

  mutating func addOutcome(_ place: Int?, hasSucceeded: Bool, nbytes: Int64) {
    guard let place else { return }
    if hasSucceeded {
      figures[place].row.tasks += 1
      figures[place].row.nbytes += nbytes
    } else {
      figures[place].row.failed += 1
    }
  }

  /// Adds the time for which a worker had a task to do.
  mutating func addAssigned(_ place: Int, _ nanoseconds: Int64) {
    figures[place].given += nanoseconds
  }

  /// The rows in the order in which the workers joined.
  func rows(_ clocks: ClockOffsets) -> [RunSummary.Worker] {
    let rows = figures.indices.compactMap { place -> (Int64, RunSummary.Worker)? in
      guard scope?.includes(worker: place) ?? true else { return nil }
      let figures = figures[place]
      var row = figures.row
      let start = row.joined ?? (figures.firstSeen == .max ? nil : figures.firstSeen)
      if let window = scope?.window, window.isBounded {
        // Only workers that were there.
        guard let start, window.overlaps(start, row.left ?? end) else { return nil }
      }
      let present = start.map {
        scope?.window.duration($0, row.left ?? end) ?? (row.left ?? end) - $0
      }
      if let present, present != 0 {
        let life = Double(present)
        row.share = row.busySeconds * 1e9 / Double(max(row.nthreads ?? 1, 1)) / life
        row.capacitySeconds = life / 1e9 * Double(max(row.nthreads ?? 1, 1))
        row.occupancy = Double(figures.given) / life
      }
      row.clock = lives.lives[place].source.flatMap { clocks.last(ofSource: $0) }
      return (start ?? end &+ 1, row)
    }
    return rows.sorted {
      ($0.0, $0.1.address, $0.1.life) < ($1.0, $1.1.address, $1.1.life)
    }.map(\.1)
  }
}

/// The index of each source of a run among its sources.
struct SourceIndex: Sendable {
  private var small: [Int32] = []
  private var others: [Int64: Int] = [:]

  init(_ sources: [SourceInfo]) {
    for (place, source) in sources.enumerated() {
      guard (0..<1 << 16).contains(source.number) else {
        others[source.number] = place
        continue
      }
      while small.count <= Int(source.number) { small.append(-1) }
      small[Int(source.number)] = Int32(place)
    }
  }

  func place(_ source: Int64) -> Int? {
    guard source >= 0, source < small.count else { return others.isEmpty ? nil : others[source] }
    let place = small[Int(source)]
    return place >= 0 ? Int(place) : nil
  }
}

extension LogReader {
  /// Summarizes a run.
  ///
  /// - Parameter scope: the part of the run; `nil` for all of it.
  /// - Throws: `LogError`.
  package func summary(of run: RunInfo, in scope: RunScope? = nil) throws -> RunSummary {
    try translating {
      var scan = try SummaryScan(self, run, scope)
      return try scan.summary()
    }
  }
}
