/// The args of a heartbeat as the log's JSON, split into its numbers and the text around them.
///
/// Two heartbeats of idle workers differ in a few numbers only, so one can be encoded as its
/// differences from another. The values whose names differ in every heartbeat of a busy worker, the
/// tasks that it executes and its counts since the last one, are *parts* that can be replaced as a
/// unit.
package struct HeartbeatText {
  package let bytes: [UInt8]
  /// The ranges of the numbers, in order.
  private(set) var numbers: [Range<Int>] = []
  /// The ranges of the values of `names` that are objects, in order.
  private(set) var parts: [Range<Int>] = []
  /// Hashes of the text around the numbers, and of the text outside the parts.
  package private(set) var skeleton = KeyHash.start
  package private(set) var outline = KeyHash.start

  static let names = [
    Array("executing".utf8), Array("digests_total_since_heartbeat".utf8),
  ]

  package init(_ bytes: [UInt8]) {
    self.bytes = bytes
    var (offset, depth) = (0, 0)
    var part: (start: Int, depth: Int)?
    while offset < bytes.count {
      let byte = bytes[offset]
      switch byte {
      case UInt8(ascii: "\""):
        let end = Self.end(ofString: offset, bytes)
        for byte in bytes[offset..<end] { mix(byte, isInside: part != nil) }
        if part == nil, end + 1 < bytes.count, bytes[end] == UInt8(ascii: ":"),
          bytes[end + 1] == UInt8(ascii: "{"),
          Self.names.contains(where: { $0.elementsEqual(bytes[offset + 1..<end - 1]) })
        {
          part = (end + 1, depth)
          mix(bytes[end], isInside: false)
          offset = end + 1
        } else {
          offset = end
        }
        continue
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
        let start = offset
        while offset < bytes.count, Self.isOfNumber(bytes[offset]) { offset += 1 }
        numbers.append(start..<offset)
        mix(0, isInside: part != nil)
        continue
      case UInt8(ascii: "{"): depth += 1
      case UInt8(ascii: "}"): depth -= 1
      default: break
      }
      mix(byte, isInside: part != nil)
      offset += 1
      if byte == UInt8(ascii: "}"), let open = part, open.depth == depth {
        parts.append(open.start..<offset)
        part = nil
      }
    }
  }

  /// Adds one byte to the FNV-1a hash.
  private mutating func mix(_ byte: UInt8, isInside: Bool) {
    KeyHash.add(byte, to: &skeleton)
    if !isInside { KeyHash.add(byte, to: &outline) }
  }

  private static func isOfNumber(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"),
      UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"):
      true
    default: false
    }
  }

  private static func end(ofString start: Int, _ bytes: [UInt8]) -> Int {
    var offset = start + 1
    while offset < bytes.count, bytes[offset] != UInt8(ascii: "\"") {
      offset += bytes[offset] == UInt8(ascii: "\\") ? 2 : 1
    }
    return min(offset + 1, bytes.count)
  }

  /// A part with 0 in place of each number.
  func blank(_ part: Range<Int>) -> [UInt8] {
    var made: [UInt8] = []
    var last = part.lowerBound
    for range in numbers where part.contains(range.lowerBound) {
      made += bytes[last..<range.lowerBound]
      made.append(UInt8(ascii: "0"))
      last = range.upperBound
    }
    return made + bytes[last..<part.upperBound]
  }

  /// This text with other parts; `nil` keeps a part.
  func exchanging(_ others: [[UInt8]?]) -> HeartbeatText {
    var made: [UInt8] = []
    var last = 0
    for (range, other) in zip(parts, others) {
      made += bytes[last..<range.lowerBound]
      made += other ?? Array(bytes[range])
      last = range.upperBound
    }
    return HeartbeatText(made + bytes[last...])
  }

  /// This text with other numbers; numbers without a replacement stay.
  func exchanging(numbers others: [Int: [UInt8]]) -> [UInt8] {
    var made: [UInt8] = []
    var last = 0
    for (index, range) in numbers.enumerated() {
      guard let other = others[index] else { continue }
      made += bytes[last..<range.lowerBound]
      made += other
      last = range.upperBound
    }
    return made + bytes[last...]
  }
}
