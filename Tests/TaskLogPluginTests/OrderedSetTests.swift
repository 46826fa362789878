import TestSupport
import Testing

@testable import TaskLogPlugin

private final class Element {
  let number: Int
  init(_ number: Int) { self.number = number }
}

@Suite struct OrderedSetTests {
  private let elements = (0..<60).map { Element($0) }

  @Test func `random operations give the same result as in an array`() {
    var random = Randomness.generator(31)
    for size in [5, 13, 14, 60] {
      var (set, model) = (OrderedSet<Element>(), [Element]())
      for _ in 0..<Randomness.count / 2 {
        let element = elements[random.below(size)]
        switch random.below(20) {
        case 0 where random.once(in: 30):
          set.removeAll()
          model = []
        case 0...11:
          set.insert(element)
          if !model.contains(where: { $0 === element }) { model.append(element) }
        default:
          set.remove(element)
          model.removeAll { $0 === element }
        }
        #expect(set.count == model.count)
        #expect(set.isEmpty == model.isEmpty)
        #expect(set.first === model.first)
        #expect(set.contains(element) == model.contains { $0 === element })
        #expect(set.map(\.number) == model.map(\.number))
      }
    }
  }

  @Test func `order is kept when a set grows beyond the plain array`() {
    var set = OrderedSet<Element>()
    for element in elements.reversed() { set.insert(element) }
    #expect(set.map(\.number) == Array((0..<60).reversed()))
  }

  @Test func `an element that was removed and inserted again comes last`() {
    for size in [3, 20] {
      var set = OrderedSet<Element>()
      for element in elements[..<size] { set.insert(element) }
      set.remove(elements[0])
      set.insert(elements[0])
      #expect(set.map(\.number) == Array(1..<size) + [0])
    }
  }

  @Test func `a set may change while it is iterated over`() {
    for size in [3, 20] {
      var set = OrderedSet<Element>()
      for element in elements[..<size] { set.insert(element) }
      var seen: [Int] = []
      for element in set {
        seen.append(element.number)
        set.remove(element)
      }
      #expect(seen == Array(0..<size))
      #expect(set.isEmpty)
    }
  }
}
