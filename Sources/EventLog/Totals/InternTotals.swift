import LogFormat

/// Counts the rows of `text`, `key` and `blob`, and the bytes of blobs: rows of `meta`.
///
/// Rows get the row ID after the highest one, so what a transaction has inserted is the difference of the
/// highest before and after it.
///
/// Belongs to one `LogWriter`; used inside its transactions.
package final class InternTotals {
  private let readHighest: Statement
  private let readBlobBytes: Statement
  private let add: Statement
  private var highest: [Int64] = [0, 0, 0]

  /// The names in `meta`, in the order of `highestSQL`.
  private static let names = ["texts", "keys", "blobs"]
  private static let highestSQL = """
    SELECT (SELECT max(id) FROM text), (SELECT max(id) FROM key), (SELECT max(id) FROM blob)
    """

  /// The counts as rows of `meta`.
  static let rebuildSQL = """
    INSERT OR REPLACE INTO meta
    SELECT 'texts', count(*) FROM text UNION ALL SELECT 'keys', count(*) FROM key
    UNION ALL SELECT 'blobs', count(*) FROM blob
    UNION ALL SELECT 'blob_bytes', coalesce(sum(length(bytes)), 0) FROM blob
    """

  /// - Throws: `SQLiteError`.
  init(_ connection: Connection) throws {
    readHighest = try connection.prepare(Self.highestSQL)
    readBlobBytes = try connection.prepare(
      "SELECT coalesce(sum(length(bytes)), 0) FROM blob WHERE id > ?")
    add = try connection.prepare("UPDATE meta SET value = value + ?2 WHERE name = ?1")
  }

  /// - Throws: `SQLiteError`.
  func begin() throws { highest = try currentHighest() }

  private func currentHighest() throws -> [Int64] {
    defer { readHighest.reset() }
    guard try readHighest.step() else { return [0, 0, 0] }
    return (0..<3).map { readHighest.integer($0) }
  }

  /// Adds what the transaction has inserted.
  ///
  /// - Throws: `SQLiteError`.
  func finish() throws {
    let now = try currentHighest()
    for (index, name) in Self.names.enumerated() where now[index] > highest[index] {
      try change(name, by: now[index] - highest[index])
    }
    guard now[2] > highest[2] else { return }
    defer { readBlobBytes.reset() }
    try readBlobBytes.bind(1, highest[2])
    guard try readBlobBytes.step() else { return }
    try change("blob_bytes", by: readBlobBytes.integer(0))
  }

  /// Subtracts rows that are deleted; the highest row of a table never is.
  ///
  /// - Parameters:
  ///   - table: `text`, `key` or `blob`.
  ///   - blobBytes: how many bytes they have.
  /// - Throws: `SQLiteError`.
  package func remove(_ count: Int, from table: String, blobBytes: Int64) throws {
    try change(table + "s", by: -Int64(count))
    if blobBytes > 0 { try change("blob_bytes", by: -blobBytes) }
  }

  private func change(_ name: String, by count: Int64) throws {
    try add.bind(1, name)
    try add.bind(2, count)
    try add.run()
  }
}
