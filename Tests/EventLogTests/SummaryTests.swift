import TestSupport
import Testing

@testable import EventLog
@testable import LogAnalysis
@testable import LogFormat
@testable import TaskLogPlugin

/// A summary equals the views, in whatever order events arrive.
@Suite struct SummaryTests {
  @Test(arguments: 0..<20)
  func `a summary of random events equals the views`(round: Int) throws {
    let folder = try TemporaryFolder()
    let path = folder("log.db")
    var random = Randomness.generator(UInt64(700 + round))
    let log = try LogUnderTest(path)
    var sources = [log.scheduler]
    for number in 1...3 { sources.append(try log.addWorker(number)) }
    let states: [State?] = [
      nil, .released, .waiting, .processing, .memory, .erred, .forgotten, .executing,
    ]
    let keys: [Key] = ["inc-1", "inc-2", "sum", Key("x", 1)]
    var events: [(source: Int64, event: Event)] = []
    for _ in 0..<400 {
      let worker = "tcp://w:\(1 + random.below(4))"
      // A task in many places at once, clocks that go back, args that are not those of an outcome.
      var event = Event.transition(
        random.pick(keys), .released, .waiting, time: Int64(random.below(10_000)) * 1_000_000,
        worker: random.once(in: 2) ? worker : nil)
      event.start = random.pick(states)
      event.finish = random.pick(states)
      if random.once(in: 2) {
        let span = StartStop(action: random.pick(["compute", "transfer"]), start: 1, stop: 1.5)
        event.args = Args(named: [
          .init("metadata", .dict([.init("nbytes", 5), .init("a\"b", .list([1, "]"]))])),
          .init("worker", .string(worker)), .init("nbytes", .int(Int64(random.below(1_000)))),
          .init("startstops", random.once(in: 2) ? .list([span.value]) : .tuple([span.value])),
        ])
        event.worker = worker
      }
      events.append((random.pick(sources), event))
    }
    try log.append(events)
    try log.close()
    let reader = try LogReader(path: path)
    let summary = try reader.summary(of: reader.latest())
    func rows(_ sql: String) throws -> [[SQLiteValue]] { try query(sql, path).rows }
    #expect(
      summary.prefixes.map {
        [
          .text($0.name ?? ""), .integer($0.tasks), .integer($0.done), .integer($0.failed),
          .integer($0.retried), .integer($0.nbytes), .real($0.computeSeconds),
        ]
      } == (try rows("SELECT prefix, tasks, done, failed, retried, nbytes, compute FROM prefixes")),
      "seed \(Randomness.seed)")
    #expect(
      summary.states.map {
        [
          .text($0.prefix ?? ""), .text($0.source), .text($0.state), .integer($0.count),
          .real(Double($0.p50) / 1e9), .real(Double($0.p95) / 1e9), .real(Double($0.max) / 1e9),
        ]
      }
        == (try rows("SELECT prefix, source, state, count, p50, p95, max FROM prefix_states")),
      "seed \(Randomness.seed)")
    #expect(
      summary.workers.map {
        [
          .text($0.address), .integer($0.tasks), .integer($0.failed), .integer($0.nbytes),
          .real($0.busySeconds),
        ]
      } == (try rows("SELECT worker, tasks, failed, nbytes, busy FROM workers")),
      "seed \(Randomness.seed)")
  }

  @Test func `percentiles are nearest ranks, whatever the size of the durations`() {
    var random = Randomness.generator(720)
    for count in 1...60 {
      var durations = Durations()
      var all: [Int64] = []
      for _ in 0..<count {
        let value: Int64 =
          switch random.below(4) {
          case 0: Int64(random.below(5))
          case 1: -Int64(random.below(1_000))
          case 2: 5_000_000_000 + Int64(random.below(1_000))
          default: Int64(random.below(1_000_000))
          }
        durations.add(value)
        all.append(value)
      }
      all.sort()
      for percent in [1, 50, 95, 100] {
        let rank = Int((Double(count * percent) / 100).rounded(.up))
        #expect(durations.percentile(percent) == all[rank - 1])
      }
    }
  }

  @Test(arguments: [
    "", "{", "{}", "[]", "null", "{\"nbytes\":", "{\"nbytes\":1e3}", "{\"startstops\":[{}]}",
    "{\"startstops\":{\"$tuple\":5}}", "{\"worker\":\"\\",
    "{\"startstops\":[{\"action\":\"compute\"",
    "{\"a\":[[[[\"nbytes\"]]],\"nbytes\":7}", "{\"nbytes\":99999999999999999999}",
  ])
  func `args that are not an outcome do no harm`(text: String) {
    var bytes = Array(text.utf8) + [0]
    bytes.withUnsafeMutableBufferPointer {
      let scan = OutcomeScan(UnsafeBufferPointer(rebasing: $0.dropLast()))
      #expect(scan.computeSeconds == 0 && !scan.hasCompute)
    }
  }
}
