/// A set of mostly consecutive numbers, as ranges: the stored events of a source.
package struct IntegerRanges: Sendable, Equatable {
  /// Ascending, with a hole between neighbors.
  package private(set) var ranges: [ClosedRange<Int64>] = []

  package init() {}

  package var isEmpty: Bool { ranges.isEmpty }

  /// The count of all numbers.
  package var count: Int64 { ranges.reduce(0) { $0 + $1.upperBound - $1.lowerBound + 1 } }

  package func contains(_ number: Int64) -> Bool {
    let index = index(of: number)
    return index < ranges.count && ranges[index].contains(number)
  }

  /// The index of the first range that does not end before a number.
  private func index(of number: Int64) -> Int {
    // The next number mostly comes after all others.
    if let last = ranges.last, number > last.upperBound { return ranges.count }
    var (low, high) = (0, ranges.count)
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].upperBound < number { low = middle + 1 } else { high = middle }
    }
    return low
  }

  package mutating func insert(_ number: Int64) { insert(number...number) }

  package mutating func insert(_ range: ClosedRange<Int64>) {
    var range = range
    let first = index(of: range.lowerBound == .min ? .min : range.lowerBound - 1)
    var end = first
    while end < ranges.count, ranges[end].lowerBound - 1 <= range.upperBound {
      range =
        min(
          range.lowerBound, ranges[end].lowerBound)...max(
          range.upperBound, ranges[end].upperBound)
      end += 1
    }
    ranges.replaceSubrange(first..<end, with: CollectionOfOne(range))
  }

  /// The holes before and between the ranges, from 1 up to a last number.
  package func holes(through last: Int64) -> [ClosedRange<Int64>] {
    var holes: [ClosedRange<Int64>] = []
    var next: Int64 = 1
    for range in ranges where next <= last {
      if range.lowerBound > next { holes.append(next...min(last, range.lowerBound - 1)) }
      next = max(next, range.upperBound + 1)
    }
    if next <= last { holes.append(next...last) }
    return holes
  }
}
