import Testing

@testable import Scheduling
@testable import TaskLogPlugin

/// Dask's choice of a worker, on literal events as a recorder of Dask writes them.
@Suite struct DaskRulesTests {
  private let rules = DaskRules()

  // MARK: - Events

  private func join(_ worker: String, threads: Int = 1) {
    rules.apply(
      Event(
        .addWorker, time: 0, worker: worker,
        snapshot: .worker(
          WorkerSnapshot(
            address: worker, name: .string(worker), serverID: worker, nthreads: threads))))
  }

  /// Tasks with their inputs, with the fields of a graph.
  private func submit(_ tasks: KeyValuePairs<Key, [Key]>, _ fields: [Value.Entry] = []) {
    let graph = tasks.map { key, inputs in
      Value.dict(
        [.init("key", key.value), .init("dependencies", .list(inputs.map(\.value)))] + fields)
    }
    rules.apply(
      Event(
        .updateGraph, time: 0,
        args: Args(named: [
          .init("client", "c"), .init("keys", .list([])),
          .init("tasks", .list(tasks.map(\.key.value))),
        ]), snapshot: .other(.object(["graph": .list(graph)]))))
    for (key, _) in tasks { rules.apply(Self.transition(key, .released, .waiting)) }
  }

  private static func transition(
    _ key: Key, _ start: State, _ finish: State, on worker: String? = nil, args: Args = .none
  ) -> Event {
    Event(.transition, time: 0, key: key, start: start, finish: finish, worker: worker, args: args)
  }

  private func send(_ key: Key, to worker: String, from start: State = .waiting) {
    rules.apply(Self.transition(key, start, .processing, on: worker))
  }

  private func finish(_ key: Key, on worker: String, bytes: Int64, seconds: Double) {
    let span = StartStop(action: "compute", start: 1000, stop: 1000 + seconds)
    rules.apply(
      Self.transition(
        key, .processing, .memory,
        args: Args(named: [
          .init("worker", .string(worker)), .init("nbytes", .int(bytes)),
          .init("startstops", .list([span.value])),
        ])))
  }

  /// A result of a size on a worker, from a task that took half a second.
  private func hold(_ key: Key, on worker: String, bytes: Int64) {
    submit([key: []])
    send(key, to: worker)
    finish(key, on: worker, bytes: bytes, seconds: 0.5)
  }

  private func choice(_ key: Key, from start: State = .waiting) -> Placement {
    rules.placement(
      of: rules.state.tasks[key]!, at: Self.transition(key, start, .processing))
  }

  /// The candidates, the best with a star: when the task can start on each.
  private func told(_ placement: Placement) -> [String] {
    placement.candidates.map { "\($0.address)\($0.isBest ? "*" : "") \($0.start)" }
  }

  private func occupancy(_ worker: String) -> Double {
    rules.occupancy(of: rules.state.workers[worker]!)
  }

  // MARK: - Estimates

  @Test func `the duration of a prefix is halfway between the last one and the average before`() {
    join("w")
    #expect(rules.duration("x") == 0.5)
    for (number, seconds) in [1.0, 3, 0].enumerated() {
      let key = Key("x", number)
      submit([key: []])
      send(key, to: "w")
      finish(key, on: "w", bytes: 1, seconds: seconds)
    }
    #expect(rules.duration("x") == 1)
  }

  @Test func `a task that runs more than twice as long as others makes the duration unknown`() {
    join("w")
    hold(Key("x", 0), on: "w", bytes: 1)
    submit([Key("x", 1): []])
    send(Key("x", 1), to: "w")
    func beat(_ seconds: Double) {
      rules.apply(
        Event(
          .heartbeat, time: 0, worker: "w",
          args: Args(named: [
            .init("executing", .dict([.init(Key("x", 1).value, .double(seconds))])),
            .init("bandwidth", .double(1000)),
          ])))
    }
    beat(0.9)
    #expect(rules.duration("x") == 0.5)
    beat(1.5)
    #expect(rules.duration("x") == 3)
    #expect(rules.settings.bandwidth == 1000)
  }

  @Test func `a worker is occupied by its tasks and by each input that it has to fetch, once`() {
    join("v")
    join("w")
    hold("a", on: "v", bytes: 100_000_000)
    submit(["x-1": ["a"], "x-2": ["a"]])
    #expect(occupancy("w") == 0)
    send("x-1", to: "w")
    #expect(occupancy("w") == 1.5)
    send("x-2", to: "w")
    #expect(occupancy("w") == 2)
    rules.apply(Event(.addReplica, time: 0, key: "a", worker: "w"))
    #expect(occupancy("w") == 1)
    rules.apply(
      Event(
        .stimulus, time: 0, key: "x-1", worker: "w",
        args: Args(named: [.init("op", "long-running"), .init("compute_duration", .double(0.1))])))
    #expect(occupancy("w") == 0.1)
    rules.apply(Self.transition("x-1", .processing, .released))
    rules.apply(Self.transition("x-2", .processing, .released))
    #expect(occupancy("w") == 0)
  }

  @Test func `a stolen task occupies the thief`() {
    join("v")
    join("w")
    submit(["x": []])
    send("x", to: "v")
    rules.apply(
      Event(
        .logEvent, time: 0, key: "x",
        args: Args(named: [
          .init("topic", "stealing"),
          .init("message", .tuple(["confirm", "x", "ready", "v", "w", "steal-1"])),
        ])))
    #expect((occupancy("v"), occupancy("w")) == (0, 0.5))
    #expect(rules.idle.keys.sorted() == ["v"])
  }

  // MARK: - Rules

  @Test func `a task goes where its work and its missing inputs let it start soonest`() {
    for worker in ["u", "v", "w"] { join(worker) }
    hold("a", on: "v", bytes: 300_000_000)
    hold("b", on: "w", bytes: 100_000_000)
    submit(["busy": []])
    send("busy", to: "v")
    submit(["x": ["a", "b"]])
    let placement = choice("x")
    #expect(told(placement) == ["v* 1.5", "w 3.0"])
    #expect(placement.rule == .soonest)
    #expect(placement.needsInputs)
    #expect(placement.others == 1)
    #expect(placement.candidates.map(\.missingBytes) == [100_000_000, 300_000_000])
  }

  @Test func `of two workers with the same start the one with less data is better`() {
    for worker in ["v", "w"] { join(worker) }
    hold("a", on: "v", bytes: 1000)
    hold("b", on: "w", bytes: 1000)
    submit(["x": ["a", "b"]])
    #expect(choice("x").best.map(\.address) == ["v", "w"])
    hold("more", on: "v", bytes: 1)
    #expect(choice("x").best.map(\.address) == ["w"])
  }

  @Test func `restrictions count before inputs, and are loosened only if no worker is left`() {
    for worker in ["u", "v"] { join(worker) }
    hold("a", on: "v", bytes: 1000)
    submit(["x": ["a"]], [.init("workerRestrictions", .list(["u"]))])
    #expect(choice("x").best.map(\.address) == ["u"])
    #expect(choice("x").isRestricted)
    submit(["y": ["a"]], [.init("workerRestrictions", .list(["gone"]))])
    #expect(choice("y").candidates.isEmpty)
    submit(
      ["z": ["a"]],
      [.init("workerRestrictions", .list(["gone"])), .init("looseRestrictions", true)])
    #expect(choice("z").best.map(\.address) == ["v"])
  }

  @Test func `workers without work take turns, and else the one with the least work is taken`() {
    for worker in ["u", "v", "w"] { join(worker, threads: 2) }
    var chosen: [String] = []
    for number in 0..<4 {
      let key = Key("x", number)
      submit([key: []])
      let placement = choice(key)
      chosen.append("\(placement.rule.rawValue) \(placement.best.map(\.address))")
      send(key, to: placement.best[0].address)
    }
    #expect(
      chosen == [
        "in-turn [\"u\"]", "in-turn [\"v\"]", "in-turn [\"w\"]", "least-work [\"u\"]",
      ])
  }

  @Test func `a worker that is not idle gets no task without inputs`() {
    for worker in ["u", "v"] { join(worker) }
    submit(["x": [], "y": []])
    send("x", to: "u")
    #expect(told(choice("y")) == ["v* 0.0"])
    #expect(choice("y").others == 1)
  }

  private func submitMany(_ fields: [Value.Entry] = []) {
    let keys = (0..<9).map { Key("m", $0) }
    for key in keys.dropLast() { submit([key: []], fields) }
    submit([keys[8]: []], fields)
  }

  @Test func `one of many tasks goes to the worker with the fewest tasks per thread`() {
    join("u", threads: 1)
    join("v", threads: 2)
    submitMany()
    var placement = choice(Key("m", 0))
    #expect(placement.rule == .freeThread)
    #expect(placement.isRootish)
    #expect(placement.best.map(\.address) == ["u", "v"])
    send(Key("m", 0), to: "v")
    #expect(choice(Key("m", 1)).best.map(\.address) == ["u"])
    for number in 1...2 { send(Key("m", number), to: "u") }
    // With two tasks, one more than its thread, it is full.
    placement = choice(Key("m", 3), from: .queued)
    #expect(placement.candidates.map(\.address) == ["v"])
    for number in 3...4 { send(Key("m", number), to: "v") }
    #expect(choice(Key("m", 5), from: .queued).candidates.isEmpty)
  }

  @Test func `without a queue the tasks of a group stay on a worker for its share of them`() {
    rules.apply(
      Event(
        .attach, time: 0, args: Args(named: [.init("workerSaturation", .double(.infinity))]),
        snapshot: .other(.object(["attach": .object(["tasks": .list([])])]))))
    for worker in ["u", "v"] { join(worker) }
    submitMany()
    var chosen: [String] = []
    for number in 0..<9 {
      let placement = choice(Key("m", number))
      #expect(placement.rule == .group)
      chosen.append(placement.best.map(\.address).joined(separator: "|"))
      send(Key("m", number), to: placement.best[0].address)
    }
    // Nine tasks for two threads: four each, and a new choice after them.
    #expect(chosen == ["u|v", "u", "u", "u", "v", "v", "v", "v", "u|v"])
  }

  @Test func `a task that may not be queued is not, and one that makes data is root-ish`() {
    for worker in ["u", "v"] { join(worker) }
    submitMany([.init("queueable", false)])
    #expect(choice(Key("m", 0)).rule == .group)
    submit(["single": []], [.init("dataProducer", true)])
    #expect(choice("single").rule == .freeThread)
  }

  @Test(arguments: [Int64.min, -1, .max])
  func `a choice is made whatever number of tasks a log says was sent`(count: Int64) {
    rules.apply(
      Event(
        .attach, time: 0, args: Args(named: [.init("nTasks", .int(count))]),
        snapshot: .other(.object(["attach": .object(["tasks": .list([])])]))))
    for worker in ["u", "v", "w"] { join(worker) }
    submit(["a": []])
    #expect(choice("a").best.count == 1)
  }

  @Test func `what is known when a recorder is attached counts`() {
    rules.apply(
      Event(
        .attach, time: 0,
        args: Args(named: [.init("nTasks", 5), .init("bandwidth", .double(1e6))]),
        snapshot: .other(
          .object([
            "attach": .object([
              "workers": .list([
                .object(["address": "u", "nthreads": 1, "status": "running"]),
                .object(["address": "v", "nthreads": 1, "status": "running"]),
              ]),
              "tasks": .list([
                .object([
                  "key": "a", "state": "memory", "nbytes": 1_000_000, "whoHas": .list(["u"]),
                ]),
                .object([
                  "key": "x-1", "state": "processing", "processingOn": "v",
                  "dependencies": .list(["a"]),
                ]),
              ]),
              "prefixes": .object(["x": .object(["duration_average": .double(2)])]),
              "settings": .object([
                "durations": .object(["y": "20ms"]), "UNKNOWN_TASK_DURATION": .double(0.25),
              ]),
            ])
          ]))))
    #expect(occupancy("v") == 3)
    #expect(rules.sentCount == 5)
    #expect((rules.duration("y"), rules.duration("z")) == (0.02, 0.25))
  }
}
