import TestSupport
import Testing

@testable import Reporting

@Suite struct LanesTests {
  /// The lane of each slice.
  private func place(_ slices: [(Int64, Int64?)]) -> [Int] {
    var lanes = Lanes<Int>()
    return slices.map { lanes.track(from: $0.0, to: $0.1) { $0 } }
  }

  @Test func `consecutive slices share a lane`() {
    #expect(place([(0, 10), (10, 20), (20, 20), (20, 30)]) == [0, 0, 0, 0])
  }

  @Test func `overlapping slices have separate lanes, which are reused`() {
    #expect(place([(0, 10), (5, 15), (8, 9), (10, 20), (15, 16)]) == [0, 1, 2, 0, 1])
  }

  @Test func `a slice without an end keeps its lane for itself`() {
    #expect(place([(0, nil), (5, 6), (100, nil), (200, 201)]) == [0, 1, 1, 2])
  }

  @Test func `a late slice is placed between existing ones`() {
    #expect(place([(0, 10), (30, 40), (20, 29), (11, 19)]) == [0, 0, 0, 0])
    // It would end where another, which was written before, begins.
    #expect(place([(0, 10), (30, 40), (20, 30)]) == [0, 0, 1])
  }

  @Test func `of 100,000 slices at once each has a lane, which is reused`() {
    let count = 100_000
    let slices = (0..<2 * count).map { index -> (Int64, Int64?) in
      let start = Int64(index / count * 2 * count)
      return (start, start + Int64(1 + index % count))
    }
    let lanes = place(slices)
    #expect(lanes.prefix(count).elementsEqual(0..<count))
    #expect(lanes.suffix(count).elementsEqual(0..<count))
  }

  @Test func `slices of a lane never overlap, in whatever order they arrive`() {
    var random = Randomness.generator()
    for _ in 0..<20 {
      var lanes = Lanes<Int>()
      var taken: [Int: [(Int64, Int64)]] = [:]
      for step in 0..<6000 {
        // Mostly in order, now and then far behind.
        let late = Int.random(in: 0..<50, using: &random) == 0
        let start = Int64(step * 3) - (late ? Int64.random(in: 0...20_000, using: &random) : 0)
        let stop = start + Int64.random(in: 0...20, using: &random)
        let lane = lanes.track(from: start, to: stop) { $0 }
        taken[lane, default: []].append((start, stop))
      }
      for slices in taken.values {
        let sorted = slices.sorted { $0 < $1 }
        #expect(zip(sorted, sorted.dropFirst()).allSatisfy { $0.1 <= $1.0 })
      }
    }
  }
}
