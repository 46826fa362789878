import TestSupport
import Testing

@testable import EventLog
@testable import TaskLogPlugin

@Suite struct EventFilterTests {
  private let folder: TemporaryFolder
  private let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder.file("log.db")
  }

  private func seqs(_ filter: EventFilter, limit: Int? = nil) throws -> [Int64] {
    var seqs: [Int64] = []
    try LogReader(path: path).rows(matching: filter, columns: ["seq"], limit: limit) { row in
      if case .integer(let seq) = row[0] { seqs.append(seq) }
    }
    return seqs
  }

  private static let keys: [Key] = [
    "inc-1", "inc-2", "inc-[1]", "in*", "x?", "xy", "\u{e9}", "e\u{301}", "1", Key(.int(1))!,
    Key("sum", 0), "a\0b",
  ]
  private static let addresses = [
    "tcp://a:1", "tcp://a:2", "tcp://[::1]:5", "tcp://b:1", "inproc://x*",
  ]
  private static let names: [Value] = ["alice", "bob", 0, 1, "0", "a\"b", "\u{7f}", "tcp://a:1"]

  private struct Recorded {
    var seq: Int64
    var run: Int64
    var source: Source
    var event: Event
  }

  /// What the SQL should find, said in Swift.
  private static func matches(
    _ recorded: Recorded, _ filter: EventFilter, _ workers: [(run: Int64, source: Source)]
  ) -> Bool {
    let event = recorded.event
    func any(_ names: [String], _ matches: (String) -> Bool) -> Bool {
      names.isEmpty || names.contains(where: matches)
    }
    func same(_ a: String?, _ b: String) -> Bool { a?.sameBytes(as: b) == true }
    func glob(_ pattern: String, _ text: String?) -> Bool {
      guard let text else { return false }
      return same(text, pattern)
        || Glob.matches(Array(pattern.unicodeScalars), Array(text.unicodeScalars))
    }
    func named(_ name: String, _ source: Source) -> Bool {
      same(JSONWriter.text(source.name), name) || source.name == .string(name)
    }
    return any(filter.keys) { glob($0, event.key?.text) }
      && any(filter.states) { same(event.start?.name, $0) || same(event.finish?.name, $0) }
      && any(filter.starts) { same(event.start?.name, $0) }
      && any(filter.finishes) { same(event.finish?.name, $0) }
      && any(filter.hooks) { same(event.hook.name, $0) }
      && any(filter.workers) { name in
        if recorded.source.kind == .worker {
          return glob(name, recorded.source.address) || named(name, recorded.source)
        }
        return glob(name, event.worker)
          || workers.contains {
            $0.run == recorded.run && same(event.worker, $0.source.address)
              && named(name, $0.source)
          }
      }
      && filter.since.map { event.time >= $0 } ?? true
      && filter.until.map { event.time <= $0 } ?? true
      && filter.runs.map { $0.contains(recorded.run) } ?? true
  }

  private static func filter(_ random: inout SplitMix64) -> EventFilter {
    func some(_ choices: [String], _ random: inout SplitMix64) -> [String] {
      random.once(in: 3) ? (0..<1 + random.below(2)).map { _ in random.pick(choices) } : []
    }
    let states = ["waiting", "processing", "memory", "executing", "erred", "unheard-of"]
    var filter = EventFilter()
    filter.keys = some(
      keys.map(\.text) + ["*", "inc-*", "inc-?", "[x-z]?", "[^i]*", "*[", "x*y*", "[]", "none"],
      &random)
    filter.states = some(states, &random)
    filter.starts = some(states, &random)
    filter.finishes = some(states, &random)
    filter.hooks = some(["transition", "logEvent", "nothing"], &random)
    filter.workers = some(
      addresses + ["alice", "bob", "0", "1", "\"0\"", "a\"b", "\u{7f}", "tcp://a*", "*", "?"],
      &random)
    if random.once(in: 4) { filter.since = Int64(random.below(100)) }
    if random.once(in: 4) { filter.until = Int64(random.below(100)) }
    if random.once(in: 3) { filter.runs = (0..<random.below(3)).map { Int64($0 + 1) } }
    return filter
  }

  @Test func `filters find what a plain comparison finds`() throws {
    var random = Randomness.generator(131)
    let logs = try (0..<3).map { _ in try LogUnderTest(path) }
    var workers: [(run: Int64, source: Source)] = []
    var sources: [[(Int64, Source)]] = []
    for log in logs {
      var own = [(log.scheduler, Source.scheduler)]
      for number in 1...3 {
        let source = Source(
          kind: .worker, id: "Worker-\(number)", address: random.pick(Self.addresses),
          name: random.pick(Self.names))
        let id = try log.addWorker(number, address: source.address, name: source.name)
        own.append((id, source))
        workers.append((log.run, source))
      }
      sources.append(own)
    }
    var recorded: [Recorded] = []
    for seq in 1...600 as ClosedRange<Int64> {
      let which = random.below(logs.count)
      let (id, source) = random.pick(sources[which])
      let states: [State?] = [nil, .waiting, .processing, .memory, .executing, .erred]
      let event = Event(
        random.once(in: 4) ? .logEvent : .transition, time: Int64(random.below(100)),
        key: random.once(in: 5) ? nil : random.pick(Self.keys), start: random.pick(states),
        finish: random.pick(states),
        worker: random.once(in: 2) ? random.pick(Self.addresses) : nil)
      try logs[which].append([event], source: id)
      recorded.append(Recorded(seq: seq, run: logs[which].run, source: source, event: event))
    }
    for round in 0..<Randomness.count / 4 {
      let filter = Self.filter(&random)
      let expected = recorded.filter { Self.matches($0, filter, workers) }.map(\.seq)
      #expect(
        try seqs(filter) == expected, "seed \(Randomness.seed), round \(round): \(filter)")
      let limit = random.below(20)
      #expect(try seqs(filter, limit: limit) == Array(expected.prefix(limit)))
    }
  }

  @Test func `a filter without anything lets everything through, over many pages`() throws {
    let log = try LogUnderTest(path)
    try log.append((0..<3_000).map { Event(.start, time: $0) })
    #expect(try seqs(EventFilter()) == Array(1...3_000))
    #expect(try seqs(EventFilter(), limit: 2_500) == Array(1...2_500))
    #expect(try seqs(EventFilter(), limit: 0).isEmpty)
  }

  @Test func `a worker's name means the worker of that run`() throws {
    let event = Event.transition("x", .waiting, .processing, worker: "tcp://a:1")
    for name in ["alice", "bob"] as [Value] {
      let log = try LogUnderTest(path)
      _ = try log.addWorker(1, address: "tcp://a:1", name: name)
      try log.append([event])
    }
    var filter = EventFilter()
    filter.workers = ["alice"]
    #expect(try seqs(filter) == [1])
  }

  @Test func `a filter by key uses the index on the key`() throws {
    let log = try LogUnderTest(path)
    try log.append([.transition("x", .waiting, .processing)])
    for names in [["x"], ["x*"], ["x", "y*"]] {
      var filter = EventFilter()
      filter.keys = names
      let (condition, parameters) = filter.sql()
      let connection = try LogFile.openForReading(path)
      let statement = try connection.prepare(
        "EXPLAIN QUERY PLAN SELECT seq FROM event WHERE \(condition) ORDER BY event.seq")
      for (place, parameter) in parameters.enumerated() {
        guard case .text(let text) = parameter else { continue }
        try statement.bind(Int32(place + 1), text)
      }
      var plan = ""
      while try statement.step() { plan += statement.text(3) + "\n" }
      #expect(plan.contains("INDEX event_key (key=?)"), "\(names): \(plan)")
    }
  }
}

/// SQLite's GLOB: `*`, `?`, `[…]` with ranges, `[^…]`.
private enum Glob {
  static func matches(_ pattern: [Unicode.Scalar], _ text: [Unicode.Scalar]) -> Bool {
    guard let first = pattern.first else { return text.isEmpty }
    let rest = Array(pattern.dropFirst())
    switch first {
    case "*": return (0...text.count).contains { matches(rest, Array(text.dropFirst($0))) }
    case "?": return !text.isEmpty && matches(rest, Array(text.dropFirst()))
    case "[":
      guard let scalar = text.first else { return false }
      var place = 0
      let inverts = rest.first == "^"
      if inverts { place += 1 }
      var found = false
      let start = place
      while place < rest.count, rest[place] != "]" || place == start {
        if place + 2 < rest.count, rest[place + 1] == "-", rest[place + 2] != "]" {
          found = found || (rest[place]...rest[place + 2]).contains(scalar)
          place += 3
        } else {
          found = found || rest[place] == scalar
          place += 1
        }
      }
      guard place < rest.count, found != inverts else { return false }
      return matches(Array(rest[(place + 1)...]), Array(text.dropFirst()))
    default: return text.first == first && matches(rest, Array(text.dropFirst()))
    }
  }
}
