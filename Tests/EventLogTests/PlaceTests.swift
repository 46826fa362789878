import TestSupport
import Testing

@testable import EventLog
@testable import TaskLogPlugin

/// Resuming where another cursor has stopped.
@Suite struct PlaceTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// A log of events of a scheduler (source 0) and workers, which can be extended.
  private final class GrowingLog {
    let log: LogUnderTest
    private var sources: [Int64: Int64] = [:]

    init(_ path: String, workers: Int64) throws {
      log = try LogUnderTest(path)
      sources[0] = log.scheduler
      for number in 1...workers { sources[number] = try log.addWorker(Int(number)) }
    }

    func append(_ events: some Sequence<RecordedEvent>) throws {
      try log.append(
        events.map { recorded in
          var event = recorded.event
          event.key = recorded.keyNumber == 0 ? nil : Key("k\(recorded.keyNumber)")
          event.stimulusID = recorded.stimulusNumber == 0 ? nil : "s\(recorded.stimulusNumber)"
          return (source: sources[recorded.source] ?? 0, event: event)
        })
    }
  }

  /// All events that a cursor emits, and the resume points that it passes.
  private func run(
    _ reader: LogReader, pages: Int, from place: ResumePoint? = nil
  ) throws -> (order: [Int64], places: [(place: ResumePoint, given: Int)]) {
    let cursor = try reader.events(
      of: reader.latest(), order: .causal, resumingFrom: place, pageSize: pages)
    var order: [Int64] = []
    var places: [(ResumePoint, Int)] = []
    while let recorded = try cursor.nextEvent() {
      order.append(recorded.seq)
      if let place = cursor.place { places.append((place, order.count)) }
    }
    if let place = cursor.place { places.append((place, order.count)) }
    return (order, places)
  }

  @Test func `from any resume point a cursor continues as the first one did`() throws {
    var random = Randomness.generator(331)
    var count = 0
    var held = 0
    for round in 0..<max(4, Randomness.count / 40) {
      let path = folder("same-\(round).db")
      let events = CausalOrderPropertyTests.shuffle(
        CausalOrderPropertyTests.history(&random), &random)
      let log = try GrowingLog(path, workers: 4)
      try log.append(events)
      try log.log.close()
      let reader = try LogReader(path: path)
      let whole = try run(reader, pages: 1 + random.below(20))
      #expect(whole.order.count == events.count)
      for (place, given) in whole.places {
        count += 1
        held += place.waiting.isEmpty ? 0 : 1
        #expect(try reader.holds(place, of: reader.latest()))
        let rest = try run(reader, pages: 1 + random.below(20), from: place)
        #expect(
          rest.order == Array(whole.order[given...]),
          "seed \(Randomness.seed), round \(round), \(place)")
        #expect(rest.places.last?.place.count ?? Int64(events.count) == Int64(events.count))
      }
    }
    #expect(count > 50 && held > 10)
  }

  @Test func `in a log that has grown a valid resume point continues like the whole`()
    throws
  {
    var random = Randomness.generator(332)
    var held = 0
    var broken = 0
    for round in 0..<max(6, Randomness.count / 30) {
      let path = folder("grown-\(round).db")
      let events = CausalOrderPropertyTests.shuffle(
        CausalOrderPropertyTests.history(&random), &random)
      let first = random.below(events.count)
      let log = try GrowingLog(path, workers: 4)
      try log.append(events[..<first])
      let before = try run(LogReader(path: path), pages: 1 + random.below(10))
      try log.append(events[first...])
      try log.log.close()
      let reader = try LogReader(path: path)
      let whole = try run(reader, pages: 64)
      for (place, given) in before.places {
        guard try reader.holds(place, of: reader.latest()) else {
          broken += 1
          continue
        }
        held += 1
        let rest = try run(reader, pages: 1 + random.below(20), from: place)
        #expect(
          before.order[..<given] + rest.order == whole.order[...],
          "seed \(Randomness.seed), round \(round), \(place)")
      }
    }
    #expect(held > 20 && broken > 0)
  }

  @Test func `a late event that is a cause invalidates the resume points after its effect`() throws
  {
    let path = folder("late.db")
    let log = try LogUnderTest(path)
    let worker = try log.addWorker(1)
    try log.append([
      (log.scheduler, .transition("a", .waiting, .processing, run: 1)),
      (log.scheduler, Event(.logEvent, time: 0)),
      (log.scheduler, .transition("a", .processing, .memory, stimulus: "done", run: 1)),
    ])
    let places = try run(LogReader(path: path), pages: 1).places.map(\.place)
    #expect(places.map(\.position) == [1, 2, 3, 3])
    try log.append([(worker, .transition("a", .executing, .memory, stimulus: "done", run: 1))])
    try log.close()
    let reader = try LogReader(path: path)
    #expect(try reader.holds(places[1], of: reader.latest()))
    #expect(try !reader.holds(places[2], of: reader.latest()))
    #expect(try run(reader, pages: 10).order == [1, 2, 4, 3])
    #expect(try run(reader, pages: 10, from: places[1]).order == [4, 3])
  }
}
