import Glibc

/// Whether two samples differ in level: the rank-sum test of Wilcoxon, Mann and Whitney.
///
/// It asks nothing of how the values are distributed. Up to `mostExact` values the probability is exact,
/// also with ties; above, it is that of the normal distribution with corrections for ties and continuity.
package enum RankTest {
  static let mostExact = 30

  /// The two-sided probability of ranks at least as far apart if there is no difference; 1 if either
  /// sample is empty.
  package static func probability(_ one: [Double], _ other: [Double]) -> Double {
    guard !one.isEmpty, !other.isEmpty else { return 1 }
    let ranks = doubledRanks(one + other)
    let sum = ranks.prefix(one.count).reduce(0, +)
    return ranks.count <= mostExact
      ? exact(ranks, one.count, sum) : normal(ranks, one.count, sum)
  }

  /// The smallest probability that samples of these sizes can have, without ties.
  package static func least(_ one: Int, _ other: Int) -> Double {
    guard one > 0, other > 0 else { return 1 }
    let combinations = (1...one).reduce(1.0) { $0 * Double(other + $1) / Double($1) }
    return min(1, 2 / combinations)
  }

  /// Twice the rank of each value, so that the mean rank of equal ones is whole.
  private static func doubledRanks(_ values: [Double]) -> [Int] {
    let order = values.indices.sorted { values[$0] < values[$1] }
    var ranks = [Int](repeating: 0, count: values.count)
    var start = 0
    while start < order.count {
      var stop = start + 1
      while stop < order.count, values[order[stop]] == values[order[start]] { stop += 1 }
      for place in start..<stop { ranks[order[place]] = start + 1 + stop }
      start = stop
    }
    return ranks
  }

  /// Counts the choices of as many ranks by their sum.
  private static func exact(_ ranks: [Int], _ chosen: Int, _ sum: Int) -> Double {
    let most = ranks.reduce(0, +)
    // A row for each number of chosen ranks.
    let width = most + 1
    var counts = [Double](repeating: 0, count: (chosen + 1) * width)
    counts[0] = 1
    counts.withUnsafeMutableBufferPointer { counts in
      for rank in ranks {
        for number in stride(from: chosen, through: 1, by: -1) {
          let (row, before) = (number * width, (number - 1) * width)
          for total in rank...most { counts[row + total] += counts[before + total - rank] }
        }
      }
    }
    let row = counts[(chosen * width)...]
    let (low, high) = (row.prefix(sum + 1).reduce(0, +), row.dropFirst(sum).reduce(0, +))
    return min(1, 2 * min(low, high) / row.reduce(0, +))
  }

  private static func normal(_ ranks: [Int], _ chosen: Int, _ sum: Int) -> Double {
    let (all, one) = (Double(ranks.count), Double(chosen))
    let other = all - one
    let ties = Dictionary(grouping: ranks) { $0 }.values.reduce(0.0) {
      let count = Double($1.count)
      return $0 + (count * count * count - count)
    }
    let variance = one * other / 12 * (all + 1 - ties / (all * (all - 1)))
    guard variance > 0 else { return 1 }
    let distance = (Double(sum) / 2 - one * (all + 1) / 2).magnitude - 0.5
    return distance <= 0 ? 1 : min(1, erfc(distance / (2 * variance).squareRoot()))
  }
}
