import EventLog
import LogAnalysis
import TaskLogPlugin

/// The workers of the runs, with their numbers of tasks and bytes over time.
struct WorkerTable {
  struct Row {
    var run: Int
    var address: String
    /// 1 for the first worker at its address.
    var life: Int64 = 1
    var name: Value = .null
    /// The offset and uncertainty of its clock, in nanoseconds.
    var clock: (offset: Int64, uncertainty: Int64)?
    /// Whether it was recorded on another host, and its clock was not measured.
    var isClockUnknown = false
    /// Microseconds.
    var joined: Int64?
    var left: Int64?
    var lastSeen: Int64?
    var nthreads: Int64?
    var tasks: Int64 = 0
    var bytes: Int64 = 0
    /// The most at any time.
    var mostTasks: Int64 = 0
    var mostBytes: Int64 = 0
    var series: StepSeries
    /// The row of the summary; `nil` if the scheduler did not know it.
    var summary: RunSummary.Worker?
    /// Why it left; `nil` if it did not.
    var end: WorkerEnd?
    /// Whether it is in the scope.
    var isIncluded = true
  }

  private(set) var rows: [Row] = []
  /// The bytes of results on all workers, and the most at any time.
  private var bytes: Int64 = 0
  private(set) var mostBytes: Int64 = 0
  /// The workers of the run.
  private var lives = WorkerLives()
  private var rowByLife: [Int: Int] = [:]
  /// The rows of addresses without a known worker.
  private var byAddress: [String: Int] = [:]
  private var addresses: [Int64: String] = [:]
  /// Rows by the row ID of an address that always means the same worker.
  private var byText: [Int64: Int] = [:]
  private var run = -1
  /// The part of the run, and its time window in microseconds.
  private var scope: RunScope?
  private var window = TimeWindow()

  mutating func beginRun(_ lives: WorkerLives, _ scope: RunScope?, _ window: TimeWindow) {
    run += 1
    self.scope = scope
    self.window = window
    self.lives = lives
    rowByLife = [:]
    byAddress = [:]
    addresses = [:]
    byText = [:]
    // Results that remain at the end of one run do not exist in the next.
    bytes = 0
  }

  /// Counts what did not change any more.
  mutating func endRun() {
    for row in rows.indices where rows[row].run == run { recordMost(row, window.start) }
  }

  /// Adds the rows of a run's summary.
  mutating func add(_ summary: RunSummary) {
    var indexes: [String: Int] = [:]
    for (index, life) in lives.lives.enumerated() {
      indexes["\(life.number) \(life.address)"] = index
    }
    for worker in summary.workers {
      guard let index = indexes["\(worker.life) \(worker.address)"] else { continue }
      rows[self.index(ofLife: index)].summary = worker
    }
  }

  /// The row of the worker at an address in a scheduler event.
  mutating func index(_ address: String, at seq: Int64) -> Int {
    guard let life = lives.place(address, at: seq) else {
      if let row = byAddress[address] { return row }
      byAddress[address] = add(address, place: nil)
      return rows.count - 1
    }
    return index(ofLife: life)
  }

  /// The row of a worker that is a source.
  mutating func index(of source: SourceInfo) -> Int {
    guard let life = lives.place(ofSource: source.number) else {
      return index(source.source.address, at: 0)
    }
    return index(ofLife: life)
  }

  /// The row of a worker of the run, by its index in `WorkerLives`.
  mutating func index(ofLife life: Int) -> Int {
    if let row = rowByLife[life] { return row }
    rowByLife[life] = add(
      lives.lives[life].address, life: lives.lives[life].number, place: life)
    return rows.count - 1
  }

  private mutating func add(_ address: String, life: Int64 = 1, place: Int?) -> Int {
    let row = rows.count
    // Limits the size of the curves in a page with a thousand workers.
    let limit = max(256, min(8192, 131_072 / (row + 1)))
    rows.append(
      Row(
        run: run, address: address, life: life, series: StepSeries(width: 2, limit: limit),
        isIncluded: scope?.includes(worker: place) ?? true))
    return row
  }

  /// - Parameter load: returns the text with this row ID.
  mutating func index(
    ofText textID: Int64, at seq: Int64, load: (Int64) throws -> String?
  ) rethrows -> Int? {
    guard textID != 0 else { return nil }
    if let row = byText[textID] { return row }
    var text = addresses[textID]
    if text == nil { text = try load(textID) }
    guard let address = text else { return nil }
    let row = index(address, at: seq)
    if lives.place(address, at: .min) == lives.place(address, at: .max) {
      byText[textID] = row
    } else {
      addresses[textID] = address
    }
    return row
  }

  subscript(row: Int) -> Row {
    _read { yield rows[row] }
    _modify { yield &rows[row] }
  }

  mutating func change(_ row: Int32, _ time: Int64, tasks: Int64 = 0, bytes: Int64 = 0) {
    guard row >= 0, counts(Int(row), time) else { return }
    let row = Int(row)
    recordMost(row, time)
    // The counts of a worker that has left are already zero.
    rows[row].tasks = max(0, rows[row].tasks + tasks)
    setBytes(row, max(0, rows[row].bytes + bytes))
    recordPoint(row, time)
  }

  /// Whether the counts of a worker change at a time: those before the time window do, as it begins
  /// with them.
  private func counts(_ row: Int, _ time: Int64) -> Bool {
    rows[row].isIncluded && time <= window.stop
  }

  mutating func recordJoin(_ row: Int, _ time: Int64, _ snapshot: Value?) {
    rows[row].joined = min(time, rows[row].joined ?? time)
    rows[row].left = nil
    if let nthreads = snapshot?["nthreads"]?.int { rows[row].nthreads = nthreads }
    if let name = snapshot?["name"] { rows[row].name = name }
    recordPoint(row, time)
  }

  mutating func recordLeave(_ row: Int, _ time: Int64) {
    rows[row].left = max(time, rows[row].left ?? time)
    guard counts(row, time) else { return }
    recordMost(row, time)
    rows[row].tasks = 0
    setBytes(row, 0)
    recordPoint(row, time)
  }

  private mutating func setBytes(_ row: Int, _ bytes: Int64) {
    self.bytes += bytes - rows[row].bytes
    rows[row].bytes = bytes
  }

  private mutating func recordPoint(_ row: Int, _ time: Int64) {
    guard counts(row, time) else { return }
    recordMost(row, time)
    rows[row].series.add(max(time, window.start), [rows[row].tasks, rows[row].bytes])
  }

  /// Compares the counts with the most so far. Those before the time window do not matter, unless
  /// they have not changed until it begins.
  private mutating func recordMost(_ row: Int, _ time: Int64) {
    guard time >= window.start else { return }
    rows[row].mostTasks = max(rows[row].mostTasks, rows[row].tasks)
    rows[row].mostBytes = max(rows[row].mostBytes, rows[row].bytes)
    mostBytes = max(mostBytes, bytes)
  }
}
