import TestSupport
import Testing

@testable import EventLog
@testable import LogFormat
@testable import LogMaintenance
@testable import TaskLogPlugin

@Suite struct EventFilterTests {
  private let folder: TemporaryFolder
  private let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder("log.db")
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

  /// The expected result of the SQL, computed in Swift.
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
      && any(filter.prefixes) { glob($0, event.key?.prefix) }
      && any(filter.groups) { glob($0, event.key?.group) }
      && any(filter.sources.map(\.rawValue)) { same(recorded.source.kind.rawValue, $0) }
      && any(filter.stimuli) { glob($0, event.stimulusID) }
      && any(filter.clients) { glob($0, event.args.content["client"]?.string) }
      && any(filter.patterns) { event.args.isEmpty ? false : event.args.json.contains($0) }
      && filter.args.filter { !isAlternative($0) }.allSatisfy { compares(event, $0) }
      && Dictionary(grouping: filter.args.filter(isAlternative), by: \.name).values
        .allSatisfy { $0.contains { compares(event, $0) } }
      && filter.sinceSeq.map { recorded.seq >= $0 } ?? true
      && filter.untilSeq.map { recorded.seq <= $0 } ?? true
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

  /// Several values for the same argument are combined by or.
  private static func isAlternative(_ condition: ArgCondition) -> Bool {
    condition.comparison == .equal || condition.comparison == .matches
  }

  /// Compared as numbers if the argument is one, otherwise as text.
  private static func compares(_ event: Event, _ condition: ArgCondition) -> Bool {
    guard let value = event.args.content[condition.name] else { return false }
    if let number = value.number, let wanted = Double(condition.value) {
      switch condition.comparison {
      case .equal: return number == wanted
      case .notEqual: return number != wanted
      case .less: return number < wanted
      case .lessOrEqual: return number <= wanted
      case .greater: return number > wanted
      case .greaterOrEqual: return number >= wanted
      case .matches: break
      }
    }
    let text: String
    switch value {
    case .string(let own): text = own
    case .null: text = condition.comparison == .matches ? "" : "null"
    case .bool(let own): text = own ? "true" : "false"
    default: text = JSONWriter.text(value)
    }
    switch condition.comparison {
    case .equal: return text == condition.value
    case .notEqual: return text != condition.value
    case .matches: return value != .null && text.contains(condition.value)
    default: break
    }
    // Text and numbers are not ordered relative to each other.
    guard case .string = value, Double(condition.value) == nil else { return false }
    switch condition.comparison {
    case .less: return text < condition.value
    case .lessOrEqual: return text <= condition.value
    case .greater: return text > condition.value
    default: return text >= condition.value
    }
  }

  private static let values: [Value] = [
    1, 2, 10, 1.5, -3, "x", "y", "10", "", true, false, .null, "true",
  ]

  private static func args(_ random: inout SplitMix64) -> Args {
    var named: [Args.Argument] = []
    if random.once(in: 3) { named.append(.init("client", random.pick(["Client-1", "Client-2"]))) }
    if random.once(in: 2) { named.append(.init("n", random.pick(values))) }
    return Args(named: named)
  }

  private static func filter(_ random: inout SplitMix64) -> EventFilter {
    func some(_ choices: [String], _ random: inout SplitMix64) -> [String] {
      random.once(in: 6) ? (0..<1 + random.below(2)).map { _ in random.pick(choices) } : []
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
    filter.prefixes = some(["inc", "in*", "x?", "sum", "[x]y", "none"], &random)
    filter.groups = some(["inc", "*", "sum", "none"], &random)
    if random.once(in: 4) { filter.sources = [random.pick([.scheduler, .worker])] }
    filter.stimuli = some(["s-1", "s-*", "t?", "none"], &random)
    filter.clients = some(["Client-1", "Client-*", "none"], &random)
    filter.patterns = some(["Client-2", "\"n\"", "none"], &random)
    if random.once(in: 3) {
      let texts = ["1", "2.0", "10", "1.5", "-3", "x", "y", "", "true", "false", "null"]
      filter.args = (0..<1 + random.below(2)).map { _ in
        let comparison = random.pick(ArgCondition.Comparison.allCases)
        return ArgCondition(
          name: random.once(in: 5) ? "none" : "n", comparison: comparison,
          value: comparison == .matches ? random.pick(["x", "1", "ru"]) : random.pick(texts))
      }
    }
    if random.once(in: 4) { filter.sinceSeq = Int64(random.below(600)) }
    if random.once(in: 4) { filter.untilSeq = Int64(random.below(600)) }
    if random.once(in: 4) { filter.since = Int64(random.below(100)) }
    if random.once(in: 4) { filter.until = Int64(random.below(100)) }
    if random.once(in: 3) { filter.runs = (0..<random.below(3)).map { Int64($0 + 1) } }
    return filter
  }

  @Test func `filters find the same as a plain comparison`() throws {
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
        stimulusID: random.once(in: 3) ? nil : random.pick(["s-1", "s-2", "t1", "t[2]"]),
        worker: random.once(in: 2) ? random.pick(Self.addresses) : nil,
        args: Self.args(&random))
      try logs[which].append([event], source: id)
      recorded.append(Recorded(seq: seq, run: logs[which].run, source: source, event: event))
    }
    var found = 0
    for round in 0..<Randomness.count / 4 {
      // The same with the indexes that exist after the end of a run, and with all of them.
      if round == Randomness.count / 12 { logs[0].writer.buildIndexesOfSmallLog() }
      if round == Randomness.count / 6 { try logs[0].writer.buildIndexes() }
      let filter = Self.filter(&random)
      let expected = recorded.filter { Self.matches($0, filter, workers) }.map(\.seq)
      #expect(
        try seqs(filter) == expected, "seed \(Randomness.seed), round \(round): \(filter)")
      let limit = random.below(20)
      #expect(try seqs(filter, limit: limit) == Array(expected.prefix(limit)))
      let reader = try LogReader(path: path)
      let after = Int64(random.below(600))
      let rest = expected.filter { $0 > after }
      let reversed = try reader.rows(
        matching: filter, columns: [seq], after: after, limit: limit, isReversed: true)
      #expect(try Self.all(reversed) == Array(rest.reversed().prefix(limit)))
      #expect(try reader.count(matching: filter, after: after) == Int64(rest.count))
      found += expected.isEmpty ? 0 : 1
    }
    #expect(found > Randomness.count / 20, "most filters find nothing")
  }

  @Test func `counts by a column add up to all, the largest first`() throws {
    let log = try LogUnderTest(path)
    let worker = try log.addWorker(1)
    try log.append([
      .transition("inc-1", .released, .waiting), .transition("inc-2", .released, .waiting),
      .transition("sum", .waiting, .processing, worker: "tcp://w:1"),
      Event(.logEvent, time: 0, args: Args(named: [.init("n", 7)])),
    ])
    try log.append([.transition("inc-1", .waiting, .ready)], source: worker)
    func groups(_ names: [String]) throws -> [[SQLiteValue]] {
      var rows: [[SQLiteValue]] = []
      try LogReader(path: path).groups(
        matching: EventFilter(), by: names.map { try #require(EventColumn($0)) }
      ) { rows.append($0) }
      return rows
    }
    #expect(try groups(["prefix"]) == [["inc", 3], [nil, 1], ["sum", 1]])
    #expect(
      try groups(["start", "finish"]) == [
        ["released", "waiting", 2], [nil, nil, 1], ["waiting", "processing", 1],
        ["waiting", "ready", 1],
      ])
    #expect(try groups(["worker"]) == [[nil, 3], ["tcp://w:1", 2]])
    #expect(try groups(["args.n"]) == [[nil, 4], [7, 1]])
    for name in EventColumn.known {
      let column = try #require(EventColumn(name))
      if column.isGroup { #expect(try groups([name]).count > 0) }
    }
  }

  @Test func `rows continue with what has arrived since their end`() throws {
    let log = try LogUnderTest(path)
    var filter = EventFilter()
    filter.hooks = ["start"]
    try log.append([Event(.start, time: 1), Event(.close, time: 2)])
    let rows = try LogReader(path: path).rows(matching: filter, columns: [seq])
    #expect(try Self.all(rows) == [1])
    #expect(rows.position == 2)
    #expect(try Self.all(rows) == [])
    try log.append([Event(.close, time: 3), Event(.start, time: 4)])
    #expect(try Self.all(rows) == [4])
    try log.append((0..<3_000).map { Event(.start, time: $0) })
    #expect(try Self.all(rows) == Array(5...3_004))
  }

  @Test func `a cursor names the same event in every file that contains it`() throws {
    let log = try LogUnderTest(path)
    try log.append([Event(.start, time: 1), Event(.close, time: 2), Event(.close, time: 3)])
    let reader = try LogReader(path: path)
    let cursor = try #require(try reader.cursor(at: 2))
    #expect(try reader.seq(ofCursor: cursor) == 2)
    #expect(try reader.cursor(at: 0) == nil)
    for wrong in ["", "x", "a/b", "a/b/c", "a/b/9", cursor + "0"] {
      #expect(try reader.seq(ofCursor: wrong) == nil)
    }
    let other = folder("other.db")
    try LogUnderTest(other).append((0..<10).map { Event(.start, time: $0) })
    let merge = try LogMerge(into: other)
    _ = try merge.add(reader)
    #expect(try LogReader(path: other).seq(ofCursor: cursor) == 12)
  }

  private let seq = EventColumn("seq")!

  private static func all(_ rows: EventRows) throws -> [Int64] {
    var seqs: [Int64] = []
    while let row = try rows.next() {
      if case .integer(let seq) = row[0] { seqs.append(seq) }
    }
    return seqs
  }

  @Test func `an empty filter matches everything, over many pages`() throws {
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
      let sql = FilterSQL(filter, indexes: ["key": "", "finish": ""])
      let (condition, parameters) = (sql.condition, sql.parameters)
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
