/// A binary heap: the smallest element first, equal ones in the order of insertion.
struct Heap<Priority: Comparable, Element> {
  private typealias Entry = (priority: Priority, insertion: Int, element: Element)

  private var entries: [Entry] = []
  private var inserted = 0

  var isEmpty: Bool { entries.isEmpty }
  var first: Element? { entries.first?.element }

  mutating func insert(_ element: Element, priority: Priority) {
    let entry = (priority, inserted, element)
    inserted += 1
    entries.append(entry)
    var index = entries.count - 1
    while index > 0 {
      let parent = (index - 1) / 2
      guard Self.isBefore(entry, entries[parent]) else { break }
      entries[index] = entries[parent]
      index = parent
    }
    if index < entries.count - 1 { entries[index] = entry }
  }

  mutating func popFirst() -> Element? {
    guard let first = entries.first, let last = entries.popLast() else { return nil }
    guard !entries.isEmpty else { return first.element }
    // The last entry moves to the top and sinks to its position.
    var index = 0
    while true {
      var child = 2 * index + 1
      guard child < entries.count else { break }
      if child + 1 < entries.count, Self.isBefore(entries[child + 1], entries[child]) { child += 1 }
      guard Self.isBefore(entries[child], last) else { break }
      entries[index] = entries[child]
      index = child
    }
    entries[index] = last
    return first.element
  }

  private static func isBefore(_ a: Entry, _ b: Entry) -> Bool {
    if a.priority < b.priority { return true }
    return a.insertion < b.insertion && !(b.priority < a.priority)
  }
}
