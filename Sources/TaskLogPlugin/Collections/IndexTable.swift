/// Where the keys of an `OrderedMap` lie: a hash table of places.
///
/// Each slot holds a part of a key's hash beside the place, so that a key is only looked at where it
/// is almost certainly the one that is sought. With a `Dictionary` each look is one more at memory
/// that is long out of the cache. Open addressing, closed up on removal, so there are no tombstones.
@usableFromInline
internal struct IndexTable: Sendable {
  /// The hash in the upper half, one more than the place in the lower; 0 where there is nothing.
  @usableFromInline internal var slots: [UInt64]
  @usableFromInline internal var filled = 0

  /// - Parameter capacity: how many places it is to take without growing.
  @inlinable
  internal init(capacity: Int) {
    var count = 16
    while count * 5 < capacity * 8 { count *= 2 }
    slots = Array(repeating: 0, count: count)
  }

  /// As much of the hash of a key as a slot holds.
  @inlinable
  internal static func hash<Key: Hashable>(_ key: Key) -> UInt32 {
    let hash = UInt64(bitPattern: Int64(key._rawHashValue(seed: 0)))
    return UInt32(truncatingIfNeeded: hash ^ (hash >> 32))
  }

  @inlinable
  internal static func slot(_ hash: UInt32, _ place: Int) -> UInt64 {
    UInt64(hash) << 32 | UInt64(place + 1)
  }

  /// The place with this hash for which the question is answered with yes.
  @inlinable
  internal func place(_ hash: UInt32, where isSought: (_ place: Int) -> Bool) -> Int? {
    let mask = slots.count - 1
    guard mask >= 0 else { return nil }
    var number = Int(hash) & mask
    while true {
      let slot = slots[number]
      if slot == 0 { return nil }
      if UInt32(truncatingIfNeeded: slot >> 32) == hash {
        let place = Int(slot & 0xFFFF_FFFF) - 1
        if isSought(place) { return place }
      }
      number = (number + 1) & mask
    }
  }

  /// - Parameter hash: that of a key which has no place yet.
  @inlinable
  internal mutating func insert(_ hash: UInt32, _ place: Int) {
    if (filled + 1) * 8 > slots.count * 5 { grow() }
    put(Self.slot(hash, place))
    filled += 1
  }

  @inlinable
  internal mutating func put(_ slot: UInt64) {
    let mask = slots.count - 1
    var number = Int(slot >> 32) & mask
    while slots[number] != 0 { number = (number + 1) & mask }
    slots[number] = slot
  }

  @inlinable
  internal mutating func grow() {
    var old: [UInt64] = []
    swap(&old, &slots)
    slots = Array(repeating: 0, count: max(old.count * 2, 16))
    for slot in old where slot != 0 { put(slot) }
  }

  @inlinable
  internal mutating func remove(_ hash: UInt32, _ place: Int) {
    let mask = slots.count - 1
    let sought = Self.slot(hash, place)
    var hole = Int(hash) & mask
    while slots[hole] != sought {
      if slots[hole] == 0 { return }
      hole = (hole + 1) & mask
    }
    filled -= 1
    // What lies behind the hole moves into it, unless it would come before where it belongs.
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
