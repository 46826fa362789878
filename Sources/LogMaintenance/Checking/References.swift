import LogFormat
import TaskLogPlugin

/// The rows that rows of `event` may reference.
struct References {
  /// A set of row IDs. They are assigned from 1 on, so a bit each is enough; a damaged file may
  /// contain extreme ones, which are stored in a set.
  struct Numbers {
    private static let denseLimit: Int64 = 1 << 28
    private var dense: [Bool] = []
    private var sparse: Set<Int64> = []

    mutating func insert(_ number: Int64) {
      guard number >= 0, number < Self.denseLimit else {
        sparse.insert(number)
        return
      }
      let index = Int(number)
      if index >= dense.count {
        dense += [Bool](repeating: false, count: max(index + 1, dense.count * 2) - dense.count)
      }
      dense[index] = true
    }

    func contains(_ number: Int64) -> Bool {
      if number >= 0, number < Int64(dense.count) { return dense[Int(number)] }
      return sparse.contains(number)
    }
  }

  struct Source {
    var run: Int64
    var isScheduler: Bool
  }

  private(set) var texts = Numbers()
  private(set) var keys = Numbers()
  private(set) var sources: [Int64: Source] = [:]
  /// Whether all of them could be read: otherwise missing rows cannot be detected.
  private(set) var isWhole = true
  private let connection: Connection
  private var hooks: [Int64: Hook] = [:]
  private var states: [Int64: State] = [:]

  init(_ connection: Connection) {
    self.connection = connection
    do {
      try Self.read("SELECT id FROM text", connection) { texts.insert($0.integer(0)) }
      try Self.read("SELECT id FROM key", connection) { keys.insert($0.integer(0)) }
      try Self.read("SELECT id, run, kind FROM source", connection) {
        sources[$0.integer(0)] = Source(
          run: $0.integer(1), isScheduler: $0.text(2) == "scheduler")
      }
    } catch {
      isWhole = false
    }
  }

  private static func read(
    _ sql: String, _ connection: Connection, _ give: (Statement) -> Void
  ) throws(SQLiteError) {
    let select = try connection.prepare(sql)
    while try select.step() { give(select) }
  }

  mutating func hook(_ number: Int64) -> Hook {
    if let hook = hooks[number] { return hook }
    let hook = Hook(name(number))
    hooks[number] = hook
    return hook
  }

  mutating func state(_ number: Int64) -> State {
    if let state = states[number] { return state }
    let state = State(name(number))
    states[number] = state
    return state
  }

  private func name(_ number: Int64) -> String {
    guard let select = try? connection.prepare("SELECT text FROM text WHERE id = ?"),
      (try? select.bind(1, number)) != nil, (try? select.step()) == true
    else { return "" }
    return select.text(0)
  }
}
