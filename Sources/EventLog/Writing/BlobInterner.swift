import Glibc
import TaskLogPlugin

/// Puts bytes into the table `blob`, once, by the SHA-256 of their content.
///
/// What many events hold, as the annotations of a graph that each of its tasks is sent with, is known by
/// comparing it to what came last: that is much less than the hash.
final class BlobInterner {
  private static let recentCount = 8
  private static let recentBytes = 32 << 20

  private let insert: Statement
  /// The last that were put in, the last one first.
  private var recent: [(bytes: [UInt8], hash: String)] = []

  /// - Throws: `SQLiteError`.
  init(_ connection: Connection) throws {
    insert = try connection.prepare("INSERT OR IGNORE INTO blob (hash, bytes) VALUES (?, ?)")
  }

  /// What was put in was rolled back, or may have been pruned.
  func forgetAll() { recent.removeAll() }

  /// - Returns: the hash.
  /// - Throws: `SQLiteError`.
  func intern(_ bytes: UnsafeRawBufferPointer) throws -> String {
    if let place = recent.firstIndex(where: { isSame($0.bytes, bytes) }) {
      recent.swapAt(0, place)
      return recent[0].hash
    }
    let bytes = Array(bytes)
    let hash = SHA256.hash(bytes)
    try put(bytes, hash)
    guard bytes.count < Self.recentBytes else { return hash }
    recent.insert((bytes, hash), at: 0)
    while recent.count > Self.recentCount
      || recent.reduce(0, { $0 + $1.bytes.count }) > Self.recentBytes
    {
      recent.removeLast()
    }
    return hash
  }

  /// - Parameter hash: that of the bytes.
  /// - Throws: `SQLiteError`.
  func put(_ bytes: [UInt8], _ hash: String) throws {
    try insert.bind(1, hash)
    try insert.bind(2, blob: bytes)
    try insert.run()
  }

  private func isSame(_ known: [UInt8], _ bytes: UnsafeRawBufferPointer) -> Bool {
    guard known.count == bytes.count, let start = bytes.baseAddress else { return false }
    return known.withUnsafeBytes { known in
      known.baseAddress.map { memcmp($0, start, bytes.count) == 0 } ?? false
    }
  }
}
