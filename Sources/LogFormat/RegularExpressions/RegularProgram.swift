/// A regular expression as instructions that read bytes of UTF-8: a nondeterministic automaton, after
/// Thompson. https://swtch.com/~rsc/regexp/regexp1.html
struct RegularProgram {
  enum Instruction {
    /// Reads a byte; which one, says where to continue. The ranges of bytes do not overlap.
    case read([Edge])
    case either(Int, Int)
    case assert(RegularAssertion, Int)
    case match
  }

  struct Edge {
    var bytes: ClosedRange<UInt8>
    var target: Int
  }

  /// What an expression may take of memory, and of time for each byte of a text.
  private static let mostParts = 20_000

  private(set) var instructions: [Instruction] = [.match]
  private(set) var start = 0
  private(set) var hasAssertions = false
  /// Whether a match can begin after a line feed only.
  private(set) var hasLineStarts = false
  private var parts = 0

  /// - Throws: `RegularExpression.Malformed`.
  init(_ syntax: RegularSyntax) throws(RegularExpression.Malformed) {
    start = try add(syntax, then: 0)
  }

  /// Adds what matches `syntax` and continues at `target`.
  ///
  /// - Returns: its start.
  private mutating func add(
    _ syntax: RegularSyntax, then target: Int
  ) throws(RegularExpression.Malformed) -> Int {
    // Also what becomes no instruction takes time: ((){1000}){1000}.
    try count(1)
    switch syntax {
    case .empty: return target
    case .set(let set): return try add(set, then: target)
    case .assertion(let assertion):
      hasAssertions = true
      if assertion == .lineStart { hasLineStarts = true }
      return append(.assert(assertion, target))
    case .sequence(let parts):
      var start = target
      for part in parts.reversed() { start = try add(part, then: start) }
      return start
    case .alternatives(let parts):
      var start: Int?
      for part in parts.reversed() {
        let other = try add(part, then: target)
        start = start.map { append(.either(other, $0)) } ?? other
      }
      return start ?? target
    case .repeated(let part, let least, let most):
      return try add(part, least: least, most: most, then: target)
    }
  }

  private mutating func add(
    _ part: RegularSyntax, least: Int, most: Int?, then target: Int
  ) throws(RegularExpression.Malformed) -> Int {
    var start = target
    if let most {
      for _ in least..<max(least, most) {
        let body = try add(part, then: start)
        start = append(.either(body, target))
      }
    } else {
      let loop = append(.either(target, target))
      instructions[loop] = .either(try add(part, then: loop), target)
      start = loop
    }
    for _ in 0..<least { start = try add(part, then: start) }
    return start
  }

  private mutating func append(_ instruction: Instruction) -> Int {
    instructions.append(instruction)
    return instructions.count - 1
  }

  private mutating func count(_ added: Int) throws(RegularExpression.Malformed) {
    parts += added
    guard parts <= Self.mostParts else {
      throw RegularExpression.Malformed(
        reason: "it is too large; use fewer or smaller repetitions, as a{1000}")
    }
  }

  // MARK: - Sets of characters

  private mutating func add(
    _ set: ScalarSet, then target: Int
  ) throws(RegularExpression.Malformed) -> Int {
    var tree = ByteTree()
    for range in set.ranges { UTF8Ranges.split(range) { tree.add($0[...]) } }
    try count(tree.size)
    var shared: [ByteTree: Int] = [:]
    return add(tree, then: target, &shared)
  }

  private mutating func add(
    _ tree: ByteTree, then target: Int, _ shared: inout [ByteTree: Int]
  ) -> Int {
    if let known = shared[tree] { return known }
    var edges: [Edge] = []
    for (bytes, rest) in tree.branches {
      let next = rest.branches.isEmpty ? target : add(rest, then: target, &shared)
      edges.append(Edge(bytes: bytes, target: next))
    }
    let start = append(.read(edges))
    shared[tree] = start
    return start
  }
}

/// The bytes that characters of a set have, by their first byte.
private struct ByteTree: Hashable {
  struct Branch: Hashable {
    var bytes: ClosedRange<UInt8>
    var rest: ByteTree
  }

  private var list: [Branch] = []

  var branches: [(ClosedRange<UInt8>, ByteTree)] { list.map { ($0.bytes, $0.rest) } }

  /// The number of ranges, those that are shared counted once for each use.
  var size: Int { list.reduce(1) { $0 + $1.rest.size } }

  /// The ranges come in their order, so that only the last branch can have the same first bytes.
  mutating func add(_ bytes: ArraySlice<ClosedRange<UInt8>>) {
    guard let first = bytes.first else { return }
    if list.last?.bytes != first { list.append(Branch(bytes: first, rest: ByteTree())) }
    list[list.count - 1].rest.add(bytes.dropFirst())
  }
}

/// Splits ranges of characters so that each part is a sequence of ranges of bytes.
enum UTF8Ranges {
  private static let lengths: [ClosedRange<UInt32>] = [
    0...0x7F, 0x80...0x7FF, 0x800...0xD7FF, 0xE000...0xFFFF, 0x1_0000...0x10_FFFF,
  ]

  static func split(_ range: ClosedRange<UInt32>, give: ([ClosedRange<UInt8>]) -> Void) {
    for part in lengths where part.overlaps(range) {
      split(range.clamped(to: part), bitsOfLast: 6, give)
    }
  }

  /// The lowest bits, of the last bytes, must be all values or only the same; otherwise the ends of the
  /// range are split off.
  private static func split(
    _ range: ClosedRange<UInt32>, bitsOfLast bits: UInt32, _ give: ([ClosedRange<UInt8>]) -> Void
  ) {
    let (first, last) = (range.lowerBound, range.upperBound)
    let mask: UInt32 = (1 << bits) - 1
    guard last > 0x7F, first & ~mask != last & ~mask else { return give(bytes(first, last)) }
    if first & mask != 0 {
      split(first...(first | mask), bitsOfLast: 6, give)
      return split(((first | mask) + 1)...last, bitsOfLast: bits, give)
    }
    if last & mask != mask {
      split(first...((last & ~mask) - 1), bitsOfLast: bits, give)
      return split((last & ~mask)...last, bitsOfLast: 6, give)
    }
    split(range, bitsOfLast: bits + 6, give)
  }

  private static func bytes(_ first: UInt32, _ last: UInt32) -> [ClosedRange<UInt8>] {
    zip(encoded(first), encoded(last)).map { $0...$1 }
  }

  private static func encoded(_ value: UInt32) -> [UInt8] {
    Unicode.Scalar(value).map { Array(String($0).utf8) } ?? []
  }
}
