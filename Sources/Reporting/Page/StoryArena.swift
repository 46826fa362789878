/// The stories of all tasks while they grow: a list of small chunks for each, all in one array.
///
/// A chunk is 20 bytes and the place of the next one, so that a story of a dozen events takes two of
/// them, and a million stories no allocation each.
struct StoryArena {
  private static let chunkSize: UInt32 = 24
  private static let dataSize: UInt32 = 20

  /// Where a story begins, and where it goes on.
  struct Place {
    fileprivate var head: UInt32 = .max
    fileprivate var tail: UInt32 = .max

    init() {}
  }

  private var bytes: [UInt8] = []

  mutating func append(number: UInt64, to place: inout Place) {
    var rest = number
    while rest >= 0x80 {
      append(UInt8(truncatingIfNeeded: rest) | 0x80, to: &place)
      rest >>= 7
    }
    append(UInt8(truncatingIfNeeded: rest), to: &place)
  }

  private mutating func append(_ byte: UInt8, to place: inout Place) {
    if place.tail == .max {
      place.head = newChunk()
      place.tail = place.head
    } else if place.tail % Self.chunkSize == Self.dataSize {
      let next = newChunk()
      for shift in 0..<4 {
        bytes[Int(place.tail) + shift] = UInt8(truncatingIfNeeded: next >> (8 * UInt32(shift)))
      }
      place.tail = next
    }
    bytes[Int(place.tail)] = byte
    place.tail += 1
  }

  private mutating func newChunk() -> UInt32 {
    let start = UInt32(bytes.count)
    bytes.append(contentsOf: repeatElement(0, count: Int(Self.chunkSize)))
    return start
  }

  /// Reads a story from its beginning.
  struct Reader {
    private var position: UInt32

    init(_ place: Place) { position = place.head }

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
