/// Hooks that threw. Bounded, since a plugin may throw for every event.
struct FailureList {
  private static let limit = 100
  private(set) var first: [Replayer.Failure] = []
  private(set) var count = 0

  mutating func append(_ failure: Replayer.Failure) {
    count += 1
    if first.count < Self.limit { first.append(failure) }
  }

  /// Adds the failures of an external plugin.
  mutating func append(_ failures: [Replayer.Failure], count: Int) {
    self.count += count
    first += failures.prefix(max(0, Self.limit - first.count))
  }
}
