/// The bytes of keys that are a tuple of a text and a number: `{"$tuple":["sum-1f2e",0]}`.
enum IndexedKey {
  private static let opening = Array("{\"$tuple\":[\"".utf8)

  /// Whether Python and JSON both write the character as it is.
  @inline(__always)
  static func isPlain(_ byte: UInt8) -> Bool {
    byte >= 0x20 && byte < 0x7F && byte != 0x27 && byte != 0x5C
  }

  /// The place of the text and the number, exactly as this version writes them; nothing for all else.
  static func scan(
    _ json: UnsafeBufferPointer<UInt8>, _ place: inout Int
  ) -> (name: Range<Int>, index: Int)? {
    var position = place
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
    place = position + 2
    return (name, isNegative ? -index : index)
  }

  /// Whether a text is `('NAME', NUMBER)`, of a tuple that `scan` has found from the beginning on.
  static func isText(
    _ text: UnsafeBufferPointer<UInt8>, _ name: Range<Int>, _ json: UnsafeBufferPointer<UInt8>
  ) -> Bool {
    // Behind the name come `",`, the number, and `]}` there; here `', `, the number, and `)`.
    let digits = (name.upperBound + 2)..<(json.count - 2)
    guard text.count == name.count + digits.count + 6, text[0] == 0x28, text[1] == 0x27 else {
      return false
    }
    var position = 2
    for place in name {
      guard text[position] == json[place] else { return false }
      position += 1
    }
    guard text[position] == 0x27, text[position + 1] == 0x2C, text[position + 2] == 0x20 else {
      return false
    }
    position += 3
    for place in digits {
      guard text[position] == json[place] else { return false }
      position += 1
    }
    return text[position] == 0x29
  }

  /// The text of a place, which is the known one where that is the same.
  static func text(
    of range: Range<Int>, in bytes: UnsafeBufferPointer<UInt8>, like known: String?
  ) -> String {
    let part = UnsafeBufferPointer(rebasing: bytes[range])
    if let known, known.hasBytes(part) { return known }
    return String(decoding: part, as: UTF8.self)
  }
}

extension String {
  /// Whether these are its bytes.
  func hasBytes(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    guard utf8.count == bytes.count else { return false }
    return utf8.withContiguousStorageIfAvailable { mine in
      for place in 0..<bytes.count where mine[place] != bytes[place] { return false }
      return true
    } ?? utf8.elementsEqual(bytes)
  }
}
