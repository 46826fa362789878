/// A dictionary that keeps the order of insertion, with removal in constant time.
///
/// Entries are in one array; a removed one leaves a hole, and the array is compacted when more than
/// half of it are holes. A map of a few entries is searched linearly, a larger one has an index.
/// Collections that plugins see are ordered so that a replay shows them in the order of the live
/// run.
public struct OrderedMap<Key: Hashable, Value> {
  @usableFromInline typealias Entry = (key: Key, value: Value)

  @usableFromInline internal var entries: [Entry?] = []
  /// The position of each key; `nil` while there are few. Reset to `nil` only when all entries are
  /// removed.
  @usableFromInline internal var index: IndexTable?
  /// There is no entry before this position.
  @usableFromInline internal var head = 0
  public var count: Int { @inlinable get { filled } }
  @usableFromInline internal var filled = 0

  /// The number of positions up to which a map is searched linearly.
  @inlinable internal static var searched: Int { 8 }

  @inlinable
  public init() {}

  public var isEmpty: Bool { @inlinable get { count == 0 } }
  public var keys: [Key] { @inlinable get { map { $0.key } } }
  public var values: [Value] { @inlinable get { map { $0.value } } }

  /// The value of a key; setting `nil` removes it, setting a new key appends it.
  @inlinable
  public subscript(key: Key) -> Value? {
    get {
      guard let position = position(of: key) else { return nil }
      return entries[position]?.value
    }
    set {
      guard let newValue else {
        removeValue(forKey: key)
        return
      }
      let hash = hash(key)
      if let position = position(of: key, hash) {
        entries[position] = (key, newValue)
      } else {
        append(key, newValue, hash)
      }
    }
  }

  /// The value of a key, changed in place; a new key is appended with the default value.
  @inlinable
  public subscript(key: Key, default value: @autoclosure () -> Value) -> Value {
    get { self[key] ?? value() }
    _modify {
      let hash = hash(key)
      var position = entries.count
      if let existing = self.position(of: key, hash) {
        position = existing
      } else {
        append(key, value(), hash)
      }
      // Moved out meanwhile, so that the caller is its only owner.
      var current = entries[position]?.value ?? value()
      entries[position] = nil
      defer { entries[position] = (key, current) }
      yield &current
    }
  }

  /// Changes the value of a key in place; returns `nil` if there is none.
  @inlinable
  package mutating func change<Result>(
    _ key: Key, _ body: (inout Value) -> Result
  ) -> Result? {
    guard let position = position(of: key), var value = entries[position]?.value else { return nil }
    // Moved out meanwhile, so that `body` is its only owner.
    entries[position] = nil
    let result = body(&value)
    entries[position] = (key, value)
    return result
  }

  @inlinable
  public func contains(_ key: Key) -> Bool { position(of: key) != nil }

  /// The hash of a key, if an index needs it.
  @inlinable
  internal func hash(_ key: Key) -> UInt32 {
    index == nil ? 0 : IndexTable.hash(key)
  }

  @inlinable
  internal func position(of key: Key) -> Int? { position(of: key, hash(key)) }

  @inlinable
  internal func position(of key: Key, _ hash: UInt32) -> Int? {
    if let index {
      return index.position(hash) { position in entries[position]?.key == key }
    }
    var position = head
    while position < entries.count {
      if let entry = entries[position], entry.key == key { return position }
      position += 1
    }
    return nil
  }

  @inlinable
  internal mutating func append(_ key: Key, _ value: Value, _ hash: UInt32) {
    if index != nil {
      index?.insert(hash, entries.count)
    } else if entries.count == Self.searched {
      makeIndex()
      index?.insert(IndexTable.hash(key), entries.count)
    }
    entries.append((key, value))
    filled += 1
  }

  @inlinable
  internal mutating func makeIndex() {
    var table = IndexTable(capacity: entries.count)
    for (position, entry) in entries.enumerated() {
      if let entry { table.insert(IndexTable.hash(entry.key), position) }
    }
    index = table
  }

  /// Reserves room for a total number of entries.
  @inlinable
  package mutating func reserveCapacity(_ count: Int) {
    entries.reserveCapacity(count)
    guard count > Self.searched, index == nil || isEmpty else { return }
    index = IndexTable(capacity: count)
    for (position, entry) in entries.enumerated() {
      if let entry { index?.insert(IndexTable.hash(entry.key), position) }
    }
  }

  @inlinable
  @discardableResult
  package mutating func removeValue(forKey key: Key) -> Value? {
    let hash = hash(key)
    guard let position = position(of: key, hash) else { return nil }
    index?.remove(hash, position)
    let value = entries[position]?.value
    filled -= 1
    if position == entries.count - 1 {
      entries.removeLast()
      head = Swift.min(head, entries.count)
    } else {
      entries[position] = nil
      compact()
    }
    return value
  }

  @inlinable
  package mutating func removeAll() {
    self = OrderedMap()
  }

  /// The entry that was inserted first.
  public var first: (key: Key, value: Value)? {
    @inlinable get {
      var iterator = makeIterator()
      return iterator.next()
    }
  }

  /// Removes and returns the entry that was inserted last.
  @inlinable
  package mutating func popLast() -> (key: Key, value: Value)? {
    while let last = entries.popLast() {
      head = Swift.min(head, entries.count)
      guard let last else { continue }
      index?.remove(IndexTable.hash(last.key), entries.count)
      filled -= 1
      return last
    }
    return nil
  }

  @inlinable
  internal mutating func compact() {
    while head < entries.count, entries[head] == nil { head += 1 }
    if count == 0 {
      entries.removeAll(keepingCapacity: entries.count < 32)
      head = 0
      return
    }
    let isIndexed = index != nil
    guard entries.count >= (isIndexed ? 32 : Self.searched), count * 2 < entries.count else {
      return
    }
    entries.removeAll { $0 == nil }
    head = 0
    if isIndexed { makeIndex() }
  }
}

extension OrderedMap: Sequence {
  public struct Iterator: IteratorProtocol {
    @usableFromInline internal let entries: [(key: Key, value: Value)?]
    @usableFromInline internal var position: Int

    @inlinable
    internal init(entries: [(key: Key, value: Value)?], position: Int) {
      self.entries = entries
      self.position = position
    }

    @inlinable
    public mutating func next() -> (key: Key, value: Value)? {
      while position < entries.count {
        defer { position += 1 }
        if let entry = entries[position] { return entry }
      }
      return nil
    }
  }

  @inlinable
  public func makeIterator() -> Iterator {
    Iterator(entries: entries, position: head)
  }

  public var underestimatedCount: Int { @inlinable get { count } }
}

extension OrderedMap: Sendable where Key: Sendable, Value: Sendable {}

extension OrderedMap: CustomReflectable {
  /// The entries, so that a report shows neither holes nor hashes.
  public var customMirror: Mirror {
    Mirror(
      self, unlabeledChildren: map { ($0.key, $0.value) }, displayStyle: .dictionary)
  }
}
