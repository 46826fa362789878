import TestSupport
import Testing

@testable import TaskLogPlugin

/// Everything about a task that a plugin can look up, as one line.
private func line(_ task: TaskState?) -> String {
  guard let task else { return "none" }
  func keys(_ set: OrderedSet<TaskState>) -> String {
    set.map(\.key.text).joined(separator: ",")
  }
  let fields: [(String, String)] = [
    ("needs", keys(task.dependencies)), ("neededBy", keys(task.dependents)),
    ("waitingOn", keys(task.waitingOn)), ("waiters", keys(task.waiters)),
    ("whoWants", task.whoWants.map(\.id).joined(separator: ",")),
    ("whoHas", task.whoHas.map(\.address).joined(separator: ",")),
    ("on", task.processingOn?.address ?? ""),
    ("run", task.taskRunID == 0 ? "" : "\(task.taskRunID)"),
    ("nbytes", task.nbytes.map { "\($0)" } ?? ""), ("type", task.typeName ?? ""),
    ("exception", task.exceptionText ?? ""), ("traceback", task.tracebackText ?? ""),
    ("blame", task.exceptionBlame?.key.text ?? ""),
    ("erredOn", task.erredOn.joined(separator: ",")),
    ("lost", task.hasLostDependencies ? "yes" : ""),
  ]
  return "\(task.state)"
    + fields.filter { !$0.1.isEmpty }.map { " \($0.0)=\($0.1)" }.joined()
}

private func move(
  _ key: Key, _ start: State, _ finish: State, worker: String? = nil, run: Int64? = nil,
  args: [Args.Argument] = []
) -> Event {
  Event(
    .transition, time: 1, key: key, start: start, finish: finish, stimulusID: "s", worker: worker,
    taskRunID: run, args: Args(named: args))
}

private func finished(_ key: Key, nbytes: Int64, seconds: Double) -> Event {
  let span = StartStop(action: "compute", start: 10, stop: 10 + seconds)
  return move(
    key, .processing, .memory, worker: "w",
    args: [
      .init("worker", "w"), .init("nbytes", .int(nbytes)), .init("typename", "int"),
      .init("startstops", [span.value]),
    ])
}

/// A scheduler with a worker `w` and the chain a → b, of which a client wants b.
private func chain() -> SchedulerState {
  let state = SchedulerState()
  let facts = WorkerSnapshot(address: "w", name: 0, serverID: "Worker-1", nthreads: 2)
  state.apply(Event(.addWorker, time: 1, worker: "w", snapshot: .worker(facts)))
  state.apply(Event(.addClient, time: 1, args: Args(named: [.init("client", "c")])))
  state.apply(
    Event(
      .updateGraph, time: 1, args: Args(named: [.init("client", "c"), .init("keys", ["b-1"])]),
      snapshot: .graph([
        GraphTask(key: "a-1", priority: Priority([0, 1, 0]), retries: 2),
        GraphTask(
          key: "b-1", dependencies: ["a-1"], priority: Priority([0, 1, 1]),
          annotations: [.init("x", 1)], workerRestrictions: ["w"]),
      ])))
  return state
}

@Suite struct SchedulerStateTests {
  @Test func `a graph adds its tasks with everything that is known of them`() throws {
    let state = chain()
    let (a, b) = (try #require(state.tasks["a-1"]), try #require(state.tasks["b-1"]))
    #expect(line(a) == "released neededBy=b-1")
    #expect(line(b) == "released needs=a-1 whoWants=c")
    #expect(a.priority == Priority([0, 1, 0]))
    #expect((a.retries, b.retries) == (2, 0))
    #expect(b.annotations == [.init("x", 1)])
    #expect(b.workerRestrictions == ["w"])
    #expect(state.clients["c"]?.wantsWhat.map(\.key) == ["b-1"])
    #expect(state.groups.keys == ["a", "b"])
    #expect(state.prefixes["a"]?.states == [.released: 1])
    #expect(state.mismatchCount == 0)
  }

  @Test func `a chain runs from released to forgotten`() throws {
    let state = chain()
    let worker = try #require(state.workers["w"])
    let steps: [(event: Event, a: String, b: String)] = [
      (
        move("b-1", .released, .waiting),
        "released neededBy=b-1", "waiting needs=a-1 waitingOn=a-1 whoWants=c"
      ),
      (
        move("a-1", .released, .waiting),
        "waiting neededBy=b-1 waiters=b-1", "waiting needs=a-1 waitingOn=a-1 whoWants=c"
      ),
      (
        move("a-1", .waiting, .processing, worker: "w", run: 7),
        "processing neededBy=b-1 waiters=b-1 on=w run=7",
        "waiting needs=a-1 waitingOn=a-1 whoWants=c"
      ),
      (
        finished("a-1", nbytes: 28, seconds: 0.5),
        "memory neededBy=b-1 waiters=b-1 whoHas=w run=7 nbytes=28 type=int",
        "waiting needs=a-1 whoWants=c"
      ),
      (
        move("b-1", .waiting, .processing, worker: "w", run: 8),
        "memory neededBy=b-1 waiters=b-1 whoHas=w run=7 nbytes=28 type=int",
        "processing needs=a-1 whoWants=c on=w run=8"
      ),
      (
        finished("b-1", nbytes: 40, seconds: 1),
        "memory neededBy=b-1 whoHas=w run=7 nbytes=28 type=int",
        "memory needs=a-1 whoWants=c whoHas=w run=8 nbytes=40 type=int"
      ),
      (
        move("a-1", .memory, .released),
        "released neededBy=b-1 run=7 nbytes=28 type=int",
        "memory needs=a-1 whoWants=c whoHas=w run=8 nbytes=40 type=int"
      ),
      (
        Event(
          .clientReleasesKeys, time: 1,
          args: Args(named: [.init("client", "c"), .init("keys", ["b-1"])])),
        "released neededBy=b-1 run=7 nbytes=28 type=int",
        "memory needs=a-1 whoHas=w run=8 nbytes=40 type=int"
      ),
      (
        move("b-1", .memory, .released),
        "released neededBy=b-1 run=7 nbytes=28 type=int",
        "released needs=a-1 run=8 nbytes=40 type=int"
      ),
      (move("b-1", .released, .forgotten), "released run=7 nbytes=28 type=int", "none"),
      (move("a-1", .released, .forgotten), "none", "none"),
    ]
    for (event, a, b) in steps {
      state.apply(event)
      state.settle()
      let step = "\(event.key?.text ?? "") \(event.start?.name ?? "") \(event.finish?.name ?? "")"
      #expect(line(state.tasks["a-1"]) == a, "a-1 after \(step)")
      #expect(line(state.tasks["b-1"]) == b, "b-1 after \(step)")
      let tasks = state.tasks.values
      let processing = tasks.filter { $0.state == .processing }.map(\.key)
      #expect(worker.processing.map(\.key) == processing, "after \(step)")
      let held = tasks.filter { $0.state == .memory }
      #expect(Set(worker.hasWhat.map(\.key)) == Set(held.map(\.key)), "after \(step)")
      #expect(worker.nbytes == held.reduce(0) { $0 + ($1.nbytes ?? 0) }, "after \(step)")
    }
    #expect(state.mismatchCount == 0)
    #expect(state.transitionCounter == 10)
    #expect(state.tasks.isEmpty)
    #expect(state.groups.isEmpty)
    #expect(state.clients["c"]?.wantsWhat.isEmpty == true)
    let prefix = try #require(state.prefixes["a"])
    #expect(prefix.states.filter { $0.value != 0 } == [.forgotten: 1])
    #expect(prefix.durationAverage == 0.5)
    #expect(prefix.allDurations["compute"] == 0.5)
  }

  @Test func `a failure is blamed for its dependents, and cleared by a retry`() {
    let state = chain()
    let events = [
      move("b-1", .released, .waiting), move("a-1", .released, .waiting),
      move("a-1", .waiting, .processing, worker: "w"),
      move(
        "a-1", .processing, .erred, worker: "w",
        args: [
          .init("worker", "w"), .init("cause", "a-1"), .init("exception_text", "ZeroDivision"),
          .init("traceback_text", "line 1"),
        ]),
    ]
    for event in events { state.apply(event) }
    let erred =
      "erred neededBy=b-1 run=1 exception=ZeroDivision traceback=line 1 blame=a-1 erredOn=w"
    #expect(line(state.tasks["a-1"]) == erred)
    #expect(line(state.tasks["b-1"]) == "waiting needs=a-1 waitingOn=a-1 whoWants=c blame=a-1")
    #expect(state.workers["w"]?.processing.isEmpty == true)

    state.apply(move("b-1", .waiting, .released))
    state.apply(move("b-1", .released, .erred))
    #expect(line(state.tasks["a-1"]) == erred)
    #expect(line(state.tasks["b-1"]) == "erred needs=a-1 whoWants=c blame=a-1")

    state.apply(move("a-1", .erred, .released))
    state.apply(move("b-1", .erred, .released))
    // As in Dask the texts stay until it is run again.
    #expect(
      line(state.tasks["a-1"])
        == "released neededBy=b-1 run=1 exception=ZeroDivision traceback=line 1")
    #expect(line(state.tasks["b-1"]) == "released needs=a-1 whoWants=c")
    #expect(state.mismatchCount == 0)
  }

  @Test(arguments: [State.waiting, .queued, .noWorker])
  func `a task that fails on its way to a worker fits, though plugins are called twice`(
    _ start: State
  ) {
    let state = chain()
    var events = [move("b-1", .released, .waiting), move("a-1", .released, .waiting)]
    if start != .waiting { events.append(move("a-1", .waiting, start)) }
    // Dask's first transition takes place within the second one.
    events.append(
      move(
        "a-1", .processing, .erred, worker: "w",
        args: [.init("worker", "w"), .init("cause", "a-1"), .init("exception", .bytes([128]))]))
    for event in events { state.apply(event) }
    let erred = "erred neededBy=b-1 blame=a-1 erredOn=w"
    #expect(line(state.tasks["a-1"]) == erred)
    state.apply(move("a-1", start, .erred))
    #expect(line(state.tasks["a-1"]) == erred)
    #expect(line(state.tasks["b-1"]) == "waiting needs=a-1 waitingOn=a-1 whoWants=c blame=a-1")
    #expect(state.workers["w"]?.processing.isEmpty == true)
    #expect(state.queued.isEmpty && state.unrunnable.isEmpty)
    #expect(state.mismatchCount == 0)
    // The start state of the second one is not known: it does not fit.
    let other = chain()
    other.apply(move("a-1", start, .erred))
    #expect(other.mismatchCount == 1)
  }

  @Test func `a forgotten task can be looked up until the plugins were called`() throws {
    let state = chain()
    state.apply(move("b-1", .released, .forgotten))
    let task = try #require(state.tasks["b-1"])
    #expect(task.state == .forgotten)
    #expect(task.key == "b-1")
    #expect(task.dependencies.map(\.key) == ["a-1"])
    #expect(state.groups["b"] != nil)
    state.settle()
    #expect(state.tasks["b-1"] == nil)
    #expect(state.groups["b"] == nil)
    #expect(task.dependencies.isEmpty)
  }

  @Test func `a task that lost a dependency is marked`() {
    let state = chain()
    state.apply(move("a-1", .released, .forgotten))
    state.settle()
    #expect(line(state.tasks["b-1"]) == "released whoWants=c lost=yes")
  }

  @Test(arguments: [State.queued, .noWorker])
  func `a task that no worker can run is in one list until it leaves`(parked: State) {
    let state = chain()
    state.apply(move("a-1", .released, .waiting))
    state.apply(move("a-1", .waiting, parked))
    #expect(state.queued.map(\.key) == (parked == .queued ? ["a-1"] : []))
    #expect(state.unrunnable.map(\.key) == (parked == .noWorker ? ["a-1"] : []))
    state.apply(move("a-1", parked, .processing, worker: "w"))
    #expect(state.queued.isEmpty)
    #expect(state.unrunnable.isEmpty)
    #expect(state.mismatchCount == 0)
  }

  @Test func `a second replica is counted on its worker, and removed with it`() throws {
    let state = chain()
    let facts = WorkerSnapshot(address: "v", name: 1, serverID: "Worker-2", nthreads: 2)
    state.apply(Event(.addWorker, time: 1, worker: "v", snapshot: .worker(facts)))
    state.apply(move("a-1", .released, .waiting))
    state.apply(move("a-1", .waiting, .processing, worker: "w"))
    state.apply(finished("a-1", nbytes: 28, seconds: 1))
    let second = try #require(state.workers["v"])
    for _ in 0..<2 { state.apply(Event(.addReplica, time: 1, key: "a-1", worker: "v")) }
    #expect(state.tasks["a-1"]?.whoHas.map(\.address) == ["w", "v"])
    #expect(second.nbytes == 28)
    for _ in 0..<2 { state.apply(Event(.removeReplica, time: 1, key: "a-1", worker: "v")) }
    #expect(second.nbytes == 0)
    state.apply(Event(.addReplica, time: 1, key: "a-1", worker: "v"))
    state.apply(Event(.removeWorker, time: 1, worker: "v"))
    #expect(state.tasks["a-1"]?.whoHas.map(\.address) == ["w"])
    #expect(second.nbytes == 0)
    #expect(second.hasWhat.isEmpty)
    #expect(state.mismatchCount == 0)
  }

  @Test func `a client that leaves wants no task any more`() {
    let state = chain()
    state.apply(Event(.removeClient, time: 1, args: Args(named: [.init("client", "c")])))
    #expect(state.clients.isEmpty)
    #expect(state.tasks["b-1"]?.whoWants.isEmpty == true)
  }

  @Test func `a transition that ends where it began changes nothing`() {
    let state = chain()
    state.apply(move("a-1", .released, .released))
    #expect(line(state.tasks["a-1"]) == "released neededBy=b-1")
    #expect(state.transitionCounter == 1)
    #expect(state.mismatchCount == 0)
  }
}

@Suite struct SchedulerMisfitTests {
  private static let mismatchCount: [Event] = [
    Event(.transition, time: 1), Event(.transition, time: 1, key: "a-1", start: .released),
    Event(.transition, time: 1, start: .released, finish: .waiting),
    move("unknown", .waiting, .released), move("a-1", .memory, .released),
    move("a-1", .released, .processing), move("a-1", .released, .processing, worker: "unknown"),
    move("a-1", .other("new"), .other("newer")),
    Event(.updateGraph, time: 1), Event(.updateGraph, time: 1, snapshot: .other(1)),
    Event(.updateGraph, time: 1, snapshot: .encoded(EncodedJSON("{"))),
    Event(.addWorker, time: 1), Event(.addWorker, time: 1, worker: "v"),
    Event(.removeWorker, time: 1), Event(.removeWorker, time: 1, worker: "unknown"),
    Event(.addClient, time: 1), Event(.removeClient, time: 1),
    Event(.removeClient, time: 1, args: Args(named: [.init("client", "unknown")])),
    Event(.clientDesiresKeys, time: 1), Event(.clientReleasesKeys, time: 1),
    Event(.addReplica, time: 1), Event(.addReplica, time: 1, key: "a-1", worker: "unknown"),
    Event(.removeReplica, time: 1, key: "unknown", worker: "w"),
  ]

  @Test(arguments: mismatchCount.indices)
  func `an event that does not fit is counted`(place: Int) {
    let state = chain()
    state.apply(Self.mismatchCount[place])
    state.settle()
    #expect(state.mismatchCount == 1)
  }

  @Test func `a result from an unknown worker counts, and its task has only one state`() {
    let state = chain()
    state.apply(move("a-1", .released, .waiting))
    state.apply(move("a-1", .waiting, .processing, worker: "w"))
    state.apply(move("a-1", .waiting, .released))
    #expect(state.mismatchCount == 1)
    #expect(state.tasks["a-1"]?.processingOn == nil)
    #expect(state.workers["w"]?.processing.isEmpty == true)
  }

  @Test func `sizes and run numbers at the edge of 64 bits do not trap`() {
    let state = chain()
    for key in ["a-1", "a-2", "a-3"] as [Key] {
      state.apply(move(key, .waiting, .processing, worker: "w", run: .max))
      state.apply(finished(key, nbytes: key == "a-3" ? .min : .max, seconds: 1))
      state.apply(move(key, .memory, .processing, worker: "w"))
      state.apply(finished(key, nbytes: .max, seconds: .nan))
    }
    #expect(state.tasks["a-1"]?.taskRunID == .min)
  }

  @Test func `a task that needs itself does not trap`() {
    let state = SchedulerState()
    state.apply(
      Event(
        .updateGraph, time: 1,
        snapshot: .graph([GraphTask(key: "x", dependencies: ["x", "y"])])))
    for (start, finish) in [(State.released, State.waiting), (.waiting, .released)] {
      state.apply(move("x", start, finish))
    }
    state.apply(move("x", .released, .forgotten))
    state.settle()
    #expect(state.tasks.keys == ["y"])
  }

  @Test func `random events never trap, and each task stays in one collection`() {
    var random = Randomness.generator(50)
    let keys: [Key] = ["a-1", "b-1", "c", Key("x", 1), "\0"]
    let names: [Value] = ["c", "d", "w", "v", "", .null, 5]
    let state = chain()
    for _ in 0..<Randomness.count * 5 {
      var args = (0..<random.below(6)).map { _ in
        Args.Argument(
          random.pick(["client", "worker", "cause", "startstops", "nbytes", "keys", "typename"]),
          random.once(in: 3) ? random.value(depth: 4) : random.pick(names))
      }
      if random.once(in: 2) { args.append(.init("nbytes", .int(random.int()))) }
      if random.once(in: 4) { args.append(.init("keys", .list(keys.map(\.value)))) }
      let graph = keys.map { key in
        GraphTask(key: key, dependencies: [random.pick(keys)])
      }
      let address = random.pick(["w", "v", nil])
      let facts = WorkerSnapshot(address: "v", name: 0, serverID: "", nthreads: 0)
      state.apply(
        Event(
          random.once(in: 2) ? .transition : random.pick(Hook.known), time: random.int(),
          key: random.once(in: 20) ? nil : random.pick(keys), start: random.pick(State.known),
          finish: random.once(in: 20) ? nil : random.pick(State.known), worker: address,
          taskRunID: random.once(in: 3) ? random.int() : nil, args: Args(named: args),
          snapshot: random.pick([.none, .graph(graph), .worker(facts), .other(1)])))
      if !random.once(in: 10) { state.settle() }
    }
    #expect(state.mismatchCount > 0)
    for (_, worker) in state.workers {
      for task in worker.processing { #expect(task.processingOn === worker) }
      for task in worker.hasWhat { #expect(task.whoHas.contains(worker)) }
    }
    for (_, task) in state.tasks {
      #expect(state.queued.contains(task) == (task.state == .queued))
      #expect(state.unrunnable.contains(task) == (task.state == .noWorker))
    }
  }
}
