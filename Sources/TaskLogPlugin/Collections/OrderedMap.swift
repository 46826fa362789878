/// A dictionary that keeps the order of insertion, with removal in constant time.
///
/// Entries lie in one array; a removed one leaves a hole, and the array is closed up when more than
/// half of it are holes. A map of a handful of entries is searched one by one, a larger one has an
/// index. Collections that plugins see are ordered so that a replay shows them in the order of the
/// live run.
public struct OrderedMap<Key: Hashable, Value> {
  @usableFromInline typealias Entry = (key: Key, value: Value)

  @usableFromInline internal var entries: [Entry?] = []
  /// The place of each key; nothing while there are few. Goes back to nothing only when all is
  /// removed.
  @usableFromInline internal var index: IndexTable?
  /// No entry lies before this place.
  @usableFromInline internal var head = 0
  public var count: Int { @inlinable get { filled } }
  @usableFromInline internal var filled = 0

  /// Up to so many places are searched one by one.
  @inlinable internal static var searched: Int { 8 }

  @inlinable
  public init() {}

  public var isEmpty: Bool { @inlinable get { count == 0 } }
  public var keys: [Key] { @inlinable get { map { $0.key } } }
  public var values: [Value] { @inlinable get { map { $0.value } } }

  /// The value of a key; setting nothing removes it, setting a new key puts it last.
  @inlinable
  public subscript(key: Key) -> Value? {
    get {
      guard let place = place(of: key) else { return nil }
      return entries[place]?.value
    }
    set {
      guard let newValue else {
        removeValue(forKey: key)
        return
      }
      let hash = hash(key)
      if let place = place(of: key, hash) {
        entries[place] = (key, newValue)
      } else {
        append(key, newValue, hash)
      }
    }
  }

  /// The value of a key, changed where it lies; a new key is put last with a value of its own.
  @inlinable
  public subscript(key: Key, default value: @autoclosure () -> Value) -> Value {
    get { self[key] ?? value() }
    _modify {
      let hash = hash(key)
      var place = entries.count
      if let known = self.place(of: key, hash) {
        place = known
      } else {
        append(key, value(), hash)
      }
      // Taken out meanwhile, so that whoever changes it is its only owner.
      var taken = entries[place]?.value ?? value()
      entries[place] = nil
      defer { entries[place] = (key, taken) }
      yield &taken
    }
  }

  /// Changes the value of a key where it lies; nothing when there is none.
  @inlinable
  package mutating func change<Result>(
    _ key: Key, _ body: (inout Value) -> Result
  ) -> Result? {
    guard let place = place(of: key), var taken = entries[place]?.value else { return nil }
    // Taken out meanwhile, so that whoever changes it is its only owner.
    entries[place] = nil
    let result = body(&taken)
    entries[place] = (key, taken)
    return result
  }

  @inlinable
  public func contains(_ key: Key) -> Bool { place(of: key) != nil }

  /// The hash of a key where one is needed.
  @inlinable
  internal func hash(_ key: Key) -> UInt32 {
    index == nil ? 0 : IndexTable.hash(key)
  }

  @inlinable
  internal func place(of key: Key) -> Int? { place(of: key, hash(key)) }

  @inlinable
  internal func place(of key: Key, _ hash: UInt32) -> Int? {
    if let index {
      return index.place(hash) { place in entries[place]?.key == key }
    }
    var place = head
    while place < entries.count {
      if let entry = entries[place], entry.key == key { return place }
      place += 1
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
    for (place, entry) in entries.enumerated() {
      if let entry { table.insert(IndexTable.hash(entry.key), place) }
    }
    index = table
  }

  /// Makes room for so many entries in all.
  @inlinable
  public mutating func reserveCapacity(_ count: Int) {
    entries.reserveCapacity(count)
    guard count > Self.searched, index == nil || isEmpty else { return }
    index = IndexTable(capacity: count)
    for (place, entry) in entries.enumerated() {
      if let entry { index?.insert(IndexTable.hash(entry.key), place) }
    }
  }

  @inlinable
  @discardableResult
  public mutating func removeValue(forKey key: Key) -> Value? {
    let hash = hash(key)
    guard let place = place(of: key, hash) else { return nil }
    index?.remove(hash, place)
    let value = entries[place]?.value
    filled -= 1
    if place == entries.count - 1 {
      entries.removeLast()
      head = Swift.min(head, entries.count)
    } else {
      entries[place] = nil
      compact()
    }
    return value
  }

  @inlinable
  public mutating func removeAll() {
    self = OrderedMap()
  }

  /// The entry that was put in first.
  public var first: (key: Key, value: Value)? {
    @inlinable get {
      var iterator = makeIterator()
      return iterator.next()
    }
  }

  /// Takes out the entry that was put in last.
  @inlinable
  public mutating func popLast() -> (key: Key, value: Value)? {
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
    @usableFromInline internal var place: Int

    @inlinable
    internal init(entries: [(key: Key, value: Value)?], place: Int) {
      self.entries = entries
      self.place = place
    }

    @inlinable
    public mutating func next() -> (key: Key, value: Value)? {
      while place < entries.count {
        defer { place += 1 }
        if let entry = entries[place] { return entry }
      }
      return nil
    }
  }

  @inlinable
  public func makeIterator() -> Iterator {
    Iterator(entries: entries, place: head)
  }

  public var underestimatedCount: Int { @inlinable get { count } }
}

extension OrderedMap: Sendable where Key: Sendable, Value: Sendable {}

extension OrderedMap: CustomReflectable {
  /// Its entries, so that a report shows neither holes nor hashes.
  public var customMirror: Mirror {
    Mirror(
      self, unlabeledChildren: map { ($0.key, $0.value) }, displayStyle: .dictionary)
  }
}
