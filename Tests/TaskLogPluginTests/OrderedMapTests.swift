import TestSupport
import Testing

@testable import TaskLogPlugin

/// An ordered map that is simple enough to be obviously correct.
private struct Model {
  var entries: [(key: Int, value: Int)] = []

  mutating func set(_ key: Int, _ value: Int?) {
    let place = entries.firstIndex { $0.key == key }
    switch (place, value) {
    case (let place?, let value?): entries[place].value = value
    case (let place?, nil): entries.remove(at: place)
    case (nil, let value?): entries.append((key, value))
    case (nil, nil): break
    }
  }
}

/// A key that shares its hash with a third of the others.
private struct Clashing: Hashable {
  var number: Int

  func hash(into hasher: inout Hasher) { hasher.combine(number % 3) }
}

@Suite struct OrderedMapTests {
  @Test func `random operations give the same result as in a simple model`() {
    var random = Randomness.generator(30)
    // Growing first, then shrinking, so that the map is compacted several times.
    for (size, removals) in [(10, 2), (200, 3), (200, 1), (60, 2)] {
      var (map, model) = (OrderedMap<Int, Int>(), Model())
      for step in 0..<Randomness.count {
        let key = random.below(size)
        switch random.below(4 + removals) {
        case 0...2:
          map[key] = step
          model.set(key, step)
        case 3:
          let popped = map.popLast()
          let expected = model.entries.popLast()
          #expect(popped?.key == expected?.key && popped?.value == expected?.value)
        case 4 where random.once(in: 2):
          map[key] = nil
          model.set(key, nil)
        case 5 where random.once(in: 400):
          map.removeAll()
          model.entries = []
        default:
          // The oldest entries are removed first, as from a queue.
          let key = map.first?.key ?? key
          let removed = map.removeValue(forKey: key)
          #expect(removed == model.entries.first { $0.key == key }?.value)
          model.set(key, nil)
        }
        #expect(map.count == model.entries.count)
        #expect(map.isEmpty == model.entries.isEmpty)
        #expect(map.first?.key == model.entries.first?.key)
        #expect(map[key] == model.entries.first { $0.key == key }?.value)
        #expect(map.contains(key) == model.entries.contains { $0.key == key })
        if step % 7 == 0 {
          #expect(map.keys == model.entries.map(\.key))
          #expect(map.values == model.entries.map(\.value))
        }
      }
    }
  }

  @Test func `keys of one hash are distinguished, whichever of them are removed`() {
    var random = Randomness.generator(31)
    var (map, model) = (OrderedMap<Clashing, Int>(), Model())
    for step in 0..<Randomness.count {
      let key = random.below(60)
      let value = random.once(in: 2) ? step : nil
      map[Clashing(number: key)] = value
      model.set(key, value)
      #expect(map.map(\.key.number) == model.entries.map(\.key))
      let sought = random.below(60)
      #expect(
        map[Clashing(number: sought)] == model.entries.first { $0.key == sought }?.value)
    }
  }

  @Test func `a value is changed in place, and room may be reserved at any time`() {
    var map = OrderedMap<Int, [Int]>()
    #expect(map.change(1) { $0.append(1) } == nil)
    for key in 0..<40 {
      if key == 5 || key == 20 { map.reserveCapacity(1000) }
      map[key] = [key]
    }
    map[3] = nil
    for key in 0..<40 {
      let count = map.change(key) { values in
        values.append(0)
        return values.count
      }
      #expect(count == (key == 3 ? nil : 2))
    }
    #expect(map.keys == Array(0..<40).filter { $0 != 3 })
    #expect(map[39] == [39, 0])
  }

  @Test func `a key that is set again keeps its position`() {
    var map = OrderedMap<String, Int>()
    for (place, key) in ["a", "b", "a"].enumerated() { map[key] = place }
    #expect(map.keys == ["a", "b"])
    #expect(map.values == [2, 1])
  }

  @Test func `a key that was removed and set again comes last`() {
    var map = OrderedMap<String, Int>()
    for key in ["a", "b", "c"] { map[key] = 0 }
    map["a"] = nil
    map["a"] = 1
    #expect(map.keys == ["b", "c", "a"])
  }

  @Test func `a map may change while it is iterated over`() {
    var map = OrderedMap<Int, Int>()
    for key in 0..<100 { map[key] = key }
    var seen: [Int] = []
    for (key, _) in map {
      seen.append(key)
      map[key] = nil
    }
    #expect(seen == Array(0..<100))
    #expect(map.isEmpty)
  }

  @Test func `a copy does not see later changes`() {
    var map = OrderedMap<Int, Int>()
    map[1] = 1
    let copy = map
    map[2] = 2
    map[1] = nil
    #expect(copy.keys == [1])
    #expect(map.keys == [2])
  }
}
