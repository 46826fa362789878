import TaskLogPlugin

/// What workers did, as a run is gone through; rows as the view `workers` has them.
struct WorkerScan {
  private struct Figures {
    var row: RunSummary.Worker
    /// The address in UTF-8.
    var bytes: [UInt8]
    var firstSeen: Int64?
    var lastTime: Int64?
    var given: Int64 = 0
    var isSource = false
  }

  private var figures: [Figures] = []
  private var byAddress: [String: Int] = [:]
  private var byText: [Int64: Int] = [:]
  /// The place of each source that is a worker, and what its last event was.
  private var bySource: [Int64: Int] = [:]
  private var lastTimes: [Int64: Int64] = [:]
  private var current: (source: Int64, place: Int?) = (.min, nil)
  private var currentTime: Int64?
  private var end: Int64 = 0

  init(sources: [SourceInfo]) {
    for source in sources.sorted(by: { $0.number < $1.number })
    where source.source.kind == .worker {
      let place = place(source.source.address)
      figures[place].row.name = JSONWriter.text(source.source.name)
      figures[place].isSource = true
      bySource[source.number] = place
    }
  }

  private mutating func place(_ address: String) -> Int {
    if let place = byAddress[address] { return place }
    byAddress[address] = figures.count
    figures.append(Figures(row: RunSummary.Worker(address: address), bytes: Array(address.utf8)))
    return figures.count - 1
  }

  /// The events that follow are of this source.
  mutating func look(at source: Int64) {
    if let time = currentTime { lastTimes[current.source] = time }
    current = (source, bySource[source])
    currentTime = nil
  }

  mutating func count(_ time: Int64) {
    currentTime = time
    guard let place = current.place else { return }
    if figures[place].firstSeen.map({ time < $0 }) ?? true { figures[place].firstSeen = time }
  }

  mutating func runEnd() {
    look(at: .min)
    end = lastTimes.values.max() ?? 0
  }

  /// The place of the worker that args name.
  ///
  /// - Parameter number: that of the worker the event is about; nearly always the same.
  mutating func place(
    of outcome: OutcomeScan, number: Int64, in text: UnsafeBufferPointer<UInt8>
  ) -> Int? {
    guard let range = outcome.worker else { return nil }
    let name = UnsafeBufferPointer(rebasing: text[range])
    if let known = byText[number], figures[known].bytes.elementsEqual(name) { return known }
    guard let place = byAddress[String(decoding: name, as: UTF8.self)] else { return nil }
    if number != 0 { byText[number] = place }
    return place
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

  /// The worker with this number was to do a task for so long.
  mutating func addGiven(_ worker: Int64, _ nanoseconds: Int64) {
    if worker != 0 { given[worker, default: 0] += nanoseconds }
  }

  private var given: [Int64: Int64] = [:]

  mutating func comesOrGoes(
    _ hook: Hook, _ worker: Int64, _ time: Int64, _ facts: Value?, _ reader: LogReader
  ) throws {
    let place: Int
    if let known = current.place {
      place = known
    } else {
      guard let address = try reader.texts.element(worker) else { return }
      place = self.place(address)
    }
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
        figures[place].given += nanoseconds
      }
    }
    let rows = figures.map { figures -> (Int64, RunSummary.Worker) in
      var row = figures.row
      let start = row.joined ?? figures.firstSeen
      if let start, (row.left ?? end) != start {
        let life = Double((row.left ?? end) - start)
        row.share = row.busySeconds * 1e9 / Double(max(row.nthreads ?? 1, 1)) / life
        row.occupancy = Double(figures.given) / life
      }
      return (start ?? end + 1, row)
    }
    return rows.sorted { ($0.0, $0.1.address) < ($1.0, $1.1.address) }.map(\.1)
  }
}

extension LogReader {
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
