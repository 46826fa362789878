import TestSupport
import Testing

@testable import Scheduling

@Suite struct HeapTests {
  @Test func `elements are removed by priority, equal ones in the order of insertion`() {
    var heap = Heap<Int, String>()
    for (priority, element) in [(2, "c"), (1, "a"), (2, "d"), (1, "b"), (0, "first")] {
      heap.insert(element, priority: priority)
    }
    var order: [String] = []
    while let element = heap.popFirst() { order.append(element) }
    #expect(order == ["first", "a", "b", "c", "d"])
  }

  @Test func `random insertions and removals return the elements in sorted order`() {
    var random = Randomness.generator(32)
    var heap = Heap<Int, Int>()
    var model: [(priority: Int, element: Int)] = []
    for element in 0..<Randomness.count {
      if random.once(in: 3) {
        let first = model.indices.min {
          (model[$0].priority, model[$0].element) < (model[$1].priority, model[$1].element)
        }
        #expect(heap.popFirst() == first.map { model.remove(at: $0).element })
      } else {
        let priority = random.below(20)
        heap.insert(element, priority: priority)
        model.append((priority, element))
      }
      #expect(heap.isEmpty == model.isEmpty)
    }
  }
}
