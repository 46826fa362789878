import EventLog
import Recording
import TaskLogPlugin
import TestSupport
import Testing

@testable import Scheduling

/// Our engine with a clock that only the test moves, recorded by a recorder: the cores of a scheduler and of
/// workers, whose tasks take as long as they are given, and whose messages take a millisecond.
///
/// What `SchedulerServer` and `WorkerServer` do with threads and the system's clock, this does in the order of
/// given times: every run of a situation gives the same log, at once.
final class TimedCluster {
  /// What a task does.
  struct Work {
    var seconds = 0.1
    var bytes: Int64 = 100
    /// How often it fails before it succeeds.
    var failures = 0
  }

  private struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  static let never = Double.infinity
  /// The address of the scheduler.
  static let scheduler = "inproc://localhost/1"
  /// Seconds that a message takes, and bytes of results that arrive in a second.
  var latency = 0.001
  var bandwidth = 100e6
  /// Seconds that the scheduler takes for each message.
  var schedulerSeconds = 0.0
  /// Seconds until a task that has a thread begins, as one that is `async` does if Swift's pool is busy.
  var startSeconds = 0.0
  /// Messages that do not arrive.
  var isLost: (TimedMessage) -> Bool = { _ in false }
  /// What tasks do; of others the default.
  var work: [Key: Work] = [:]
  /// The addresses of the workers that are there.
  private(set) var addresses: [String] = []
  let core: SchedulerCore

  /// The log.
  let path: String

  private let folder: TemporaryFolder
  private let recorder: Recorder
  private let threads: Int
  private let resources: [Resource]
  private let start: Int64
  private var now = 0.0
  private var steps: [(time: Double, order: Int, run: () throws -> Void)] = []
  private var stepCount = 0
  private var stimulusCount = 0
  private var workers: [String: TimedWorker] = [:]
  private var joined = 0
  private var failuresLeft: [Key: Int] = [:]
  /// When the scheduler has done what it was sent before.
  private var schedulerIsFree = 0.0
  private var isBalancing = false
  private var waiting: [(keys: Set<Key>, run: () throws -> Void)] = []
  private var done: Set<Key> = []

  init(
    workers: Int = 2, threads: Int = 1, resources: KeyValuePairs<String, Double> = [:],
    options: SchedulerCore.Options = .init(), recording: Recorder.Options = .init()
  ) throws {
    folder = try TemporaryFolder()
    path = folder("log.db")
    let recorder = try Recorder(log: path, options: recording)
    self.recorder = recorder
    self.threads = threads
    self.resources = resources.map { Resource($0.key, $0.value) }
    start = Time.now()
    let channel = recorder.channel(
      for: Source(kind: .scheduler, id: makeID("Scheduler"), address: Self.scheduler))
    core = SchedulerCore(options) { channel.record($0) }
    try handle(.start, "start")
    for _ in 0..<workers { try join() }
    try handle(.addClient("client"), "client-connect")
  }

  // MARK: - What situations are made of

  /// A worker joins.
  @discardableResult
  func join(threads: Int? = nil, resources: [Resource]? = nil) throws -> String {
    let address = "\(Self.scheduler)/\(joined)"
    let facts = WorkerSnapshot(
      address: address, name: .int(Int64(joined)), serverID: makeID("Worker"),
      nthreads: threads ?? self.threads, pid: 1, host: "localhost",
      resources: resources ?? self.resources)
    joined += 1
    let channel = recorder.channel(
      for: Source(kind: .worker, id: facts.serverID, address: address, name: facts.name))
    let worker = TimedWorker(WorkerCore(facts: facts) { channel.record($0) })
    worker.core.start(facts, time: time)
    workers[address] = worker
    addresses.append(address)
    try handle(.addWorker(facts), "worker-connect")
    return address
  }

  /// The process of a worker dies.
  func kill(_ address: String) throws {
    forget(address)
    try handle(.removeWorker(address: address, expected: false), "handle-worker-cleanup")
  }

  /// A worker is asked to leave.
  func remove(_ address: String) throws {
    workers[address]?.core.stop(time: time)
    forget(address)
    try handle(.removeWorker(address: address, expected: true), "handle-worker-cleanup")
  }

  func retire(_ address: String) throws { try handle(.retireWorkers([address]), "retire-workers") }

  private func forget(_ address: String) {
    workers[address] = nil
    addresses.removeAll { $0 == address }
  }

  /// A client submits tasks, each of which does the same.
  @discardableResult
  func submit(
    _ keys: [Key], needing inputs: [Key] = [], _ work: Work = Work(), client: String = "client",
    on workers: [String] = [], allowsOthers: Bool = false, resources: [Resource] = [],
    retries: Int = 0, priority: Double = 0
  ) throws -> [Key] {
    for key in keys {
      self.work[key] = work
      failuresLeft[key] = work.failures
    }
    let tasks = keys.map {
      NewTask(
        key: $0, dependencies: inputs, userPriority: priority, retries: retries, workers: workers,
        allowOtherWorkers: allowsOthers, resources: resources)
    }
    try submit(tasks, wanted: keys, client: client)
    return keys
  }

  /// A client submits a graph.
  func submit(_ tasks: [NewTask], wanted: [Key], client: String = "client") throws {
    try handle(.updateGraph(NewGraph(client: client, tasks: tasks, keys: wanted)), "update-graph")
  }

  func release(_ keys: [Key], client: String = "client") throws {
    try handle(.clientReleasesKeys(client: client, keys: keys), "client-releases-keys")
  }

  func connect(_ client: String) throws { try handle(.addClient(client), "client-connect") }

  /// A stimulus of a worker that was not sent.
  func inject(_ stimulus: WorkerStimulus, at address: String, _ name: String) throws {
    guard let worker = workers[address] else { return }
    try handle(stimulus, worker, stimulusID(name))
  }

  /// Names for tasks of a prefix.
  static func keys(_ prefix: String, _ count: Int) -> [Key] {
    (0..<count).map { Key("\(prefix)-\($0)") }
  }

  // MARK: - Time

  private var time: Int64 { start + Int64(now * 1e9) }
  private var seconds: Double { Double(time) / 1e9 }

  /// A moment, for analyses.
  func moment(_ seconds: Double) -> Int64 { start + Int64(seconds * 1e9) }

  func at(_ time: Double, _ run: @escaping () throws -> Void) {
    steps.append((max(now, time), stepCount, run))
    stepCount += 1
  }

  /// Once a client has these results, or knows that they failed.
  func after(_ keys: [Key], _ run: @escaping () throws -> Void) {
    waiting.append((Set(keys).subtracting(done), run))
  }

  /// Does everything that happens until a time.
  func run(until end: Double = 1000) throws {
    while let next = steps.indices.min(by: {
      (steps[$0].time, steps[$0].order) < (steps[$1].time, steps[$1].order)
    }), steps[next].time <= end {
      let step = steps.remove(at: next)
      now = max(now, step.time)
      guard stepCount < 200_000 else { throw Failure(description: "no end is in sight") }
      try step.run()
    }
    if end < 1000 { now = max(now, end) }
  }

  /// Writes the rest of the log, as it is: nothing is closed.
  func log() async throws -> LogReader {
    await recorder.finish()
    return try LogReader(path: path)
  }

  private func stimulusID(_ name: String) -> String {
    stimulusCount += 1
    return "\(name)-\(stimulusCount)"
  }

  // MARK: - The scheduler

  func handle(_ stimulus: SchedulerStimulus, _ name: String) throws {
    try handle(stimulus, id: stimulusID(name))
  }

  private func handle(_ stimulus: SchedulerStimulus, id: String) throws {
    for instruction in try core.handle(stimulus, stimulusID: id, time: time) {
      perform(instruction)
    }
    guard core.mayBalance, !isBalancing else { return }
    isBalancing = true
    at(now + 0.1) {
      self.isBalancing = false
      try self.handle(.balance, "stealing")
    }
  }

  /// Sends a stimulus to the scheduler, which does one after the other.
  private func send(_ stimulus: SchedulerStimulus, id: String) {
    guard !isLost(.toScheduler(stimulus)) else { return }
    let begins = max(now + latency, schedulerIsFree)
    schedulerIsFree = begins + schedulerSeconds
    at(schedulerIsFree) { try self.handle(stimulus, id: id) }
  }

  private func perform(_ instruction: SchedulerInstruction) {
    switch instruction {
    case .toWorker(let address, let stimulus, let id):
      guard !isLost(.toWorker(address, stimulus)) else { return }
      at(now + latency) {
        guard let worker = self.workers[address] else { return }
        try self.handle(stimulus, worker, id)
      }
    case .keyInMemory(_, let key), .taskErred(_, let key, _, _, _): settle(key)
    case .lostData(_, let key): done.remove(key)
    case .cancelled: break
    case .retired(let address, let succeeded):
      guard succeeded else { return }
      workers[address]?.core.stop(time: time)
      forget(address)
    }
  }

  private func settle(_ key: Key) {
    done.insert(key)
    for place in waiting.indices { waiting[place].keys.remove(key) }
    let ready = waiting.filter(\.keys.isEmpty)
    waiting.removeAll(where: \.keys.isEmpty)
    for each in ready { at(now + latency, each.run) }
  }

  // MARK: - Workers

  private func handle(_ stimulus: WorkerStimulus, _ worker: TimedWorker, _ id: String) throws {
    for instruction in try worker.core.handle(stimulus, stimulusID: id, time: time) {
      perform(instruction, worker)
    }
  }

  private func handle(_ stimulus: WorkerStimulus, _ worker: TimedWorker, name: String) throws {
    guard workers[worker.core.address] === worker else { return }
    try handle(stimulus, worker, stimulusID(name))
  }

  private func perform(_ instruction: WorkerInstruction, _ worker: TimedWorker) {
    let address = worker.core.address
    switch instruction {
    case .execute(let key, let run): execute(key, run, worker)
    case .gather(let from, let keys): gather(keys, from, worker)
    case .drop(let key): worker.held[key] = nil
    case .taskFinished(let message, let id): send(.taskFinished(message), id: id)
    case .taskErred(let message, let id): send(.taskErred(message), id: id)
    case .addKeys(let keys, let id): send(.addKeys(worker: address, keys: keys), id: id)
    case .requestRefreshWhoHas(let keys, let id):
      send(.requestRefreshWhoHas(worker: address, keys: keys), id: id)
    case .reschedule(let key, let id): send(.reschedule(worker: address, key: key), id: id)
    case .longRunning(let message, let id): send(.longRunning(message), id: id)
    case .stealResponse(let key, let state, let id):
      send(.stealResponse(worker: address, key: key, state: state, stimulusID: id), id: id)
    }
  }

  private func execute(_ key: Key, _ run: Int64, _ worker: TimedWorker) {
    let work = work[key] ?? Work()
    let begins = now + startSeconds
    at(begins + work.seconds) {
      let (start, stop) = (Double(self.moment(begins)) / 1e9, self.seconds)
      if let left = self.failuresLeft[key], left > 0 {
        self.failuresLeft[key] = left - 1
        let failure = ExecuteFailure(
          key: key, taskRunID: run, exceptionType: "Broken", exceptionText: "broken on purpose",
          tracebackText: "task '\(key)'", thread: 1, start: start, stop: stop)
        return try self.handle(.executeFailure(failure), worker, name: "task-erred")
      }
      worker.held[key] = work.bytes
      let success = ExecuteSuccess(
        key: key, taskRunID: run, nbytes: work.bytes, type: "Int", typeName: "Int", thread: 1,
        start: start, stop: stop)
      try self.handle(.executeSuccess(success), worker, name: "task-finished")
    }
  }

  private func gather(_ keys: [Key], _ from: String, _ worker: TimedWorker) {
    guard !isLost(.request(from: from, by: worker.core.address)) else { return }
    let begins = seconds
    let bytes = keys.reduce(0) { $0 + (workers[from]?.held[$1] ?? 0) }
    at(now + 2 * latency + Double(bytes) / bandwidth) {
      let values = keys.compactMap { key in
        self.workers[from]?.held[key].map { (key, $0) }
      }
      for (key, bytes) in values { worker.held[key] = bytes }
      try self.handle(
        .gatherSuccess(worker: from, nbytes: values, start: begins, stop: self.seconds), worker,
        name: "gather-dep-success")
    }
  }
}

/// What may be lost on its way.
enum TimedMessage {
  case toScheduler(SchedulerStimulus)
  case toWorker(String, WorkerStimulus)
  case request(from: String, by: String)
}

/// A worker, and the sizes of the results that it holds.
final class TimedWorker {
  let core: WorkerCore
  var held: [Key: Int64] = [:]

  init(_ core: WorkerCore) { self.core = core }
}

/// `#expect` that both are equal: the macro does not show what comes with `try await`.
func expect<T: Equatable>(
  _ value: T, is expected: T, at location: SourceLocation = #_sourceLocation
) {
  #expect(value == expected, sourceLocation: location)
}
