import Testing

@testable import EventLog
@testable import TaskLogPlugin

/// The output of `CausalOrder` for literal streams. Source 0 is the scheduler; keys and stimuli are
/// their numbers; an event's name is its index in the stream.
@Suite struct CausalOrderTests {
  private static func dispatch(_ key: Int64, run: Int64) -> RecordedEvent {
    recorded(0, key, 0, .transition("k", .waiting, .processing, run: run))
  }
  private static func memory(_ key: Int64, _ stimulus: Int64, run: Int64 = 1) -> RecordedEvent {
    recorded(0, key, stimulus, .transition("k", .processing, .memory, run: run))
  }
  private static func execute(_ worker: Int64, _ key: Int64, run: Int64) -> RecordedEvent {
    recorded(worker, key, 0, .transition("k", .ready, .executing, run: run))
  }
  private static func done(
    _ worker: Int64, _ key: Int64, _ stimulus: Int64, run: Int64 = 1
  ) -> RecordedEvent {
    recorded(worker, key, stimulus, .transition("k", .executing, .memory, run: run))
  }
  private static func steal(_ key: Int64, run: Int64) -> RecordedEvent {
    recorded(0, key, 0, Event(.logEvent, time: 0, taskRunID: run))
  }
  private static func other(_ source: Int64) -> RecordedEvent {
    recorded(source, 0, 0, Event(.logEvent, time: 0))
  }
  private static func recorded(
    _ source: Int64, _ key: Int64, _ stimulus: Int64, _ event: Event
  ) -> RecordedEvent {
    RecordedEvent(
      seq: 0, source: source, sourceSeq: 0, keyNumber: key, stimulusNumber: stimulus,
      event: event)
  }

  /// The indexes of a stream in causal order, the same for pages of every size.
  private func order(
    _ stream: [RecordedEvent], maximumWaiting: Int = 1 << 20
  ) throws -> (places: [Int], forced: Int) {
    let stream = CausalStream(stream)
    let whole = try stream.order(pages: stream.events.count, maximumWaiting: maximumWaiting)
    for size in 1..<max(2, stream.events.count) {
      let paged = try stream.order(pages: size, maximumWaiting: maximumWaiting)
      #expect(paged.places == whole.places && paged.forced == whole.forced, "pages of \(size)")
    }
    return (whole.places, whole.forced)
  }

  private func expect(
    _ stream: [RecordedEvent], _ places: [Int], forced: Int = 0,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let (found, foundForced) = try order(stream)
    #expect(found == places, sourceLocation: sourceLocation)
    #expect(foundForced == forced, sourceLocation: sourceLocation)
  }

  @Test func `a worker's events of a stolen task wait for the scheduler's move of it`() throws {
    try expect(
      [
        Self.execute(2, 1, run: 9), Self.done(2, 1, 7, run: 9), Self.dispatch(1, run: 1),
        Self.steal(1, run: 9), Self.memory(1, 7, run: 9),
      ], [2, 3, 0, 1, 4])
  }

  @Test func `a stream in causal order is unchanged`() throws {
    try expect(
      [
        Self.other(0), Self.dispatch(1, run: 1), Self.execute(1, 1, run: 1), Self.other(2),
        Self.done(1, 1, 7), Self.memory(1, 7), Self.dispatch(2, run: 1), Self.other(1),
      ], Array(0..<8))
  }

  @Test func `an empty stream stays empty`() throws {
    try expect([], [])
  }

  @Test func `a scheduler's memory follows the worker's late batch`() throws {
    try expect(
      [
        Self.dispatch(1, run: 1), Self.memory(1, 7), Self.other(0), Self.other(2),
        Self.execute(1, 1, run: 1), Self.done(1, 1, 7), Self.other(1),
      ], [0, 3, 4, 5, 1, 2, 6])
  }

  @Test func `a worker's first event follows the scheduler's late dispatch`() throws {
    try expect(
      [
        Self.other(1), Self.execute(1, 1, run: 3), Self.done(1, 1, 7, run: 3),
        Self.other(0), Self.dispatch(1, run: 3), Self.memory(1, 7, run: 3),
      ], [0, 3, 4, 1, 2, 5])
  }

  @Test func `the first run of a Dask task, numbered 0, follows its dispatch too`() throws {
    try expect(
      [
        Self.execute(1, 1, run: 0), Self.done(1, 1, 7, run: 0), Self.dispatch(1, run: 0),
        Self.memory(1, 7, run: 0),
      ], [2, 0, 1, 3])
  }

  @Test func `an effect that was emitted before its cause arrived is counted`() throws {
    for (effect, cause) in [
      (Self.memory(1, 7), Self.done(1, 1, 7, run: -1)),
      (Self.execute(1, 1, run: 0), Self.dispatch(1, run: 0)),
      (Self.execute(1, 1, run: 3), Self.dispatch(1, run: 3)),
    ] {
      // No event is known to come after a page, as in a live run.
      var order = CausalOrder<RecordedEvent>(schedulers: [0]) { _, _ in false }
      var output: [RecordedEvent] = []
      for (seq, event) in [effect, Self.other(2), cause, cause].enumerated() {
        var event = event
        event.seq = Int64(seq + 1)
        try order.add([event], to: &output)
        #expect(output.count == seq + 1)
        #expect(order.outOfOrderCount == (seq < 2 ? 0 : 1))
      }
    }
  }

  @Test func `a failing task is ordered like a succeeding one`() throws {
    try expect(
      [
        Self.recorded(0, 1, 7, .transition("k", .processing, .erred)),
        Self.recorded(1, 1, 7, .transition("k", .longRunning, .error)),
      ], [1, 0])
  }

  @Test func `an event with another stimulus is not a cause`() throws {
    try expect([Self.memory(1, 7), Self.done(1, 1, 8), Self.done(1, 2, 7)], [0, 1, 2])
  }

  @Test func `a lost cause does not block its effect`() throws {
    try expect(
      [
        Self.memory(1, 7), Self.execute(1, 2, run: 1), Self.other(0), Self.memory(2, 8),
        Self.done(2, 3, 9),
      ], [0, 1, 2, 3, 4])
  }

  @Test func `a later worker event that does not end a run is not a cause`() throws {
    try expect(
      [
        Self.memory(1, 7), Self.other(0),
        Self.recorded(1, 1, 7, .transition("k", .memory, .released)),
      ], [0, 1, 2])
  }

  @Test func `causes wait for their own causes`() throws {
    // Worker 1's end waits for the dispatch that comes after scheduler events that wait for worker
    // 2.
    try expect(
      [
        Self.execute(1, 1, run: 1), Self.done(1, 1, 7), Self.memory(5, 9),
        Self.dispatch(1, run: 1), Self.memory(1, 7), Self.done(2, 5, 9, run: 0),
      ], [5, 2, 3, 0, 1, 4])
  }

  @Test func `two runs of the same key are kept apart`() throws {
    try expect(
      [
        Self.dispatch(1, run: 1), Self.memory(1, 7, run: 1), Self.dispatch(1, run: 2),
        Self.memory(1, 8, run: 2), Self.execute(1, 1, run: 1), Self.done(1, 1, 7, run: 1),
        Self.execute(1, 1, run: 2), Self.done(1, 1, 8, run: 2),
      ], [0, 4, 5, 1, 2, 6, 7, 3])
  }

  @Test func `an emitted end is a cause although the key has ended again since`() throws {
    // Two workers ran the key; meanwhile the scheduler is blocked by another key.
    try expect(
      [
        Self.memory(2, 5), Self.memory(1, 7), Self.done(1, 1, 7, run: 0),
        Self.done(2, 1, 8, run: 0), Self.done(3, 2, 5, run: 0), Self.other(0), Self.other(3),
      ], [2, 3, 4, 0, 1, 5, 6])
  }

  @Test func `causes that contradict each other are emitted and counted`() throws {
    // Each of two sources has its cause after the other's effect.
    try expect(
      [
        Self.memory(1, 7), Self.dispatch(2, run: 1), Self.execute(1, 2, run: 1),
        Self.done(1, 1, 7, run: 0), Self.other(0), Self.other(1),
      ], [0, 1, 2, 3, 4, 5], forced: 1)
  }

  @Test func `a cycle of more than two sources is detected when it closes`() throws {
    try expect(
      [
        Self.memory(1, 7), Self.dispatch(2, run: 1), Self.dispatch(3, run: 1),
        Self.execute(1, 2, run: 1), Self.execute(2, 3, run: 1), Self.other(3),
        Self.done(2, 1, 7, run: 0), Self.other(1), Self.other(2), Self.other(0),
      ], [5, 0, 1, 2, 3, 4, 6, 7, 8, 9], forced: 1)
  }

  @Test func `the number of waiting events is bounded`() throws {
    var stream = [Self.memory(1, 7)]
    stream += (0..<50).map { _ in Self.other(0) }
    stream.append(Self.done(1, 1, 7))
    let (places, forced) = try order(stream, maximumWaiting: 10)
    #expect(places == Array(0..<52))
    #expect(forced == 1)
  }

  @Test func `damaged key numbers do no harm`() throws {
    for key in [-1, .min, .max, 1 << 40, 1 << 28] as [Int64] {
      try expect([Self.memory(key, 7), Self.done(1, key, 7)], [1, 0])
      try expect([Self.execute(1, key, run: 1), Self.dispatch(key, run: 1)], [1, 0])
    }
  }

  @Test func `a hundred thousand waiting events are visited at most twice each`() throws {
    // All events of a worker wait for one late dispatch, and the scheduler for ends among them.
    var stream = [Self.execute(1, 1, run: 1)]
    for key in 2..<50_000 as Range<Int64> {
      stream.append(Self.done(1, key, key, run: 0))
      stream.append(Self.done(2, key, key, run: 0))
    }
    stream += (2..<50_000 as Range<Int64>).map { Self.memory($0, $0) }
    stream.append(Self.recorded(3, 0, 0, Event(.logEvent, time: 0)))
    stream.append(Self.dispatch(1, run: 1))
    let causal = CausalStream(stream)
    let (places, forced) = try causal.order(pages: 4_096)
    #expect(places.count == stream.count)
    #expect(Set(places).count == stream.count)
    #expect(forced == 0)
    #expect(causal.lookUps <= 2 * stream.count)
  }
}
