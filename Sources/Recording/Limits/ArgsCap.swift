import LogFormat
import TaskLogPlugin

/// How long the args of one event may be, in bytes as they lie in a spool.
///
/// Where they are longer, the short ones stay whole and the long ones are cut to the same length:
/// the longest at which all of them fit. Of one that is cut the head stays, in `$capped`, with how
/// many bytes it had.
struct ArgsCap: Sendable {
  let bytes: Int

  /// The same args within the limit; nothing when they are.
  func capped(_ args: Args) -> Args? {
    guard !args.isAbsent else { return nil }
    var content = args.content
    let sizes = (content.positional + content.named.map(\.value)).map(Self.size)
    guard sizes.reduce(0, +) > bytes else { return nil }
    let length = Self.level(sizes, bytes)
    var place = 0
    func cut(_ value: Value) -> Value {
      defer { place += 1 }
      return sizes[place] > length ? Self.cut(value, size: sizes[place], to: length) : value
    }
    for index in content.positional.indices {
      content.positional[index] = cut(content.positional[index])
    }
    for index in content.named.indices {
      content.named[index].value = cut(content.named[index].value)
    }
    return Args(content)
  }

  /// The length to which the longest are cut, so that with the others they come to `total`.
  private static func level(_ sizes: [Int], _ total: Int) -> Int {
    var left = total
    let sorted = sizes.sorted()
    for (place, size) in sorted.enumerated() {
      let share = left / (sorted.count - place)
      if size > share { return share }
      left -= size
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
    var facts: [Value.Entry] = [.init("bytes", .int(Int64(size)))]
    if let head = head(value, length) { facts.append(.init("head", head)) }
    return .tagged("$capped", .dict(facts))
  }

  /// The beginning of a value; nothing where none can be told.
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
      var left = length
      return .dict(
        Array(
          entries.prefix { entry in
            left -= self.size(entry.key) + self.size(entry.value)
            return left >= 0
          }))
    default: return nil
    }
  }

  private static func head(_ values: [Value], _ length: Int) -> [Value] {
    var left = length
    return Array(
      values.prefix { value in
        left -= size(value)
        return left >= 0
      })
  }
}
