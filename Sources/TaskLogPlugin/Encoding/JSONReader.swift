/// Why a text is not JSON of a log.
package struct JSONError: Error, Sendable, CustomStringConvertible {
  /// The offset in bytes.
  package var offset: Int
  package var reason: String

  package var description: String { "not JSON at byte \(offset): \(reason)" }
}

/// Reads the log's lossless JSON, the inverse of `JSONWriter`.
///
/// A recursive descent over bytes that never traps: depth is bounded, every read is checked.
package struct JSONReader {
  /// Deeper nesting than this is an error. `JSONWriter` never reaches it.
  package static let maximumDepth = 512

  let bytes: UnsafeBufferPointer<UInt8>
  var position = 0
  private let blob: ((String) -> [UInt8]?)?
  private let blobs: (any BlobSource)?
  /// Whether a shared value is read as the value itself, rather than as tagged.
  private let opensShared: Bool
  /// The hash of the last blob that was looked up, and the values of nested JSON by hash.
  private var lastBlob = ""
  private var valuesByHash: [String: Value] = [:]

  init(
    _ bytes: UnsafeBufferPointer<UInt8>, blob: ((String) -> [UInt8]?)? = nil,
    blobs: (any BlobSource)? = nil, opensShared: Bool = true
  ) {
    self.bytes = bytes
    self.blob = blob
    self.blobs = blobs
    self.opensShared = opensShared
  }

  /// The value of a JSON text.
  ///
  /// - Parameters:
  ///   - text: the JSON, of one value.
  ///   - blob: returns interned bytes by their hash; without it `{"$blob": hash}` is read as a
  ///     tagged value.
  ///   - opensShared: whether `{"$shared": [number, value]}` is read as the value. Code that writes
  ///     the value again needs the numbers.
  /// - Throws: `JSONError`.
  package static func value(
    _ text: String, blob: ((String) -> [UInt8]?)? = nil, opensShared: Bool = true
  ) throws(JSONError) -> Value {
    var text = text
    let result: Result<Value, JSONError> = text.withUTF8 { bytes in
      var reader = JSONReader(bytes, blob: blob, opensShared: opensShared)
      return Result { () throws(JSONError) in try reader.document() }
    }
    return try result.get()
  }

  mutating func document() throws(JSONError) -> Value {
    let value = try value(depth: 0)
    skipSpace()
    guard position == bytes.count else { throw error("text after the value") }
    return value
  }

  func error(_ reason: String) -> JSONError {
    JSONError(offset: position, reason: reason)
  }

  mutating func skipSpace() {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x0A, 0x0D, 0x09: position += 1
      default: return
      }
    }
  }

  mutating func peek() throws(JSONError) -> UInt8 {
    skipSpace()
    guard position < bytes.count else { throw error("unexpected end of the text") }
    return bytes[position]
  }

  mutating func value(depth: Int) throws(JSONError) -> Value {
    guard depth < Self.maximumDepth else { throw error("nested too deeply") }
    switch try peek() {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return .list(try array(depth: depth))
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"):
      try expect("true")
      return .bool(true)
    case UInt8(ascii: "f"):
      try expect("false")
      return .bool(false)
    case UInt8(ascii: "n"):
      try expect("null")
      return .null
    default: return try number()
    }
  }

  mutating func expect(_ word: StaticString) throws(JSONError) {
    let matches = word.withUTF8Buffer { word in
      position + word.count <= bytes.count
        && bytes[position..<position + word.count].elementsEqual(word)
    }
    guard matches else { throw error("expected \(word)") }
    position += word.utf8CodeUnitCount
  }

  private mutating func array(depth: Int) throws(JSONError) -> [Value] {
    position += 1
    var values: [Value] = []
    if try peek() == UInt8(ascii: "]") {
      position += 1
      return values
    }
    while true {
      values.append(try value(depth: depth + 1))
      switch try peek() {
      case UInt8(ascii: ","): position += 1
      case UInt8(ascii: "]"):
        position += 1
        return values
      default: throw error("expected , or ] in an array")
      }
    }
  }

  private mutating func object(depth: Int) throws(JSONError) -> Value {
    position += 1
    var entries: [Value.Entry] = []
    if try peek() == UInt8(ascii: "}") {
      position += 1
      return .dict(entries)
    }
    while true {
      guard try peek() == UInt8(ascii: "\"") else { throw error("expected a name in an object") }
      let name = try string()
      guard try peek() == UInt8(ascii: ":") else { throw error("expected : in an object") }
      position += 1
      entries.append(Value.Entry(.string(name), try value(depth: depth + 1)))
      switch try peek() {
      case UInt8(ascii: ","): position += 1
      case UInt8(ascii: "}"):
        position += 1
        return typed(entries)
      default: throw error("expected , or } in an object")
      }
    }
  }

  /// An object whose single key begins with `$` stands for what JSON cannot represent.
  private mutating func typed(_ entries: [Value.Entry]) -> Value {
    guard entries.count == 1, case .string(let name) = entries[0].key,
      name.utf8.first == UInt8(ascii: "$")
    else { return .dict(entries) }
    let payload = entries[0].value
    return untagged(name, payload) ?? .tagged(name, payload)
  }

  private mutating func untagged(_ name: String, _ payload: Value) -> Value? {
    switch (name, payload) {
    case ("$tuple", .list(let values)): .tuple(values)
    case ("$set", .list(let values)): .set(values)
    case ("$frozenset", .list(let values)): .frozenset(values)
    case ("$bytes", .string(let text)): Base64.decode(text).map(Value.bytes)
    case ("$wtf8", .string(let text)): Base64.decode(text).map(Value.wtf8)
    case ("$bytearray", .string(let text)): Base64.decode(text).map(Value.bytearray)
    case ("$bytearray", .bytes(let bytes)): .bytearray(bytes)
    case ("$blob", .string(let hash)): interned(hash)
    case ("$json", .bytes(let bytes)): nested(bytes)
    case ("$shared", .list(let parts)) where opensShared && parts.count == 2: parts[1]
    case ("$int", .string(let digits)): Value(digits: digits)
    case ("$float", .string(let text)): Self.nonFinite(text).map(Value.double)
    case ("$map", .list(let pairs)): Self.map(pairs)
    default: nil
    }
  }

  private mutating func interned(_ hash: String) -> Value? {
    lastBlob = hash
    return (blobs.map { $0.blob(hash: hash) } ?? blob?(hash)).map(Value.bytes)
  }

  /// A value that is stored elsewhere as JSON, usually shared by many.
  private mutating func nested(_ bytes: [UInt8]) -> Value? {
    if let value = valuesByHash[lastBlob] { return value }
    let value = bytes.withUnsafeBufferPointer { bytes in
      var reader = JSONReader(bytes, opensShared: opensShared)
      return try? reader.document()
    }
    if let value { valuesByHash[lastBlob] = value }
    return value
  }

  private static func nonFinite(_ text: String) -> Double? {
    switch text {
    case "nan": return .nan
    case "inf": return .infinity
    case "-inf": return -.infinity
    default:
      guard let bits = UInt64(text.dropFirst(4), radix: 16) else { return nil }
      let value = Double(bitPattern: bits)
      return value.isNaN && JSONWriter.name(ofNonFinite: value).sameBytes(as: text) ? value : nil
    }
  }

  private static func map(_ pairs: [Value]) -> Value? {
    var entries: [Value.Entry] = []
    entries.reserveCapacity(pairs.count)
    for case .list(let pair) in pairs where pair.count == 2 {
      entries.append(Value.Entry(pair[0], pair[1]))
    }
    return entries.count == pairs.count ? .dict(entries) : nil
  }

  mutating func number() throws(JSONError) -> Value {
    let start = position
    var isInteger = true
    let isNegative = skip(UInt8(ascii: "-"))
    let first = position
    // The digits as a number, unless there are too many.
    var digits: UInt64 = 0
    guard skipDigits(&digits) > 0 else { throw error("expected a value") }
    guard position == first + 1 || bytes[first] != UInt8(ascii: "0") else {
      throw error("a number must not begin with 0")
    }
    var isShort = position - first <= 19
    var decimals = 0
    if skip(UInt8(ascii: ".")) {
      isInteger = false
      decimals = skipDigits(&digits)
      guard decimals > 0 else { throw error("expected digits") }
      isShort = position - first <= 20
    }
    if skip(UInt8(ascii: "e")) || skip(UInt8(ascii: "E")) {
      isInteger = false
      isShort = false
      _ = skip(UInt8(ascii: "+")) || skip(UInt8(ascii: "-"))
      guard skipDigits(&digits) > 0 else { throw error("expected digits") }
    }
    if isShort {
      if !isInteger {
        let value = Decimals.double(digits, decimals: decimals)
        return .double(isNegative ? -value : value)
      }
      if digits <= UInt64(Int64.max) {
        return .int(isNegative ? -Int64(digits) : Int64(digits))
      }
    }
    let text = String(
      decoding: UnsafeBufferPointer(rebasing: bytes[start..<position]), as: UTF8.self)
    if isInteger {
      if let value = Int64(text) { return .int(value) }
      if let value = Value(digits: text) { return value }
    } else if let value = Double(text), value.isFinite {
      return .double(value)
    }
    position = start
    throw error("the number is too large")
  }

  mutating func skip(_ byte: UInt8) -> Bool {
    guard position < bytes.count, bytes[position] == byte else { return false }
    position += 1
    return true
  }

  /// Appends the digits to a number; returns how many were skipped.
  private mutating func skipDigits(_ number: inout UInt64) -> Int {
    let start = position
    while position < bytes.count, (0x30...0x39).contains(bytes[position]) {
      number = number &* 10 &+ UInt64(bytes[position] &- 0x30)
      position += 1
    }
    return position - start
  }

  mutating func string() throws(JSONError) -> String {
    position += 1
    let start = position
    while position < bytes.count, bytes[position] != 0x22, bytes[position] != 0x5C,
      bytes[position] >= 0x20
    {
      position += 1
    }
    guard position < bytes.count else { throw error("a string does not end") }
    if bytes[position] == 0x22 {
      defer { position += 1 }
      return String(
        decoding: UnsafeBufferPointer(rebasing: bytes[start..<position]), as: UTF8.self)
    }
    var decoded = Array(bytes[start..<position])
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      if byte == 0x22 { return String(decoding: decoded, as: UTF8.self) }
      guard byte >= 0x20 else { throw error("a control character in a string") }
      if byte == 0x5C {
        try escape(into: &decoded)
      } else {
        decoded.append(byte)
      }
    }
    throw error("a string does not end")
  }

  private mutating func escape(into decoded: inout [UInt8]) throws(JSONError) {
    guard position < bytes.count else { throw error("a string does not end") }
    let letter = bytes[position]
    position += 1
    switch letter {
    case 0x22, 0x5C, 0x2F: decoded.append(letter)
    case UInt8(ascii: "n"): decoded.append(0x0A)
    case UInt8(ascii: "r"): decoded.append(0x0D)
    case UInt8(ascii: "t"): decoded.append(0x09)
    case UInt8(ascii: "b"): decoded.append(0x08)
    case UInt8(ascii: "f"): decoded.append(0x0C)
    case UInt8(ascii: "u"):
      var unit = try hexadecimal()
      if unit & 0xFC00 == 0xD800, position + 1 < bytes.count, bytes[position] == 0x5C,
        bytes[position + 1] == UInt8(ascii: "u")
      {
        position += 2
        let low = try hexadecimal()
        guard low & 0xFC00 == 0xDC00 else { throw error("a lone surrogate in a string") }
        unit = 0x10000 + (unit & 0x3FF) << 10 + (low & 0x3FF)
      }
      guard let scalar = Unicode.Scalar(unit) else { throw error("a lone surrogate in a string") }
      decoded.append(contentsOf: UTF8.encode(scalar)?.map { $0 } ?? [])
    default: throw error("an unknown escape in a string")
    }
  }

  private mutating func hexadecimal() throws(JSONError) -> UInt32 {
    var unit: UInt32 = 0
    for _ in 0..<4 {
      guard position < bytes.count,
        let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue
      else { throw error("an invalid \\u escape") }
      unit = unit << 4 | UInt32(digit)
      position += 1
    }
    return unit
  }
}

extension Value {
  /// The integer with these decimal digits, of any size; `nil` if they are not canonical.
  package init?(digits: String) {
    if let value = Int64(digits), String(value) == digits {
      self = .int(value)
      return
    }
    let magnitude = digits.hasPrefix("-") ? digits.dropFirst() : digits[...]
    guard magnitude.utf8.count > 18, magnitude.utf8.first != UInt8(ascii: "0"),
      magnitude.utf8.allSatisfy({ (0x30...0x39).contains($0) })
    else { return nil }
    self = .bigInt(digits)
  }
}
