import Glibc
import Synchronization
import TaskLogKit
import TestSupport
import Testing

/// Runs with everything that can happen to a task, recorded live and replayed.
@Suite struct WholeRunTests {
  @Test func `every field of every task has in each hook its live value`() async throws {
    let log = try TemporaryLog()
    let live = try await log.recordWholeRun()
    let result = try await log.replay(
      (SchedulerProbe.self, [:]), (EveryTask.self, [:]), (Maps.self, [:]), (Counter.self, [:]))
    #expect(result.failureCount == 0)
    #expect(result.mismatchCount == 0)
    #expect(result.unknown.isEmpty)
    for (name, report) in live.scheduler {
      let names = ["probe": "SchedulerProbe", "counter": "Counter"]
      let replayed = result.reports.first { $0.plugin == names[name] ?? name }?.report
      // The first different line is more helpful than all of them.
      let pairs = zip(report.elements ?? [], replayed?.elements ?? [])
      if let parting = pairs.enumerated().first(where: { $1.0 != $1.1 }) {
        Issue.record("\(name), line \(parting.offset):\n\(parting.element.0)\n\(parting.element.1)")
      }
      #expect(replayed == report, "\(name)")
    }
    #expect(live.scheduler.map(\.name) == ["probe", "EveryTask", "Maps", "counter"])
    let lines = live.scheduler.first { $0.name == "EveryTask" }?.report.elements ?? []
    #expect(lines.count > 300)
  }

  @Test func `every field of every task of a worker has in each hook its live value`()
    async throws
  {
    let log = try TemporaryLog()
    let live = try await log.recordWholeRun()
    let result = try await log.replay((EveryWorkerTask.self, [:]), (ErrorLogger.self, [:]))
    let replayed = result.reports.filter { $0.plugin == "EveryWorkerTask" }
    // Including those of killed workers and of those before the restart.
    #expect(replayed.count >= 6)
    #expect(Set(replayed.compactMap(\.worker)) == Set(live.workers.keys))
    for report in replayed {
      #expect(TemporaryLog.lines(report.report) == live.workers[report.worker ?? ""])
    }
    for (worker, report) in live.errors {
      #expect(
        result.reports.first { $0.plugin == "ErrorLogger" && $0.worker == worker }?.report
          == report)
    }
  }

  @Test func `plugins see the same in each replay, whatever other plugins there are`()
    async throws
  {
    let log = try TemporaryLog()
    _ = try await log.recordWholeRun()
    let alone = try await log.replay((EveryTask.self, [:]))
    let others = try await log.replay(
      (Counter.self, [:]), (EveryWorkerTask.self, [:]), (EveryTask.self, [:]))
    #expect(alone.reports.first?.report == others.reports.last { $0.plugin == "EveryTask" }?.report)
  }
}

/// Reads every field of every task of the scheduler in each hook; each is recorded as a line with a
/// hash of all of it.
final class EveryTask: SchedulerPlugin {
  private var scheduler: Scheduler?
  private var lines: [Value] = []

  func start(scheduler: Scheduler) { self.scheduler = scheduler }
  func addWorker(scheduler: Scheduler, worker: String) { note("addWorker") }
  func removeWorker(scheduler: Scheduler, worker: String, stimulusID: String) {
    note("removeWorker")
  }
  func restart(scheduler: Scheduler) { note("restart") }
  func logEvent(topic: String, message: Value) { note("logEvent") }
  func updateGraph(
    scheduler: Scheduler, client: String, keys: [Key], tasks: [Key], annotations: Value,
    priority: OrderedMap<Key, Priority>, stimulusID: String, args: Args
  ) { note("updateGraph") }
  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    note("\(key) \(start) \(finish)")
  }

  private func note(_ what: String) {
    guard let state = scheduler?.state else { return }
    let all = state.tasks.map { Dump.task($0.1) } + [Dump.cluster(state)]
    lines.append(.string("\(what) \(digest(all))"))
  }

  func report() -> Value { .list(lines) }
}

final class EveryWorkerTask: WorkerPlugin {
  private var worker: Worker?
  private var notes: Notes?
  private var lines: [Value] = []

  init() {}
  init(notes: Notes) { self.notes = notes }

  func setup(worker: Worker) { self.worker = worker }
  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    guard let worker else { return }
    let all = worker.tasks.map { Dump.task($0.1) }
    let line = "\(key) \(start) \(finish) \(digest(all))"
    lines.append(.string(line))
    notes?.add(line, for: worker.address)
  }

  func report() -> Value { .list(lines) }
}

/// FNV-1a: equal for equal text in every process.
private func digest(_ lines: [String]) -> UInt64 {
  var hash: UInt64 = 0xcbf2_9ce4_8422_2325
  for line in lines {
    for byte in line.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
  }
  return hash
}

/// Keeps dictionaries that change all the time.
private final class Maps: SchedulerPlugin {
  private var steps: [String: [String: Int]] = [:]
  private var last: [Key: State] = [:]
  private var seconds: [String: Double] = [:]

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    steps[key.prefix, default: [:]]["\(start) \(finish)", default: 0] += 1
    last[key] = finish == .forgotten ? nil : finish
    for span in args["startstops"]?.elements ?? [] {
      guard let span = StartStop(span) else { continue }
      seconds[span.action, default: 0] += span.stop - span.start
    }
  }
  func restart(scheduler: Scheduler) { last = [:] }
}

/// What the plugins saw of a whole run.
struct WholeRun {
  var scheduler: [(name: String, report: Value)]
  var workers: [String: [String]]
  var errors: [(worker: String, report: Value)]
}

extension TemporaryLog {
  /// Errors, retries, data from outside, workers that join, leave and die with tasks, tasks that
  /// are cancelled, a restart.
  func recordWholeRun() async throws -> WholeRun {
    let notes = Notes()
    let cluster = try await LocalCluster(
      workers: 3, recorder: Recorder(log: path),
      plugins: [SchedulerProbe(), EveryTask(), Maps(), Counter()])
    let client = cluster.client
    await client.registerPlugin { EveryWorkerTask(notes: notes) }
    await client.registerPlugin { ErrorLogger() }

    let numbers = client.map("square", Array(0..<20)) { number in
      if number % 7 == 3 { throw Wrong(description: "\(number) is wrong") }
      return number * number
    }
    for number in numbers { _ = try? await number.result() }
    let tries = Mutex(0)
    let flaky = client.submit("flaky", retries: 3) { () -> Int in
      let attempt = tries.withLock {
        $0 += 1
        return $0
      }
      if attempt < 3 { throw Wrong(description: "try \(attempt)") }
      return attempt
    }
    #expect(try await flaky.result() == 3)
    let data = try await client.scatter([1, 2, 3])
    let sum = client.submit("sum", all: data) { $0.reduce(0, +) }
    #expect(try await sum.result() == 6)

    // A worker dies with its tasks and results.
    let gate = Gate()
    let held = client.map("held", Array(0..<12)) { $0 }
    for future in held { _ = try await future.result() }
    let slow = client.map("slow", Array(0..<6)) { (number: Int) -> Int in
      gate.wait()
      return number
    }
    let after = client.submit("after", all: slow + held) { $0.count }
    try await eventually("a task that waits at the gate") { gate.waiting > 0 }
    let addresses = await cluster.workers
    try await cluster.killWorker(addresses[0])
    try await cluster.addWorker()
    gate.open()
    #expect(try await after.result() == 18)
    try await cluster.removeWorker(addresses[1])
    let cancelled = client.submit("cancelled") { () -> Int in 1 }
    client.cancel([cancelled])
    _ = try? await cancelled.result()
    withExtendedLifetime((numbers, data, held, slow)) {}

    try await cluster.restart()
    let again = client.map("again", Array(0..<8)) { $0 + 1 }
    for future in again { _ = try await future.result() }
    let reports = await cluster.workerReports()
    await cluster.close()
    let scheduler = await cluster.scheduler.reports()
    return WholeRun(
      scheduler: scheduler, workers: notes.all,
      errors: reports.filter { $0.name == "errors" }.map { ($0.worker, $0.report) })
  }
}

/// Blocks the threads of tasks until it is opened.
private final class Gate: Sendable {
  private let state = Mutex((isOpen: false, waiting: 0))

  var waiting: Int { state.withLock { $0.waiting } }

  func wait() {
    state.withLock { $0.waiting += 1 }
    while !state.withLock({ $0.isOpen }) { usleep(500) }
  }

  func open() { state.withLock { $0.isOpen = true } }
}
