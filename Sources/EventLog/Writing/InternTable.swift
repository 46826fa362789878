import TaskLogPlugin

/// Text that is equal only when its bytes are, unlike `String`.
struct ExactText: Hashable {
  let text: String

  static func == (a: ExactText, b: ExactText) -> Bool { a.text.sameBytes(as: b.text) }

  func hash(into hasher: inout Hasher) {
    var text = text
    text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
  }
}

/// Gives repeated values their numbers in the file: looked up in memory, then in the file, else put
/// in. What it remembers is bounded; a value that it forgot is found in the file again.
struct InternTable<Value: Hashable> {
  private var known: [Value: Int64] = [:]
  private let limit: Int
  private let find: Statement
  private let insert: Statement
  private let bind: (Statement, Value) throws -> Void
  private let connection: Connection

  /// - Parameters:
  ///   - find: `SELECT id … WHERE` the parameters.
  ///   - insert: `INSERT … RETURNING id` with the same parameters first.
  init(
    _ connection: Connection, limit: Int, find: String, insert: String,
    bind: @escaping (Statement, Value) throws -> Void
  ) throws(SQLiteError) {
    self.connection = connection
    self.limit = limit
    self.find = try connection.prepare(find)
    self.insert = try connection.prepare(insert)
    self.bind = bind
  }

  /// - Parameter fill: binds what is put in with a new value, behind the parameters of `find`.
  mutating func id(
    _ value: Value, fill: (Statement, Value) throws -> Void = { _, _ in }
  ) throws -> Int64 {
    if let id = known[value] { return id }
    let id = try lookUp(value) ?? putIn(value, fill)
    if known.count >= limit { known.removeAll(keepingCapacity: true) }
    known[value] = id
    return id
  }

  mutating func forgetAll() {
    known.removeAll(keepingCapacity: true)
  }

  private func lookUp(_ value: Value) throws -> Int64? {
    defer { find.reset() }
    try bind(find, value)
    return try find.step() ? find.integer(0) : nil
  }

  private func putIn(
    _ value: Value, _ fill: (Statement, Value) throws -> Void
  ) throws -> Int64 {
    defer { insert.reset() }
    try bind(insert, value)
    try fill(insert, value)
    try insert.step()
    let id = insert.integer(0)
    // RETURNING gives its row before the statement is done.
    try insert.step()
    return id
  }
}
