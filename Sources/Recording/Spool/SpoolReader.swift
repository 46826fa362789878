import CSupport

/// Goes through the records of a spool from a position on.
///
/// Used by the thread that drains a live spool, and by whoever recovers that of a dead process.
struct SpoolReader {
  enum Step {
    /// A record, its content in place, and where it begins.
    case record(UnsafeRawBufferPointer, at: SpoolPosition)
    /// Nothing more for now; nothing more at all when the process is dead.
    case end
    /// A producer has taken this space and not yet finished.
    case hole
  }

  private(set) var position: SpoolPosition
  /// Stretches that held no record: what a producer left unfinished, or what is damaged.
  private(set) var skippedCount = 0
  /// Segments in which a producer may still be going to write.
  private(set) var unfinished: Set<UInt32> = []
  private let findSegment: (UInt32) -> Mapping?
  /// The segment that is being read.
  private var current: (number: UInt32, mapping: Mapping)?

  /// - Parameter segment: gives a segment's memory, nothing when there is no such segment.
  init(from position: SpoolPosition, segment: @escaping (UInt32) -> Mapping?) {
    self.position = position
    findSegment = segment
  }

  /// The next record before an end.
  ///
  /// - Parameter end: where the producers are; records before it have been begun.
  mutating func next(before end: SpoolPosition) -> Step {
    while position < end {
      guard let mapping = segment(position.segment) else {
        // Only after a loss of power: the numbers of the events tell what is missing.
        skippedCount += 1
        goOn()
        continue
      }
      let offset = position.offset
      guard offset + 8 <= mapping.size else {
        goOn()
        continue
      }
      let word = tl_load_acquire(mapping.word(at: offset))
      if word & 0xFFFF_FFFF == SpoolLayout.endMark {
        goOn()
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

  private mutating func goOn() {
    position = SpoolPosition(segment: position.segment &+ 1, offset: SpoolLayout.headerSize)
  }

  /// Gives up on what lies here and looks on for the next record in this segment.
  mutating func skip(to end: SpoolPosition) {
    skippedCount += 1
    unfinished.insert(position.segment)
    guard let mapping = segment(position.segment) else { return goOn() }
    let limit = end.segment == position.segment ? min(end.offset, mapping.size) : mapping.size
    var place = position
    place.offset += 8
    while place.offset + 8 <= limit {
      let word = tl_load_acquire(mapping.word(at: place.offset))
      if word != 0, Self.content(mapping, place, word) != nil {
        position = place
        return
      }
      place.offset += 8
    }
    if end.segment == position.segment {
      position.offset = end.offset
    } else {
      goOn()
    }
  }

  /// The content of a record; nothing when the word and the content do not fit together.
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
