/// A binary heap: the smallest element first, equal ones in the order of insertion.
struct Heap<Priority: Comparable, Element> {
  private var entries: [(priority: Priority, number: Int, element: Element)] = []
  private var inserted = 0

  var isEmpty: Bool { entries.isEmpty }
  var first: Element? { entries.first?.element }

  mutating func insert(_ element: Element, priority: Priority) {
    entries.append((priority, inserted, element))
    inserted += 1
    var place = entries.count - 1
    while place > 0 {
      let parent = (place - 1) / 2
      guard isBefore(place, parent) else { return }
      entries.swapAt(place, parent)
      place = parent
    }
  }

  mutating func popFirst() -> Element? {
    guard let first = entries.first else { return nil }
    entries.swapAt(0, entries.count - 1)
    entries.removeLast()
    var place = 0
    while true {
      var smallest = place
      for child in [2 * place + 1, 2 * place + 2]
      where child < entries.count && isBefore(child, smallest) {
        smallest = child
      }
      guard smallest != place else { return first.element }
      entries.swapAt(place, smallest)
      place = smallest
    }
  }

  private func isBefore(_ a: Int, _ b: Int) -> Bool {
    if entries[a].priority != entries[b].priority {
      return entries[a].priority < entries[b].priority
    }
    return entries[a].number < entries[b].number
  }
}
