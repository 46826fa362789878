@testable import EventLog
@testable import TaskLogPlugin

/// Events in the order of arrival and the output of `CausalOrder`. Source 0 is the scheduler.
final class CausalStream {
  let events: [RecordedEvent]
  /// How often the order read from the log.
  private(set) var lookUps = 0
  private var lastPlaces: [CausalCause: Int64] = [:]

  init(_ events: [RecordedEvent]) {
    var sourceSeqs: [Int64: Int64] = [:]
    self.events = events.enumerated().map { place, event in
      var event = event
      sourceSeqs[event.source, default: 0] += 1
      event.seq = Int64(place)
      event.sourceSeq = sourceSeqs[event.source] ?? 0
      return event
    }
    for event in self.events {
      if let cause = Self.given(by: event) { lastPlaces[cause] = event.seq }
    }
  }

  /// The indexes of the events in causal order.
  func order(
    pages size: Int, maximumWaiting: Int = 1 << 20
  ) throws -> (places: [Int], forced: Int) {
    var order = CausalOrder<RecordedEvent>(schedulers: [0], maximumWaiting: maximumWaiting) {
      cause, seq in
      self.lookUps += 1
      return self.lastPlaces[cause].map { $0 > seq } ?? false
    }
    var output: [RecordedEvent] = []
    for start in stride(from: 0, to: events.count, by: max(1, size)) {
      try order.add(Array(events[start..<min(start + max(1, size), events.count)]), to: &output)
    }
    try order.finish(&output)
    return (output.map { Int($0.seq) }, order.outOfOrderCount)
  }

  /// The rules, implemented a second time.
  static func given(by recorded: RecordedEvent) -> CausalCause? {
    let event = recorded.event
    guard recorded.keyNumber != 0 else { return nil }
    if recorded.source == 0 {
      let isDispatch = event.hook == .transition && event.finish == .processing
      guard isDispatch || event.hook == .logEvent, let run = event.taskRunID else { return nil }
      return .init(kind: .processing, key: recorded.keyNumber, number: run)
    }
    guard event.hook == .transition, recorded.stimulusNumber != 0, let start = event.start,
      [.executing, .longRunning, .cancelled, .resumed].contains(start)
    else { return nil }
    return .init(kind: .workerDone, key: recorded.keyNumber, number: recorded.stimulusNumber)
  }

  static func cause(of recorded: RecordedEvent) -> CausalCause? {
    let event = recorded.event
    guard recorded.keyNumber != 0 else { return nil }
    if recorded.source != 0 {
      return event.taskRunID.map {
        .init(kind: .processing, key: recorded.keyNumber, number: $0)
      }
    }
    guard event.start == .processing, event.finish == .memory || event.finish == .erred else {
      return nil
    }
    return .init(kind: .workerDone, key: recorded.keyNumber, number: recorded.stimulusNumber)
  }
}
