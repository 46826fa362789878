import TaskLogPlugin
import TestSupport

@testable import EventLog

/// Random events of a scheduler of Dask that mostly fit together: tasks of several prefixes with inputs,
/// restrictions and actors, on workers that join, pause and leave, with steals and heartbeats.
struct RandomRun {
  private var random: SplitMix64
  private(set) var events: [Event] = []
  private var workers: [String] = []
  private var joined = 0
  private var states: [Key: State] = [:]
  private var places: [Key: String] = [:]
  private var keys: [Key] = []
  private var graphs = 0

  init(_ random: SplitMix64, count: Int) {
    self.random = random
    attach()
    for _ in 0..<4 { join() }
    while events.count < count { step() }
  }

  private func arguments(_ pairs: KeyValuePairs<String, Value>) -> Args {
    Args(named: pairs.map { .init($0.key, $0.value) })
  }

  private mutating func add(
    _ hook: Hook, key: Key? = nil, worker: String? = nil, args: Args = .none,
    snapshot: Snapshot = .none
  ) {
    events.append(
      Event(
        hook, time: Int64(events.count) * 1_000_000, key: key, worker: worker, args: args,
        snapshot: snapshot))
  }

  private mutating func attach() {
    guard random.once(in: 2) else { return }
    let saturation = random.pick([Double.infinity, 1.0, 1.5])
    add(
      .attach, args: arguments(["nTasks": 7, "bandwidth": 1e7]),
      snapshot: .other(
        .object([
          "attach": .object([
            "settings": .object([
              "WORKER_SATURATION": .double(saturation), "UNKNOWN_TASK_DURATION": 0.25,
              "durations": .object(["load": "20 ms"]),
            ]),
            "prefixes": .object(["sum": .object(["duration_average": 3.5, "max_exec_time": 5])]),
          ])
        ])))
  }

  // MARK: - Workers

  private mutating func join() {
    joined += 1
    // Some come back under the same address.
    let address = "tcp://w:\(random.below(3) == 0 ? joined % 5 : joined)"
    guard !workers.contains(address) else { return }
    workers.append(address)
    let threads = Int64(1 + random.below(3))
    let status = random.once(in: 8) ? "paused" : "running"
    add(
      .addWorker, worker: address,
      snapshot: .other(
        .object([
          "worker": .object([
            "address": .string(address), "name": .string("name-\(joined)"),
            "nthreads": .int(threads), "serverID": .string("Worker-\(joined)"),
            "host": .string("h\(joined % 2)"), "pid": 1, "memoryLimit": 0,
            "status": .string(status),
            "resources": .dict(joined % 3 == 0 ? [.init("GPU", 1)] : []),
            "metrics": .object([
              "bandwidth": .object(["total": .double(Double(1 + random.below(9)) * 1e7)])
            ]),
          ])
        ])))
  }

  private mutating func leave() {
    guard workers.count > 2 else { return }
    let address = workers.remove(at: random.below(workers.count))
    add(
      .stimulus, worker: address,
      args: arguments(["op": "remove-worker", "expected": .bool(random.once(in: 2))]))
    for (key, place) in places.sorted(by: { $0.key.text < $1.key.text }) where place == address {
      if states[key] == .processing { move(key, .released) }
      places[key] = nil
    }
    add(.removeWorker, worker: address)
  }

  // MARK: - Tasks

  private mutating func submit() {
    graphs += 1
    let prefix = random.pick(["load", "sum", "join", "map"])
    let isMany = random.once(in: 3)
    let new = (0..<(1 + random.below(isMany ? 30 : 4))).map { Key("\(prefix)-\(graphs)", $0) }
    let terms = terms()
    let recent = Array(keys.suffix(40))
    let graph = new.map { key -> Value in
      let count = isMany || recent.isEmpty ? 0 : random.below(4)
      let inputs = Set((0..<count).map { _ in random.pick(recent) })
      return .dict(
        [
          .init("key", key.value),
          .init("dependencies", .list(inputs.map(\.value).sorted { "\($0)" < "\($1)" })),
        ] + terms)
    }
    add(
      .updateGraph,
      args: arguments([
        "client": "c", "keys": .list([]), "tasks": .list(new.map(\.value)),
      ]), snapshot: .other(.object(["graph": .list(graph)])))
    for key in new { states[key] = .released }
    keys += new
  }

  private mutating func terms() -> [Value.Entry] {
    switch random.below(9) {
    case 0:
      return [
        .init("workerRestrictions", .list([.string(random.pick(workers))])),
        .init("looseRestrictions", .bool(random.once(in: 2))),
      ]
    case 1: return [.init("resourceRestrictions", .object(["GPU": 1]))]
    case 2: return [.init("actor", true)]
    case 3: return [.init("hostRestrictions", .list(["h1"]))]
    case 4: return [.init("queueable", false)]
    case 5: return [.init("dataProducer", true)]
    default: return []
    }
  }

  private mutating func move(
    _ key: Key, _ finish: State, worker: String? = nil, args: Args = .none
  ) {
    events.append(
      Event(
        .transition, time: Int64(events.count) * 1_000_000, key: key, start: states[key],
        finish: finish, worker: worker, args: args))
    states[key] = finish == .forgotten ? nil : finish
  }

  private mutating func advance() {
    guard !keys.isEmpty else { return submit() }
    let index = random.below(keys.count)
    let key = keys[index]
    switch states[key] {
    case .released: move(key, random.once(in: 12) ? .forgotten : .waiting)
    case .waiting where random.once(in: 4): move(key, random.once(in: 3) ? .noWorker : .queued)
    case .waiting, .queued, .noWorker:
      let worker = random.pick(workers)
      move(key, .processing, worker: worker)
      places[key] = worker
    case .processing: work(key)
    case .memory:
      guard random.once(in: 3) else { return replicate(key) }
      move(key, .released)
    default: keys.remove(at: index)
    }
  }

  private mutating func work(_ key: Key) {
    guard let worker = places[key] else { return }
    switch random.below(10) {
    case 0:
      let thief = random.pick(workers)
      add(
        .logEvent, key: key,
        args: arguments([
          "topic": "stealing",
          "message": .tuple([
            "request",
            .list([
              .tuple([
                1, 1, key.value, 0.5, .string(worker), 2.5, .string(thief),
                .double(Double(random.below(9)) / 7),
              ])
            ]),
          ]),
        ]))
      guard random.once(in: 2) else { return }
      add(
        .logEvent, key: key,
        args: arguments([
          "topic": "stealing",
          "message": .tuple(["confirm", key.value, "v", .string(worker), .string(thief)]),
        ]))
      places[key] = thief
    case 1:
      add(
        .stimulus, key: key, worker: worker,
        args: arguments(["op": "long-running", "compute_duration": 1.25]))
    case 2: move(key, .erred, args: arguments(["worker": .string(worker)]))
    case 3: move(key, .released)
    default:
      let start = Double(events.count)
      let span = StartStop(
        action: "compute", start: start, stop: start + Double(random.below(999)) / 97)
      move(
        key, .memory, worker: worker,
        args: arguments([
          "worker": .string(worker), "nbytes": .int(Int64(random.below(9_000_000))),
          "startstops": .list([span.value]),
        ]))
    }
  }

  private mutating func replicate(_ key: Key) {
    add(random.once(in: 4) ? .removeReplica : .addReplica, key: key, worker: random.pick(workers))
  }

  // MARK: - A step

  private mutating func step() {
    switch random.below(40) {
    case 0: join()
    case 1: leave()
    case 2...4: submit()
    case 5:
      add(
        .stimulus, worker: random.pick(workers),
        args: arguments([
          "op": "worker-status-change", "status": .string(random.pick(["paused", "running"])),
        ]))
    case 6:
      let running = keys.filter { states[$0] == .processing }.prefix(2)
      add(
        .heartbeat, worker: random.pick(workers),
        args: arguments([
          "bandwidth": .double(1e6 * Double(1 + random.below(99))),
          "executing": .dict(running.map { .init($0.value, .double(Double(random.below(30)))) }),
        ]))
    case 7:
      add(
        .stimulus, worker: random.pick(workers),
        args: arguments(["op": "check-idle-saturated", "idle": .bool(random.once(in: 2))]))
    case 8 where random.once(in: 30): add(.restart)
    default: advance()
    }
  }
}
