import LogFormat
import TaskLogPlugin

/// Limits the size of the args of one event, in bytes as encoded in a spool.
///
/// If they are larger, short args are kept and long ones are truncated to the same length: the
/// longest one at which all fit. A truncated value is replaced by its head in `$capped`, with its
/// original size in bytes.
struct ArgsCap: Sendable {
  let bytes: Int

  /// The same args, truncated to the limit; `nil` if they are within it.
  func capped(_ args: Args) -> Args? {
    guard !args.isAbsent else { return nil }
    var content = args.content
    let sizes = (content.positional + content.named.map(\.value)).map(Self.size)
    guard sizes.reduce(0, +) > bytes else { return nil }
    let length = Self.level(sizes, bytes)
    var nextIndex = 0
    func cut(_ value: Value) -> Value {
      defer { nextIndex += 1 }
      return sizes[nextIndex] > length
        ? Self.cut(value, size: sizes[nextIndex], to: length) : value
    }
    for index in content.positional.indices {
      content.positional[index] = cut(content.positional[index])
    }
    for index in content.named.indices {
      content.named[index].value = cut(content.named[index].value)
    }
    return Args(content)
  }

  /// The length to which the longest values are truncated, so that all together have the size
  /// `total`.
  private static func level(_ sizes: [Int], _ total: Int) -> Int {
    var remaining = total
    let sorted = sizes.sorted()
    for (index, size) in sorted.enumerated() {
      let share = remaining / (sorted.count - index)
      if size > share { return share }
      remaining -= size
    }
    return total
  }

  private static func size(_ value: Value) -> Int {
    switch value {
    case .null, .bool: return 1
    case .string(let text): return text.utf8.count + 5
    case .wtf8(let bytes), .bytes(let bytes), .bytearray(let bytes): return bytes.count + 5
    default:
      var writer = MessagePackWriter()
      writer.write(value)
      return writer.count
    }
  }

  private static func cut(_ value: Value, size: Int, to length: Int) -> Value {
    var entries: [Value.Entry] = [.init("bytes", .int(Int64(size)))]
    if let head = head(value, length) { entries.append(.init("head", head)) }
    return .tagged("$capped", .dict(entries))
  }

  /// The beginning of a value; `nil` if its type has none.
  private static func head(_ value: Value, _ length: Int) -> Value? {
    switch value {
    case .string(let text):
      var end = text.utf8.index(text.startIndex, offsetBy: min(length, text.utf8.count))
      // Not within a character.
      while String.Index(end, within: text.unicodeScalars) == nil {
        end = text.utf8.index(before: end)
      }
      return .string(String(text[..<end]))
    case .bytes(let bytes): return .bytes(Array(bytes.prefix(length)))
    case .bytearray(let bytes): return .bytearray(Array(bytes.prefix(length)))
    case .list(let values): return .list(head(values, length))
    case .tuple(let values): return .tuple(head(values, length))
    case .set(let values), .frozenset(let values): return .list(head(values, length))
    case .dict(let entries):
      var remaining = length
      return .dict(
        Array(
          entries.prefix { entry in
            remaining -= self.size(entry.key) + self.size(entry.value)
            return remaining >= 0
          }))
    default: return nil
    }
  }

  private static func head(_ values: [Value], _ length: Int) -> [Value] {
    var remaining = length
    return Array(
      values.prefix { value in
        remaining -= size(value)
        return remaining >= 0
      })
  }
}
