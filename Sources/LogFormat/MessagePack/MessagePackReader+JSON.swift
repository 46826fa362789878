import TaskLogPlugin

/// MessagePack directly to the log's JSON: the same text as through `Value` and `JSONWriter`,
/// without creating the values. Rare types are converted through values.
extension MessagePackReader {
  /// Writes the next value as JSON.
  ///
  /// - Throws: `MessagePackError`, or what the writer's interning function throws.
  package mutating func write(to json: inout JSONWriter, depth: Int = 0) throws {
    guard depth < JSONWriter.maximumDepth else { return try json.write(value(), depth: depth) }
    switch peek {
    case 0xC0:
      _ = takeNil()
      json.raw("null")
    case 0x00...0x7F, 0xE0...0xFF, 0xCC...0xCE, 0xD0...0xD3: json.write(int: try integer())
    case 0xA0...0xBF, 0xD9...0xDB: try writeText(to: &json, depth)
    case 0xCB: json.write(double: try double())
    case 0xC4...0xC6: try json.write(bytes: binary())
    case 0x90...0x9F, 0xDC, 0xDD: try writeArray(to: &json, depth + 1)
    case 0x80...0x8F, 0xDE, 0xDF: try writeMap(to: &json, depth + 1)
    case 0xC7...0xC9, 0xD4...0xD8: try writeExtension(to: &json, depth)
    default: try json.write(value(), depth: depth)
    }
  }

  private mutating func writeText(to json: inout JSONWriter, _ depth: Int) throws {
    let start = position
    let text = try text()
    if text.isUTF8 { return json.write(utf8: text.bindMemory(to: UInt8.self)) }
    position = start
    try json.write(value(), depth: depth)
  }

  private mutating func writeArray(to json: inout JSONWriter, _ depth: Int) throws {
    let count = try arrayCount()
    json.raw("[")
    for place in 0..<count {
      if place > 0 { json.raw(",") }
      try write(to: &json, depth: depth)
    }
    json.raw("]")
  }

  /// An object if every key is a plain name, which is only known while writing.
  private mutating func writeMap(to json: inout JSONWriter, _ depth: Int) throws {
    let (start, length) = (position, json.output.count)
    let count = try mapCount()
    json.raw("{")
    for place in 0..<count {
      if place > 0 { json.raw(",") }
      guard try writeName(to: &json) else {
        position = start
        json.truncate(to: length)
        // The writer counts this level itself.
        return try json.write(value(), depth: depth - 1)
      }
      try write(to: &json, depth: depth)
    }
    json.raw("}")
  }

  /// A key of an object with its colon; false if it is not a plain name.
  private mutating func writeName(to json: inout JSONWriter) throws -> Bool {
    guard isText else { return false }
    let name = try text()
    guard name.first != UInt8(ascii: "$"), name.isUTF8 else { return false }
    json.write(utf8: name.bindMemory(to: UInt8.self))
    json.raw(":")
    return true
  }

  private mutating func writeExtension(to json: inout JSONWriter, _ depth: Int) throws {
    let start = position
    let (type, end) = try extensionHeader()
    let name: StaticString
    switch MessagePackExtension(rawValue: type) {
    case .tuple: name = "{\"$tuple\":"
    case .set: name = "{\"$set\":"
    case .frozenset: name = "{\"$frozenset\":"
    case .tagged where try writeShared(to: &json, depth):
      guard position == end else {
        throw MessagePackError(offset: position, reason: "an extension of a wrong length")
      }
      return
    default:
      position = start
      return try json.write(value(), depth: depth)
    }
    json.raw(name)
    try writeArray(to: &json, depth + 1)
    json.raw("}")
    guard position == end else {
      throw MessagePackError(offset: position, reason: "an extension of a wrong length")
    }
  }

  /// A value that several tasks share, see `JSONWriter+Shared.swift`; false if this is another
  /// tagged value.
  private mutating func writeShared(to json: inout JSONWriter, _ depth: Int) throws -> Bool {
    guard try arrayCount() == 2, isText, try text().elementsEqual("$shared".utf8), isArray else {
      return false
    }
    let count = try arrayCount()
    guard count == 1 || count == 2, isInteger else { return false }
    let number = try integer()
    if count == 2, try !defineSharedText(number, in: &json) {
      var reader = self
      try json.defineShared(number) { try reader.write(to: &$0, depth: depth + 1) }
      self = reader
    }
    return try json.writeShared(number)
  }

  /// Large text, written once per batch; false if it is another value.
  private mutating func defineSharedText(_ number: Int64, in json: inout JSONWriter) throws -> Bool
  {
    let start = position
    guard case 0xC7...0xC9 = peek, json.sharedDepth == 0 else { return false }
    let (type, end) = try extensionHeader()
    guard MessagePackExtension(rawValue: type) == .tagged, try arrayCount() == 2, isText else {
      position = start
      return false
    }
    let name = try text()
    if name.elementsEqual("$same".utf8), isText {
      try json.defineShared(number, hash: String(decoding: try text(), as: UTF8.self))
    } else if name.elementsEqual("$json".utf8), isText {
      let text = try text()
      guard case .string? = try? JSONReader.value(String(decoding: text, as: UTF8.self)) else {
        throw MessagePackError(offset: start, reason: "a text that is no JSON")
      }
      try json.defineShared(number) { $0.write(json: text) }
    } else {
      position = start
      return false
    }
    guard position == end else {
      throw MessagePackError(offset: position, reason: "an extension of a wrong length")
    }
    return true
  }

  private var isInteger: Bool {
    switch peek {
    case 0x00...0x7F, 0xE0...0xFF, 0xCC...0xCE, 0xD0...0xD3: true
    default: false
    }
  }

  /// Writes the args that `MessagePackWriter.write(_: Args)` wrote; false if there are none.
  package mutating func writeArgs(to json: inout JSONWriter) throws -> Bool {
    guard try arrayCount() == 2 else {
      throw MessagePackError(offset: position, reason: "args that are not two")
    }
    let (start, length) = (position, json.output.count)
    json.raw("{")
    let positional = try arrayCount()
    if positional > 0 {
      position = start
      json.raw("\"$args\":")
      try writeArray(to: &json, 1)
    }
    let count = try mapCount()
    if positional == 0, count == 0 {
      json.truncate(to: length)
      return false
    }
    for place in 0..<count {
      if place > 0 || positional > 0 { json.raw(",") }
      guard try writeName(to: &json) else {
        // A name that begins with `$`, or is not text.
        position = start
        json.truncate(to: length)
        let content = try argsContent()
        try json.write(Args(content))
        return true
      }
      try write(to: &json, depth: 1)
    }
    json.raw("}")
    return true
  }
}

extension UnsafeRawBufferPointer {
  /// Whether this is valid UTF-8.
  package var isUTF8: Bool {
    var high: UInt8 = 0
    for byte in self { high |= byte }
    return high < 0x80 || String(validating: self, as: UTF8.self) != nil
  }
}
