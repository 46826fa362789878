/// The deterministic automaton of a program, of which only those states are built that texts lead to:
/// https://swtch.com/~rsc/regexp/regexp3.html#caching
///
/// A state is the set of instructions where a match may continue. There can be exponentially many, so
/// that all are forgotten whenever they take too much memory; the search continues from where it is.
struct LazyAutomaton {
  /// What the states of an expression may take, in elements of 4 bytes.
  private static let mostElements = 1 << 20
  /// Elements handled between two questions whether to stop.
  private static let patience = 1 << 22

  private enum Target {
    static let unknown: Int32 = -1
    static let match: Int32 = -2
    static let noMatch: Int32 = -3
  }

  private let closure: Closure
  private let classes: ByteClasses
  /// The number of targets of a state: one for each class, and one for the end of the text.
  private let stride: Int
  /// The targets of all states, one after the other. A state is the index of its first.
  private var targets: [Int32] = []
  private var sets: [StateSet] = []
  private var states: [StateSet: Int32] = [:]
  private var elements = 0
  private(set) var timesForgotten = 0
  private var work = 0
  private var start: Int32 = Target.unknown

  init(_ program: RegularProgram) {
    closure = Closure(program)
    classes = ByteClasses(program)
    stride = classes.count + 1
  }

  mutating func matches(
    _ text: UnsafeBufferPointer<UInt8>, unless isInterrupted: () -> Bool
  ) -> Bool? {
    if start == Target.unknown { start = target(of: closure.first()) }
    var state = start
    var position = 0
    while state >= 0 {
      (state, position) = follow(text, from: state, at: position)
      guard state >= 0 else { break }
      // There is no target yet for what comes next.
      let next = position < text.count ? Int(classes.ofByte[Int(text[position])]) : classes.count
      state = build(state, next)
      position += 1
      guard work < Self.patience else {
        work = 0
        if isInterrupted() { return nil }
        continue
      }
    }
    return state == Target.match
  }

  /// Follows the targets that are known. The hot loop of a search.
  private func follow(
    _ text: UnsafeBufferPointer<UInt8>, from first: Int32, at place: Int
  ) -> (Int32, Int) {
    targets.withUnsafeBufferPointer { targets in
      classes.ofByte.withUnsafeBufferPointer { classOf in
        var (state, position) = (first, place)
        while position < text.count {
          let next = targets[Int(state) &+ Int(classOf[Int(text[position])])]
          guard next >= 0 else {
            return next == Target.unknown ? (state, position) : (next, position)
          }
          state = next
          position &+= 1
        }
        let next = targets[Int(state) &+ stride &- 1]
        return (next == Target.unknown ? state : next, position)
      }
    }
  }

  /// - Parameter next: the class of the next byte, or the number of classes for the end.
  private mutating func build(_ state: Int32, _ next: Int) -> Int32 {
    let set = sets[Int(state) / stride]
    let byte = next < classes.count ? classes.first[next] : nil
    work += set.instructions.count + closure.count
    let found = closure.step(set, byte)
    let before = timesForgotten
    let target = target(of: found)
    if timesForgotten == before { targets[Int(state) + next] = target }
    return target
  }

  private mutating func target(of step: Closure.Step) -> Int32 {
    switch step {
    case .match: return Target.match
    case .noMatch: return Target.noMatch
    case .set(let set): return self.state(set)
    }
  }

  private mutating func state(_ set: StateSet) -> Int32 {
    if let known = states[set] { return known }
    if elements > Self.mostElements { forget() }
    let state = Int32(targets.count)
    targets.append(contentsOf: repeatElement(Target.unknown, count: stride))
    sets.append(set)
    states[set] = state
    // In the dictionary and in the array they are one; what else a state takes is about 32 elements.
    elements += stride + set.instructions.count + 32
    return state
  }

  private mutating func forget() {
    targets.removeAll(keepingCapacity: true)
    sets.removeAll()
    states.removeAll()
    elements = 0
    start = Target.unknown
    timesForgotten += 1
  }
}

/// Where matches may continue, and after what.
struct StateSet: Hashable {
  var instructions: [Int32]
  var after: Neighbour
}

/// What a position has on one of its sides, as far as assertions tell apart.
enum Neighbour: Hashable {
  case end, lineFeed, word, other

  init(_ byte: UInt8?) {
    guard let byte else {
      self = .end
      return
    }
    self = byte == 0x0A ? .lineFeed : ScalarSet.words.contains(UInt32(byte)) ? .word : .other
  }
}

/// Finds the instructions that are reached from others without reading.
private final class Closure {
  enum Step {
    case match, noMatch
    case set(StateSet)
  }

  private let program: RegularProgram
  /// The round in which an instruction was found last.
  private var marks: [UInt32]
  private var round: UInt32 = 0
  private var found: [Int32] = []
  private var pending: [Int] = []
  private var isMatch = false

  init(_ program: RegularProgram) {
    self.program = program
    marks = [UInt32](repeating: 0, count: program.instructions.count)
  }

  /// The number of instructions that the last step has found.
  var count: Int { found.count }

  /// What a search begins with.
  func first() -> Step {
    begin()
    add(program.start, .end, before: nil)
    return result(after: .end)
  }

  /// - Parameter byte: the next byte, or any of its class; `nil` at the end.
  func step(_ set: StateSet, _ byte: UInt8?) -> Step {
    let reading = reached(set, Neighbour(byte))
    if isMatch { return .match }
    guard let byte else { return .noMatch }
    let after = program.hasAssertions ? Neighbour(byte) : .other
    begin()
    for index in reading {
      guard case .read(let edges) = program.instructions[Int(index)] else { continue }
      if let edge = edges.first(where: { $0.bytes.contains(byte) }) {
        add(edge.target, after, before: nil)
      }
    }
    // A match may begin anywhere.
    add(program.start, after, before: nil)
    return result(after: after)
  }

  /// The set with what its assertions lead to, now that the next character is known.
  private func reached(_ set: StateSet, _ next: Neighbour) -> [Int32] {
    isMatch = false
    guard program.hasAssertions else { return set.instructions }
    begin()
    for index in set.instructions { add(Int(index), set.after, before: next) }
    return found
  }

  private func begin() {
    if round == .max {
      marks = [UInt32](repeating: 0, count: marks.count)
      round = 0
    }
    round += 1
    found.removeAll(keepingCapacity: true)
    isMatch = false
  }

  private func result(after: Neighbour) -> Step {
    if isMatch { return .match }
    if found.isEmpty, !program.hasLineStarts { return .noMatch }
    found.sort()
    return .set(StateSet(instructions: found, after: program.hasAssertions ? after : .other))
  }

  /// - Parameter next: `nil` if it is not known yet, which keeps assertions about it.
  private func add(_ index: Int, _ previous: Neighbour, before next: Neighbour?) {
    pending.append(index)
    while let index = pending.popLast() {
      guard marks[index] != round else { continue }
      marks[index] = round
      switch program.instructions[index] {
      case .match: isMatch = true
      case .read: found.append(Int32(truncatingIfNeeded: index))
      case .either(let first, let second):
        pending.append(first)
        pending.append(second)
      case .assert(let assertion, let target):
        if next == nil, !assertion.looksBack {
          found.append(Int32(truncatingIfNeeded: index))
        } else if assertion.holds(previous, next ?? .other) {
          pending.append(target)
        }
      }
    }
  }
}

extension RegularAssertion {
  fileprivate func holds(_ previous: Neighbour, _ next: Neighbour) -> Bool {
    switch self {
    case .textStart: previous == .end
    case .lineStart: previous == .end || previous == .lineFeed
    case .textEnd: next == .end
    case .lineEnd: next == .end || next == .lineFeed
    case .wordBoundary: (previous == .word) != (next == .word)
    case .noWordBoundary: (previous == .word) == (next == .word)
    case .wordStart: previous != .word && next == .word
    case .wordEnd: previous == .word && next != .word
    }
  }
}

/// Bytes that no instruction tells apart are one class, so that states are small.
private struct ByteClasses {
  private(set) var ofByte: [UInt8] = []
  /// One byte of each class.
  private(set) var first: [UInt8] = []
  var count: Int { first.count }

  init(_ program: RegularProgram) {
    // Where a class begins.
    var isStart = [Bool](repeating: false, count: 257)
    isStart[0] = true
    func divide(_ bytes: ClosedRange<UInt8>) {
      isStart[Int(bytes.lowerBound)] = true
      isStart[Int(bytes.upperBound) + 1] = true
    }
    for case .read(let edges) in program.instructions {
      for edge in edges { divide(edge.bytes) }
    }
    if program.hasAssertions {
      divide(0x0A...0x0A)
      for range in ScalarSet.words.ranges {
        divide(UInt8(range.lowerBound)...UInt8(range.upperBound))
      }
    }
    for byte in UInt8.min...UInt8.max {
      if isStart[Int(byte)] { first.append(byte) }
      ofByte.append(UInt8(first.count - 1))
    }
  }
}
