import Testing

/// Heavy suites: of each kind one or two run at a time.
///
/// They block the thread that they run on, so each kind has separate threads: the pool of Swift's
/// concurrency has one for each processor, and an engine under test, whose actors run there, would
/// stand still meanwhile.
package struct ExclusiveTrait: SuiteTrait, TestTrait, TestScoping {
  package enum Kind {
    /// Suites that start brokers or clusters, kill processes, or fill a disk: one at a time.
    case services
    /// Suites that run the command line again and again, or build: two at a time.
    case commands
  }

  private static let services = Lane("tests of services", suites: 1)
  private static let commands = Lane("tests of commands", suites: 2)

  var kind: Kind

  private var lane: Lane {
    switch kind {
    case .services: Self.services
    case .commands: Self.commands
    }
  }

  // The whole suite has one turn, so that its tests' time limits do not count how long it waits.
  package var isRecursive: Bool { false }

  package func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    let lane = lane
    await lane.turns.begin()
    do {
      try await withTaskExecutorPreference(lane.executor) { try await function() }
    } catch {
      await lane.turns.end()
      throw error
    }
    await lane.turns.end()
  }
}

/// Suites that wait for child processes: at most two of their tests run at once, on separate
/// threads, for the reason that `ExclusiveTrait` gives.
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
  /// Runs in the turns of the suites of its kind.
  package static func exclusive(_ kind: ExclusiveTrait.Kind) -> Self { Self(kind: kind) }
}

extension Trait where Self == BlockingTrait {
  /// Waits for child processes, on a thread that may be blocked.
  package static var blocking: Self { Self() }
}

/// The threads of one kind of suites, and whose turn it is.
private struct Lane {
  let turns: Turns
  let executor: ThreadExecutor

  init(_ name: String, suites: Int) {
    turns = Turns(suites)
    executor = ThreadExecutor(threads: suites, name: name)
  }
}

/// So many at a time, in the order of arrival.
private actor Turns {
  private var free: Int
  private var waiting: [CheckedContinuation<Void, Never>] = []

  init(_ count: Int) { free = count }

  func begin() async {
    guard free == 0 else {
      free -= 1
      return
    }
    await withCheckedContinuation { waiting.append($0) }
  }

  func end() {
    guard waiting.isEmpty else { return waiting.removeFirst().resume() }
    free += 1
  }
}
