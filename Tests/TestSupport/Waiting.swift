import Foundation

/// How long tests wait for a condition before they fail.
///
/// `TASKLOG_TEST_PATIENCE`, a factor, is for machines that are slow or have much else to do.
package enum Patience {
  package static let factor: Double = {
    let text = ProcessInfo.processInfo.environment["TASKLOG_TEST_PATIENCE"] ?? ""
    return max(1, Double(text) ?? 1)
  }()

  /// How long to wait before a condition is checked again.
  static let pollMicroseconds: UInt32 = 2_000
}

/// A condition that did not become true in time.
package struct TimedOut: Error, CustomStringConvertible {
  package var awaited: String
  package var seconds: Double

  package var description: String { "waited \(Int(seconds)) s for \(awaited)" }
}

/// A moment after which a test has waited long enough.
package struct Deadline {
  package let seconds: Double
  private let end: ContinuousClock.Instant

  package init(seconds: Double = 60) {
    self.seconds = seconds * Patience.factor
    end = .now + .seconds(self.seconds)
  }

  package var hasPassed: Bool { ContinuousClock.now >= end }
}

/// Blocks this thread until a condition is true, and checks it once more when the time has passed:
/// a machine that did not run the test meanwhile is no reason to fail.
///
/// - Returns: whether it is true.
package func waits(seconds: Double = 60, until condition: () throws -> Bool) rethrows -> Bool {
  let deadline = Deadline(seconds: seconds)
  while try !condition() {
    guard !deadline.hasPassed else { return try condition() }
    usleep(Patience.pollMicroseconds)
  }
  return true
}

/// Blocks this thread until a condition is true.
///
/// - Throws: `TimedOut`, and what the condition throws.
package func wait(
  for awaited: String, seconds: Double = 60, until condition: () throws -> Bool
) throws {
  guard try waits(seconds: seconds, until: condition) else {
    throw TimedOut(awaited: awaited, seconds: seconds * Patience.factor)
  }
}

/// Suspends until a condition is true.
///
/// - Throws: `TimedOut`, and what the condition throws.
package func eventually(
  _ awaited: String, seconds: Double = 60, isolation: isolated (any Actor)? = #isolation,
  _ condition: () async throws -> Bool
) async throws {
  let deadline = Deadline(seconds: seconds)
  while try await !condition() {
    if deadline.hasPassed {
      guard try await condition() else {
        throw TimedOut(awaited: awaited, seconds: deadline.seconds)
      }
      return
    }
    try await Task.sleep(for: .microseconds(Int(Patience.pollMicroseconds)))
  }
}

/// Suspends until a condition is true, as `waits` blocks.
///
/// - Returns: whether it is true.
package func eventually(
  seconds: Double = 60, isolation: isolated (any Actor)? = #isolation,
  _ condition: () async -> Bool
) async -> Bool {
  do {
    try await eventually("", seconds: seconds, isolation: isolation, condition)
    return true
  } catch {
    return false
  }
}
