import TaskLogPlugin

/// Writes the fields of snapshots as MessagePack, without intermediate values. They are read back
/// as the same values.
extension MessagePackWriter: FieldEncoder {
  package mutating func field(_ name: StaticString, _ value: Value) {
    begin(name)
    write(value)
  }

  package mutating func field(_ name: StaticString, _ text: String) {
    begin(name)
    write(text)
  }

  package mutating func field(_ name: StaticString, _ number: Int64) {
    begin(name)
    write(number)
  }

  package mutating func field(_ name: StaticString, _ number: Double) {
    begin(name)
    write(number)
  }

  package mutating func field(_ name: StaticString, _ key: Key) {
    begin(name)
    writeValue(of: key)
  }

  package mutating func field(_ name: StaticString, _ priority: Priority) {
    begin(name)
    write(priority)
  }

  package mutating func field(_ name: StaticString, list keys: [Key]) {
    begin(name)
    write(arrayOf: keys.count)
    for key in keys { writeValue(of: key) }
  }

  package mutating func field(_ name: StaticString, set keys: [Key]) {
    begin(name)
    let start = begin(.set)
    write(arrayOf: keys.count)
    for key in keys { writeValue(of: key) }
    end(extensionAt: start)
  }

  package mutating func field(_ name: StaticString, _ texts: [(Key, [String])]) {
    begin(name)
    write(mapOf: texts.count)
    for (key, texts) in texts {
      writeValue(of: key)
      write(arrayOf: texts.count)
      for text in texts { write(text) }
    }
  }

  package mutating func field(_ name: StaticString, priorities tasks: [GraphTask]) {
    begin(name)
    write(mapOf: tasks.count)
    for task in tasks {
      writeValue(of: task.key)
      if let priority = task.priority { write(priority) } else { writeNil() }
    }
  }

  package mutating func field<Element: FieldEncodable>(_ name: StaticString, _ elements: [Element])
  {
    begin(name)
    write(arrayOf: elements.count)
    for element in elements { write(element) }
  }

  package mutating func field<Element: FieldEncodable>(_ name: StaticString, _ element: Element) {
    begin(name)
    write(element)
  }

  /// A map of the fields; their count is known once they are written.
  package mutating func write(_ facts: some FieldEncodable) {
    let start = beginMap()
    let outer = fieldCount
    fieldCount = 0
    facts.write(to: &self)
    end(mapAt: start, count: fieldCount)
    fieldCount = outer
  }

  private mutating func begin(_ name: StaticString) {
    fieldCount += 1
    write(name)
  }

  package mutating func write(_ priority: Priority) {
    let start = begin(.tuple)
    write(arrayOf: priority.count)
    for place in 0..<priority.count {
      let number = priority[place]
      if let whole = Int64(exactly: number) { write(whole) } else { write(number) }
    }
    end(extensionAt: start)
  }

  /// The value of the key.
  package mutating func writeValue(of key: Key) {
    switch key.form {
    case .plain: write(key.text)
    case .numbered(let name, let number):
      let start = begin(.tuple)
      write(arrayOf: 2)
      write(name)
      write(Int64(number))
      end(extensionAt: start)
    case .value(let value): write(value)
    case .typed: write(key.value)
    }
  }
}
