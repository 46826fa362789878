import TaskLogPlugin

/// What workers did, as a run is gone through; rows as the view `workers` has them.
struct WorkerScan {
  private struct Figures {
    var row: RunSummary.Worker
    var firstSeen = Int64.max
    var given: Int64 = 0
    var isSource = false
    /// Whether it is a worker of this run; args may name any.
    var isKnown = false
  }

  private var figures: [Figures] = []
  private var byAddress: [String: Int] = [:]
  /// By the place of each source: the worker that it is, and the time of its last event.
  private var workerAt: [Int?] = []
  private var lastTimes: [Int64] = []
  private var source: Int?
  private var worker: Int?
  private var time = Int64.min
  private var first = Int64.max
  private var end: Int64 = 0

  init(sources: [SourceInfo]) {
    for source in sources {
      lastTimes.append(.min)
      guard source.source.kind == .worker else {
        workerAt.append(nil)
        continue
      }
      let place = place(source.source.address)
      figures[place].row.name = JSONWriter.text(source.source.name)
      figures[place].isSource = true
      figures[place].isKnown = true
      workerAt.append(place)
    }
  }

  /// The place of the worker at an address.
  mutating func place(_ address: String) -> Int {
    if let place = byAddress[address] { return place }
    byAddress[address] = figures.count
    figures.append(Figures(row: RunSummary.Worker(address: address)))
    return figures.count - 1
  }

  /// The events that follow are of the source at this place.
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
      figures[place].row.nbytes &+= nbytes
    } else {
      figures[place].row.failed += 1
    }
  }

  /// The worker with this number was to do a task for so long.
  mutating func addGiven(_ worker: Int64, _ nanoseconds: Int64) {
    if worker != 0 { given[worker, default: 0] &+= nanoseconds }
  }

  private var given: [Int64: Int64] = [:]

  mutating func comesOrGoes(
    _ hook: Hook, _ number: Int64, _ time: Int64, _ facts: Value?, _ reader: LogReader
  ) throws {
    let place: Int
    if let known = worker {
      place = known
    } else {
      guard let address = try reader.texts.element(number) else { return }
      place = self.place(address)
    }
    figures[place].isKnown = true
    switch hook {
    case .addWorker: figures[place].row.joined = min(time, figures[place].row.joined ?? .max)
    case .removeWorker: figures[place].row.left = max(time, figures[place].row.left ?? .min)
    default: break
    }
    if let nthreads = facts?["nthreads"]?.int {
      figures[place].row.nthreads = max(nthreads, figures[place].row.nthreads ?? .min)
    }
    if !figures[place].isSource, let name = facts?["name"] {
      figures[place].row.name = JSONWriter.text(name)
    }
  }

  /// The rows in the order in which the workers joined.
  func rows(_ reader: LogReader) throws -> [RunSummary.Worker] {
    var figures = figures
    for (worker, nanoseconds) in given {
      if let address = try reader.texts.element(worker), let place = byAddress[address] {
        figures[place].given &+= nanoseconds
      }
    }
    let rows = figures.filter(\.isKnown).map { figures -> (Int64, RunSummary.Worker) in
      var row = figures.row
      let start = row.joined ?? (figures.firstSeen == .max ? nil : figures.firstSeen)
      if let start, (row.left ?? end) != start {
        let life = Double((row.left ?? end) &- start)
        row.share = row.busySeconds * 1e9 / Double(max(row.nthreads ?? 1, 1)) / life
        row.occupancy = Double(figures.given) / life
      }
      return (start ?? end &+ 1, row)
    }
    return rows.sorted { ($0.0, $0.1.address) < ($1.0, $1.1.address) }.map(\.1)
  }
}

/// Where each source of a run stands among them.
struct SourcePlaces: Sendable {
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
  func snapshot(ofEvent seq: Int64) throws -> Value? {
    let select = try connection.prepare("SELECT snapshot FROM event WHERE seq = ?")
    try select.bind(1, seq)
    guard try select.step() else { return nil }
    return select.optionalText(0).flatMap { try? JSONReader.value($0) }
  }

  /// Sums a run up.
  ///
  /// - Throws: `LogError`.
  public func summary(of run: RunInfo) throws -> RunSummary {
    try translating {
      var scan = try SummaryScan(self, run)
      return try scan.summary()
    }
  }
}
