import Testing

@testable import Scheduling

@Suite struct HeapTests {
  @Test func `elements come out by priority, equal ones in the order of insertion`() {
    var heap = Heap<Int, String>()
    for (priority, element) in [(2, "c"), (1, "a"), (2, "d"), (1, "b"), (0, "first")] {
      heap.insert(element, priority: priority)
    }
    var order: [String] = []
    while let element = heap.popFirst() { order.append(element) }
    #expect(order == ["first", "a", "b", "c", "d"])
  }
}
