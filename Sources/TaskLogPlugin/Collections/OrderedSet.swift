/// A set of objects that keeps the order of insertion.
///
/// The sets of a task (dependencies, waiters, …) mostly hold a few elements: one takes no extra
/// memory, a few are in a plain array that is searched linearly. A larger set is an `OrderedMap` by
/// identity.
public struct OrderedSet<Element: AnyObject> {
  @usableFromInline internal enum Storage {
    case none
    case one(Element)
    case few([Element])
    case many(Many)
  }

  /// Many elements, stored separately to keep sets with few elements small.
  @usableFromInline internal final class Many {
    @exclusivity(unchecked)
    @usableFromInline internal var map: OrderedMap<Identity, Element>

    @inlinable
    internal init(_ map: OrderedMap<Identity, Element>) {
      self.map = map
    }
  }

  @inlinable internal static var limit: Int { 12 }
  @usableFromInline internal var storage = Storage.none

  @inlinable
  public init() {}

  public var count: Int {
    @inlinable get {
      switch storage {
      case .none: 0
      case .one: 1
      case .few(let elements): elements.count
      case .many(let many): many.map.count
      }
    }
  }

  public var isEmpty: Bool { @inlinable get { count == 0 } }

  public var first: Element? {
    @inlinable get {
      switch storage {
      case .none: nil
      case .one(let element): element
      case .few(let elements): elements.first
      case .many(let many): many.map.first?.value
      }
    }
  }

  @inlinable
  public func contains(_ element: Element) -> Bool {
    switch storage {
    case .none: return false
    case .one(let only): return only === element
    case .few(let elements):
      for other in elements where other === element { return true }
      return false
    case .many(let many): return many.map.contains(Identity(element))
    }
  }

  @inlinable
  package mutating func insert(_ element: Element) {
    switch storage {
    case .none: storage = .one(element)
    case .one(let only):
      if only !== element { storage = .few([only, element]) }
    case .few(var elements):
      for other in elements where other === element { return }
      // The payload must be the only owner of the array, or appending copies it.
      storage = .none
      elements.append(element)
      if elements.count <= Self.limit {
        storage = .few(elements)
      } else {
        var map = OrderedMap<Identity, Element>()
        for element in elements { map[Identity(element)] = element }
        storage = .many(Many(map))
      }
    case .many(var many):
      storage = .none
      if !isKnownUniquelyReferenced(&many) { many = Many(many.map) }
      many.map[Identity(element)] = element
      storage = .many(many)
    }
  }

  @inlinable
  package mutating func remove(_ element: Element) {
    switch storage {
    case .none: break
    case .one(let only):
      if only === element { storage = .none }
    case .few(var elements):
      guard let position = elements.firstIndex(where: { $0 === element }) else { return }
      storage = .none
      elements.remove(at: position)
      if !elements.isEmpty { storage = .few(elements) }
    case .many(var many):
      storage = .none
      if !isKnownUniquelyReferenced(&many) { many = Many(many.map) }
      many.map.removeValue(forKey: Identity(element))
      storage = .many(many)
    }
  }

  @inlinable
  package mutating func removeAll() {
    storage = .none
  }
}

/// The address of an object. Hashes faster than `ObjectIdentifier`, which is hashed like text.
@usableFromInline
package struct Identity: Hashable {
  @usableFromInline internal let bits: UInt

  @inlinable
  package init(_ object: AnyObject) {
    bits = UInt(bitPattern: ObjectIdentifier(object))
  }

  @inlinable
  package static func == (a: Identity, b: Identity) -> Bool { a.bits == b.bits }

  @inlinable
  package func hash(into hasher: inout Hasher) { hasher.combine(bits) }

  @inlinable
  package func _rawHashValue(seed: Int) -> Int { mixedHash(Int(bitPattern: bits), seed: seed) }
}

/// A hash of a value that is well distributed already, or only needs to be distributed well enough
/// for a dictionary. The seed keeps two tables from having their entries in the same order, which
/// would make filling one from the other quadratic.
@inlinable
internal func mixedHash(_ bits: Int, seed: Int) -> Int {
  var mixed = UInt64(truncatingIfNeeded: bits ^ seed)
  mixed = (mixed ^ (mixed >> 32)) &* 0x9E37_79B9_7F4A_7C15
  mixed = (mixed ^ (mixed >> 29)) &* 0xBF58_476D_1CE4_E5B9
  return Int(truncatingIfNeeded: mixed ^ (mixed >> 32))
}

extension OrderedSet: Sequence {
  public struct Iterator: IteratorProtocol {
    @usableFromInline internal let storage: Storage
    @usableFromInline internal var position: Int

    @inlinable
    internal init(_ storage: Storage) {
      self.storage = storage
      if case .many(let many) = storage { position = many.map.head } else { position = 0 }
    }

    @inlinable
    public mutating func next() -> Element? {
      switch storage {
      case .none: return nil
      case .one(let element):
        guard position == 0 else { return nil }
        position = 1
        return element
      case .few(let elements):
        guard position < elements.count else { return nil }
        position += 1
        return elements[position - 1]
      case .many(let many):
        while position < many.map.entries.count {
          position += 1
          if let entry = many.map.entries[position - 1] { return entry.value }
        }
        return nil
      }
    }
  }

  @inlinable
  public func makeIterator() -> Iterator { Iterator(storage) }

  public var underestimatedCount: Int { @inlinable get { count } }
}

extension OrderedSet: CustomReflectable {
  /// The elements, so that a report does not show memory addresses.
  public var customMirror: Mirror {
    Mirror(self, unlabeledChildren: Array(self), displayStyle: .collection)
  }
}
