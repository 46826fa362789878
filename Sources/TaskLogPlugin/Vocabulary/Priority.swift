/// The order in which tasks run: lower first, compared field by field.
///
/// Dask's tuple of (negative user priority, generation, order in the graph), to which a worker adds
/// its own generation.
public struct Priority: Sendable, Hashable, Comparable {
  /// 0 from index `count` on.
  private var first = 0.0
  private var second = 0.0
  private var third = 0.0
  private var fourth = 0.0
  private var length: UInt8 = 0

  public var count: Int { Int(length) }

  /// - Parameter values: at most four; further ones are ignored.
  package init(_ values: [Double]) {
    for value in values.prefix(4) { append(value) }
  }

  package init(_ first: Double, _ second: Double, _ third: Double) {
    append(first)
    append(second)
    append(third)
  }

  public var values: [Double] { Array([first, second, third, fourth].prefix(count)) }

  /// One of the values; 0 beyond the last.
  package subscript(index: Int) -> Double {
    switch index {
    case 0: first
    case 1: second
    case 2: third
    case 3: fourth
    default: 0
    }
  }

  /// This priority with one more field appended.
  package func appending(_ value: Double) -> Priority {
    var longer = self
    longer.append(value)
    return longer
  }

  private mutating func append(_ value: Double) {
    // A negated 0 is 0, as with Python's integers: a log stores whole numbers as integers.
    let value = value + 0
    switch length {
    case 0: first = value
    case 1: second = value
    case 2: third = value
    case 3: fourth = value
    default: return
    }
    length += 1
  }

  public static func < (a: Priority, b: Priority) -> Bool {
    let shared = min(a.length, b.length)
    if shared > 0, a.first != b.first { return a.first < b.first }
    if shared > 1, a.second != b.second { return a.second < b.second }
    if shared > 2, a.third != b.third { return a.third < b.third }
    if shared > 3, a.fourth != b.fourth { return a.fourth < b.fourth }
    return a.length < b.length
  }

  /// The tuple, with whole numbers as integers.
  package var value: Value {
    .tuple(
      values.map { field in
        Int64(exactly: field).map(Value.int) ?? .double(field)
      })
  }

  /// The priority of a value that is a tuple or list of numbers.
  package init?(_ value: Value) {
    guard let elements = value.elements else { return nil }
    let numbers = elements.compactMap(\.number)
    guard numbers.count == elements.count else { return nil }
    self.init(numbers)
  }
}
