import TestSupport
import Testing

@testable import TaskLogPlugin

@Suite struct PriorityTests {
  @Test func `priorities compare field by field, the shorter first`() {
    let ascending: [[Double]] = [
      [], [-1], [-1, 5], [0], [0, -.infinity], [0, 1, 2], [0, 1, 2, 0], [0, 1, 2, 1], [0, 2], [1],
    ]
    for (place, a) in ascending.enumerated() {
      for (other, b) in ascending.enumerated() {
        #expect((Priority(a) < Priority(b)) == (place < other), "\(a) \(b)")
        #expect((Priority(a) == Priority(b)) == (place == other), "\(a) \(b)")
      }
    }
  }

  @Test func `a priority is restored from its value`() {
    var random = Randomness.generator(40)
    for _ in 0..<Randomness.count {
      let fields = (0..<random.below(5)).map { _ in
        random.once(in: 2) ? Double(random.below(1000) - 500) : Double(random.int()) / 8
      }
      let priority = Priority(fields)
      #expect(Priority(priority.value) == priority)
      #expect(priority.values == fields)
    }
  }

  @Test func `whole numbers of a priority are integers`() {
    #expect(Priority([-1, 0.5, 1e300]).value == .tuple([-1, 0.5, .double(1e300)]))
  }

  @Test func `a worker's field comes last, and a fifth is ignored`() {
    #expect(Priority([0, 1, 2]).appending(3).values == [0, 1, 2, 3])
    #expect(Priority([0, 1, 2, 3]).appending(4).values == [0, 1, 2, 3])
  }

  @Test(arguments: [Value.null, 1, "x", .tuple([1, "x"]), [.null], .dict([])])
  func `a value that is not a sequence of numbers is not a priority`(value: Value) {
    #expect(Priority(value) == nil)
  }
}
