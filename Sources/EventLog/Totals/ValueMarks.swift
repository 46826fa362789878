import Glibc

/// Whether the JSON of an event says that values were redacted or truncated when it was recorded.
///
/// Text that looks like a mark has its quotes escaped in JSON. `redactedSQL` and `truncatedSQL` are the
/// same as conditions on a row.
package struct ValueMarks: Equatable {
  package var isRedacted = false
  package var isTruncated = false

  package init() {}

  package static let redactedSQL = contains([#""$opaque":"redacted""#])
  package static let truncatedSQL = contains([#"{"$capped":"#, #""$opaque":"capped""#])

  private static func contains(_ texts: [String]) -> String {
    let found = ["args", "snapshot"].flatMap { column in
      texts.map { "coalesce(instr(event.\(column), '\($0)'), 0) > 0" }
    }
    return "(" + found.joined(separator: " OR ") + ")"
  }

  /// Finds the marks by each `$`, of which JSON has few.
  @inline(__always)
  package mutating func scan(_ json: UnsafeRawBufferPointer) {
    guard let start = json.baseAddress else { return }
    let end = start + json.count
    var position = start
    while let found = memchr(position, 0x24, end - position) {
      let next = UnsafeRawPointer(found) + 1
      inspect(next, from: start, to: end)
      position = next
    }
  }

  /// - Parameter name: what comes after a `$`.
  private mutating func inspect(
    _ name: UnsafeRawPointer, from start: UnsafeRawPointer, to end: UnsafeRawPointer
  ) {
    func has(_ text: StaticString) -> Bool {
      end - name >= text.utf8CodeUnitCount
        && memcmp(name, text.utf8Start, text.utf8CodeUnitCount) == 0
    }
    let before = name - start
    guard before >= 2, (name - 2).load(as: UInt8.self) == UInt8(ascii: "\"") else { return }
    if has("opaque\":\"redacted\"") {
      isRedacted = true
    } else if has("opaque\":\"capped\"") {
      isTruncated = true
    } else if before >= 3, has("capped\":"), (name - 3).load(as: UInt8.self) == UInt8(ascii: "{") {
      isTruncated = true
    }
  }
}
