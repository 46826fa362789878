/// Base64 of RFC 4648, with padding: the encoding of bytes in the log's JSON.
package enum Base64 {
  private static let alphabet = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  private static let decoding: [UInt8] = {
    var table = [UInt8](repeating: 0xFF, count: 256)
    for (index, letter) in alphabet.enumerated() { table[Int(letter)] = UInt8(index) }
    return table
  }()

  package static func append(_ bytes: some Collection<UInt8>, to output: inout [UInt8]) {
    output.reserveCapacity(output.count + (bytes.count + 2) / 3 * 4)
    var bits: UInt32 = 0
    var count = 0
    for byte in bytes {
      bits = bits << 8 | UInt32(byte)
      count += 1
      if count == 3 {
        for shift in [UInt32(18), 12, 6, 0] { output.append(alphabet[Int(bits >> shift & 63)]) }
        bits = 0
        count = 0
      }
    }
    switch count {
    case 1:
      bits <<= 16
      output += [alphabet[Int(bits >> 18)], alphabet[Int(bits >> 12 & 63)], 0x3D, 0x3D]
    case 2:
      bits <<= 8
      output += [
        alphabet[Int(bits >> 18)], alphabet[Int(bits >> 12 & 63)], alphabet[Int(bits >> 6 & 63)],
        0x3D,
      ]
    default: break
    }
  }

  /// The base64 of bytes.
  package static func encode(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    var output: [UInt8] = []
    append(bytes, to: &output)
    return output
  }

  /// The decoded bytes; `nil` if the text is not canonical base64.
  package static func decode(_ text: String) -> [UInt8]? {
    let letters = Array(text.utf8)
    guard letters.count % 4 == 0 else { return nil }
    let padding = letters.suffix(2).filter { $0 == 0x3D }.count
    let body = letters.dropLast(padding)
    var output: [UInt8] = []
    output.reserveCapacity(body.count * 3 / 4)
    var bits: UInt32 = 0
    var width = 0
    for letter in body {
      let sextet = decoding[Int(letter)]
      guard sextet != 0xFF else { return nil }
      bits = bits << 6 | UInt32(sextet)
      width += 6
      if width >= 8 {
        width -= 8
        output.append(UInt8(bits >> UInt32(width) & 0xFF))
        bits &= (1 << UInt32(width)) - 1
      }
    }
    return bits == 0 ? output : nil
  }
}
