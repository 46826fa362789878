import TaskLogPlugin

/// The args of a heartbeat as stored from format 2 on: Base64 text in place of an object. An idle
/// worker sends 172,800 a day.
///
/// Each is encoded as its differences from a *template*, another heartbeat that is stored as plain
/// JSON in the table `blob`: any heartbeat can be read independently, wherever a reader begins and
/// whatever was pruned before it.
///
///     1 byte    1: the template unchanged; 2: with other parts
///     6 bytes   the beginning of the template's SHA-256
///     2:        for each part its length plus one, and its bytes, with 0 for a number that follows;
///               0 if it is unchanged
///     then      for each number that differs: its kind and how many before it do not (four bits each;
///               15: that many and more follow), and its payload (`HeartbeatNumber`)
package enum PackedHeartbeat {
  package static let nameLength = 6

  /// The beginning of the template's hash in hexadecimal; `nil` if this is not a packed heartbeat.
  ///
  /// - Parameter args: JSON.
  package static func template(in args: some Sequence<UInt8>) -> String? {
    bytes(of: args).map { name(in: $0) }
  }

  /// The name of a template in packed bytes.
  package static func name(in packed: [UInt8]) -> String {
    packed[1...nameLength].map(\.hexadecimal).joined()
  }

  package static func bytes(of args: some Sequence<UInt8>) -> [UInt8]? {
    var text = Array(args)
    guard text.count > 2, text.first == UInt8(ascii: "\""), text.last == UInt8(ascii: "\"") else {
      return nil
    }
    text = Array(text[1..<text.count - 1])
    guard let packed = Base64.decode(String(decoding: text, as: UTF8.self)),
      packed.count > nameLength, packed[0] == 1 || packed[0] == 2
    else { return nil }
    return packed
  }

  // MARK: - Packing

  /// - Returns: `nil` if it cannot be encoded with this template.
  package static func pack(
    _ text: HeartbeatText, template: HeartbeatText, name: [UInt8], time: Int64
  ) -> [UInt8]? {
    var packed: [UInt8]
    var base = template
    if text.skeleton == template.skeleton {
      packed = [1] + name
    } else if text.outline == template.outline, text.parts.count == template.parts.count {
      packed = [2] + name
      // Without their numbers, which are encoded like all others.
      let parts = zip(text.parts, template.parts).map { own, other -> [UInt8]? in
        let own = text.blank(own)
        return own == template.blank(other) ? nil : own
      }
      for part in parts {
        packed += part.map { Varint.make($0.count + 1) + $0 } ?? [0]
      }
      base = template.exchanging(parts)
    } else {
      return nil
    }
    guard base.numbers.count == text.numbers.count else { return nil }
    var skipped = 0
    var previous = HeartbeatNumber.Previous()
    for (own, other) in zip(text.numbers, base.numbers) {
      let (own, other) = (text.bytes[own], base.bytes[other])
      guard own != other else {
        skipped += 1
        continue
      }
      let (kind, payload) = HeartbeatNumber.write(
        own, template: other, time: time, previous: &previous)
      packed.append(kind.rawValue << 4 | UInt8(min(skipped, 15)))
      if skipped >= 15 { packed += Varint.make(skipped - 15) }
      packed += payload
      skipped = 0
    }
    return packed
  }

  // MARK: - Unpacking

  /// The JSON that was packed; `nil` if the bytes are damaged.
  package static func unpack(_ packed: [UInt8], template: HeartbeatText, time: Int64) -> [UInt8]? {
    var offset = 1 + nameLength
    var base = template
    if packed[0] == 2 {
      var parts: [[UInt8]?] = []
      for _ in template.parts {
        guard let length = Varint.read(packed[...], &offset).flatMap({ Int(exactly: $0) }),
          length - 1 <= packed.count - offset
        else { return nil }
        parts.append(length == 0 ? nil : Array(packed[offset..<offset + length - 1]))
        offset += max(0, length - 1)
      }
      base = template.exchanging(parts)
    }
    var index = -1
    var numbers: [Int: [UInt8]] = [:]
    var previous = HeartbeatNumber.Previous()
    while offset < packed.count {
      let head = packed[offset]
      offset += 1
      var skipped = Int(head & 15)
      if skipped == 15 {
        guard let more = Varint.read(packed[...], &offset), more < 1 << 32 else { return nil }
        skipped += Int(more)
      }
      index += skipped + 1
      guard let kind = HeartbeatNumber.Kind(rawValue: head >> 4), index < base.numbers.count,
        let text = HeartbeatNumber.read(
          kind, packed[...], &offset, template: base.bytes[base.numbers[index]], time: time,
          previous: &previous)
      else { return nil }
      numbers[index] = text
    }
    return base.exchanging(numbers: numbers)
  }
}
