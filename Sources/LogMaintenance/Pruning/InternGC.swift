import EventLog
import Glibc
import LogFormat
import TaskLogPlugin

/// Deletes texts, keys and blobs that no event uses any more.
///
/// Live recorders may begin to use any of them again at any moment. So the used ones are first
/// collected in short transactions, and each transaction that deletes also checks the events that
/// were added since; `intern_generation` then notifies the recorders that the row IDs which they
/// have cached may be gone.
struct InternGC {
  private static let eventsPerBatch = 16_384
  private static let rowsPerBatch = 4096
  private static let pauseMicroseconds: UInt32 = 2_000

  private let writer: LogWriter
  private var connection: Connection { writer.connection }
  private var texts = References.Numbers()
  private var keys = References.Numbers()
  private var blobs: Set<String> = []
  /// The hash prefixes of blobs that are templates of heartbeats.
  private var templates: Set<String> = []
  /// Events up to here have been scanned.
  private var position: Int64 = 0
  /// The data version as of which the keys' own texts were scanned.
  private var keysVersion: Int64?

  init(_ writer: LogWriter) {
    self.writer = writer
  }

  mutating func run() throws {
    while try scanEvents(limit: Self.eventsPerBatch) {}
    try sweep("key", isUsed: { $0.keys.contains($1.integer(0)) })
    try sweep("blob", columns: "id, hash", isUsed: { $0.isUsed(blob: $1.text(1)) })
    try sweep("text", isUsed: { $0.texts.contains($1.integer(0)) })
  }

  private func isUsed(blob hash: String) -> Bool {
    blobs.contains(hash)
      || templates.contains(String(hash.prefix(PackedHeartbeat.nameLength * 2)))
  }

  /// - Returns: whether there are more.
  private mutating func scanEvents(limit: Int?) throws -> Bool {
    let select = try connection.prepare(
      """
      SELECT seq, key, hook, start, finish, stimulus, worker,
        CASE WHEN instr(args, '"$blob"') > 0 THEN args END,
        CASE WHEN instr(snapshot, '"$blob"') > 0 THEN snapshot END,
        CASE WHEN substr(args, 1, 1) = '"' THEN args END
      FROM event WHERE seq > ? ORDER BY seq LIMIT ?
      """)
    try select.bind(1, position)
    try select.bind(2, limit.map(Int64.init) ?? -1)
    var count = 0
    while try select.step() {
      count += 1
      position = select.integer(0)
      if let key = select.optionalInteger(1) { keys.insert(key) }
      for column in Int32(2)...6 {
        if let text = select.optionalInteger(column) { texts.insert(text) }
      }
      for column in Int32(7)...8 where !select.isNull(column) {
        blobs.formUnion(BlobHashes.all(in: select.text(column)))
      }
      if !select.isNull(9), let name = PackedHeartbeat.template(in: select.text(9).utf8) {
        templates.insert(name)
      }
    }
    return count == limit
  }

  /// Scans the prefixes and groups of keys; again after another process has written.
  private mutating func scanKeys() throws {
    let version = try connection.integer("PRAGMA data_version")
    guard version != keysVersion else { return }
    keysVersion = version
    let select = try connection.prepare("SELECT prefix, key_group FROM key")
    while try select.step() {
      for column in Int32(0)...1 {
        if let text = select.optionalInteger(column) { texts.insert(text) }
      }
    }
  }

  private mutating func sweep(
    _ table: String, columns: String = "id", isUsed: (InternGC, Statement) -> Bool
  ) throws {
    let select = try connection.prepare(
      "SELECT \(columns) FROM \(table) WHERE id > ? ORDER BY id LIMIT \(Self.rowsPerBatch)")
    let delete = try connection.prepare("DELETE FROM \(table) WHERE id = ?")
    let readBytes = try connection.prepare("SELECT length(bytes) FROM blob WHERE id = ?")
    var last: Int64 = 0
    var isAtEnd = false
    while !isAtEnd {
      try writer.transaction {
        // The row with the highest ID stays: otherwise that ID would be assigned again, and readers
        // that have cached it would take it for the old row.
        let highest = try connection.integer("SELECT max(id) FROM \(table)")
        _ = try scanEvents(limit: nil)
        if table == "text" { try scanKeys() }
        var unused: [Int64] = []
        var count = 0
        try select.bind(1, last)
        while try select.step() {
          count += 1
          last = select.integer(0)
          if last != highest, !isUsed(self, select) { unused.append(last) }
        }
        select.reset()
        isAtEnd = count < Self.rowsPerBatch
        guard !unused.isEmpty else { return }
        var bytes: Int64 = 0
        for id in unused {
          if table == "blob" {
            defer { readBytes.reset() }
            try readBytes.bind(1, id)
            if try readBytes.step() { bytes += readBytes.integer(0) }
          }
          try delete.bind(1, id)
          try delete.run()
        }
        try writer.internTotals.remove(unused.count, from: table, blobBytes: bytes)
        try connection.execute(
          "UPDATE meta SET value = value + 1 WHERE name = 'intern_generation'")
      }
      usleep(Self.pauseMicroseconds)
    }
  }
}
