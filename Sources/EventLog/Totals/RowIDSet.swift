/// A set of row IDs, one bit each: they are assigned from 1 on. Larger ones than a log has, as in a
/// damaged file, go into a hash table.
package struct RowIDSet: Sendable {
  private static let denseLimit: Int64 = 1 << 28
  private var words: [UInt64] = []
  private var sparse: Set<Int64> = []

  package init() {}

  /// Inserts a row ID.
  ///
  /// - Returns: whether it was not there before.
  @inline(__always)
  package mutating func insert(_ number: Int64) -> Bool {
    let index = Int(truncatingIfNeeded: number >> 6)
    guard number >= 0, number < Self.denseLimit else { return sparse.insert(number).inserted }
    if index >= words.count { grow(to: index) }
    let bit: UInt64 = 1 << UInt64(number & 63)
    guard words[index] & bit == 0 else { return false }
    words[index] |= bit
    return true
  }

  @inline(__always)
  package func contains(_ number: Int64) -> Bool {
    guard number >= 0, number < Self.denseLimit else { return sparse.contains(number) }
    let index = Int(truncatingIfNeeded: number >> 6)
    return index < words.count && words[index] & (1 << UInt64(number & 63)) != 0
  }

  private mutating func grow(to index: Int) {
    words += [UInt64](repeating: 0, count: max(index + 1, words.count * 2, 64) - words.count)
  }

  /// The row IDs that are in both.
  package func intersection(_ other: RowIDSet) -> RowIDSet {
    var both = RowIDSet()
    both.words = zip(words, other.words).map { $0 & $1 }
    both.sparse = sparse.intersection(other.sparse)
    return both
  }

  /// Calls a function with each row ID.
  package func visit(_ body: (Int64) -> Void) {
    for (index, word) in words.enumerated() where word != 0 {
      var rest = word
      while rest != 0 {
        body(Int64(index * 64 + rest.trailingZeroBitCount))
        rest &= rest &- 1
      }
    }
    for number in sparse { body(number) }
  }

  package var count: Int64 {
    words.reduce(Int64(sparse.count)) { $0 + Int64($1.nonzeroBitCount) }
  }
}
