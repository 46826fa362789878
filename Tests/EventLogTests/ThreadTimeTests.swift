import TestSupport
import Testing

@testable import LogAnalysis

/// What the time of threads is split into, on literals: one worker `w` with two threads, from 0 to 100.
@Suite struct ThreadTimeTests {
  private typealias Class = ThreadTime.Class
  private typealias Interval = ThreadTimeInput.Interval
  private typealias Work = ThreadTimeInput.Work

  private static func input(
    threads: Int64 = 2, _ change: (inout ThreadTimeInput, inout ThreadTimeInput.Worker) -> Void
  ) -> ThreadTimeInput {
    var input = ThreadTimeInput()
    input.tasks = [.init(prefix: "inc"), .init(prefix: "sum", client: "c", span: "s")]
    input.known = [.init(0, 100)]
    input.unfinished = [.init(0, 100)]
    var worker = ThreadTimeInput.Worker("w", threads: threads, present: [.init(0, 100)])
    change(&input, &worker)
    input.workers = [worker]
    return input
  }

  /// The classes that have time.
  private static func classes(_ input: ThreadTimeInput) -> [Class: Int64] {
    let split = ThreadTimeSweep.split(input).split
    return Dictionary(
      uniqueKeysWithValues: Class.allCases.compactMap { split[$0] > 0 ? ($0, split[$0]) : nil })
  }

  // MARK: - Each class

  @Test func `a computing task uses one thread, and the other one has nothing to run`() {
    let found = Self.classes(Self.input { $1.work = [Work(10, 40, task: 0)] })
    #expect(found == [.computing: 30, .nothingToRun: 170])
  }

  @Test func `computing is split by the share of the processor that a worker measured`() {
    let found = Self.classes(
      Self.input {
        $1.work = [Work(10, 40, task: 0), Work(40, 50, task: 1)]
        $1.cpuShares = ["inc": 0.4]
      })
    #expect(found == [.cpu: 12, .notCPU: 18, .computing: 10, .nothingToRun: 160])
  }

  @Test(arguments: [ThreadTime.Class.deserializing, .lock, .disk])
  func `other work on a task uses a thread, too`(kind: ThreadTime.Class) {
    let found = Self.classes(Self.input(threads: 1) { $1.work = [Work(0, 25, kind, task: 0)] })
    #expect(found == [kind: 25, .nothingToRun: 75])
  }

  @Test func `the time of waiting for a lock is split by what was waited for`() {
    let time = ThreadTimeSweep.split(
      Self.input {
        $1.work = [
          Work(0, 10, .lock, task: 0, lock: "lock a"),
          Work(20, 50, .lock, task: 0, lock: "event b"),
          Work(50, 60, .lock, task: 1, lock: "lock a"),
        ]
      })
    #expect(time.locks.rows.mapValues(\.total) == ["lock a": 20, "event b": 30, nil: 150])
  }

  private typealias Wait = LockWaits.Wait

  @Test func `an interval has the parts in which its task waited, without overlap`() {
    func parts(_ waits: [Wait], _ start: Int64, _ stop: Int64) -> [String] {
      waits.parts(of: Interval(start, stop)).map {
        "\($0.lock) \($0.interval.start)-\($0.interval.stop)"
      }
    }
    let waits = [
      Wait(interval: Interval(30, .max), lock: "b"), Wait(interval: Interval(10, 20), lock: "a"),
    ]
    #expect(parts(waits, 0, 100) == ["a 10-20", "b 30-100"])
    #expect(parts(waits, 15, 25) == ["a 15-20"])
    #expect(parts(waits, 20, 30) == [])
    #expect(
      parts(waits + [Wait(interval: Interval(15, 40), lock: "c")], 0, 50)
        == ["a 10-20", "c 20-40", "b 40-50"])
  }

  @Test func `a wait whose end is recorded replaces what was recorded when it had begun`() {
    var waits = LockWaits()
    let (task, other) = (
      ThreadTimeScan.WorkerTask(worker: 0, key: 1), ThreadTimeScan.WorkerTask(worker: 1, key: 1)
    )
    func add(_ json: String, _ task: ThreadTimeScan.WorkerTask) {
      var json = json
      json.withUTF8 { bytes in waits.add(bytes, of: task) { $0 + 5 } }
    }
    add(#"{"op":"begin","kind":"lock","for":"acquire","name":"x","start":2.0}"#, task)
    add(#"{"op":"begin","kind":"event","for":"wait","name":null,"start":3.0}"#, other)
    add(#"{"op":"end","kind":"lock","for":"acquire","name":"x","start":2.0,"stop":4.5}"#, task)
    add(#"{"op":"end"}"#, task)
    let found = waits.take(task)
    #expect(found.map(\.lock) == ["lock x"])
    #expect(found.map(\.interval) == [Interval(2_000_000_005, 4_500_000_005)])
    #expect(waits.take(other).map(\.lock) == ["event"])
    #expect(waits.take(task).isEmpty)
  }

  /// Makes a class apply to idle threads from 20 to 30.
  private static func apply(
    _ kind: ThreadTime.Class, _ input: inout ThreadTimeInput,
    _ worker: inout ThreadTimeInput.Worker
  ) {
    let interval = Interval(20, 30)
    switch kind {
    case .workerChange: worker.changing = [interval]
    case .paused: worker.paused = [interval]
    case .disk: worker.disk = [interval]
    case .transfer: worker.transfers = [interval]
    case .ready: worker.ready = [interval]
    case .schedulerLag: input.schedulerLag = [interval]
    default: input.unfinished = [Interval(0, 20), Interval(30, 100)]
    }
  }

  @Test(arguments: precedence) func `idle threads wait for what applies`(kind: ThreadTime.Class) {
    let found = Self.classes(Self.input { Self.apply(kind, &$0, &$1) })
    #expect(found == [kind: 20, .nothingToRun: 180])
  }

  @Test func `a task that is not sent is scheduler lag for every idle thread`() {
    let found = Self.classes(Self.input { input, _ in input.schedulerLag = [Interval(20, 30)] })
    #expect(found == [.schedulerLag: 20, .nothingToRun: 180])
  }

  @Test func `without an unfinished task the threads wait for a client`() {
    let found = Self.classes(Self.input { input, _ in input.unfinished = [Interval(0, 70)] })
    #expect(found == [.client: 60, .nothingToRun: 140])
  }

  @Test func `what the log does not know is unknown`() {
    let found = Self.classes(Self.input { input, _ in input.known = [Interval(10, 90)] })
    #expect(found == [.unknown: 40, .nothingToRun: 160])
  }

  // MARK: - Precedence

  /// The classes of idle threads, the first that applies first.
  static let precedence: [ThreadTime.Class] = [
    .workerChange, .paused, .disk, .transfer, .ready, .schedulerLag, .client,
  ]

  @Test(arguments: precedence.indices.dropLast())
  func `of two classes that apply to an idle thread the first one counts`(first: Int) {
    for second in Self.precedence[(first + 1)...] {
      let found = Self.classes(
        Self.input {
          Self.apply(Self.precedence[first], &$0, &$1)
          Self.apply(second, &$0, &$1)
        })
      #expect(found == [Self.precedence[first]: 20, .nothingToRun: 180], "before \(second)")
    }
  }

  @Test func `work comes before all that an idle thread waits for`() {
    let found = Self.classes(
      Self.input(threads: 1) {
        $1.work = [Work(0, 100, task: 0)]
        $1.changing = [Interval(0, 100)]
        $1.paused = [Interval(0, 100)]
        $0.known = []
      })
    #expect(found == [.computing: 100])
  }

  // MARK: - Threads, tasks, windows

  @Test func `more tasks than threads do not make more time, and the first ones have the threads`()
  {
    let time = ThreadTimeSweep.split(
      Self.input(threads: 1) { $1.work = [Work(0, 60, task: 0), Work(10, 90, task: 1)] })
    #expect(time.prefixes.rows["inc"]?.total == 60)
    #expect(time.prefixes.rows["sum"]?.total == 30)
    #expect(time.split.total == 100)
  }

  @Test func `threads go from work that ends to what began next, among 200,000 at once`() {
    let count: Int64 = 200_000
    let found = Self.classes(
      Self.input { input, worker in
        worker.present = [.init(0, count * 2)]
        (input.known, input.unfinished) = (worker.present, worker.present)
        // All begin in the first half and end in the other one, in the order in which they began.
        worker.work = (0..<count).map {
          Work($0, count + $0, $0 < 10 ? .disk : .computing, task: 0)
        }
      })
    #expect(found == [.disk: 2 * count + 16, .computing: 2 * count - 20, .nothingToRun: 4])
  }

  @Test func `time is split by prefix, client, span and worker, and without a task under none`() {
    let time = ThreadTimeSweep.split(
      Self.input { $1.work = [Work(0, 60, task: 0), Work(10, 90, task: 1)] })
    #expect(time.prefixes.rows.mapValues(\.total) == ["inc": 60, "sum": 80, nil: 60])
    #expect(time.clients.rows.mapValues(\.total) == ["c": 80, nil: 120])
    #expect(time.spans.rows.mapValues(\.total) == ["s": 80, nil: 120])
    #expect(time.workers.rows.mapValues(\.total) == ["w": 200])
    #expect(time.prefixes.sorted.map(\.name) == ["sum", "inc", nil])
  }

  @Test func `over time each interval has its part`() {
    var input = Self.input(threads: 1) { $1.work = [Work(15, 40, task: 0)] }
    input.intervalCount = 4
    let time = ThreadTimeSweep.split(input)
    #expect(time.intervals.map { $0[.computing] } == [10, 15, 0, 0])
    #expect(time.intervals.map(\.total) == [25, 25, 25, 25])
  }

  @Test func `a window cuts the time at its edges`() {
    var input = Self.input(threads: 1) { $1.work = [Work(15, 40, task: 0)] }
    input.window = Interval(20, 60)
    #expect(Self.classes(input) == [.computing: 20, .nothingToRun: 20])
  }

  @Test func `with selected tasks only work on these counts, as a share of all time`() {
    var input = Self.input(threads: 1) { $1.work = [Work(0, 10, task: 0), Work(10, 30, task: 1)] }
    input.selectsTasks = true
    input.tasks[0].isSelected = false
    let time = ThreadTimeSweep.split(input)
    #expect(time.total == 100)
    #expect(time.split[.computing] == 20)
    #expect(time.split.total == 20)
  }

  @Test func `every class has one sentence of advice`() {
    for kind in Class.allCases {
      #expect(kind.advice.hasSuffix(".") && kind.advice.split(separator: ". ").count == 1)
    }
    #expect(Set(Class.allCases.map(\.name)).count == Class.allCases.count)
  }

  // MARK: - Random

  /// The class of each thread in each nanosecond, by the definition.
  private static func slow(_ input: ThreadTimeInput) -> ThreadTime.Split {
    func isIn(_ intervals: [Interval], _ time: Int64) -> Bool {
      intervals.contains { $0.start <= time && time < $0.stop }
    }
    var split = ThreadTime.Split()
    for worker in input.workers {
      for time in Int64(0)..<100 where isIn(worker.present, time) {
        let working = worker.work.filter { isIn([$0.interval], time) }
          .sorted { $0.interval.start < $1.interval.start }.prefix(Int(worker.threads))
        for work in working { split[work.kind] += 1 }
        let kind: Class =
          isIn(worker.changing, time)
          ? .workerChange
          : isIn(worker.paused, time)
            ? .paused
            : isIn(worker.disk, time)
              ? .disk
              : isIn(worker.transfers, time)
                ? .transfer
                : isIn(worker.ready, time)
                  ? .ready
                  : isIn(input.schedulerLag, time)
                    ? .schedulerLag
                    : !isIn(input.known, time)
                      ? .unknown : !isIn(input.unfinished, time) ? .client : .nothingToRun
        split[kind] += worker.threads - Int64(working.count)
      }
    }
    return split
  }

  @Test func `random intervals are split as nanosecond by nanosecond, and sums are exact`() {
    var random = Randomness.generator(0x71)
    var seen: Set<Class> = []
    for _ in 0..<400 {
      func intervals(_ most: Int) -> [Interval] {
        (0..<random.below(most + 1)).map { _ in
          let start = Int64(random.below(100))
          return Interval(start, min(100, start + Int64(random.below(40))))
        }
      }
      var input = ThreadTimeInput()
      input.tasks = [.init(prefix: "a"), .init(prefix: "b")]
      input.schedulerLag = intervals(2)
      input.unfinished = intervals(4)
      input.known = intervals(5)
      input.intervalCount = 1 + random.below(20)
      for index in 0..<3 {
        var worker = ThreadTimeInput.Worker(
          "w\(index)", threads: Int64(random.below(4)), present: intervals(3))
        // Of those that start together any may have the thread.
        var starts: Set<Int64> = []
        worker.work = intervals(6).filter { starts.insert($0.start).inserted }.map {
          Work(
            $0.start, $0.stop, random.pick([.computing, .deserializing, .lock, .disk]),
            task: random.below(2))
        }
        worker.changing = intervals(1)
        worker.paused = intervals(1)
        worker.disk = intervals(1)
        worker.transfers = intervals(2)
        worker.ready = intervals(2)
        input.workers.append(worker)
      }
      let time = ThreadTimeSweep.split(input)
      #expect(time.split == Self.slow(input))
      Self.expectExact(time)
      seen.formUnion(Class.allCases.filter { time.split[$0] > 0 })
    }
    #expect(seen == Set(Class.allCases).subtracting([.cpu, .notCPU]))
  }

  /// All sums are those of threads × time.
  static func expectExact(_ time: ThreadTime, _ note: String = "") {
    #expect(time.split.total == time.total, "\(note)")
    for dimension in [time.prefixes, time.clients, time.spans, time.workers, time.locks] {
      #expect(dimension.rows.values.reduce(0) { $0 &+ $1.total } == time.total, "\(note)")
    }
    #expect(time.intervals.reduce(0) { $0 &+ $1.total } == time.total, "\(note)")
  }
}

/// The part of computing that was on a processor, from Dask's sums and waits for locks.
@Suite struct CPUShareTests {
  private static func told(_ cpu: Double, _ other: Double, last: Int64 = 100) -> CPUShares.Told {
    var told = CPUShares.Told()
    (told.cpu, told.other, told.last) = (cpu, other, last)
    return told
  }

  @Test func `waits are no part of computing`() {
    #expect(Self.told(1, 3).share(without: []) == 0.25)
    #expect(Self.told(1, 3).share(without: [.init(taskEnd: 90, seconds: 2)]) == 0.5)
    #expect(Self.told(0.001, 3).share(without: [.init(taskEnd: 90, seconds: 2)])! < 0.01)
  }

  @Test func `waits of tasks that ended after the last heartbeat are not in its sums`() {
    // Two tasks slept while they held a lock; only that which ended first is measured.
    let waits: [CPUShares.Wait] = [.init(taskEnd: 90, seconds: 0), .init(taskEnd: 110, seconds: 1)]
    #expect(Self.told(0.001, 0.5).share(without: waits)! < 0.01)
  }

  @Test func `sums of other tasks than those that waited say nothing`() {
    #expect(Self.told(0.001, 0.5).share(without: [.init(taskEnd: 90, seconds: 1)]) == nil)
    #expect(Self.told(0, 0).share(without: []) == nil)
  }
}
