import CSQLite
import EventLog
import TaskLogPlugin

/// The baselines: SQLite's C interface and nothing else.
final class BareSQLite {
  let handle: OpaquePointer

  init(path: String) throws {
    var handle: OpaquePointer?
    let code = sqlite3_open_v2(
      path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nil)
    guard code == SQLITE_OK, let handle else { throw BenchmarkError.sqlite(code, "open") }
    self.handle = handle
  }

  deinit {
    sqlite3_close_v2(handle)
  }

  func execute(_ sql: String) throws {
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    guard code == SQLITE_OK else {
      throw BenchmarkError.sqlite(code, String(cString: sqlite3_errmsg(handle)))
    }
  }

  func prepare(_ sql: String) throws -> OpaquePointer {
    var statement: OpaquePointer?
    let code = sqlite3_prepare_v3(
      handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
    guard code == SQLITE_OK, let statement else {
      throw BenchmarkError.sqlite(code, String(cString: sqlite3_errmsg(handle)))
    }
    return statement
  }

  /// Steps through every row and reads every column as its type.
  static func scan(_ path: String) throws -> Int {
    let database = try BareSQLite(path: path)
    let statement = try database.prepare(
      """
      SELECT seq, source, source_seq, time, hook, key, start, finish, stimulus, worker, task_run,
        args, snapshot FROM event ORDER BY seq
      """)
    defer { sqlite3_finalize(statement) }
    var count = 0
    var sum: Int64 = 0
    while sqlite3_step(statement) == SQLITE_ROW {
      count += 1
      for column in 0..<Int32(11) { sum &+= sqlite3_column_int64(statement, column) }
      for column in 11..<Int32(13) {
        if let text = sqlite3_column_text(statement, column) {
          sum &+= Int64(text.pointee) &+ Int64(sqlite3_column_bytes(statement, column))
        }
      }
    }
    precondition(sum != 0)
    return count
  }
}

/// Rows as they are inserted into the tables, ready in memory: numbers and text that only have to
/// be bound.
struct ReadyRows {
  struct Row {
    var numbers: [Int64?]
    var args: [UInt8]
    var snapshot: [UInt8]
  }

  var texts: [String] = []
  var keys: [Key] = []
  /// Rows in their order, each preceded by the texts and keys that it is the first to use.
  var steps: [(newTexts: Range<Int>, newKeys: Range<Int>, row: Row)] = []

  init(_ workload: Workload) {
    var textNumbers: [String: Int64] = [:]
    var keyNumbers: [Key: Int64] = [:]
    for (index, (source, event)) in workload.events.enumerated() {
      let (textCount, keyCount) = (texts.count, keys.count)
      func text(_ value: String?) -> Int64? {
        guard let value else { return nil }
        if let number = textNumbers[value] { return number }
        texts.append(value)
        textNumbers[value] = Int64(texts.count)
        return Int64(texts.count)
      }
      func key(_ value: Key?) -> Int64? {
        guard let value else { return nil }
        if let number = keyNumbers[value] { return number }
        keys.append(value)
        keyNumbers[value] = Int64(keys.count)
        return Int64(keys.count)
      }
      let numbers: [Int64?] = [
        Int64(index + 1), Int64(source + 1), Int64(index + 1), event.time,
        text(event.hook.name), key(event.key), text(event.start?.name), text(event.finish?.name),
        text(event.stimulusID), text(event.worker), event.taskRunID,
      ]
      let row = Row(
        numbers: numbers, args: event.args.isEmpty ? [] : Array(event.args.json.utf8),
        snapshot: event.snapshot.value.map { Array(JSONWriter.text($0).utf8) } ?? [])
      steps.append((textCount..<texts.count, keyCount..<keys.count, row))
    }
  }

  /// Inserts all rows into the tables of an empty log, with a fixed number of rows per transaction.
  func insert(into database: BareSQLite, rowsPerBatch: Int) throws {
    let insertEvent = try database.prepare(LogWriter.insertEventSQL)
    let insertText = try database.prepare("INSERT INTO text (id, text) VALUES (?, ?)")
    let insertKey = try database.prepare("INSERT INTO key (id, text, typed) VALUES (?, ?, ?)")
    defer { for statement in [insertEvent, insertText, insertKey] { sqlite3_finalize(statement) } }
    try database.execute("BEGIN IMMEDIATE")
    for (index, step) in steps.enumerated() {
      for number in step.newTexts {
        sqlite3_bind_int64(insertText, 1, Int64(number + 1))
        bind(insertText, 2, texts[number])
        try run(insertText, database)
      }
      for number in step.newKeys {
        sqlite3_bind_int64(insertKey, 1, Int64(number + 1))
        bind(insertKey, 2, keys[number].text)
        bind(insertKey, 3, keys[number].typed)
        try run(insertKey, database)
      }
      for (place, number) in step.row.numbers.enumerated() {
        if let number {
          sqlite3_bind_int64(insertEvent, Int32(place + 1), number)
        } else {
          sqlite3_bind_null(insertEvent, Int32(place + 1))
        }
      }
      bind(insertEvent, 12, step.row.args)
      bind(insertEvent, 13, step.row.snapshot)
      try run(insertEvent, database)
      if index % rowsPerBatch == rowsPerBatch - 1 {
        try database.execute("COMMIT; BEGIN IMMEDIATE")
      }
    }
    try database.execute("COMMIT")
  }

  private func run(_ statement: OpaquePointer, _ database: BareSQLite) throws {
    let code = sqlite3_step(statement)
    guard code == SQLITE_DONE else {
      throw BenchmarkError.sqlite(code, String(cString: sqlite3_errmsg(database.handle)))
    }
    sqlite3_reset(statement)
  }

}

func bind(_ statement: OpaquePointer, _ place: Int32, _ number: Int64) {
  sqlite3_bind_int64(statement, place, number)
}

func bind(_ statement: OpaquePointer, _ place: Int32, _ text: String?) {
  guard var text else {
    sqlite3_bind_null(statement, place)
    return
  }
  _ = text.withUTF8 { bytes in
    bytes.withMemoryRebound(to: CChar.self) {
      sqlite3_bind_text(
        statement, place, $0.baseAddress, Int32($0.count),
        unsafeBitCast(-1, to: sqlite3_destructor_type.self))
    }
  }
}

func run(_ statement: OpaquePointer) {
  precondition(sqlite3_step(statement) == SQLITE_DONE)
  sqlite3_reset(statement)
}

func finish(_ statement: OpaquePointer) {
  sqlite3_finalize(statement)
}

func bind(_ statement: OpaquePointer, _ place: Int32, _ bytes: [UInt8]) {
  guard !bytes.isEmpty else {
    sqlite3_bind_null(statement, place)
    return
  }
  bytes.withUnsafeBufferPointer { bytes in
    _ = bytes.withMemoryRebound(to: CChar.self) {
      sqlite3_bind_text(
        statement, place, $0.baseAddress, Int32($0.count),
        unsafeBitCast(-1, to: sqlite3_destructor_type.self))
    }
  }
}
