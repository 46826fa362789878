import EventLog
import TaskLogPlugin

/// The workers of the runs, and how many tasks and bytes each had over time.
struct WorkerTable {
  struct Row {
    var run: Int
    var address: String
    var name: Value = .null
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
  private var byAddress: [String: Int] = [:]
  private var byText: [Int64: Int] = [:]
  private var run = -1

  mutating func beginRun() {
    run += 1
    byAddress = [:]
    byText = [:]
  }

  mutating func place(_ address: String) -> Int {
    if let place = byAddress[address] { return place }
    let place = rows.count
    // A page with a thousand workers is not to be their curves alone.
    let limit = max(256, min(8192, 131_072 / (place + 1)))
    rows.append(
      Row(run: run, address: address, series: StepSeries(width: 2, limit: limit)))
    byAddress[address] = place
    return place
  }

  /// - Parameter load: the text with this number in the file.
  mutating func place(ofText number: Int64, load: (Int64) throws -> String?) rethrows -> Int? {
    guard number != 0 else { return nil }
    if let place = byText[number] { return place }
    guard let address = try load(number) else { return nil }
    let place = place(address)
    byText[number] = place
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
