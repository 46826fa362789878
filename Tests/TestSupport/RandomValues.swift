import TaskLogPlugin

/// Random values of every case, with a preference for those that break codecs.
extension SplitMix64 {
  package mutating func value(depth: Int = 0) -> Value {
    switch below(depth < 5 ? 18 : 10) {
    case 0: .null
    case 1: .bool(once(in: 2))
    case 2, 3: .int(int())
    case 4: .bigInt(bigDigits())
    case 5: .double(double())
    case 6, 7: .string(text())
    case 8: .wtf8(wtf8())
    case 9: once(in: 2) ? .bytes(bytes()) : .bytearray(bytes())
    case 10: .list(values(depth + 1))
    case 11: .tuple(values(depth + 1))
    case 12: .set(values(depth + 1))
    case 13: .frozenset(values(depth + 1))
    case 14, 15: .dict(entries(depth + 1))
    case 16: .tagged("$" + text(), .list([value(depth: depth + 1)]))
    default: malformedTag(depth: depth + 1)
    }
  }

  package mutating func values(_ depth: Int) -> [Value] {
    (0..<size(5)).map { _ in value(depth: depth) }
  }

  package mutating func entries(_ depth: Int) -> [Value.Entry] {
    var entries = (0..<size(4)).map { _ in
      let key: Value = once(in: 4) ? value(depth: depth) : .string(text())
      return Value.Entry(key, value(depth: depth))
    }
    if let first = entries.first, once(in: 8) { entries.append(first) }
    if once(in: 10) { entries.insert(.init("$bytes", value(depth: depth)), at: 0) }
    return entries
  }

  /// A known name with a payload that it does not allow.
  private mutating func malformedTag(depth: Int) -> Value {
    let name = pick([
      "$tuple", "$set", "$frozenset", "$bytes", "$wtf8", "$bytearray", "$blob", "$int", "$float",
      "$map", "$opaque", "$python", "$serialized", "$", "$args",
    ])
    return .tagged(
      name, pick([.null, .bool(true), .int(int()), .string("not \(int())"), .dict([])]))
  }

  package mutating func int() -> Int64 {
    let edges: [Int64] = [0, 1, -1, .min, .max, .min + 1, .max - 1, 1 << 53, (1 << 53) + 1]
    return once(in: 2) ? pick(edges) : Int64(bitPattern: next()) >> Int64(below(64))
  }

  package mutating func bigDigits() -> String {
    let edges = [
      "9223372036854775808", "-9223372036854775809", "18446744073709551616",
      "1" + String(repeating: "0", count: 400),
    ]
    if once(in: 3) { return pick(edges) }
    let digits = (0..<19 + below(60)).map { _ in String(below(10)) }.joined()
    return (once(in: 2) ? "-" : "") + "9" + digits
  }

  package mutating func double() -> Double {
    let edges: [Double] = [
      0, -0.0, 1, -1, .infinity, -.infinity, .nan, -.nan, .signalingNaN,
      Double(bitPattern: 0x7FF8_0000_0000_BEEF), Double(bitPattern: 0xFFF0_0000_0000_0001),
      .leastNonzeroMagnitude, -.leastNonzeroMagnitude, .leastNormalMagnitude.nextDown,
      .greatestFiniteMagnitude, .ulpOfOne, 0.1, 1e16, 1.2e16, 1e-5, 9_007_199_254_740_992,
    ]
    return once(in: 2) ? pick(edges) : Double(bitPattern: next())
  }

  package mutating func text() -> String {
    let pieces = [
      "", "a", "x-1", "$", "$bytes", "$args", "\"", "\\", "\\u0000", "'", "\0", "\u{1}", "\u{1f}",
      "\u{7f}", "\u{80}", "\n", "\r\n", "\t", "\u{e9}", "e\u{301}", "\u{301}", "\u{2028}",
      "\u{feff}", "\u{fffd}", "\u{d7ff}", "\u{e000}", "\u{10ffff}", "\u{1f468}\u{200d}\u{1f469}",
      "\u{1f1e9}\u{1f1ea}", "\u{65e5}", "\u{212a}", "/", "</script>", ",", "-",
    ]
    return (0..<size(4)).map { _ in pick(pieces) }.joined()
  }

  package mutating func wtf8() -> [UInt8] {
    Array(text().utf8) + [0xED, UInt8(0xA0 + below(32)), UInt8(0x80 + below(64))]
      + Array(text().utf8)
  }

  package mutating func bytes() -> [UInt8] {
    (0..<(once(in: 6) ? 200 : size(12))).map { _ in UInt8(below(256)) }
  }

  /// A value that can be a key.
  package mutating func keyValue(depth: Int = 0) -> Value {
    switch below(depth < 4 ? 7 : 5) {
    case 0: .int(int())
    case 1: .bigInt(bigDigits())
    case 2: .double(double())
    case 3: .wtf8(wtf8())
    case 4: .string(text())
    default: .tuple((0..<size(4)).map { _ in keyValue(depth: depth + 1) })
    }
  }

  package mutating func args() -> Args {
    let named = (0..<size(4)).map { _ in
      Args.Argument(once(in: 5) ? pick(["$args", "$kwargs", "$bytes", "$x"]) : text(), value())
    }
    return Args(positional: once(in: 2) ? values(1) : [], named: named)
  }

  private mutating func size(_ limit: Int) -> Int {
    once(in: 4) ? 0 : below(limit)
  }
}
