import CSupport

/// Iterates over the records of a spool from a position on.
///
/// Used by the thread that drains a live spool, and for recovering that of a dead process.
struct SpoolReader {
  enum Step {
    /// A record: its content, in place, and its position.
    case record(UnsafeRawBufferPointer, at: SpoolPosition)
    /// No further records for now; none at all if the process is dead.
    case end
    /// A producer has reserved this space and not yet filled it.
    case hole
  }

  private(set) var position: SpoolPosition
  /// The number of skipped ranges without a record: left unfinished by a producer, or damaged.
  private(set) var skippedCount = 0
  /// Segments to which a producer may still write.
  private(set) var unfinished: Set<UInt32> = []
  private let findSegment: (UInt32) -> Mapping?
  /// The segment being read.
  private var current: (number: UInt32, mapping: Mapping)?

  /// - Parameter segment: returns the mapping of a segment; `nil` if there is no such segment.
  init(from position: SpoolPosition, segment: @escaping (UInt32) -> Mapping?) {
    self.position = position
    findSegment = segment
  }

  /// The next record before an end.
  ///
  /// - Parameter end: the position that producers have reached; records before it have been begun.
  mutating func next(before end: SpoolPosition) -> Step {
    while position < end {
      guard let mapping = segment(position.segment) else {
        // Only after a power failure: the source_seqs of the events show what is missing.
        skippedCount += 1
        advance()
        continue
      }
      let offset = position.offset
      guard offset + 8 <= mapping.size else {
        advance()
        continue
      }
      let word = tl_load_acquire(mapping.word(at: offset))
      if word & 0xFFFF_FFFF == SpoolLayout.endMark {
        advance()
      } else if word == 0 {
        return .hole
      } else if let content = Self.content(mapping, position, word) {
        let start = position
        position.offset += SpoolLayout.size(ofContent: content.count)
        return .record(content, at: start)
      } else {
        skip(to: end)
      }
    }
    return .end
  }

  private mutating func segment(_ number: UInt32) -> Mapping? {
    if let current, current.number == number { return current.mapping }
    current = findSegment(number).map { (number, $0) }
    return current?.mapping
  }

  private mutating func advance() {
    position = SpoolPosition(segment: position.segment &+ 1, offset: SpoolLayout.headerSize)
  }

  /// Gives up on this position and searches for the next record in this segment.
  mutating func skip(to end: SpoolPosition) {
    skippedCount += 1
    unfinished.insert(position.segment)
    guard let mapping = segment(position.segment) else { return advance() }
    let limit = end.segment == position.segment ? min(end.offset, mapping.size) : mapping.size
    var candidate = position
    candidate.offset += 8
    while candidate.offset + 8 <= limit {
      let word = tl_load_acquire(mapping.word(at: candidate.offset))
      if word != 0, Self.content(mapping, candidate, word) != nil {
        position = candidate
        return
      }
      candidate.offset += 8
    }
    if end.segment == position.segment {
      position.offset = end.offset
    } else {
      advance()
    }
  }

  /// The content of a record; `nil` if it does not match its word.
  private static func content(
    _ mapping: Mapping, _ position: SpoolPosition, _ word: UInt64
  ) -> UnsafeRawBufferPointer? {
    let count = Int(word & 0xFFFF_FFFF)
    guard count > 0, position.offset + 8 + count <= mapping.size else { return nil }
    let start = UnsafeRawPointer(mapping.base + position.offset + 8)
    let expected = SpoolLayout.word(
      start, count, segment: position.segment, offset: position.offset)
    return word == expected ? UnsafeRawBufferPointer(start: start, count: count) : nil
  }
}
