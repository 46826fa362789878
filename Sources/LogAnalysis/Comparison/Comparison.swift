/// A measure of runs compared with that of others, the baseline.
package struct Comparison: Sendable {
  package enum Verdict: Sendable {
    case higher, lower
    /// A difference that chance explains, or that is small.
    case notShown
    /// There are too few runs to tell a difference from chance.
    case cannotTell
    /// All values are the same.
    case equal
  }

  package var measure: Measure
  /// Those of the runs that have one; of the baseline.
  package var baseline: [Double]
  package var values: [Double]
  /// The probability of a difference as large by chance, and the same after Holm's correction over all
  /// measures compared; `nil` where it is not tested.
  package var probability: Double?
  package var corrected: Double?
  package private(set) var verdict = Verdict.cannotTell

  /// An alarm needs both: at least this difference of medians, as a part of the baseline's, …
  package static let leastChange = 0.1
  /// … and a corrected probability below this.
  package static let mostProbability = 0.01

  package var baselineMedian: Double? { baseline.median }
  package var median: Double? { values.median }

  /// The change from the baseline's median, as a part of it; `nil` if that is 0 or unknown.
  package var change: Double? {
    guard let before = baselineMedian, let after = median, before != 0 else { return nil }
    return (after - before) / before
  }

  private init(_ measure: Measure, _ baseline: [Double], _ values: [Double]) {
    (self.measure, self.baseline, self.values) = (measure, baseline, values)
    // What is the same in all runs needs no test.
    if baseline.count > 1, values.count > 1, Set(baseline + values).count > 1 {
      probability = RankTest.probability(baseline, values)
    }
  }

  /// Compares all measures of runs.
  package static func all(
    of runs: [RunFigures], baseline: [RunFigures]
  ) -> [Comparison] {
    let measures = Measure.all(of: baseline + runs)
    var all = measures.map { measure in
      Comparison(measure, baseline.compactMap(measure.value), runs.compactMap(measure.value))
    }
    let tested = all.indices.filter { all[$0].probability != nil }
      .sorted { all[$0].probability ?? 1 < all[$1].probability ?? 1 }
    var highest = 0.0
    for (place, index) in tested.enumerated() {
      highest = max(highest, min(1, (all[index].probability ?? 1) * Double(tested.count - place)))
      all[index].corrected = highest
    }
    for index in all.indices { all[index].verdict = all[index].judged(among: tested.count) }
    return all
  }

  private func judged(among tests: Int) -> Verdict {
    guard let before = baselineMedian, let after = median else { return .cannotTell }
    if Set(baseline + values).count == 1 { return .equal }
    guard let corrected else { return .cannotTell }
    let isLarge =
      after != before && (after - before).magnitude >= Self.leastChange * before.magnitude
    if corrected < Self.mostProbability, isLarge { return after > before ? .higher : .lower }
    // No difference whatever could be told among so few.
    let least = RankTest.least(baseline.count, values.count) * Double(tests)
    return least >= Self.mostProbability ? .cannotTell : .notShown
  }

  /// The number of baseline values below and above the only value; `nil` if there are several.
  package var place: (below: Int, above: Int)? {
    guard values.count == 1, let value = values.first else { return nil }
    return (baseline.count { $0 < value }, baseline.count { $0 > value })
  }

  /// As many runs on each side are needed to tell any difference among this number of measures.
  package static func runsNeeded(measures: Int) -> Int {
    (2...).first { RankTest.least($0, $0) * Double(measures) < mostProbability } ?? 2
  }
}

extension [Double] {
  /// The mean of the middle two for an even number; `nil` if there are none.
  package var median: Double? {
    guard !isEmpty else { return nil }
    let sorted = sorted()
    let middle = count / 2
    return count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }
}
