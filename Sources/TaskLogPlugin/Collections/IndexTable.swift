/// Maps the keys of an `OrderedMap` to their positions: a hash table.
///
/// Each slot holds a part of a key's hash next to the position, so that a key is compared only if
/// it is almost certainly the right one. With a `Dictionary` each comparison is one more access to
/// memory that has long left the cache. Open addressing with backward shifting on removal, so there
/// are no tombstones.
@usableFromInline
internal struct IndexTable: Sendable {
  /// The hash in the upper half, the position plus one in the lower; 0 if the slot is empty.
  @usableFromInline internal var slots: [UInt64]
  @usableFromInline internal var filled = 0

  /// - Parameter capacity: the number of positions to hold without growing.
  @inlinable
  internal init(capacity: Int) {
    var count = 16
    while count * 5 < capacity * 8 { count *= 2 }
    slots = Array(repeating: 0, count: count)
  }

  /// The part of a key's hash that a slot holds.
  @inlinable
  internal static func hash<Key: Hashable>(_ key: Key) -> UInt32 {
    let hash = UInt64(bitPattern: Int64(key._rawHashValue(seed: 0)))
    return UInt32(truncatingIfNeeded: hash ^ (hash >> 32))
  }

  @inlinable
  internal static func slot(_ hash: UInt32, _ position: Int) -> UInt64 {
    UInt64(hash) << 32 | UInt64(position + 1)
  }

  /// The position with this hash for which `isSought` is true.
  @inlinable
  internal func position(_ hash: UInt32, where isSought: (_ position: Int) -> Bool) -> Int? {
    let mask = slots.count - 1
    guard mask >= 0 else { return nil }
    var slotIndex = Int(hash) & mask
    while true {
      let slot = slots[slotIndex]
      if slot == 0 { return nil }
      if UInt32(truncatingIfNeeded: slot >> 32) == hash {
        let position = Int(slot & 0xFFFF_FFFF) - 1
        if isSought(position) { return position }
      }
      slotIndex = (slotIndex + 1) & mask
    }
  }

  /// - Parameter hash: of a key that has no position yet.
  @inlinable
  internal mutating func insert(_ hash: UInt32, _ position: Int) {
    if (filled + 1) * 8 > slots.count * 5 { grow() }
    put(Self.slot(hash, position))
    filled += 1
  }

  @inlinable
  internal mutating func put(_ slot: UInt64) {
    let mask = slots.count - 1
    var slotIndex = Int(slot >> 32) & mask
    while slots[slotIndex] != 0 { slotIndex = (slotIndex + 1) & mask }
    slots[slotIndex] = slot
  }

  @inlinable
  internal mutating func grow() {
    var old: [UInt64] = []
    swap(&old, &slots)
    slots = Array(repeating: 0, count: max(old.count * 2, 16))
    for slot in old where slot != 0 { put(slot) }
  }

  @inlinable
  internal mutating func remove(_ hash: UInt32, _ position: Int) {
    let mask = slots.count - 1
    let sought = Self.slot(hash, position)
    var hole = Int(hash) & mask
    while slots[hole] != sought {
      if slots[hole] == 0 { return }
      hole = (hole + 1) & mask
    }
    filled -= 1
    // Entries after the hole move into it, unless that would be before their home slot.
    var next = (hole + 1) & mask
    while slots[next] != 0 {
      let home = Int(slots[next] >> 32) & mask
      if (next - home) & mask >= (next - hole) & mask {
        slots[hole] = slots[next]
        hole = next
      }
      next = (next + 1) & mask
    }
    slots[hole] = 0
  }
}
