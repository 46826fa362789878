import EventLog
import LogFormat
import TaskLogPlugin

/// The row IDs of the texts that a summary needs.
struct KnownTexts {
  let transition: Int64
  let processing: Int64
  let memory: Int64
  let erred: Int64
  let forgotten: Int64
  /// The states that occurred, by index.
  private(set) var states: [Int64] = []
  private var places: [Int64: Int] = [:]
  private var small = [Int](repeating: -1, count: 1024)

  init(_ reader: LogReader) throws {
    let find = try reader.connection.prepare("SELECT id FROM text WHERE text = ?")
    func number(_ text: String) throws -> Int64 {
      defer { find.reset() }
      try find.bind(1, text)
      return try find.step() ? find.integer(0) : -1
    }
    transition = try number("transition")
    processing = try number("processing")
    memory = try number("memory")
    erred = try number("erred")
    forgotten = try number("forgotten")
  }

  mutating func place(ofState number: Int64) -> Int {
    if number >= 0, number < 1024, small[Int(number)] >= 0 { return small[Int(number)] }
    if let place = places[number] { return place }
    let place = states.count
    states.append(number)
    places[number] = place
    if number >= 0, number < 1024 { small[Int(number)] = place }
    return place
  }
}

/// The state of each key during a scan; a page of neighbouring keys is created when the first of
/// them occurs.
struct KeySlots {
  struct Slot {
    var scheduler: StateInterval?
    /// The index of the source of the worker that had it last; negative for none.
    var source: Int32 = -1
    var atWorker: StateInterval?
    /// The index of the worker that has it to do, negative for none, and since when.
    var givenTo: Int32 = -1
    var givenAt: Int64 = 0
    var prefix: Int64 = 0
    var nbytes: Int64 = 0
    var sent: Int32 = 0
    var isRetried = false
    var isSeen = false
    var isDone = false
    var hasFailed = false
    /// Whether the key is in the file.
    var exists = false
  }

  private static let pageSize: Int64 = 4096
  private let reader: LogReader
  private var slots: ContiguousArray<Slot> = []
  /// The offset of the slots of each page.
  private var pages: [Int64: Int] = [:]
  private var lastPage: Int64 = -1
  private var lastStart = 0
  private var select: Statement?

  init(_ reader: LogReader) {
    self.reader = reader
  }

  subscript(place: Int) -> Slot {
    _read { yield slots[place] }
    _modify { yield &slots[place] }
  }

  func prefix(_ place: Int) -> Int64 { slots[place].prefix }

  /// The offset of the slot of a key; `nil` for a key that is not in the file.
  mutating func place(_ key: Int64) throws -> Int? {
    guard key > 0, key < .max - Self.pageSize else { return nil }
    let page = key >> 12
    if page != lastPage {
      lastStart = try pages[page] ?? load(page)
      lastPage = page
    }
    let place = lastStart + Int(key & (Self.pageSize - 1))
    return slots[place].exists ? place : nil
  }

  private mutating func load(_ page: Int64) throws -> Int {
    let start = slots.count
    slots.append(contentsOf: repeatElement(Slot(), count: Int(Self.pageSize)))
    pages[page] = start
    let select =
      try self.select
      ?? reader.connection.prepare("SELECT id, prefix FROM key WHERE id >= ? AND id < ?")
    self.select = select
    defer { select.reset() }
    let first = page * Self.pageSize
    try select.bind(1, first)
    try select.bind(2, first + Self.pageSize)
    while try select.step() {
      let id = select.integer(0)
      // A damaged index returns rows that were not requested.
      guard (first..<first + Self.pageSize).contains(id) else { continue }
      slots[start + Int(id - first)].exists = true
      slots[start + Int(id - first)].prefix = select.integer(1)
    }
    return start
  }
}

/// Figures and durations of each prefix.
struct PrefixTable {
  struct Row {
    var figures = RunSummary.Prefix()
    /// The time that each task computed.
    var compute = Durations()
    /// By kind of source (0 for the scheduler) and state.
    private var byKind: [[Durations?]] = [[], []]

    mutating func add(_ kind: Int, _ state: Int, _ nanoseconds: Int64) {
      while byKind[kind].count <= state { byKind[kind].append(nil) }
      if byKind[kind][state] == nil { byKind[kind][state] = Durations() }
      byKind[kind][state]?.add(nanoseconds)
    }

    mutating func take(_ kind: Int, _ state: Int) -> Durations? {
      defer { byKind[kind][state] = nil }
      return byKind[kind][state]
    }

    /// The kinds of durations.
    var durations: [(kind: Int, state: Int)] {
      byKind.indices.flatMap { kind in
        byKind[kind].indices.filter { byKind[kind][$0] != nil }.map { (kind, $0) }
      }
    }
  }

  var rows: [Row] = []
  private var numbers: [Int64] = []
  private var places: [Int64: Int] = [:]
  private var last: (number: Int64, place: Int) = (-1, 0)

  mutating func place(_ number: Int64) -> Int {
    if number == last.number { return last.place }
    let place = places[number] ?? rows.count
    if place == rows.count {
      rows.append(Row())
      numbers.append(number)
      places[number] = place
    }
    last = (number, place)
    return place
  }

  func names(_ reader: LogReader) throws -> [String?] {
    try numbers.map { try reader.texts.element($0) }
  }
}
