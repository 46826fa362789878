import EventLog
import TaskLogPlugin
import Testing

@testable import Replaying

@Suite struct StateBuilderTests {
  @Test func `a state that nobody looks at is not built`() async throws {
    let log = try TemporaryLog()
    _ = try await log.record(tasks: 5)
    var made = 0
    try eachEvent(of: log) { builder, _ in
      #expect(builder.state === nil)
    } makes: {
      made += 1
    }
    #expect(made == 0)
  }

  @Test func `a state is built once, however often it is looked at`() async throws {
    let log = try TemporaryLog()
    _ = try await log.record(tasks: 5)
    var made = 0
    var seen: [SchedulerState] = []
    try eachEvent(of: log) { builder, number in
      if number >= 10 { seen.append(builder.look()) }
    } makes: {
      made += 1
    }
    #expect(made == 1)
    #expect(seen.allSatisfy { $0 === seen.first })
  }

  /// Sends the scheduler's events through a builder.
  private func eachEvent(
    of log: TemporaryLog, _ body: (StateBuilder<SchedulerState>, Int) -> Void,
    makes: @escaping () -> Void
  ) throws {
    let reader = try LogReader(path: log.path)
    let run = try #require(try reader.runs().first)
    let source = try #require(try reader.sources(of: run).first)
    // A state is made where its history is read, and nowhere else.
    let builder = StateBuilder<SchedulerState>(unknown: []) {
      makes()
      return try reader.events(of: source)
    }
    let cursor = try reader.events(of: source)
    var number = 0
    while let recorded = try cursor.nextEvent() {
      builder.advance(recorded)
      number += 1
      body(builder, number)
      builder.finishEvent()
    }
    #expect(number > 10)
    #expect(builder.failure == nil)
  }
}
