/// Finds interned rows by their number, a block of neighbours at a time.
///
/// Numbers are given out in the order of first use, so that events that lie together use rows that
/// lie together: one range query fetches a thousand of them. A bounded number of blocks is kept, the
/// oldest goes first, so that the memory that it takes does not grow with the log. Where rows are
/// asked for all over a large log, blocks would be fetched for one row each; then that row alone is
/// fetched. A block that a live recorder is still filling is asked for again when something is not
/// in it.
package final class InternCache<Element> {
  private static var blockSize: Int64 { 1024 }
  /// With fewer look-ups than this since the last block was fetched, the next block is not worth it.
  private static var worthwhile: Int { 64 }
  /// Where the blocks below this number lie is kept in an array: two bytes for a thousand rows.
  private static var arrayLimit: Int64 { 1 << 22 }

  /// A block of rows, which stays where it is.
  ///
  /// Each has room for `blockSize` of them, all initialized for as long as the cache is there.
  private typealias Block = UnsafeMutablePointer<Element?>

  private let maximumBlocks: Int
  private let load: (Int64, Int64, (Int64, Element) -> Void) throws -> Void
  /// The blocks that are kept, and the number of each.
  private var blocks: [(number: Int64, rows: Block)] = []
  /// One more than the place among `blocks` by the number of the block; 0 where it is not kept.
  private var places: [UInt16] = []
  /// Likewise, of numbers that only a damaged log has.
  private var sparsePlaces: [Int64: UInt16] = [:]
  private var oldest = 0
  // Looked at for each event, by one thread.
  @exclusivity(unchecked) private var currentNumber: Int64 = -1
  @exclusivity(unchecked) private var current: Block?
  @exclusivity(unchecked) private var lookups = 0

  /// - Parameters:
  ///   - kept: about so many rows are kept.
  ///   - load: gives each row from a number on, below another.
  init(kept: Int = 1 << 17, load: @escaping (Int64, Int64, (Int64, Element) -> Void) throws -> Void)
  {
    maximumBlocks = min(max(1, kept / Int(Self.blockSize)), Int(UInt16.max))
    self.load = load
  }

  deinit {
    for (_, rows) in blocks {
      rows.deinitialize(count: Int(Self.blockSize))
      rows.deallocate()
    }
  }

  package func element(_ id: Int64) throws -> Element? {
    // The last block has no end that can be said in 64 bits; only a damaged log comes near it.
    guard id >= 0, id < .max - Self.blockSize else { return nil }
    let number = id >> 10
    lookups &+= 1
    if number != currentNumber || current == nil {
      if let block = block(number) {
        current = block
      } else if blocks.count == maximumBlocks, lookups < Self.worthwhile {
        return try fetchOne(id)
      } else {
        current = try fetch(number)
      }
      currentNumber = number
    }
    let place = Int(id & (Self.blockSize - 1))
    guard let rows = current else { return nil }
    if let element = rows[place] { return element }
    guard rows[Int(Self.blockSize) - 1] == nil else { return nil }
    return try fetch(number)[place]
  }

  private func block(_ number: Int64) -> Block? {
    let place =
      number < Int64(places.count)
      ? places[Int(number)] : sparsePlaces.isEmpty ? 0 : sparsePlaces[number] ?? 0
    return place == 0 ? nil : blocks[Int(place) - 1].rows
  }

  private func note(_ place: UInt16, of number: Int64) {
    guard number < Self.arrayLimit else {
      sparsePlaces[number] = place == 0 ? nil : place
      return
    }
    let missing = Int(number) + 1 - places.count
    if missing > 0 {
      // What was looked for is looked for again a little further on.
      places.append(contentsOf: repeatElement(0, count: missing + 63))
    }
    places[Int(number)] = place
  }

  private func fetchOne(_ id: Int64) throws -> Element? {
    var found: Element?
    try load(id, id + 1) { if $0 == id { found = $1 } }
    return found
  }

  private func fetch(_ number: Int64) throws -> Block {
    lookups = 0
    let rows = block(number) ?? room(for: number)
    for place in 0..<Int(Self.blockSize) { rows[place] = nil }
    let first = number * Self.blockSize
    try load(first, first + Self.blockSize) { id, element in
      // A damaged index gives rows that were not asked for.
      if (first..<first + Self.blockSize).contains(id) { rows[Int(id - first)] = element }
    }
    return rows
  }

  /// A new block, or that of the oldest number.
  private func room(for number: Int64) -> Block {
    if blocks.count < maximumBlocks {
      let rows = Block.allocate(capacity: Int(Self.blockSize))
      rows.initialize(repeating: nil, count: Int(Self.blockSize))
      blocks.append((number, rows))
      note(UInt16(blocks.count), of: number)
      return rows
    }
    let place = oldest
    oldest = (oldest + 1) % blocks.count
    if blocks[place].number == currentNumber { currentNumber = -1 }
    note(0, of: blocks[place].number)
    blocks[place].number = number
    note(UInt16(place + 1), of: number)
    return blocks[place].rows
  }
}
