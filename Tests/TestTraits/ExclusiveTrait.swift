import Testing

/// Suites that start brokers, clusters, browsers or many processes, or that fill a disk: none of them
/// runs beside another one.
///
/// They block the thread that they run on, so they have threads of their own: the pool of Swift's
/// concurrency has one for each processor, and an engine under test, whose actors run there, would
/// stand still meanwhile.
package struct ExclusiveTrait: SuiteTrait, TestTrait, TestScoping {
  private static let turns = Turns()
  private static let executor = ThreadExecutor(threads: 1, name: "exclusive tests")

  // The whole suite has one turn, so that its tests' time limits do not count how long it waits.
  package var isRecursive: Bool { false }

  package func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    await Self.turns.begin()
    do {
      try await withTaskExecutorPreference(Self.executor) { try await function() }
    } catch {
      await Self.turns.end()
      throw error
    }
    await Self.turns.end()
  }
}

/// Suites that wait for child processes: at most two of their tests run at once, on threads of their
/// own, for the reason that `ExclusiveTrait` gives.
package struct BlockingTrait: SuiteTrait, TestTrait, TestScoping {
  private static let executor = ThreadExecutor(threads: 2, name: "blocking tests")

  package var isRecursive: Bool { false }

  package func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    try await withTaskExecutorPreference(Self.executor) { try await function() }
  }
}

extension Trait where Self == ExclusiveTrait {
  /// Runs beside no other exclusive suite.
  package static var exclusive: Self { Self() }
}

extension Trait where Self == BlockingTrait {
  /// Waits for child processes, on a thread that may be blocked.
  package static var blocking: Self { Self() }
}

/// One at a time, in the order of arrival.
private actor Turns {
  private var isTaken = false
  private var waiting: [CheckedContinuation<Void, Never>] = []

  func begin() async {
    guard isTaken else {
      isTaken = true
      return
    }
    await withCheckedContinuation { waiting.append($0) }
  }

  func end() {
    guard waiting.isEmpty else { return waiting.removeFirst().resume() }
    isTaken = false
  }
}
