/// Writes values as the log's lossless JSON.
///
/// What JSON can represent is written plainly. Everything else is an object with one key that begins
/// with `$`: `{"$bytes": base64}`, `$bytearray`, `$tuple`, `$set`, `$frozenset`,
/// `{"$map": [[k, v], …]}` for dictionaries with keys that are not text (or that begin with `$`),
/// `{"$float": "nan"}`, `{"$int": digits}` beyond 64 bits, `{"$wtf8": base64}`. A value that occurs
/// several times in an event is `{"$shared": [number, value]}`, the same object wherever the number
/// is the same, see `JSONWriter+Shared.swift`. `JSONReader` is the inverse.
package struct JSONWriter {
  /// Deeper nesting than this is replaced by a marked opaque value.
  package static let maximumDepth = 128

  /// The text so far, in UTF-8.
  package private(set) var output: [UInt8] = []
  /// The number of values that were replaced by opaque ones.
  package private(set) var opaqueCount = 0
  /// Stores bytes elsewhere and returns their hash; `nil` keeps them in place.
  let intern: ((UnsafeRawBufferPointer) throws -> String?)?
  /// Whether bytes with this hash are stored there.
  let isStored: ((String) throws -> Bool)?
  /// Values that occur several times in the current event, by number.
  var shared: [Int64: SharedJSON] = [:]
  /// Above 0 within one of those.
  package internal(set) var sharedDepth = 0

  /// - Parameter intern: called for each run of bytes; if it returns a hash, `{"$blob": hash}` is
  ///   written in their place.
  package init(intern: ((UnsafeRawBufferPointer) throws -> String?)? = nil) {
    self.init(intern: intern, isStored: nil)
  }

  /// - Parameter isStored: called with the hash of a text that an earlier event has brought.
  package init(
    intern: ((UnsafeRawBufferPointer) throws -> String?)?, isStored: ((String) throws -> Bool)?
  ) {
    (self.intern, self.isStored) = (intern, isStored)
  }

  /// The JSON of a value.
  package static func text(_ value: Value) -> String {
    var writer = JSONWriter()
    // Without an interning function nothing here throws.
    try? writer.write(value)
    return String(decoding: writer.output, as: UTF8.self)
  }

  /// The JSON of a hook's args: positional ones under `$args`, keyword ones by name, in order.
  package static func text(_ args: Args) -> String {
    var writer = JSONWriter()
    try? writer.write(args)
    return String(decoding: writer.output, as: UTF8.self)
  }

  /// Truncates the output to an earlier length.
  package mutating func truncate(to count: Int) {
    output.removeLast(output.count - count)
  }

  /// Appends text that is the log's JSON already.
  package mutating func write(json: UnsafeRawBufferPointer) { output.append(contentsOf: json) }

  package mutating func removeAll() {
    output.removeAll(keepingCapacity: true)
    opaqueCount = 0
    forgetShared()
  }

  /// - Throws: the errors of the interning function.
  package mutating func write(_ value: Value) throws {
    try write(value, depth: 0)
  }

  /// - Throws: the errors of the interning function.
  package mutating func write(_ args: Args) throws {
    let content = args.content
    raw("{")
    var first = true
    func comma(_ output: inout [UInt8]) {
      if !first { output.append(0x2C) }
      first = false
    }
    if !content.positional.isEmpty {
      comma(&output)
      raw("\"$args\":")
      try write(array: content.positional, depth: 1)
    }
    if content.named.contains(where: { $0.name.utf8.first == UInt8(ascii: "$") }) {
      comma(&output)
      raw("\"$kwargs\":")
      let entries = content.named.map { Value.Entry(.string($0.name), $0.value) }
      try write(.dict(entries), depth: 1)
    } else {
      for argument in content.named {
        comma(&output)
        write(string: argument.name)
        output.append(0x3A)
        try write(argument.value, depth: 1)
      }
    }
    raw("}")
  }

  package mutating func write(_ value: Value, depth: Int) throws {
    guard depth < Self.maximumDepth else {
      opaqueCount += 1
      raw("{\"$opaque\":\"too deep\"}")
      return
    }
    switch value {
    case .null: raw("null")
    case .bool(let value): raw(value ? "true" : "false")
    case .int(let value): write(int: value)
    case .bigInt(let digits): tag("$int") { $0.write(string: digits) }
    case .double(let value): write(double: value)
    case .string(let text): write(string: text)
    case .wtf8(let bytes): tag("$wtf8") { $0.write(base64: bytes) }
    case .bytes(let bytes): try bytes.withUnsafeBytes { try write(bytes: $0) }
    case .bytearray(let bytes):
      if let hash = try bytes.withUnsafeBytes({ try interned($0) }) {
        tag("$bytearray") { $0.tag("$blob") { $0.write(string: hash) } }
      } else {
        tag("$bytearray") { $0.write(base64: bytes) }
      }
    case .list(let values): try write(array: values, depth: depth + 1)
    case .tuple(let values): try tag("$tuple") { try $0.write(array: values, depth: depth + 1) }
    case .set(let values): try tag("$set") { try $0.write(array: values, depth: depth + 1) }
    case .frozenset(let values):
      try tag("$frozenset") { try $0.write(array: values, depth: depth + 1) }
    case .dict(let entries): try write(entries, depth: depth + 1)
    case .tagged("$shared", .list(let parts)) where try writeShared(parts, depth + 1): return
    case .tagged(let name, let value):
      // A name with quotes cannot come from our reader; escaping it keeps the output valid.
      raw("{")
      write(string: name)
      output.append(0x3A)
      try write(value, depth: depth + 1)
      raw("}")
    }
  }

  private mutating func write(array values: [Value], depth: Int) throws {
    output.append(0x5B)
    for (index, value) in values.enumerated() {
      if index > 0 { output.append(0x2C) }
      try write(value, depth: depth)
    }
    output.append(0x5D)
  }

  private mutating func write(_ entries: [Value.Entry], depth: Int) throws {
    let plain = entries.allSatisfy {
      if case .string(let key) = $0.key { return key.utf8.first != UInt8(ascii: "$") }
      return false
    }
    if plain {
      output.append(0x7B)
      for (index, entry) in entries.enumerated() {
        if index > 0 { output.append(0x2C) }
        if case .string(let key) = entry.key { write(string: key) }
        output.append(0x3A)
        try write(entry.value, depth: depth)
      }
      output.append(0x7D)
      return
    }
    try tag("$map") { writer in
      writer.output.append(0x5B)
      for (index, entry) in entries.enumerated() {
        if index > 0 { writer.output.append(0x2C) }
        try writer.write(array: [entry.key, entry.value], depth: depth)
      }
      writer.output.append(0x5D)
    }
  }

  private mutating func tag(
    _ name: StaticString, _ body: (inout JSONWriter) throws -> Void
  ) rethrows {
    raw("{\"")
    raw(name)
    raw("\":")
    try body(&self)
    raw("}")
  }

  package mutating func raw(_ text: StaticString) {
    text.withUTF8Buffer { output.append(contentsOf: $0) }
  }

  /// Appends JSON that has been written before.
  package mutating func raw(_ json: [UInt8]) { output.append(contentsOf: json) }

  package mutating func write(int value: Int64) {
    var magnitude = value.magnitude
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
      var index = 20
      repeat {
        index -= 1
        digits[index] = 0x30 + UInt8(truncatingIfNeeded: magnitude % 10)
        magnitude /= 10
      } while magnitude > 0
      if value < 0 {
        index -= 1
        digits[index] = 0x2D
      }
      output.append(contentsOf: UnsafeBufferPointer(rebasing: digits[index...]))
    }
  }

  package mutating func write(double value: Double) {
    guard value.isFinite else {
      tag("$float") { $0.write(string: Self.name(ofNonFinite: value)) }
      return
    }
    // Swift prints the shortest text that reads back as the same bits, always with a `.` or an `e`.
    var text = value.description
    text.withUTF8 { output.append(contentsOf: $0) }
  }

  /// `nan`, `inf`, `-inf`, or `nan:` and the bits in hexadecimal for any other not-a-number.
  static func name(ofNonFinite value: Double) -> String {
    if value == .infinity { return "inf" }
    if value == -.infinity { return "-inf" }
    if value.bitPattern == Double.nan.bitPattern { return "nan" }
    return "nan:" + String(value.bitPattern, radix: 16)
  }

  /// - Throws: the errors of the interning function.
  package mutating func write(bytes: UnsafeRawBufferPointer) throws {
    if let hash = try interned(bytes) {
      tag("$blob") { $0.write(string: hash) }
    } else {
      tag("$bytes") { $0.write(base64: bytes) }
    }
  }

  package mutating func write(base64 bytes: some Collection<UInt8>) {
    output.append(0x22)
    Base64.append(bytes, to: &output)
    output.append(0x22)
  }

  /// A JSON string; control characters are escaped, everything else is written as it is.
  mutating func write(string text: String) {
    var text = text
    text.withUTF8 { write(utf8: $0) }
  }

  /// A JSON string of valid UTF-8.
  package mutating func write(utf8 bytes: UnsafeBufferPointer<UInt8>) {
    output.append(0x22)
    var start = 0
    for index in 0..<bytes.count where Self.needsEscape(bytes[index]) {
      output.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[start..<index]))
      start = index + 1
      escape(bytes[index])
    }
    output.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[start...]))
    output.append(0x22)
  }

  @inline(__always)
  private static func needsEscape(_ byte: UInt8) -> Bool {
    byte < 0x20 || byte == 0x22 || byte == 0x5C || byte == 0x7F
  }

  private mutating func escape(_ byte: UInt8) {
    output.append(0x5C)
    switch byte {
    case 0x22, 0x5C: output.append(byte)
    case 0x0A: output.append(UInt8(ascii: "n"))
    case 0x0D: output.append(UInt8(ascii: "r"))
    case 0x09: output.append(UInt8(ascii: "t"))
    default:
      output.append(UInt8(ascii: "u"))
      UInt16(byte).appendHexadecimal(to: &output)
    }
  }
}
