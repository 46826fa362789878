import TestSupport
import Testing

@testable import EventLog
@testable import LogFormat
@testable import LogMaintenance
@testable import TaskLogPlugin

/// Heartbeats are packed in a log and unpacked without loss.
@Suite struct HeartbeatTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// What an idle worker sends twice a second in Dask 2026.8.0.
  private struct Worker {
    var random: SplitMix64
    var time = 1_795_857_080.25
    var memory: Int64 = 65_000_000
    var transferred: Int64 = 3

    private func clock(_ seconds: Double) -> Double { (seconds * 4_194_304).rounded() / 4_194_304 }

    mutating func beat() -> (time: Int64, args: [Args.Argument]) {
      time = clock(time + 0.49 + Double.random(in: 0..<1, using: &random) / 50)
      if random.once(in: 2) { memory += Int64(random.below(200) - 100) * 4096 }
      let read =
        Double(random.below(10_000)) / (0.49 + Double.random(in: 0..<1, using: &random) / 50)
      var digests: [(String, Value)] = [
        ("tick-duration", .double(clock(0.49 + Double.random(in: 0..<1, using: &random) / 50))),
        ("latency", .double(clock(Double.random(in: 0..<1, using: &random) / 100))),
      ]
      if random.once(in: 4) { digests.reverse() }
      let metrics: [(String, Value)] = [
        ("task_counts", .dict([])),
        ("bandwidth", Self.map([("total", .int(100_000_000)), ("workers", .dict([]))])),
        ("digests_total_since_heartbeat", Self.map(digests)),
        ("managed_bytes", .int(0)),
        ("spilled_bytes", Self.map([("memory", .int(0)), ("disk", .int(0))])),
        ("transfer", Self.map([("incoming", .int(0)), ("outgoing", .int(transferred))])),
        ("event_loop_interval", .double(0.02 + Double.random(in: 0..<1, using: &random) / 10_000)),
        ("cpu", .double(Double(random.below(60)) / 10)),
        ("memory", .int(memory)),
        ("time", .double(clock(time - 0.5))),
        ("host_net_io", Self.map([("read_bps", .double(read)), ("write_bps", .double(read))])),
        ("host_disk_io", Self.map([("read_bps", .double(0)), ("write_bps", .double(0))])),
        ("num_fds", .int(24)),
      ]
      let seen = clock(time - 0.000_04)
      return (
        Int64(time) * 1_000_000_000 + Int64(((time - time.rounded(.down)) * 1e9).rounded()),
        [
          .init("executing", .dict([])), .init("metrics", Self.map(metrics)),
          .init("lastSeen", .double(seen)),
          .init("timeDelay", .double(clock(Double.random(in: 0..<1, using: &random) / 500))),
          .init("bandwidth", .double(100_000_000)),
        ]
      )
    }

    static func map(_ entries: [(String, Value)]) -> Value {
      .dict(entries.map { .init(.string($0.0), $0.1) })
    }
  }

  private static func event(_ time: Int64, _ args: [Args.Argument], worker: String = "tcp://w:1")
    -> Event
  {
    Event(.heartbeat, time: time, worker: worker, args: Args(named: args))
  }

  private static func idle(_ count: Int, _ salt: UInt64) -> [Event] {
    var worker = Worker(random: Randomness.generator(salt))
    return (0..<count).map { _ in
      let (time, args) = worker.beat()
      return event(time, args)
    }
  }

  /// Anything that a heartbeat may hold.
  private static func wild(_ random: inout SplitMix64) -> Event {
    func number() -> Value {
      switch random.below(9) {
      case 0: .int(Int64(bitPattern: UInt64.random(in: .min ... .max, using: &random)))
      case 1: .int([.min, .max, 0, -1][random.below(4)])
      case 2:
        .double(
          [-0.0, .leastNonzeroMagnitude, 1e300, 0.1, .nan, -.infinity, 1e16, 0.30000000000000004][
            random.below(8)])
      case 3: .double(Double(bitPattern: UInt64.random(in: .min ... .max, using: &random)))
      case 4: .bigInt("123456789012345678901234567890")
      case 5: .bool(random.once(in: 2))
      case 6: .string(["1.5", "é\"\\{", "-7", "executing", ""][random.below(5)])
      default: .double(Double(random.below(1000)) / 10)
      }
    }
    let names = ["cpu", "a\"b", "executing", "digests_total_since_heartbeat", "ü", "9"]
    func map(_ depth: Int) -> Value {
      Worker.map(
        (0..<random.below(4)).map { _ in
          let name = names[random.below(names.count)] + (random.once(in: 3) ? "x" : "")
          return (name, depth > 0 && random.once(in: 3) ? map(depth - 1) : number())
        })
    }
    let time = Int64(random.below(2)) * 1_795_857_080_123_456_789 + 1
    return event(
      time, [.init("executing", map(1)), .init("metrics", map(2)), .init("x", number())])
  }

  /// The values of the column in SQL, and as the log's readers decode them.
  private func stored(_ path: String) throws -> [String] {
    try sql("SELECT args FROM event ORDER BY seq", on: path).map { row in
      guard case .text(let text) = row[0] else { return "" }
      return text
    }
  }

  private func expectSame(_ path: String, _ events: [Event]) throws {
    let read = try LogReader(path: path).all().map(\.event)
    #expect(read.count == events.count)
    for (event, original) in zip(read, events) {
      #expect(event.args.json.sameBytes(as: original.args.json))
      #expect(event.isSame(as: original) || original.args.json.contains("nan"))
    }
  }

  @Test func `an idle worker takes at most 25 MB a day, and every value is preserved`() throws {
    let path = folder("idle.db")
    let log = try LogUnderTest(path)
    let events = Self.idle(4_000, 901)
    for start in stride(from: 0, to: events.count, by: 10) {
      try log.append(Array(events[start..<start + 10]))
    }
    try log.close()
    try expectSame(path, events)
    let texts = try stored(path)
    #expect(texts.filter { $0.hasPrefix("{") }.count < 4)
    #expect(texts.reduce(0) { $0 + $1.utf8.count } / texts.count <= 84)
    let pages = try sql(
      "SELECT sum(pgsize) FROM dbstat WHERE name IN ('event', 'event_identity', 'blob')", on: path)
    guard case .integer(let bytes) = pages[0][0] else { return #expect(Bool(false)) }
    #expect(bytes / Int64(events.count) * 172_800 < 25_000_000)
  }

  @Test func `any heartbeat is preserved byte for byte`() throws {
    var random = Randomness.generator(902)
    let path = folder("wild.db")
    let log = try LogUnderTest(path)
    var events: [Event] = []
    for _ in 0..<Randomness.count / 4 {
      let event = Self.wild(&random)
      // The same shape again: a template is made only then.
      events += random.once(in: 2) ? [event] : [event, event, event]
      if random.once(in: 3) { events += Self.idle(2, UInt64(random.below(50))) }
    }
    try log.append(events)
    try log.close()
    try expectSame(path, events)
    #expect(try stored(path).filter { $0.hasPrefix("\"") }.count > events.count / 8)
  }

  @Test func `busy workers need only the additional space for the names of their tasks`() throws {
    let path = folder("busy.db")
    let log = try LogUnderTest(path)
    var random = Randomness.generator(903)
    let events = Self.idle(200, 904).enumerated().map { place, event in
      var args = event.args.content.named
      args[0] = .init(
        "executing",
        Worker.map([("task-\(place)", .double(Double.random(in: 0..<1, using: &random)))]))
      return Self.event(event.time, args)
    }
    try log.append(events)
    try log.close()
    try expectSame(path, events)
    let texts = try stored(path)
    #expect(texts.reduce(0) { $0 + $1.utf8.count } / texts.count < 160)
    #expect(try sql("SELECT count(*) < 8 FROM blob", on: path) == [[1]])
  }

  @Test func `SQL and filters see the values`() throws {
    let path = folder("sql.db")
    let log = try LogUnderTest(path)
    let events = Self.idle(50, 905)
    try log.append(events)
    try log.close()
    let memory = events.map { event -> SQLiteValue in
      guard case .int(let bytes)? = event.args["metrics"]?["memory"] else { return .null }
      return .integer(bytes)
    }
    let told = try query(
      """
      SELECT tasklog_args(args, time_ns) ->> '$.metrics.memory' FROM events
      WHERE hook = 'heartbeat' ORDER BY seq
      """, path)
    #expect(told.rows.map { $0[0] } == memory)
    let reader = try LogReader(path: path)
    var columns: [SQLiteValue] = []
    try reader.rows(
      matching: EventFilter(), columns: ["args.metrics.memory"], limit: nil
    ) { columns.append($0[0]) }
    #expect(columns == memory)
    var args: [SQLiteValue] = []
    try reader.rows(matching: EventFilter(), columns: ["args"], limit: 3) { args.append($0[0]) }
    #expect(args == events.prefix(3).map { .text($0.args.json) })
    var filter = EventFilter()
    filter.patterns = ["\"num_fds\":24"]
    var count = 0
    try reader.rows(matching: filter, columns: ["seq"], limit: nil) { _ in count += 1 }
    #expect(count == events.count)
  }

  @Test func `a merged log has the same heartbeats, packed`() throws {
    let events = [Self.idle(100, 906), Self.idle(100, 907)]
    for (place, events) in events.enumerated() {
      let log = try LogUnderTest(folder("part-\(place).db"), started: Int64(place))
      try log.append(events)
      try log.close()
    }
    let path = folder("merged.db")
    let merge = try LogMerge(into: path)
    let readers = try (0..<2).map { try LogReader(path: folder("part-\($0).db")) }
    #expect(try merge.add(readers).added == 200)
    merge.close()
    let reader = try LogReader(path: path)
    let read = try reader.runs().flatMap { try reader.all($0).map(\.event) }
    #expect(zip(read, events.joined()).allSatisfy { $0.isSame(as: $1) } && read.count == 200)
    #expect(try stored(path).filter { $0.hasPrefix("\"") }.count > 190)
  }

  @Test func `pruning keeps only the templates that are used`() throws {
    let path = folder("pruned.db")
    let log = try LogUnderTest(path)
    try log.append(Self.idle(50, 908))
    try log.close()
    let later = try LogUnderTest(path, started: 2_000)
    let kept = Self.idle(50, 909).map { event in
      var args = event.args.content.named
      args.append(.init("more", .int(1)))
      return Self.event(event.time, args)
    }
    try later.append(kept)
    try later.close()
    let blobs = try sql("SELECT count(*) FROM blob", on: path)
    let pruning = try LogPruning(path: path)
    _ = try pruning.prune([LogReader(path: path).runs()[0]], keepingFailures: false)
    _ = try pruning.reclaimSpace()
    pruning.close()
    let reader = try LogReader(path: path)
    let read = try reader.all(reader.runs().last).map(\.event)
    #expect(read.count == 50 && zip(read, kept).allSatisfy { $0.isSame(as: $1) })
    let left = try sql("SELECT count(*) FROM blob", on: path)
    #expect(left[0][0] != 0 && left != blobs)
  }

  @Test func `lost or damaged heartbeats are reported, and nothing traps`() throws {
    let path = folder("lost.db")
    let log = try LogUnderTest(path)
    try log.append(Self.idle(20, 910))
    try log.close()
    var random = Randomness.generator(911)
    let damaged = (0..<200).map { _ -> String in
      let bytes = (0..<7 + random.below(40)).map { _ in UInt8(random.below(256)) }
      return "\"" + String(decoding: Base64.encode(([1] + bytes)[...]), as: UTF8.self) + "\""
    }
    let blobs = LogBlobs(path: path)
    for text in try stored(path) + damaged + ["\"", "\"\"", "\"AQ==\"", "{}", ""] {
      _ = blobs.args(text, time: .max)
    }
    let whole = try stored(path).filter { $0.hasPrefix("\"") }
    for text in whole {
      guard let packed = PackedHeartbeat.bytes(of: text.utf8) else { continue }
      for end in PackedHeartbeat.nameLength + 1..<packed.count {
        let cut = String(decoding: Base64.encode(packed[..<end]), as: UTF8.self)
        _ = blobs.args("\"\(cut)\"", time: 1)
      }
    }
    try sql("DELETE FROM blob", on: path)
    let read = try LogReader(path: path).all().map(\.event.args.json)
    #expect(read.filter { $0 == #"{"$opaque":"heartbeat"}"# }.count == whole.count)
    let findings = try LogCheck(path: path).run().findings
    #expect(findings.contains { $0.kind == .missingBlob })
  }
}
