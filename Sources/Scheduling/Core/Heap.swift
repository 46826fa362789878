/// A binary heap: the smallest element first, equal ones in the order of insertion.
struct Heap<Priority: Comparable, Element> {
  private typealias Entry = (priority: Priority, number: Int, element: Element)

  private var entries: [Entry] = []
  private var inserted = 0

  var isEmpty: Bool { entries.isEmpty }
  var first: Element? { entries.first?.element }

  mutating func insert(_ element: Element, priority: Priority) {
    let entry = (priority, inserted, element)
    inserted += 1
    entries.append(entry)
    var place = entries.count - 1
    while place > 0 {
      let parent = (place - 1) / 2
      guard Self.isBefore(entry, entries[parent]) else { break }
      entries[place] = entries[parent]
      place = parent
    }
    if place < entries.count - 1 { entries[place] = entry }
  }

  mutating func popFirst() -> Element? {
    guard let first = entries.first, let last = entries.popLast() else { return nil }
    guard !entries.isEmpty else { return first.element }
    // The last one comes first, and goes down to where it belongs.
    var place = 0
    while true {
      var child = 2 * place + 1
      guard child < entries.count else { break }
      if child + 1 < entries.count, Self.isBefore(entries[child + 1], entries[child]) { child += 1 }
      guard Self.isBefore(entries[child], last) else { break }
      entries[place] = entries[child]
      place = child
    }
    entries[place] = last
    return first.element
  }

  private static func isBefore(_ a: Entry, _ b: Entry) -> Bool {
    if a.priority < b.priority { return true }
    return a.number < b.number && !(b.priority < a.priority)
  }
}
