import TestSupport
import Testing

@testable import EventLog
@testable import TaskLogPlugin

/// Random streams like those of an engine, in which some sources arrive late.
@Suite struct CausalOrderPropertyTests {
  /// The events in the order of occurrence: tasks are dispatched, run, and end, some of them
  /// several times, on several workers.
  static func history(_ random: inout SplitMix64) -> [RecordedEvent] {
    let workers = 1 + random.below(4)
    var stimulus: Int64 = 0
    var runs: [Int64: Int64] = [:]
    // The following events of each active task.
    var underway: [[RecordedEvent]] = []
    var history: [RecordedEvent] = []
    func recorded(_ source: Int64, _ key: Int64, _ event: Event) -> RecordedEvent {
      RecordedEvent(
        seq: 0, source: source, sourceSeq: 0, keyNumber: key, stimulusNumber: stimulus,
        event: event)
    }
    for _ in 0..<10 + random.below(60) {
      if underway.isEmpty || random.once(in: 3) {
        let key = Int64(1 + random.below(12))
        guard !underway.contains(where: { $0[0].keyNumber == key }) else { continue }
        let run = runs[key, default: 0] + 1
        runs[key] = run
        let worker = Int64(1 + random.below(workers))
        stimulus += 1
        history.append(
          recorded(0, key, .transition("k", .waiting, .processing, run: run)))
        stimulus += 1
        let fails = random.once(in: 4)
        var steps = [
          recorded(worker, key, .transition("k", .released, .waiting, run: run)),
          recorded(worker, key, .transition("k", .ready, .executing, run: run)),
        ]
        if random.once(in: 5) {
          steps.append(recorded(worker, key, .transition("k", .executing, .longRunning, run: run)))
        }
        steps.append(
          recorded(
            worker, key,
            .transition(
              "k", steps.last?.event.finish ?? .executing, fails ? .error : .memory, run: run)))
        steps.append(
          recorded(0, key, .transition("k", .processing, fails ? .erred : .memory, run: run)))
        underway.append(steps)
      } else if random.once(in: 8) {
        history.append(
          recorded(Int64(random.below(workers + 1)), 0, Event(.logEvent, time: 0)))
      } else {
        let place = random.below(underway.count)
        history.append(underway[place].removeFirst())
        if underway[place].isEmpty { underway.remove(at: place) }
      }
    }
    return history
  }

  /// Keeps the order of each source and mixes the sources, in batches.
  static func shuffle(
    _ history: [RecordedEvent], _ random: inout SplitMix64
  ) -> [RecordedEvent] {
    var queues: [Int64: ArraySlice<RecordedEvent>] = [:]
    for event in history { queues[event.source, default: []].append(event) }
    var arrival: [RecordedEvent] = []
    while !queues.isEmpty {
      let source = random.pick(queues.keys.sorted())
      let batch = queues[source]?.prefix(1 + random.below(8)) ?? []
      arrival += batch
      queues[source]?.removeFirst(batch.count)
      if queues[source]?.isEmpty == true { queues[source] = nil }
    }
    return arrival
  }

  @Test func `a history in order is unchanged`() throws {
    var random = Randomness.generator(121)
    for round in 0..<Randomness.count / 10 {
      let stream = CausalStream(Self.history(&random))
      let (places, forced) = try stream.order(pages: 1 + random.below(50))
      #expect(places == Array(stream.events.indices), "seed \(Randomness.seed), round \(round)")
      #expect(forced == 0)
    }
  }

  @Test func `with late events, causes come first, sources keep their order, no event is lost`()
    throws
  {
    var random = Randomness.generator(122)
    for round in 0..<Randomness.count / 10 {
      let stream = CausalStream(Self.shuffle(Self.history(&random), &random))
      let note: Comment = "seed \(Randomness.seed), round \(round)"
      let (places, forced) = try stream.order(pages: stream.events.count)
      #expect(forced == 0, note)
      #expect(places.sorted() == Array(stream.events.indices), note)
      var given: Set<CausalCause> = []
      var sourceSeqs: [Int64: Int64] = [:]
      let all = Set(stream.events.compactMap(CausalStream.given))
      for event in places.map({ stream.events[$0] }) {
        #expect(event.sourceSeq == sourceSeqs[event.source, default: 0] + 1, note)
        sourceSeqs[event.source] = event.sourceSeq
        if let cause = CausalStream.cause(of: event) {
          #expect(given.contains(cause) || !all.contains(cause), note)
        }
        if let cause = CausalStream.given(by: event) { given.insert(cause) }
      }
      for size in [1, 2, 3, 5, 8, 13, 21] {
        #expect(try stream.order(pages: size).places == places, note)
      }
    }
  }

  @Test func `any stream ends, with each event once and each source in its order`() throws {
    var random = Randomness.generator(123)
    for round in 0..<Randomness.count / 10 {
      var history = Self.shuffle(Self.history(&random), &random)
      // Sources that no longer keep their own order contradict themselves and each other.
      for _ in 0..<random.below(12) where history.count > 1 {
        history.swapAt(random.below(history.count), random.below(history.count))
      }
      history.removeLast(random.below(history.count / 2 + 1))
      let stream = CausalStream(history)
      let note: Comment = "seed \(Randomness.seed), round \(round)"
      let limit = random.once(in: 3) ? 1 + random.below(10) : 1 << 20
      let (places, forced) = try stream.order(
        pages: 1 + random.below(30), maximumWaiting: limit)
      #expect(places.sorted() == Array(stream.events.indices), note)
      var sourceSeqs: [Int64: Int64] = [:]
      for event in places.map({ stream.events[$0] }) {
        #expect(event.sourceSeq == sourceSeqs[event.source, default: 0] + 1, note)
        sourceSeqs[event.source] = event.sourceSeq
      }
      let again = try stream.order(pages: stream.events.count, maximumWaiting: limit)
      #expect(again.places == places && again.forced == forced, note)
    }
  }

  @Test func `a log emits its events in causal order across its pages`() throws {
    let folder = try TemporaryFolder()
    let log = try LogUnderTest(folder("log.db"))
    let worker = try log.addWorker(1)
    let count: Int64 = 6_000
    // All of the worker comes after all of the scheduler.
    var arrival: [(source: Int64, event: Event)] = []
    for number in 0..<count {
      let key = Key("k-\(number)")
      arrival.append(
        (log.scheduler, .transition(key, .waiting, .processing, stimulus: "g", run: 1)))
      arrival.append(
        (
          log.scheduler,
          .transition(key, .processing, .memory, stimulus: "s-\(number)", run: 1)
        ))
    }
    for number in 0..<count {
      arrival.append(
        (
          worker,
          .transition(
            Key("k-\(number)"), .executing, .memory, stimulus: "s-\(number)", run: 1)
        ))
    }
    try log.append(arrival)
    let reader = try LogReader(path: log.path)
    let cursor = try reader.events(of: reader.latest(), order: .causal)
    var seqs: [Int64] = []
    while let event = try cursor.nextEvent() { seqs.append(event.seq) }
    #expect(cursor.outOfOrderCount == 0)
    // Dispatch, the worker's end, memory; task by task.
    var expected: [Int64] = []
    for number in 0..<count {
      expected += [2 * number + 1, 2 * count + number + 1, 2 * number + 2]
    }
    #expect(seqs == expected)
  }
}
