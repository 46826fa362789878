/// The encodings of keys that are a tuple of a text and an integer: `{"$tuple":["sum-1f2e",0]}`.
enum IndexedKey {
  private static let opening = Array("{\"$tuple\":[\"".utf8)

  /// Whether Python and JSON both write the character unchanged.
  @inline(__always)
  static func isPlain(_ byte: UInt8) -> Bool {
    byte >= 0x20 && byte < 0x7F && byte != 0x27 && byte != 0x5C
  }

  /// The range of the text and the integer, exactly as this version writes them; otherwise `nil`.
  static func scan(
    _ json: UnsafeBufferPointer<UInt8>, _ offset: inout Int
  ) -> (name: Range<Int>, index: Int)? {
    var position = offset
    guard json.count - position > opening.count + 4 else { return nil }
    for byte in opening {
      guard json[position] == byte else { return nil }
      position += 1
    }
    let start = position
    while position < json.count, isPlain(json[position]), json[position] != 0x22 { position += 1 }
    let name = start..<position
    guard position + 2 < json.count, json[position] == 0x22, json[position + 1] == 0x2C else {
      return nil
    }
    position += 2
    let isNegative = json[position] == 0x2D
    if isNegative { position += 1 }
    let first = position
    var index = 0
    // Eighteen digits always fit.
    while position < json.count, position - first < 18, (0x30...0x39).contains(json[position]) {
      index = index &* 10 &+ Int(json[position] &- 0x30)
      position += 1
    }
    let isCanonical = json[min(first, json.count - 1)] != 0x30 || position == first + 1
    guard position > first, isCanonical, !(isNegative && index == 0), position + 1 < json.count,
      json[position] == 0x5D, json[position + 1] == 0x7D
    else { return nil }
    offset = position + 2
    return (name, isNegative ? -index : index)
  }

  /// Whether a text is `('NAME', NUMBER)`, of a tuple that `scan` has found starting at 0.
  static func isText(
    _ text: UnsafeBufferPointer<UInt8>, _ name: Range<Int>, _ json: UnsafeBufferPointer<UInt8>
  ) -> Bool {
    // After the name there is `",`, the integer, and `]}` in the JSON; `', `, the integer, and `)`
    // here.
    let digits = (name.upperBound + 2)..<(json.count - 2)
    guard text.count == name.count + digits.count + 6, text[0] == 0x28, text[1] == 0x27 else {
      return false
    }
    var position = 2
    for index in name {
      guard text[position] == json[index] else { return false }
      position += 1
    }
    guard text[position] == 0x27, text[position + 1] == 0x2C, text[position + 2] == 0x20 else {
      return false
    }
    position += 3
    for index in digits {
      guard text[position] == json[index] else { return false }
      position += 1
    }
    return text[position] == 0x29
  }

  /// The text of a range; `expected` itself if that is equal.
  static func text(
    of range: Range<Int>, in bytes: UnsafeBufferPointer<UInt8>, like expected: String?
  ) -> String {
    let part = UnsafeBufferPointer(rebasing: bytes[range])
    if let expected, expected.hasBytes(part) { return expected }
    return String(decoding: part, as: UTF8.self)
  }
}

extension String {
  /// Whether the string has these bytes.
  func hasBytes(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    guard utf8.count == bytes.count else { return false }
    return utf8.withContiguousStorageIfAvailable { own in
      for index in 0..<bytes.count where own[index] != bytes[index] { return false }
      return true
    } ?? utf8.elementsEqual(bytes)
  }
}
