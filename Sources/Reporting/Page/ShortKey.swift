/// Shortens the hashes in keys, if the page would be too large otherwise.
enum ShortKey {
  /// The minimum number of consecutive hexadecimal digits of a hash, and the number of digits kept.
  static let hashLength = 16
  static let keptLength = 8

  /// The key with an ellipsis for the rest of each hash; `nil` if there is no hash.
  static func text(_ key: String) -> String? {
    var output: [UInt8] = []
    var digits: [UInt8] = []
    var isChanged = false
    func flush() {
      if digits.count >= hashLength {
        output += digits.prefix(keptLength)
        output += "…".utf8
        isChanged = true
      } else {
        output += digits
      }
      digits.removeAll(keepingCapacity: true)
    }
    for byte in key.utf8 {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"):
        digits.append(byte)
      default:
        flush()
        output.append(byte)
      }
    }
    flush()
    return isChanged ? String(decoding: output, as: UTF8.self) : nil
  }
}
