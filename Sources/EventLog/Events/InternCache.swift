/// Finds interned rows by row ID, a block of neighbours at a time.
///
/// Row IDs are assigned in the order of first use, so that adjacent events use adjacent rows: one
/// range query fetches a thousand of them. A bounded number of blocks is kept and the oldest is
/// evicted first, so that memory use does not grow with the log. When look-ups are spread over a
/// large log, a block would be fetched for each row; then only that row is fetched. A block that a
/// live recorder is still filling is fetched again when a row is not in it.
package final class InternCache<Element> {
  private static var blockSize: Int64 { 1024 }
  /// With fewer look-ups than this since the last fetched block, the next block is not worth
  /// fetching.
  private static var worthwhile: Int { 64 }
  /// The locations of blocks below this block number are kept in an array: two bytes for a thousand
  /// rows.
  private static var arrayLimit: Int64 { 1 << 22 }

  /// A block of rows at a fixed address.
  ///
  /// Each has room for `blockSize` rows, all initialized for the lifetime of the cache.
  private typealias Block = UnsafeMutablePointer<Element?>

  private let maximumBlocks: Int
  private let load: (Int64, Int64, (Int64, Element) -> Void) throws -> Void
  /// The cached blocks, and the number of each.
  private var blocks: [(number: Int64, rows: Block)] = []
  /// The index in `blocks` plus one, by block number; 0 if the block is not cached.
  private var places: [UInt16] = []
  /// The same for numbers that only a damaged log has.
  private var sparsePlaces: [Int64: UInt16] = [:]
  private var oldest = 0
  // Used for each event, by one thread.
  @exclusivity(unchecked) private var currentNumber: Int64 = -1
  @exclusivity(unchecked) private var current: Block?
  @exclusivity(unchecked) private var lookups = 0

  /// - Parameters:
  ///   - kept: the approximate number of rows that are cached.
  ///   - load: loads the rows from one row ID up to, but not including, another.
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
    // The end of the last block does not fit into 64 bits; only a damaged log comes near it.
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

  private func setIndex(_ place: UInt16, of number: Int64) {
    guard number < Self.arrayLimit else {
      sparsePlaces[number] = place == 0 ? nil : place
      return
    }
    let missing = Int(number) + 1 - places.count
    if missing > 0 {
      // Later look-ups are for numbers a little further on.
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
      // A damaged index returns rows that were not requested.
      if (first..<first + Self.blockSize).contains(id) { rows[Int(id - first)] = element }
    }
    return rows
  }

  /// A new block, or the oldest one, which is evicted.
  private func room(for number: Int64) -> Block {
    if blocks.count < maximumBlocks {
      let rows = Block.allocate(capacity: Int(Self.blockSize))
      rows.initialize(repeating: nil, count: Int(Self.blockSize))
      blocks.append((number, rows))
      setIndex(UInt16(blocks.count), of: number)
      return rows
    }
    let place = oldest
    oldest = (oldest + 1) % blocks.count
    if blocks[place].number == currentNumber { currentNumber = -1 }
    setIndex(0, of: blocks[place].number)
    blocks[place].number = number
    setIndex(UInt16(place + 1), of: number)
    return blocks[place].rows
  }
}
