/// Finds interned rows by their number, a block of neighbours at a time.
///
/// Numbers are given out in the order of first use, so that events that lie together use rows that
/// lie together: one range query fetches a thousand of them. A bounded number of blocks is kept, the
/// oldest goes first, so that the memory that it takes does not grow with the log. Where rows are
/// asked for all over a large log, blocks would be fetched for one row each; then that row alone is
/// fetched. A block that a live recorder is still filling is asked for again when something is not
/// in it.
final class InternCache<Element> {
  private static var blockSize: Int64 { 1024 }
  /// With fewer look-ups than this since the last block was fetched, the next block is not worth it.
  private static var worthwhile: Int { 64 }

  private let maximumBlocks: Int
  private let load: (Int64, Int64, (Int64, Element) -> Void) throws -> Void
  private var blocks: [Int64: [Element?]] = [:]
  private var order: [Int64] = []
  private var oldest = 0
  // Looked at for each event, by one thread.
  @exclusivity(unchecked) private var currentNumber: Int64 = -1
  @exclusivity(unchecked) private var current: [Element?] = []
  @exclusivity(unchecked) private var lookups = 0

  /// - Parameters:
  ///   - kept: about so many rows are kept.
  ///   - load: gives each row from a number on, below another.
  init(kept: Int = 1 << 17, load: @escaping (Int64, Int64, (Int64, Element) -> Void) throws -> Void)
  {
    maximumBlocks = max(1, kept / Int(Self.blockSize))
    self.load = load
  }

  func element(_ id: Int64) throws -> Element? {
    // The last block has no end that can be said in 64 bits; only a damaged log comes near it.
    guard id >= 0, id < .max - Self.blockSize else { return nil }
    let number = id >> 10
    lookups &+= 1
    if number != currentNumber {
      if let block = blocks[number] {
        current = block
      } else if order.count == maximumBlocks, lookups < Self.worthwhile {
        return try fetchOne(id)
      } else {
        current = try fetch(number)
      }
      currentNumber = number
    }
    let place = Int(id & (Self.blockSize - 1))
    if let element = current[place] { return element }
    guard current[Int(Self.blockSize) - 1] == nil else { return nil }
    current = try fetch(number)
    return current[place]
  }

  private func fetchOne(_ id: Int64) throws -> Element? {
    var found: Element?
    try load(id, id + 1) { if $0 == id { found = $1 } }
    return found
  }

  private func fetch(_ number: Int64) throws -> [Element?] {
    lookups = 0
    var block = [Element?](repeating: nil, count: Int(Self.blockSize))
    let first = number * Self.blockSize
    try load(first, first + Self.blockSize) { id, element in
      // A damaged index gives rows that were not asked for.
      if (first..<first + Self.blockSize).contains(id) { block[Int(id - first)] = element }
    }
    if blocks.updateValue(block, forKey: number) == nil { makeRoom(for: number) }
    return block
  }

  private func makeRoom(for number: Int64) {
    if order.count < maximumBlocks {
      order.append(number)
    } else {
      blocks[order[oldest]] = nil
      order[oldest] = number
      oldest = (oldest + 1) % order.count
    }
  }
}
