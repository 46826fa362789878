import TaskLogPlugin

/// JSON that is safe to display.
package enum TerminalJSON {
  /// Escapes characters that JSON allows in strings but that a terminal interprets as commands, or
  /// that change the direction of text. The bytes of ASCII that are not in strings stay.
  package static func escaped(_ json: [UInt8]) -> [UInt8] {
    guard json.contains(where: { $0 >= 0x7F }) else { return json }
    var escaped: [UInt8] = []
    escaped.reserveCapacity(json.count)
    for scalar in String(decoding: json, as: UTF8.self).unicodeScalars {
      if scalar.value < 0x7F {
        escaped.append(UInt8(truncatingIfNeeded: scalar.value))
      } else if Printable.isControl(scalar) {
        for unit in String(scalar).utf16 {
          escaped += "\\u".utf8
          unit.appendHexadecimal(to: &escaped)
        }
      } else {
        escaped += String(scalar).utf8
      }
    }
    return escaped
  }

  /// A JSON string.
  package static func string(_ text: String) -> [UInt8] {
    escaped(Array(JSONWriter.text(.string(text)).utf8))
  }
}
