/// Receives named fields in order.
///
/// A type describes its fields once: for the values that plugins see, and for the bytes of a
/// recorder's spool, which are written without values in between.
package protocol FieldEncoder: ~Copyable {
  mutating func field(_ name: StaticString, _ value: Value)
  mutating func field(_ name: StaticString, _ text: String)
  mutating func field(_ name: StaticString, _ number: Int64)
  mutating func field(_ name: StaticString, _ number: Double)
  mutating func field(_ name: StaticString, _ key: Key)
  mutating func field(_ name: StaticString, _ priority: Priority)
  mutating func field(_ name: StaticString, list keys: [Key])
  mutating func field(_ name: StaticString, set keys: [Key])
  /// A dictionary of lists of texts.
  mutating func field(_ name: StaticString, _ texts: [(Key, [String])])
  /// A dictionary of priorities, `null` if there is none.
  mutating func field(_ name: StaticString, priorities tasks: [GraphTask])
  mutating func field<Element: FieldEncodable>(_ name: StaticString, _ elements: [Element])
  mutating func field<Element: FieldEncodable>(_ name: StaticString, _ element: Element)
}

extension FieldEncoder where Self: ~Copyable {
  mutating func field(_ name: StaticString, _ number: Int) { field(name, Int64(number)) }
}

/// A type that consists of named fields.
package protocol FieldEncodable {
  /// Writes the fields in order, except those with their default value.
  func write<Sink: FieldEncoder & ~Copyable>(to sink: inout Sink)
}

extension FieldEncodable {
  /// The fields as a dictionary.
  var fields: Value { .dict(entries) }

  var entries: [Value.Entry] {
    var sink = ValueFields()
    write(to: &sink)
    return sink.entries
  }

  /// The fields as keyword arguments.
  var arguments: [Args.Argument] {
    entries.map { Args.Argument($0.key.string ?? "", $0.value) }
  }
}

/// Collects fields as values.
private struct ValueFields: FieldEncoder {
  var entries: [Value.Entry] = []

  mutating func field(_ name: StaticString, _ value: Value) {
    entries.append(.init(.string(name.description), value))
  }

  mutating func field(_ name: StaticString, _ text: String) { field(name, .string(text)) }
  mutating func field(_ name: StaticString, _ number: Int64) { field(name, .int(number)) }
  mutating func field(_ name: StaticString, _ number: Double) { field(name, .double(number)) }
  mutating func field(_ name: StaticString, _ key: Key) { field(name, key.value) }
  mutating func field(_ name: StaticString, _ priority: Priority) { field(name, priority.value) }

  mutating func field(_ name: StaticString, list keys: [Key]) {
    field(name, .list(keys.map(\.value)))
  }

  mutating func field(_ name: StaticString, set keys: [Key]) {
    field(name, .set(keys.map(\.value)))
  }

  mutating func field(_ name: StaticString, _ texts: [(Key, [String])]) {
    field(name, .dict(texts.map { .init($0.value, .list($1.map(Value.string))) }))
  }

  mutating func field(_ name: StaticString, priorities tasks: [GraphTask]) {
    field(name, .dict(tasks.map { .init($0.key.value, $0.priority?.value ?? .null) }))
  }

  mutating func field<Element: FieldEncodable>(_ name: StaticString, _ elements: [Element]) {
    field(name, .list(elements.map(\.fields)))
  }

  mutating func field<Element: FieldEncodable>(_ name: StaticString, _ element: Element) {
    field(name, element.fields)
  }
}
