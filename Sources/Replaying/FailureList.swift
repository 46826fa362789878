/// Hooks that threw: a plugin that throws at each of many events must not fill the memory.
struct FailureList {
  private static let limit = 100
  private(set) var first: [Replayer.Failure] = []
  private(set) var count = 0

  mutating func append(_ failure: Replayer.Failure) {
    count += 1
    if first.count < Self.limit { first.append(failure) }
  }

  /// Adds those of a plugin outside.
  mutating func append(_ failures: [Replayer.Failure], count: Int) {
    self.count += count
    first += failures.prefix(max(0, Self.limit - first.count))
  }
}
