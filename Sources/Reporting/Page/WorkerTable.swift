import EventLog
import TaskLogPlugin

/// The workers of the runs, and how many tasks and bytes each had over time.
struct WorkerTable {
  struct Row {
    var run: Int
    var address: String
    /// 1 for the first worker at its address.
    var life: Int64 = 1
    var name: Value = .null
    /// What is known of its clock, in nanoseconds.
    var clock: (offset: Int64, uncertainty: Int64)?
    /// Whether it was recorded itself, elsewhere, and nobody has measured its clock.
    var isClockUnknown = false
    /// Microseconds.
    var joined: Int64?
    var left: Int64?
    var lastSeen: Int64?
    var nthreads: Int64?
    var tasks: Int64 = 0
    var bytes: Int64 = 0
    var series: StepSeries
  }

  private(set) var rows: [Row] = []
  /// The workers of the run, and the rows that they have.
  private var lives = WorkerLives()
  private var byLife: [Int: Int] = [:]
  /// Addresses that are none of a known worker.
  private var byAddress: [String: Int] = [:]
  private var addresses: [Int64: String] = [:]
  /// Rows by the number of an address in the file, where it means one worker all the time.
  private var byText: [Int64: Int] = [:]
  private var run = -1

  mutating func beginRun(_ lives: WorkerLives) {
    run += 1
    self.lives = lives
    byLife = [:]
    byAddress = [:]
    addresses = [:]
    byText = [:]
  }

  /// The row of the worker that the scheduler's event meant with an address.
  mutating func place(_ address: String, at seq: Int64) -> Int {
    guard let life = lives.place(address, at: seq) else {
      if let place = byAddress[address] { return place }
      byAddress[address] = add(address)
      return rows.count - 1
    }
    return place(ofLife: life)
  }

  /// The row of a worker that is a source.
  mutating func place(of source: SourceInfo) -> Int {
    guard let life = lives.place(ofSource: source.number) else {
      return place(source.source.address, at: 0)
    }
    return place(ofLife: life)
  }

  private mutating func place(ofLife life: Int) -> Int {
    if let place = byLife[life] { return place }
    byLife[life] = add(lives.lives[life].address, life: lives.lives[life].number)
    return rows.count - 1
  }

  private mutating func add(_ address: String, life: Int64 = 1) -> Int {
    let place = rows.count
    // A page with a thousand workers is not to be their curves alone.
    let limit = max(256, min(8192, 131_072 / (place + 1)))
    rows.append(
      Row(
        run: run, address: address, life: life, series: StepSeries(width: 2, limit: limit)))
    return place
  }

  /// - Parameter load: the text with this number in the file.
  mutating func place(
    ofText number: Int64, at seq: Int64, load: (Int64) throws -> String?
  ) rethrows -> Int? {
    guard number != 0 else { return nil }
    if let place = byText[number] { return place }
    var known = addresses[number]
    if known == nil { known = try load(number) }
    guard let address = known else { return nil }
    let place = place(address, at: seq)
    if lives.place(address, at: .min) == lives.place(address, at: .max) {
      byText[number] = place
    } else {
      addresses[number] = address
    }
    return place
  }

  subscript(place: Int) -> Row {
    _read { yield rows[place] }
    _modify { yield &rows[place] }
  }

  mutating func change(_ place: Int32, _ time: Int64, tasks: Int64 = 0, bytes: Int64 = 0) {
    guard place >= 0 else { return }
    let place = Int(place)
    // What a worker that has left had is not taken from it again.
    rows[place].tasks = max(0, rows[place].tasks + tasks)
    rows[place].bytes = max(0, rows[place].bytes + bytes)
    note(place, time)
  }

  mutating func joins(_ place: Int, _ time: Int64, _ facts: Value?) {
    rows[place].joined = min(time, rows[place].joined ?? time)
    rows[place].left = nil
    if let nthreads = facts?["nthreads"]?.int { rows[place].nthreads = nthreads }
    if let name = facts?["name"] { rows[place].name = name }
    note(place, time)
  }

  mutating func leaves(_ place: Int, _ time: Int64) {
    rows[place].left = max(time, rows[place].left ?? time)
    rows[place].tasks = 0
    rows[place].bytes = 0
    note(place, time)
  }

  private mutating func note(_ place: Int, _ time: Int64) {
    rows[place].series.add(time, [rows[place].tasks, rows[place].bytes])
  }
}
