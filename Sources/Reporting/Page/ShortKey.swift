/// Keys whose hashes are shortened, where a page would be too large with whole ones.
enum ShortKey {
  /// So many hexadecimal digits in a row are a hash, and so many of them stay.
  static let hashLength = 16
  static let keptLength = 8

  /// The key with an ellipsis in place of the rest of each hash; nothing when there is none in it.
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
