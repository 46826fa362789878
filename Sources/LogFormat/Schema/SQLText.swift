/// The tokens of SQL, as far as telling two statements apart needs them:
/// https://sqlite.org/lang.html
struct SQLText {
  private typealias Bytes = UnsafeBufferPointer<UInt8>

  /// Splits a text into its statements, each with its name: that of the table, index or view it creates.
  /// Statements that create nothing are skipped.
  static func statements(_ sql: [UInt8]) -> [(name: String, sql: [UInt8])] {
    sql.withUnsafeBufferPointer { bytes in
      var statements: [(String, [UInt8])] = []
      var words: [Range<Int>] = []
      var position = 0
      while let token = next(bytes, from: &position) {
        guard bytes[token.lowerBound] != UInt8(ascii: ";") else {
          if words.count > 3, isToken(bytes, words[0], "CREATE"), let last = words.last {
            let name = words[isToken(bytes, words[1], "UNIQUE") ? 3 : 2]
            statements.append(
              (
                String(decoding: bytes[name], as: UTF8.self),
                Array(bytes[words[0].lowerBound..<last.upperBound])
              ))
          }
          words.removeAll(keepingCapacity: true)
          continue
        }
        // The first ones have the name, the last one is the end.
        if words.count > 4 { words[4] = token } else { words.append(token) }
      }
      return statements
    }
  }

  /// A statement without comments, its tokens separated by single spaces. The name of what it creates is
  /// without quotes, which `ALTER TABLE … RENAME` adds.
  ///
  /// - Parameter hidesNumbers: whether numbers are replaced by 0.
  static func normalized(_ sql: [UInt8], hidesNumbers: Bool = false) -> [UInt8] {
    sql.withUnsafeBufferPointer { bytes in
      var result: [UInt8] = []
      result.reserveCapacity(sql.count)
      var (position, count) = (0, 0)
      while var token = next(bytes, from: &position) {
        if count == 2, token.count > 2, bytes[token.lowerBound] == UInt8(ascii: "\"") {
          let inner = token.lowerBound + 1..<token.upperBound - 1
          if bytes[inner].allSatisfy(isWord) { token = inner }
        }
        if count > 0 { result.append(UInt8(ascii: " ")) }
        if hidesNumbers, bytes[token].allSatisfy({ (0x30...0x39).contains($0) }) {
          result.append(UInt8(ascii: "0"))
        } else {
          result += bytes[token]
        }
        count += 1
      }
      return result
    }
  }

  /// Whether one of the tokens of a statement is a word, in upper case.
  static func contains(_ sql: [UInt8], _ words: Set<String>) -> Bool {
    sql.withUnsafeBufferPointer { bytes in
      var position = 0
      while let token = next(bytes, from: &position) {
        if words.contains(String(decoding: bytes[token], as: UTF8.self).uppercased()) {
          return true
        }
      }
      return false
    }
  }

  private static func isToken(_ bytes: Bytes, _ token: Range<Int>, _ word: StaticString) -> Bool {
    token.count == word.utf8CodeUnitCount
      && word.withUTF8Buffer { $0.elementsEqual(bytes[token]) }
  }

  private static func isWord(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x24, 0x80...0xFF: true
    default: false
    }
  }

  /// The next token that is no space and no comment.
  private static func next(_ bytes: Bytes, from position: inout Int) -> Range<Int>? {
    while position < bytes.count {
      let (start, byte) = (position, bytes[position])
      let following = start + 1 < bytes.count ? bytes[start + 1] : 0
      if byte <= 0x20 {
        position += 1
      } else if byte == UInt8(ascii: "-"), following == byte {
        while position < bytes.count, bytes[position] != 0x0A { position += 1 }
      } else if byte == UInt8(ascii: "/"), following == UInt8(ascii: "*") {
        position += 2
        while position < bytes.count,
          !(bytes[position - 1] == UInt8(ascii: "*") && bytes[position] == UInt8(ascii: "/")
            && position > start + 2)
        { position += 1 }
        position = min(position + 1, bytes.count)
      } else {
        position = end(bytes, of: byte, from: start)
        return start..<position
      }
    }
    return nil
  }

  private static func end(_ bytes: Bytes, of first: UInt8, from start: Int) -> Int {
    var position = start + 1
    if isWord(first) {
      while position < bytes.count, isWord(bytes[position]) { position += 1 }
      return position
    }
    switch first {
    case UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "`"), UInt8(ascii: "["):
      let last = first == UInt8(ascii: "[") ? UInt8(ascii: "]") : first
      while position < bytes.count {
        position += 1
        guard bytes[position - 1] == last else { continue }
        // Two quotes stand for one.
        guard first == last, position < bytes.count, bytes[position] == last else { break }
        position += 1
      }
      return position
    default:
      return position
    }
  }
}
