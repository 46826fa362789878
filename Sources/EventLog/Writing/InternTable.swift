import Glibc

/// Maps repeated bytes to their row IDs in the file: looks them up in memory, else in the file, and
/// inserts them if they are new. Memory is bounded; evicted entries are found in the file again.
///
/// In memory it is a table with open addressing (linear probing, at most half full) over the bytes
/// themselves, which are stored one after the other in its own memory: known bytes need no
/// allocation and no text. Hashes are seeded, so that keys cannot be chosen to collide.
///
/// Invariant of the unsafe parts: an entry's bytes are at `arena[start..<start + count]`.
struct InternTable: ~Copyable {
  private struct Entry {
    var hash: UInt64
    var id: Int64
    var start: Int
    /// −1 if there is no entry.
    var count: Int
  }

  private var entries: UnsafeMutableBufferPointer<Entry>
  private var used = 0
  private var arena: UnsafeMutableRawPointer
  private var arenaCount = 0
  private var arenaCapacity = 1 << 16
  private let seed = UInt64.random(in: .min ... .max)
  /// All entries are evicted when they would exceed this many bytes.
  private let limit: Int

  init(limit: Int) {
    self.limit = limit
    entries = Self.empty(1 << 10)
    arena = .allocate(byteCount: arenaCapacity, alignment: 8)
  }

  deinit {
    entries.deallocate()
    arena.deallocate()
  }

  private static func empty(_ count: Int) -> UnsafeMutableBufferPointer<Entry> {
    let entries = UnsafeMutableBufferPointer<Entry>.allocate(capacity: count)
    entries.initialize(repeating: Entry(hash: 0, id: 0, start: 0, count: -1))
    return entries
  }

  /// The row ID of some bytes.
  ///
  /// - Parameter find: returns the row ID in the file, where the row is inserted if it is not
  ///   there.
  @inline(__always)
  mutating func id(
    _ bytes: UnsafeRawBufferPointer, _ find: (UnsafeRawBufferPointer) throws -> Int64
  ) rethrows -> Int64 {
    let hash = hash(bytes)
    var place = Int(truncatingIfNeeded: hash) & (entries.count - 1)
    while entries[place].count >= 0 {
      if entries[place].hash == hash, isSame(entries[place], bytes) { return entries[place].id }
      place = (place + 1) & (entries.count - 1)
    }
    let id = try find(bytes)
    add(bytes, hash, id)
    return id
  }

  mutating func forgetAll() {
    for place in entries.indices { entries[place].count = -1 }
    used = 0
    arenaCount = 0
  }

  @inline(__always)
  private func isSame(_ entry: Entry, _ bytes: UnsafeRawBufferPointer) -> Bool {
    guard entry.count == bytes.count else { return false }
    guard let start = bytes.baseAddress else { return true }
    return memcmp(arena + entry.start, start, entry.count) == 0
  }

  private mutating func add(_ bytes: UnsafeRawBufferPointer, _ hash: UInt64, _ id: Int64) {
    if arenaCount + bytes.count > limit { forgetAll() }
    guard bytes.count <= limit else { return }
    if used * 2 >= entries.count { grow() }
    if arenaCount + bytes.count > arenaCapacity { growArena(bytes.count) }
    if let start = bytes.baseAddress {
      (arena + arenaCount).copyMemory(from: start, byteCount: bytes.count)
    }
    place(Entry(hash: hash, id: id, start: arenaCount, count: bytes.count))
    arenaCount += bytes.count
    used += 1
  }

  private func place(_ entry: Entry) {
    var place = Int(truncatingIfNeeded: entry.hash) & (entries.count - 1)
    while entries[place].count >= 0 { place = (place + 1) & (entries.count - 1) }
    entries[place] = entry
  }

  private mutating func grow() {
    let old = entries
    entries = Self.empty(old.count * 2)
    for entry in old where entry.count >= 0 { place(entry) }
    old.deallocate()
  }

  private mutating func growArena(_ more: Int) {
    let capacity = max(arenaCapacity * 2, arenaCount + more)
    let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 8)
    larger.copyMemory(from: arena, byteCount: arenaCount)
    arena.deallocate()
    arena = larger
    arenaCapacity = capacity
  }

  /// Eight bytes at a time, each folded in by a multiplication to 128 bits, as in wyhash
  /// (https://github.com/wangyi-fudan/wyhash).
  @inline(__always)
  private func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var state = seed ^ UInt64(bytes.count)
    var place = 0
    while place + 8 <= bytes.count {
      let word = bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)
      state = Self.fold(state ^ word, 0xA076_1D64_78BD_642F)
      place += 8
    }
    var rest: UInt64 = 0
    while place < bytes.count {
      rest = rest << 8 | UInt64(bytes[place])
      place += 1
    }
    return Self.fold(state ^ rest, 0xE703_7ED1_A0B4_28DB)
  }

  @inline(__always)
  private static func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let product = a.multipliedFullWidth(by: b)
    return product.high ^ product.low
  }
}
