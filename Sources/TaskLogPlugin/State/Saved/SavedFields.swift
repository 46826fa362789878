/// A saved state that is damaged, or of another version of tasklog.
package struct SavedStateError: Error {}

/// Assigns indexes to objects that reference each other, in the order in which they are visited.
struct ObjectIDs<Element: AnyObject> {
  private(set) var elements: [Element] = []
  private var indexes: [Identity: Int] = [:]

  init(_ elements: some Sequence<Element>) {
    for element in elements { _ = number(of: element) }
  }

  mutating func number(of element: Element) -> Int {
    let identity = Identity(element)
    if let index = indexes[identity] { return index }
    indexes[identity] = elements.count
    elements.append(element)
    return elements.count - 1
  }

  mutating func indexes(of others: some Sequence<Element>) -> Value {
    .list(others.map { .int(Int64(number(of: $0))) })
  }
}

/// The saved fields of an object, by name. Empty, 0, false and `nil` are omitted.
struct SavedFields {
  private var entries: [Value.Entry] = []

  var value: Value { .dict(entries) }

  /// Adds a field that is always present.
  mutating func set(_ name: String, _ value: Value) { entries.append(.init(.string(name), value)) }

  mutating func add(_ name: String, _ value: Value?) {
    switch value {
    case nil, .null?, .bool(false)?, .int(0)?, .list([])?, .dict([])?: return
    case let value?: set(name, value)
    }
  }

  mutating func add(_ name: String, _ text: String?) { add(name, text.map(Value.string)) }
  mutating func add(_ name: String, _ texts: [String]) { add(name, .list(texts.map(Value.string))) }
  mutating func add(_ name: String, _ flag: Bool) { add(name, .bool(flag)) }
  mutating func add(_ name: String, _ number: Int64) { add(name, .int(number)) }
  mutating func add(_ name: String, _ number: Int) { add(name, .int(Int64(number))) }

  /// Here 0 and `nil` differ.
  mutating func add(bytes: Int64?) { add("nbytes", .list(bytes.map { [.int($0)] } ?? [])) }

  mutating func add(_ name: String, _ amounts: OrderedMap<String, Double>) {
    add(name, .dict(amounts.map { .init(.string($0.key), .double($0.value)) }))
  }

  mutating func add(_ name: String, _ counts: [State: Int]) {
    let sorted = counts.sorted { $0.key.name < $1.key.name }
    add(name, .dict(sorted.map { .init(.string($0.key.name), .int(Int64($0.value))) }))
  }
}

/// Decoding of saved fields.
extension Value {
  func text(_ name: String) -> String? { self[name]?.string }

  func texts(_ name: String) -> [String] { (self[name]?.elements ?? []).compactMap(\.string) }

  func flag(_ name: String) -> Bool { self[name]?.bool ?? false }

  func number(_ name: String) throws -> Int64 {
    guard let value = self[name] else { return 0 }
    guard let number = value.int else { throw SavedStateError() }
    return number
  }

  func count(_ name: String) throws -> Int {
    guard let count = Int(exactly: try number(name)) else { throw SavedStateError() }
    return count
  }

  var savedBytes: Int64? { self["nbytes"]?.elements?.first?.int }

  func list(_ name: String) -> [Value] { self[name]?.elements ?? [] }

  func entries(_ name: String) -> [Value.Entry] {
    guard case .dict(let entries)? = self[name] else { return [] }
    return entries
  }

  func amounts(_ name: String) -> OrderedMap<String, Double> {
    var amounts = OrderedMap<String, Double>()
    for entry in entries(name) {
      if let name = entry.key.string, let amount = entry.value.number { amounts[name] = amount }
    }
    return amounts
  }

  func counts(_ name: String) -> [State: Int] {
    var counts: [State: Int] = [:]
    for entry in entries(name) {
      guard let state = entry.key.string, let count = entry.value.int else { continue }
      counts[State(state)] = Int(exactly: count)
    }
    return counts
  }

  /// The object of a field with one index; `nil` if there is no such field.
  func only<Element: AnyObject>(_ name: String, of all: [Element]) throws -> Element? {
    try some(name, of: all).first
  }

  func some<Element: AnyObject>(
    _ name: String, of all: [Element]
  ) throws -> OrderedSet<Element> {
    var set = OrderedSet<Element>()
    for value in list(name) { set.insert(try value.element(of: all)) }
    return set
  }

  private func element<Element>(of all: [Element]) throws -> Element {
    guard let index = int.flatMap(Int.init(exactly:)), all.indices.contains(index) else {
      throw SavedStateError()
    }
    return all[index]
  }
}
