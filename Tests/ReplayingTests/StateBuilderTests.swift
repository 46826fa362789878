import EventLog
import TaskLogPlugin
import Testing

@testable import Replaying

@Suite struct StateBuilderTests {
  @Test func `a state that is never read is not built`() async throws {
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

  @Test func `a state is built once, however often it is read`() async throws {
    let log = try TemporaryLog()
    _ = try await log.record(tasks: 5)
    var made = 0
    var seen: [SchedulerState] = []
    try eachEvent(of: log) { builder, number in
      if number >= 10 { seen.append(builder.currentState()) }
    } makes: {
      made += 1
    }
    #expect(made == 1)
    #expect(seen.allSatisfy { $0 === seen.first })
  }

  @Test func `a state saved between any two events continues as if it had not been saved`()
    async throws
  {
    let log = try TemporaryLog()
    _ = try await log.recordWholeRun()
    let reader = try LogReader(path: log.path)
    for source in try reader.sources(of: try #require(try reader.runs().last)) {
      let cursor = try reader.events(of: source)
      var events: [RecordedEvent] = []
      while let recorded = try cursor.nextEvent() { events.append(recorded) }
      switch source.source.kind {
      case .scheduler: try goOnAnywhere(SchedulerState.self, events)
      case .worker: try goOnAnywhere(WorkerState.self, events)
      case .command: Issue.record("no command was run")
      }
    }
  }

  private func goOnAnywhere<State: RebuiltState>(
    _ type: State.Type, _ events: [RecordedEvent]
  ) throws {
    func builder() -> StateBuilder<State> {
      StateBuilder(unknown: []) { throw Wrong(description: "is not built of the log again") }
    }
    func take(_ events: some Sequence<RecordedEvent>, _ builder: StateBuilder<State>) {
      for recorded in events {
        builder.advance(recorded)
        builder.finishEvent()
      }
    }
    let fresh = JSONWriter.text(try #require(State(unknown: []).saved(limit: .max)))
    let whole = builder()
    try whole.resume(after: 0, with: JSONReader.value(fresh))
    #expect(events.count > 10)
    for (place, recorded) in events.enumerated() {
      defer { take([recorded], whole) }
      guard place.isMultiple(of: max(1, events.count / 30)) else { continue }
      let saved = JSONWriter.text(try #require(whole.saved(limit: .max)))
      let resumed = builder()
      try resumed.resume(after: recorded.sourceSeq - 1, with: JSONReader.value(saved))
      #expect(JSONWriter.text(try #require(resumed.saved(limit: .max))) == saved)
      // Far enough for the saved state to have its effects.
      take(events[place...].prefix(40), resumed)
      let straight = builder()
      try straight.resume(after: 0, with: JSONReader.value(fresh))
      take(events.prefix(place + 40), straight)
      #expect(resumed.saved(limit: .max) == straight.saved(limit: .max), "after event \(place)")
    }
  }

  @Test func `a damaged saved state is refused`() throws {
    for damage in [
      #"{"tasks":[{}]}"#, #"{"tasks":[{"key":"x"}]}"#,
      #"{"tasks":[{"key":"x","state":"waiting","dependencies":[1]}]}"#,
      #"{"tasks":[{"key":"x","state":"waiting","taskRunID":"x"}]}"#, #"{"mismatchCount":1.5}"#,
    ] {
      let saved = try JSONReader.value(damage)
      #expect(throws: SavedStateError.self) { try WorkerState(saved: saved, unknown: []) }
      #expect(throws: SavedStateError.self) { try SchedulerState(saved: saved, unknown: []) }
    }
  }

  /// Sends the scheduler's events through a builder.
  private func eachEvent(
    of log: TemporaryLog, _ body: (StateBuilder<SchedulerState>, Int) -> Void,
    makes: @escaping () -> Void
  ) throws {
    let reader = try LogReader(path: log.path)
    let run = try #require(try reader.runs().first)
    let source = try #require(try reader.sources(of: run).first)
    // A state is created where its history is read, and nowhere else.
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
