/// An exception as `repr` shows it, which is what Python code records: `ValueError('no price')`.
package struct ExceptionRepr {
  /// The name of its type.
  package let type: Substring
  /// What is between the brackets.
  package let arguments: Substring

  /// `nil` for any other text.
  package init?(_ text: String) {
    guard text.hasSuffix(")"), let bracket = text.firstIndex(of: "("), bracket > text.startIndex
    else { return nil }
    type = text[..<bracket]
    arguments = text[text.index(after: bracket)...].dropLast()
    guard type.utf8.allSatisfy(Self.isOfName) else { return nil }
  }

  private static func isOfName(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), 0x80...:
      true
    default: false
    }
  }
}
