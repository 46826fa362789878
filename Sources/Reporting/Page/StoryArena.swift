/// The growing stories of all tasks: a list of small chunks for each, all in one array.
///
/// A chunk has 20 bytes of data and the offset of the next chunk, so that a story of a dozen events
/// has two chunks, and a million stories need no allocation each.
struct StoryArena {
  private static let chunkSize: UInt32 = 24
  private static let dataSize: UInt32 = 20

  /// The start of a story, and its end, where it grows.
  struct Place {
    fileprivate var head: UInt32 = .max
    fileprivate var tail: UInt32 = .max

    init() {}
  }

  private var bytes: [UInt8] = []

  mutating func append(number: UInt64, to story: inout Place) {
    var rest = number
    while rest >= 0x80 {
      append(UInt8(truncatingIfNeeded: rest) | 0x80, to: &story)
      rest >>= 7
    }
    append(UInt8(truncatingIfNeeded: rest), to: &story)
  }

  private mutating func append(_ byte: UInt8, to story: inout Place) {
    if story.tail == .max {
      story.head = newChunk()
      story.tail = story.head
    } else if story.tail % Self.chunkSize == Self.dataSize {
      let next = newChunk()
      for shift in 0..<4 {
        bytes[Int(story.tail) + shift] = UInt8(truncatingIfNeeded: next >> (8 * UInt32(shift)))
      }
      story.tail = next
    }
    bytes[Int(story.tail)] = byte
    story.tail += 1
  }

  private mutating func newChunk() -> UInt32 {
    let start = UInt32(bytes.count)
    bytes.append(contentsOf: repeatElement(0, count: Int(Self.chunkSize)))
    return start
  }

  /// Reads a story from its beginning.
  struct Reader {
    private var position: UInt32

    init(_ story: Place) { position = story.head }

    mutating func number(_ arena: borrowing StoryArena) -> UInt64 {
      var value: UInt64 = 0
      var shift: UInt64 = 0
      while true {
        if position % StoryArena.chunkSize == StoryArena.dataSize {
          position = (0..<4).reduce(0) {
            $0 | UInt32(arena.bytes[Int(position) + $1]) << (8 * UInt32($1))
          }
        }
        let byte = arena.bytes[Int(position)]
        position += 1
        value |= UInt64(byte & 0x7F) << shift
        if byte < 0x80 { return value }
        shift += 7
      }
    }
  }
}
