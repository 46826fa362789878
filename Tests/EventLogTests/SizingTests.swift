import Testing

@testable import EventLog
@testable import LogAnalysis
@testable import LogFormat
@testable import TaskLogPlugin

/// Estimates of memory, workers and core-hours, on literals: times in seconds, memory in bytes.
@Suite struct SizingTests {
  private static func at(_ seconds: Double) -> Int64 { Int64(seconds * 1e9) }

  private static func work(
    _ start: Double, _ stop: Double, task: Int = 0
  ) -> ThreadTimeInput.Work {
    .init(at(start), at(stop), task: task)
  }

  private static func sample(
    _ time: Double, _ process: Double, managed: Double = 0
  ) -> MemorySweep.Sample {
    .init(measured: at(time), told: at(time + 0.1), process: process, managed: managed)
  }

  private static func input(_ work: [ThreadTimeInput.Work]) -> ThreadTimeInput {
    var input = ThreadTimeInput()
    var worker = ThreadTimeInput.Worker("w", threads: 2, present: [.init(0, at(100))])
    worker.work = work
    input.workers = [worker]
    input.tasks = [.init(prefix: "a"), .init(prefix: "b")]
    return input
  }

  private static func estimates(
    _ work: [ThreadTimeInput.Work], _ samples: [MemorySweep.Sample], limit: Int64 = 0,
    singles: Set<String> = []
  ) -> [String: MemoryEstimate] {
    MemorySweep(input(work), [0: samples], limits: [0: limit], singles: singles).estimates
  }

  // MARK: - Memory

  @Test func `a task that ran alone used what its worker did not use while idle`() {
    let found = Self.estimates(
      [Self.work(10, 20), Self.work(30, 40)],
      [
        Self.sample(5, 100), Self.sample(15, 700, managed: 50), Self.sample(25, 110),
        Self.sample(35, 640), Self.sample(45, 110),
      ])["a"]
    #expect(found?.basis == .alone)
    #expect(found?.tasks == 2)
    #expect(found?.low == 540)
    // The first used up to 550 and the second up to 530.
    #expect(found?.high == 730)
  }

  @Test func `a sample at the end of a task says nothing`() {
    let found = Self.estimates(
      [Self.work(10, 15.05)], [Self.sample(5, 100), Self.sample(15, 700), Self.sample(25, 100)])
    #expect(found["a"] == nil)
  }

  @Test func `one sampled task does not tell how much others use`() {
    let found = Self.estimates(
      [Self.work(10, 20)], [Self.sample(5, 100), Self.sample(15, 700), Self.sample(25, 100)])["a"]
    #expect(found?.low == 600)
    #expect(found?.high == nil)
  }

  @Test func `several samples of the only task of a prefix stand for it`() {
    let samples = [
      Self.sample(5, 100), Self.sample(12, 600), Self.sample(15, 690), Self.sample(18, 700),
      Self.sample(25, 100),
    ]
    let found = Self.estimates([Self.work(10, 20)], samples, singles: ["a"])["a"]
    #expect(found?.high == 690)
    #expect(found?.samples == 3)
    // They say nothing of others.
    let ofOthers = Self.estimates([Self.work(10, 20), Self.work(30, 30.1)], samples)["a"]
    #expect(ofOthers?.low == 600)
    #expect(ofOthers?.high == nil)
  }

  @Test func `tasks that ran together share what was used`() {
    let found = Self.estimates(
      [Self.work(10, 20), Self.work(10, 20)],
      [Self.sample(5, 100), Self.sample(15, 700), Self.sample(25, 100)])["a"]
    #expect(found?.basis == .together)
    #expect(found?.low == 300)
    #expect(found?.high == 600)
  }

  @Test func `with tasks of another prefix only an upper bound is known`() {
    let found = Self.estimates(
      [Self.work(10, 20), Self.work(10, 20, task: 1)],
      [Self.sample(5, 100), Self.sample(15, 700), Self.sample(25, 100)])
    #expect(found["a"]?.basis == .mixed)
    #expect(found["a"]?.low == 0)
    #expect(found["b"]?.seen == nil)
  }

  @Test func `no task uses more than its worker may`() {
    let found = Self.estimates(
      [Self.work(10, 20), Self.work(30, 40)],
      [
        Self.sample(5, 100), Self.sample(15, 700), Self.sample(25, 100), Self.sample(35, 400),
        Self.sample(45, 100),
      ], limit: 1000)["a"]
    #expect(found?.high == 1000)
  }

  @Test func `tasks that are left out show whether the range holds`() {
    func estimate(_ values: [Double]) -> MemoryEstimate {
      let uses = values.map { MemoryUse(low: $0, seen: $0, high: $0) }
      return MemoryEstimate(.alone, tasks: uses, samples: uses, limit: nil)
    }
    #expect(estimate([100, 101, 102, 103]).held == 4)
    // With 100 and 101 one would not expect 900.
    let found = estimate([100, 900, 101, 100])
    #expect((found.held, found.leftOut) == (3, 4))
    #expect(estimate([1, 2, 3]).leftOut == 0)
  }

  // MARK: - Workers

  @Test func `workers of more threads need more memory`() {
    var input = Self.input([Self.work(10, 20), Self.work(30, 40)])
    let samples = [
      0: [
        Self.sample(5, 100), Self.sample(15, 700), Self.sample(25, 180, managed: 80),
        Self.sample(35, 680), Self.sample(45, 100),
      ]
    ]
    let memory = MemorySweep(input, samples, limits: [:])
    var prefix = Sizing.Prefix(name: "a")
    (prefix.memory, prefix.busy) = (memory.estimates["a"] ?? MemoryEstimate(), 100)
    input.largestResult = 60
    let shapes = WorkerShapes(input, samples, memory, [prefix]).shapes
    #expect(shapes.map(\.threads) == [1, 2] as [Int64])
    #expect(shapes.map(\.workers) == [2, 1] as [Int64])
    // One task used 600, and up to 780; 80 bytes were kept for two threads, 60 of them in one result.
    #expect(shapes.map(\.low) == [700, 700] as [Double])
    #expect(shapes.map(\.high) == [940, 1740] as [Double?])
    #expect(shapes.last?.limit == 2175)
    #expect(shapes.map(\.seen) == [nil, 700] as [Double?])
    func high(besides busy: Int64) -> [Double?] {
      var other = Sizing.Prefix(name: "b")
      other.busy = busy
      return WorkerShapes(input, samples, memory, [prefix, other]).shapes.map(\.high)
    }
    #expect(high(besides: 11) == [940, 1740] as [Double?])
    #expect(high(besides: 12) == [nil, nil])
  }

  // MARK: - Hours

  @Test func `idle time belongs to the jobs that were under way`() {
    var input = Self.input([])
    input.tasks = [.init(prefix: "a", client: "one"), .init(prefix: "a", client: "two")]
    input.tasks[1].isWasted = true
    input.workers[0].threads = 1
    input.workers[0].work = [Self.work(10, 20), Self.work(30, 40, task: 1)]
    input.intervalCount = 100
    let time = ThreadTimeSweep.split(input)
    func job(_ name: String, _ start: Double, _ stop: Double) -> Job {
      var job = Job(kind: .client, name: name)
      (job.started, job.stopped) = (Self.at(start), Self.at(stop))
      return job
    }
    let rows = JobHours(time, [job("one", 0, 50), job("two", 30, 50)]).rows
    func seconds(_ nanoseconds: Int64) -> Double { Double(nanoseconds) / 1e9 }
    #expect(rows.map { $0.name ?? "" } == ["", "one", "two", ""])
    #expect(rows.map { seconds($0.used) } == [10, 10, 0, 0] as [Double])
    // Of 80 seconds: 20 before the second job, and 10 with it.
    #expect(rows.map { seconds($0.idle) } == [80, 25, 5, 50] as [Double])
    #expect(rows.map { seconds($0.wasted) } == [10, 0, 10, 0] as [Double])
    // A job covers half of the only interval.
    input.intervalCount = 1
    let half = JobHours(ThreadTimeSweep.split(input), [job("one", 0, 50)]).rows
    #expect(half.filter { $0.name == "one" }.map { seconds($0.idle) } == [40] as [Double])
    #expect(
      JobHours(time, [], selectsTasks: true).rows.map { seconds($0.idle) } == [0] as [Double])
  }

  // MARK: - Reading

  private func wasted(_ fill: (PlantedCluster) throws -> Void) throws -> Double {
    let cluster = try PlantedCluster()
    try fill(cluster)
    try cluster.log.append([
      Event(.addClient, time: Self.at(20), args: Args(named: [.init("client", "d")]))
    ])
    cluster.log.writer.close()
    let reader = try LogReader(path: cluster.log.path)
    return Double(try reader.threadTime(of: reader.latest()).split.wasted) / 1e9
  }

  /// A task runs for a second and ends in a state.
  private func run(
    _ cluster: PlantedCluster, _ start: Double, _ finish: State
  ) throws {
    let span = Value.object([
      "action": "compute", "start": .double(start), "stop": .double(start + 1),
    ])
    try cluster.log.append([
      .transition(
        "a", .waiting, .processing, time: Self.at(start), worker: PlantedCluster.address, run: 1),
      .transition(
        "a", .processing, finish, time: Self.at(start + 1), worker: PlantedCluster.address, run: 1,
        args: [
          .init("worker", .string(PlantedCluster.address)), .init("startstops", .list([span])),
        ]),
    ])
  }

  @Test func `work with a result is not wasted, and work that failed or is repeated is`() throws {
    #expect(try wasted { try run($0, 2, .memory) } == 0)
    #expect(try wasted { try run($0, 2, .erred) } == 1)
    #expect(
      try wasted {
        try run($0, 2, .memory)
        try run($0, 5, .memory)
      } == 1)
  }

  @Test func `work on a task that was forgotten and submitted again is not wasted`() throws {
    #expect(
      try wasted { cluster in
        try run(cluster, 2, .memory)
        try cluster.log.append([.transition("a", .memory, .forgotten, time: Self.at(4))])
        try run(cluster, 5, .memory)
      } == 0)
  }

  @Test func `a failed attempt that read its inputs from disk wastes only what it computed`() {
    var split = ThreadTime.Split()
    split.add(.computing, 5, isWasted: true)
    split.add(.disk, 3, isWasted: true)
    let hours = Sizing.Hours(kind: "run", name: nil, split, idle: split.total - split.busy)
    #expect([hours.used, hours.wasted, hours.idle] == [0, 5, 3])
  }

  @Test func `work of a worker that was lost is wasted`() throws {
    #expect(
      try wasted { cluster in
        try cluster.sent("a")
        try cluster.atWorker("a", [.waiting, .ready, .executing])
        try cluster.log.append([
          Event(.removeWorker, time: Self.at(7), worker: PlantedCluster.address),
          .transition("a", .processing, .released, time: Self.at(7)),
        ])
      } == 4)
  }
}
