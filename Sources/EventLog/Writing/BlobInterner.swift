import Glibc
import LogFormat
import TaskLogPlugin

/// Stores bytes in the table `blob`, once, by the SHA-256 of their content.
///
/// Values that many events share, such as the annotations of a graph that each of its tasks is sent
/// with, are recognized by comparing them to the most recent values: that costs much less than the
/// hash.
final class BlobInterner {
  private static let recentCount = 8
  private static let recentBytes = 32 << 20

  private struct Known {
    var bytes: [UInt8]
    var hash: String
    /// Whether the bytes are in the table.
    var isStored: Bool
  }

  private let insert: Statement
  private let find: Statement
  /// The most recently used values, the last one first.
  private var recent: [Known] = []

  /// - Throws: `SQLiteError`.
  init(_ connection: Connection) throws {
    insert = try connection.prepare("INSERT OR IGNORE INTO blob (hash, bytes) VALUES (?, ?)")
    find = try connection.prepare("SELECT 1 FROM blob WHERE hash = ?")
  }

  /// Called when inserted rows were rolled back or may have been pruned.
  func forgetAll() {
    for index in recent.indices { recent[index].isStored = false }
  }

  /// Inherits the values of the previous segment, which events of this one may refer to.
  func inherit(from other: BlobInterner) {
    recent = other.recent
    forgetAll()
  }

  /// Whether bytes with this hash are in the table or can be stored there.
  ///
  /// - Throws: `SQLiteError`.
  func contains(_ hash: String) throws -> Bool {
    if let index = recent.firstIndex(where: { $0.hash == hash }) {
      try use(index)
      return true
    }
    defer { find.reset() }
    try find.bind(1, hash)
    return try find.step()
  }

  /// Makes a value the most recently used one and stores it in the table if it is not there.
  private func use(_ index: Int) throws {
    recent.swapAt(0, index)
    guard !recent[0].isStored else { return }
    try put(recent[0].bytes, recent[0].hash)
    recent[0].isStored = true
  }

  /// - Returns: the hash.
  /// - Throws: `SQLiteError`.
  func intern(_ bytes: UnsafeRawBufferPointer) throws -> String {
    if let index = recent.firstIndex(where: { isSame($0.bytes, bytes) }) {
      try use(index)
      return recent[0].hash
    }
    let bytes = Array(bytes)
    let hash = SHA256.hash(bytes)
    try put(bytes, hash)
    guard bytes.count < Self.recentBytes else { return hash }
    recent.insert(Known(bytes: bytes, hash: hash, isStored: true), at: 0)
    while recent.count > Self.recentCount
      || recent.reduce(0, { $0 + $1.bytes.count }) > Self.recentBytes
    {
      recent.removeLast()
    }
    return hash
  }

  /// - Parameter hash: the hash of the bytes.
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
