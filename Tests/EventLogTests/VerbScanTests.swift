import TestSupport
import Testing

@testable import EventLog
@testable import LogAnalysis
@testable import LogFormat
@testable import TaskLogPlugin

/// The scans of the verbs equal the views, in whatever order events arrive.
@Suite struct VerbScanTests {
  private static let keys: [Key] = [
    "inc-1", "inc-2", "sum", Key("x", 1), Key("x", "a\"b\\c\u{e9}"), "with space", Key(.int(7))!,
    "7", "nul\0", "nul",
  ]

  /// Runs with graphs of both engines, tasks that fail on their own and with others, causes that do
  /// not exist, spans of several kinds, clocks that go back and that are changed, workers that come
  /// back at the address of others, and tasks that are stolen.
  private static func log(_ path: String, _ random: inout SplitMix64, events: Int) throws {
    for run in 0..<2 {
      let log = try LogUnderTest(path, id: "run-\(run)")
      let sources = [log.scheduler, try log.addWorker(1), try log.addWorker(2)]
      var added: [(source: Int64, event: Event)] = [(log.scheduler, graph(&random))]
      for _ in 0..<events {
        switch random.below(20) {
        case 0: added.append((log.scheduler, graph(&random)))
        case 1: added.append((log.scheduler, comesOrGoes(&random)))
        case 2: added.append((random.pick(sources), clockOffset(&random)))
        case 3: added.append((log.scheduler, move(&random)))
        case 4: added.append((random.pick(sources), presentGraph(&random)))
        default: added.append((random.pick(sources), event(&random)))
        }
      }
      try log.append(added)
      try log.close()
    }
  }

  private static func comesOrGoes(_ random: inout SplitMix64) -> Event {
    let address = "tcp://w:\(random.below(3))"
    guard random.once(in: 2) else { return Event(.removeWorker, time: 5, worker: address) }
    var facts: [Value.Entry] = [.init("nthreads", .int(Int64(1 + random.below(4))))]
    if !random.once(in: 3) {
      facts.append(.init("serverID", .string("Worker-\(random.below(5))")))
    }
    return Event(
      .addWorker, time: 1_750_000_000_000_000_000 + Int64(random.below(10_000)) * 1_000_000,
      worker: address, snapshot: .other(.object(["worker": .dict(facts)])))
  }

  private static func clockOffset(_ random: inout SplitMix64) -> Event {
    Event(
      .stimulus, time: 1,
      args: Args(named: [
        .init("op", "clock-offset"),
        .init("scheduler_delay", .double(Double(random.below(9_000)) / 1000 - 3)),
        .init("round_trip", .double(Double(random.below(500)) / 1000)),
      ]))
  }

  private static func move(_ random: inout SplitMix64) -> Event {
    Event(
      .stimulus, time: 1_750_000_000_000_000_000 + Int64(random.below(10_000)) * 1_000_000,
      key: random.pick(keys), worker: "tcp://w:\(random.below(3))", taskRunID: 1,
      args: Args(named: [.init("op", "move-task")]))
  }

  private static func graph(_ random: inout SplitMix64) -> Event {
    let tasks = (0..<4).map { _ in
      GraphTask(
        key: random.pick(keys), dependencies: (0..<random.below(3)).map { _ in random.pick(keys) })
    }
    guard random.once(in: 2) else {
      return Event(.updateGraph, time: 1, snapshot: .graph(tasks))
    }
    // As Dask's recorder records it: the keys are in the args.
    let names = tasks.map(\.key.value)
    let described = tasks.map { task in
      Value.object(
        task.dependencies.isEmpty
          ? ["known": true] : ["dependencies": .list(task.dependencies.map(\.value))])
    }
    return Event(
      .updateGraph, time: 1,
      args: Args(named: [
        .init("client", "c"), .init("tasks", random.once(in: 2) ? .tuple(names) : .list(names)),
      ]), snapshot: .other(.object(["graph": .list(described)])))
  }

  /// A graph that a recorder found when it was attached, or a task that came without a graph.
  private static func presentGraph(_ random: inout SplitMix64) -> Event {
    let tasks = Value.list(
      (0..<2).map { _ in
        .object([
          "key": random.pick(keys).value,
          "dependencies": .list((0..<random.below(3)).map { _ in random.pick(keys).value }),
          "state": "waiting",
        ])
      })
    guard random.once(in: 2) else {
      return Event(
        .attach, time: 1, snapshot: .other(.object(["attach": .object(["tasks": tasks])])))
    }
    return Event(
      .stimulus, time: 1, key: random.pick(keys), args: Args(named: [.init("op", "update-data")]),
      snapshot: .other(.object(["graph": tasks])))
  }

  private static func event(_ random: inout SplitMix64) -> Event {
    let states: [State?] = [
      nil, .released, .waiting, .processing, .processing, .memory, .erred, .erred, .forgotten,
      .error,
    ]
    var event = Event.transition(
      random.pick(keys), .released, .waiting,
      stimulus: random.once(in: 4) ? nil : "s-\(random.below(6))",
      time: 1_750_000_000_000_000_000 + Int64(random.below(10_000)) * 1_000_000)
    event.start = random.pick(states)
    event.finish = random.pick(states)
    if random.once(in: 10) { event.hook = random.pick([.logEvent, .addClient]) }
    event.snapshot = snapshot(&random)
    guard !random.once(in: 3) else { return event }
    func span() -> Value {
      let start = 1_750_000_000 + Double(random.below(10_000)) / 1000
      return StartStop(
        action: random.pick(["compute", "transfer"]), start: start,
        stop: start + Double(random.below(1_000)) / 1000
      ).value
    }
    var args: [Args.Argument] = [
      .init("startstops", random.once(in: 2) ? .list([span(), span()]) : .tuple([span()])),
      .init("metadata", .dict([.init("exception_text", "not this one")])),
    ]
    if random.once(in: 2) { args.append(.init("worker", .string("tcp://w:\(random.below(3))"))) }
    if event.finish == .erred, random.once(in: 2) {
      args.append(
        .init("exception_text", random.pick(["boom", "bang: \u{e9}", .null, .opaque("redacted")])))
      args.append(.init("traceback_text", .string("line \(random.below(9))")))
    }
    if event.finish == .erred, random.once(in: 2) {
      args.append(.init("cause", random.pick(keys + ["nobody", Key("no", 1)]).value))
    }
    event.args = Args(named: args)
    return event
  }

  /// What a recorder adds to a failure.
  private static func snapshot(_ random: inout SplitMix64) -> Snapshot {
    var task: [Value.Entry] = []
    if random.once(in: 3) {
      task.append(.init("blame", random.pick(keys + ["nobody", Key("no", 1)]).value))
    }
    if random.once(in: 4) {
      task.append(.init("exceptionText", random.pick(["KilledWorker", .opaque("redacted")])))
    }
    if random.once(in: 6) { task.append(.init("state", random.pick(["error", "released"]))) }
    return task.isEmpty ? .none : .other(.object(["task": .dict(task)]))
  }

  /// The results of scans of all runs, and the SQL over the views that returns the same.
  private static func compare(_ path: String, _ note: String) throws {
    let reader = try LogReader(path: path)
    let runs = try reader.runs()
    func expect(_ rows: [[SQLiteValue]], _ sql: String) throws {
      let wanted = try query(sql, path).rows
      #expect(rows.count == wanted.count, "\(sql), \(note)")
      for (row, other) in zip(rows, wanted) { #expect(row == other, "\(sql), \(note)") }
    }
    var rows = Rows()
    for run in runs { try rows.add(run, reader) }
    for run in runs {
      let time = try reader.threadTime(of: run, by: [.clients, .spans], intervals: 7)
      ThreadTimeTests.expectExact(time, note)
    }
    try expect(
      rows.errors,
      """
      SELECT run, seq, time_ns, key, worker, exception, traceback, retries, dependents FROM errors
      ORDER BY run, seq
      """)
    try expect(
      rows.affected,
      """
      SELECT run, seq, time_ns, key, cause_key, cause_seq FROM failures WHERE cause_seq IS NOT seq
      ORDER BY run, seq
      """)
    try expect(rows.causes, "SELECT * FROM error_causes")
    try expect(
      rows.atWorkers,
      """
      SELECT run, seq, time_ns, key, worker, start, exception, traceback FROM worker_errors
      ORDER BY run, seq
      """)
    try expect(
      rows.path,
      """
      SELECT run, key, phase, worker, start_ns, stop_ns, share, seq, life FROM critical_path
      ORDER BY run, step
      """)
    try expect(
      rows.edges,
      """
      SELECT run, key_id, dependency_id FROM dependencies ORDER BY run, key_id, dependency_id
      """)
    try expect(rows.kinds, "SELECT * FROM event_kinds")
    try expect(
      rows.stays,
      """
      SELECT run, source, worker, life, key, state, start_ns, seq FROM state_intervals
      WHERE next_seq IS NULL AND gone_seq IS NULL AND state != 'forgotten' ORDER BY run, seq
      """)
    try expect(
      rows.workers,
      """
      SELECT run, worker, life, joined_ns, left_ns, nthreads, tasks, failed, nbytes, busy, utilization,
        occupancy, clock_offset FROM workers
      """)
    try expect(
      rows.states, "SELECT run, prefix, source, state, count, p50, max FROM prefix_states")
    for limit in [1, 3, 100_000] {
      for action in ["compute", "transfer"] {
        let found = try reader.eventsWithLongestSpans(in: runs, action: action, limit: limit)
        let sql =
          "SELECT run, key, action, seconds, seq, start FROM slowest WHERE action = '\(action)'"
        let list = found.map(String.init).joined(separator: ", ")
        try expect(
          query(sql + " AND seq IN (\(list)) LIMIT \(limit)", path).rows, sql + " LIMIT \(limit)")
      }
    }
  }

  private struct Rows {
    var errors, affected, causes, path, kinds, stays, workers, states: [[SQLiteValue]]
    var atWorkers: [[SQLiteValue]] = []
    var edges: [[SQLiteValue]] = []

    init() {
      (errors, affected, causes, path) = ([], [], [], [])
      (kinds, stays, workers, states) = ([], [], [], [])
    }

    mutating func add(_ run: RunInfo, _ reader: LogReader) throws {
      let number = SQLiteValue.integer(run.number)
      func text(_ text: String?) -> SQLiteValue { text.map(SQLiteValue.text) ?? .null }
      func integer(_ value: Int64?) -> SQLiteValue { value.map(SQLiteValue.integer) ?? .null }
      let failures = try reader.failures(of: run)
      try failures.forEachError { error in
        errors.append([
          number, .integer(error.seq), .integer(error.time), .text(error.key), error.worker,
          error.exception, error.traceback, .integer(error.retries), .integer(error.dependents),
        ])
      }
      try failures.forEachAffected { task in
        affected.append([
          number, .integer(task.seq), .integer(task.time), .text(task.key), text(task.blamed),
          integer(task.causeSeq),
        ])
      }
      try failures.forEachAtWorkers { failure in
        atWorkers.append([
          number, .integer(failure.seq), .integer(failure.time), .text(failure.key),
          .text(failure.worker), text(failure.start), failure.exception, failure.traceback,
        ])
      }
      causes += try failures.causes().map { cause in
        [
          number, cause.exception, .integer(cause.tasks), .integer(cause.dependents),
          .integer(cause.workers), .integer(cause.firstSeq), .text(cause.firstKey),
          cause.firstTraceback,
        ]
      }
      path += try reader.criticalPath(of: run).map { piece in
        [
          number, .text(piece.key), .text(piece.kind.rawValue), piece.worker, integer(piece.start),
          integer(piece.stop), piece.share, .integer(piece.seq), integer(piece.life),
        ]
      }
      edges += try Self.edges(run, reader)
      kinds += try reader.eventKinds(of: run).map { kind in
        [
          number, .text(kind.source.rawValue), .text(kind.hook), .integer(kind.events),
          .integer(kind.argsBytes), .integer(kind.snapshotBytes),
        ]
      }
      let sources = Dictionary(
        uniqueKeysWithValues: try reader.sources(of: run).map { ($0.number, $0.source) })
      try reader.whereabouts(in: run, at: .end).forEachTask { task in
        let source = sources[task.source]
        stays.append([
          number, text(source?.kind.rawValue),
          text(source?.kind == .worker ? source?.address : task.worker), integer(task.life),
          .text(task.key), .text(task.state), .integer(task.since), .integer(task.seq),
        ])
      }
      let summary = try reader.summary(of: run)
      func rounded(_ value: Double?, _ factor: Double) -> SQLiteValue {
        value.map { .real(($0 * factor).rounded() / factor) } ?? .null
      }
      workers += summary.workers.map { worker in
        [
          number, .text(worker.address), .integer(worker.life), integer(worker.joined),
          integer(worker.left), integer(worker.nthreads), .integer(worker.tasks),
          .integer(worker.failed), .integer(worker.nbytes), rounded(worker.busySeconds, 1e6),
          rounded(worker.share, 1e4), rounded(worker.occupancy, 1e2),
          worker.clock.map { .real(Double($0.offset) / 1e9) } ?? .null,
        ]
      }
      states += summary.states.map { state in
        [
          number, .text(state.prefix ?? ""), .text(state.source), .text(state.state),
          .integer(state.count), .real(Double(state.p50) / 1e9), .real(Double(state.max) / 1e9),
        ]
      }
    }

    /// The dependencies of each key; those of the index and those that are looked up one by one.
    private static func edges(_ run: RunInfo, _ reader: LogReader) throws -> [[SQLiteValue]] {
      let select = try reader.connection.prepare("SELECT id, text, typed FROM key ORDER BY id")
      var keys: [(id: Int64, key: Key)] = []
      while try select.step() {
        keys.append((select.integer(0), Key(text: select.text(1), typed: select.text(2))))
      }
      let ids = Dictionary(uniqueKeysWithValues: keys.map { (KeyHash.hash(of: $0.key), $0.id) })
      let index = try reader.dependencies(of: run)
      let graphs = try GraphDependencies(reader, run)
      var edges: [[SQLiteValue]] = []
      for (id, key) in keys {
        let needs = index.task(hash: KeyHash.hash(of: key)).map(index.dependencies(of:)) ?? []
        let dependencies = needs.compactMap { ids[index.hash(of: Int($0))] }.sorted()
        #expect(try graphs.dependencies(of: key).sorted() == dependencies)
        edges += dependencies.map { [.integer(run.number), .integer(id), .integer($0)] }
      }
      return edges
    }
  }

  @Test(arguments: 0..<20)
  func `scans of random events equal the views`(round: Int) throws {
    let folder = try TemporaryFolder()
    var random = Randomness.generator(UInt64(740 + round))
    try Self.log(folder("log.db"), &random, events: 10 + random.below(300))
    if random.once(in: 2) {
      let writer = try LogWriter(path: folder("log.db"))
      try writer.dropIndexes()
      writer.close(isIndexing: false)
    }
    try Self.compare(folder("log.db"), "seed \(Randomness.seed)")
  }

  @Test func `a log that several threads read is summed up as by one thread`() throws {
    let folder = try TemporaryFolder()
    let path = folder("log.db")
    var random = Randomness.generator(770)
    // More than four parts, from which on threads are used.
    var parts = 5 * Int(ParallelScan<SummaryPart>.usualSize)
    let log = try LogUnderTest(path)
    let worker = try log.addWorker(1)
    while parts > 0 {
      try log.append(
        (0..<8_192).map { _ in
          (random.once(in: 3) ? worker : log.scheduler, Self.event(&random))
        })
      parts -= 8_192
    }
    try log.close()
    let reader = try LogReader(path: path)
    let summary = try reader.summary(of: reader.latest())
    #expect(
      summary.prefixes.map {
        [
          .text($0.name ?? ""), .integer($0.tasks), .integer($0.done), .integer($0.failed),
          .integer($0.retried),
        ]
      } == (try query("SELECT prefix, tasks, done, failed, retried FROM prefixes", path).rows))
    #expect(
      summary.states.map {
        [
          .text($0.prefix ?? ""), .text($0.source), .text($0.state), .integer($0.count),
          .real(Double($0.p50) / 1e9), .real(Double($0.max) / 1e9),
        ]
      }
        == (try query("SELECT prefix, source, state, count, p50, max FROM prefix_states", path).rows)
    )
    #expect(
      try reader.totals(of: reader.latest()).tasks
        == (try reader.connection.integer("SELECT count(DISTINCT key) FROM event")))
  }

  // MARK: - Parts

  private struct Enough: Error {}

  private static func numbered(_ path: String, events: Int) throws -> LogReader {
    let log = try LogUnderTest(path)
    try log.append((0..<events).map { .transition("a", .released, .waiting, time: Int64($0)) })
    try log.close()
    return try LogReader(path: path)
  }

  @Test(arguments: [0, 1, 3], [1, 7, 1000])
  func `parts are consumed in order by any thread`(threads: Int, size: Int) throws {
    let folder = try TemporaryFolder()
    let reader = try Self.numbered(folder("log.db"), events: 200)
    var numbers: [Int64] = []
    let scan = ParallelScan<[Int64]>(
      "SELECT seq FROM event WHERE seq BETWEEN ? AND ? ORDER BY seq", over: 5...190,
      partSize: Int64(size))
    let path = reader.path
    try scan.run(reader, threads: threads) { select, range in
      var part: [Int64] = []
      try select.forEachRow(in: range, path) { part.append($0) }
      return part
    } take: {
      numbers += $0
    }
    #expect(numbers == Array(5...190))
  }

  @Test(arguments: [0, 3])
  func `an error on either side ends a scan`(threads: Int) throws {
    let folder = try TemporaryFolder()
    let reader = try Self.numbered(folder("log.db"), events: 200)
    let scan = ParallelScan<Int>(
      "SELECT seq FROM event WHERE seq BETWEEN ? AND ?", over: 1...200, partSize: 5)
    var taken = 0
    #expect(throws: Enough.self) {
      try scan.run(reader, threads: threads) { _, _ in
        1
      } take: { _ in
        taken += 1
        if taken == 10 { throw Enough() }
      }
    }
    #expect(taken == 10)
    taken = 0
    #expect(throws: Enough.self) {
      try scan.run(reader, threads: threads) { _, range in
        if range.contains(100) { throw Enough() }
        return 1
      } take: {
        taken += $0
      }
    }
    #expect(taken == 19)
    #expect(throws: SQLiteError.self) {
      try ParallelScan<Int>("SELECT nothing FROM event WHERE seq BETWEEN ? AND ?", over: 1...200)
        .run(reader, threads: threads) { _, _ in
          1
        } take: { _ in
        }
    }
  }

  @Test func `rows outside their range are a damaged log`() throws {
    let folder = try TemporaryFolder()
    let reader = try Self.numbered(folder("log.db"), events: 20)
    let path = reader.path
    for sql in [
      "SELECT seq FROM event WHERE seq BETWEEN ? - 1 AND ? ORDER BY seq",
      "SELECT seq FROM event WHERE seq BETWEEN ? AND ? ORDER BY seq DESC",
    ] {
      #expect(throws: LogError.self) {
        try ParallelScan<Int>(sql, over: 3...9).run(reader) { select, range in
          try select.forEachRow(in: range, path) { _ in }
          return 0
        } take: { _ in
        }
      }
    }
  }
}
