import TestSupport
import Testing

@testable import TaskLogPlugin

/// Everything about a task on a worker that a plugin can look up, as one line.
private func line(_ task: WorkerTaskState?) -> String {
  guard let task else { return "none" }
  func keys(_ set: OrderedSet<WorkerTaskState>) -> String {
    set.map(\.key.text).joined(separator: ",")
  }
  let fields: [(String, String)] = [
    ("previous", task.previous?.name ?? ""),
    ("run", task.taskRunID == 0 ? "" : "\(task.taskRunID)"),
    ("needs", keys(task.dependencies)), ("neededBy", keys(task.dependents)),
    ("waitingFor", keys(task.waitingForData)), ("waiters", keys(task.waiters)),
    ("whoHas", task.whoHas.joined(separator: ",")), ("from", task.comingFrom ?? ""),
    ("nbytes", task.nbytes.map { "\($0)" } ?? ""), ("type", task.typeName ?? ""),
    ("did", task.startStops.map(\.action).joined(separator: ",")),
    ("exception", task.exceptionText ?? ""), ("traceback", task.tracebackText ?? ""),
  ]
  return "\(task.state)"
    + fields.filter { !$0.1.isEmpty }.map { " \($0.0)=\($0.1)" }.joined()
}

private func move(
  _ key: Key, _ start: State, _ finish: State, _ facts: TaskSnapshot? = nil
) -> Event {
  Event(
    .transition, time: 1, key: key, start: start, finish: finish, stimulusID: "s",
    snapshot: facts.map(Snapshot.task) ?? .none)
}

/// The scheduler assigns b, which needs a; a is on the worker `v`.
private func compute(run: Int64) -> Event {
  Event(
    .stimulus, time: 1, key: "b", stimulusID: "s", taskRunID: run,
    args: Args(named: [
      .init("op", "compute-task"), .init("priority", .tuple([0, 1, 2])),
      .init("annotations", .object(["x": 1])), .init("who_has", .object(["a": ["v"]])),
    ]))
}

@Suite struct WorkerStateTests {
  @Test func `a transfer can be recorded on a task that is done`() {
    let state = WorkerState()
    let ran = TaskSnapshot(
      nbytes: 40, typeName: "str", startStops: [StartStop(action: "compute", start: 2, stop: 3)])
    state.apply(compute(run: 7))
    state.apply(move("b", .released, .waiting))
    state.apply(move("b", .executing, .memory, ran))
    let span = Value.object([
      "key": "b", "action": "transfer", "start": 4.0, "stop": 5.0, "source": "v",
    ])
    state.apply(
      Event(
        .stimulus, time: 1, stimulusID: "s",
        args: Args(named: [.init("op", "gather-dep-success"), .init("worker", "v")]),
        snapshot: .other(.object(["spans": .list([span, "nonsense"])]))))
    #expect(line(state.tasks["b"]).hasSuffix("nbytes=40 type=str did=compute,transfer"))
  }

  @Test func `a worker's first event identifies it`() {
    for hook in [Hook.setup, .attach] {
      let state = WorkerState()
      let facts = WorkerSnapshot(address: "w", name: 0, serverID: "Worker-1", nthreads: 2)
      state.apply(Event(hook, time: 1, snapshot: .worker(facts)))
      #expect(state.facts == facts)
    }
  }

  @Test func `a task is assigned, its dependency fetched, and both are forgotten`() throws {
    let state = WorkerState()
    let got = TaskSnapshot(
      nbytes: 28, typeName: "int",
      startStops: [StartStop(action: "transfer", start: 1, stop: 2, source: "v")], cause: "b")
    let ran = TaskSnapshot(
      nbytes: 40, typeName: "str", startStops: [StartStop(action: "compute", start: 2, stop: 3)])
    let steps: [(event: Event, a: String, b: String)] = [
      (compute(run: 7), "released neededBy=b whoHas=v", "released run=7 needs=a"),
      (
        move("a", .released, .fetch), "fetch neededBy=b whoHas=v", "released run=7 needs=a"
      ),
      (
        move("b", .released, .waiting), "fetch neededBy=b waiters=b whoHas=v",
        "waiting run=7 needs=a waitingFor=a"
      ),
      (
        move("a", .fetch, .flight, TaskSnapshot(comingFrom: "v")),
        "flight neededBy=b waiters=b whoHas=v from=v", "waiting run=7 needs=a waitingFor=a"
      ),
      (
        move("a", .flight, .memory, got),
        "memory neededBy=b waiters=b whoHas=v nbytes=28 type=int",
        "waiting run=7 needs=a did=transfer"
      ),
      (
        move("b", .waiting, .ready), "memory neededBy=b waiters=b whoHas=v nbytes=28 type=int",
        "ready run=7 needs=a did=transfer"
      ),
      (
        move("b", .ready, .executing),
        "memory neededBy=b waiters=b whoHas=v nbytes=28 type=int",
        "executing run=7 needs=a did=transfer"
      ),
      (
        move("b", .executing, .memory, ran),
        "memory neededBy=b waiters=b whoHas=v nbytes=28 type=int",
        "memory run=7 needs=a nbytes=40 type=str did=transfer,compute"
      ),
      (
        move("b", .memory, .released), "memory neededBy=b whoHas=v nbytes=28 type=int",
        "released run=7 needs=a did=transfer,compute"
      ),
      (move("b", .released, .forgotten), "memory whoHas=v nbytes=28 type=int", "none"),
      (move("a", .memory, .released), "released", "none"),
      (move("a", .released, .forgotten), "none", "none"),
    ]
    for (event, a, b) in steps {
      state.apply(event)
      state.settle()
      let step = "\(event.key?.text ?? "") \(event.start?.name ?? "") \(event.finish?.name ?? "")"
      #expect(line(state.tasks["a"]) == a, "a after \(step)")
      #expect(line(state.tasks["b"]) == b, "b after \(step)")
    }
    #expect(state.mismatchCount == 0)
    #expect(state.transitionCounter == 11)
    #expect(state.tasks.isEmpty)
  }

  @Test func `an assigned task has the priority and annotations of the scheduler`() {
    let state = WorkerState()
    state.apply(compute(run: 7))
    #expect(state.tasks["b"]?.priority == Priority([0, 1, 2]))
    #expect(state.tasks["b"]?.annotations == [.init("x", 1)])
    #expect(state.tasks["a"]?.priority == Priority([0, 1, 2]))
  }

  @Test func `an unfinished task only takes the new run`() {
    let state = WorkerState()
    for (start, finish) in [(State.released, State.ready), (.ready, .executing)] {
      state.apply(move("b", start, finish))
    }
    state.apply(compute(run: 9))
    #expect(line(state.tasks["b"]) == "executing run=9")
    #expect(state.tasks["a"] == nil)
  }

  @Test func `the text of an exception is kept until the task is assigned again`() {
    let state = WorkerState()
    let facts = TaskSnapshot(exceptionText: "ZeroDivision", tracebackText: "line 1")
    state.apply(move("b", .released, .executing))
    state.apply(move("b", .executing, .error, facts))
    #expect(line(state.tasks["b"]) == "error exception=ZeroDivision traceback=line 1")
    state.apply(move("b", .error, .released))
    #expect(line(state.tasks["b"]) == "released exception=ZeroDivision")
    state.apply(compute(run: 2))
    #expect(line(state.tasks["b"]) == "released run=2 needs=a")
  }

  @Test(arguments: [State.executing, .longRunning, .flight])
  func `a cancelled task keeps its previous state`(doing: State) {
    let state = WorkerState()
    state.apply(move("b", .released, doing, TaskSnapshot(comingFrom: doing == .flight ? "v" : nil)))
    state.apply(move("b", doing, .cancelled))
    #expect(state.tasks["b"]?.previous == doing)
    #expect(state.tasks["b"]?.comingFrom == (doing == .flight ? "v" : nil))
    state.apply(move("b", .cancelled, .released))
    #expect(line(state.tasks["b"]) == "released")
  }

  @Test func `a forgotten task can be looked up until the plugins were called`() throws {
    let state = WorkerState()
    state.apply(compute(run: 7))
    state.apply(move("b", .released, .forgotten))
    let task = try #require(state.tasks["b"])
    #expect(task.state == .forgotten)
    #expect(task.dependencies.map(\.key) == ["a"])
    state.settle()
    #expect(state.tasks["b"] == nil)
    #expect(task.dependencies.isEmpty)
  }

  @Test func `a snapshot counts even if the transition changed nothing`() {
    let state = WorkerState()
    state.apply(move("b", .released, .released, TaskSnapshot(nbytes: 5)))
    #expect(line(state.tasks["b"]) == "released nbytes=5")
  }
}

@Suite struct WorkerMisfitTests {
  private static let mismatchCount: [Event] = [
    Event(.transition, time: 1), Event(.transition, time: 1, key: "b", start: .released),
    Event(.transition, time: 1, start: .released, finish: .ready),
    move("unknown", .executing, .memory), move("b", .other("new"), .other("newer")),
    Event(.stimulus, time: 1, args: Args(named: [.init("op", "compute-task")])),
  ]

  @Test(arguments: mismatchCount.indices)
  func `an event that does not fit is counted`(place: Int) {
    let state = WorkerState()
    state.apply(Self.mismatchCount[place])
    state.settle()
    #expect(state.mismatchCount == 1)
  }

  @Test func `a stimulus without a request changes nothing`() {
    let state = WorkerState()
    for args in [Args.none, Args(named: [.init("op", "free-keys")]), Args(named: [.init("op", 1)])]
    {
      state.apply(Event(.stimulus, time: 1, key: "b", args: args))
    }
    #expect(state.tasks.isEmpty)
    #expect(state.mismatchCount == 0)
  }

  @Test func `random events never trap`() {
    var random = Randomness.generator(51)
    let keys: [Key] = ["a", "b", Key("x", 1), "\0"]
    let state = WorkerState()
    for _ in 0..<Randomness.count * 5 {
      let whoHas = keys.map { Value.Entry($0.value, random.once(in: 3) ? 1 : ["v", 2]) }
      let stimulus = Args(named: [
        .init("op", random.once(in: 5) ? random.value(depth: 4) : "compute-task"),
        .init("priority", random.value(depth: 3)),
        .init("who_has", random.once(in: 3) ? random.value(depth: 3) : .dict(whoHas)),
      ])
      let facts = TaskSnapshot(
        nbytes: random.int(), startStops: [StartStop(action: "compute", start: .nan, stop: 1)],
        comingFrom: random.text(), cause: random.pick(keys))
      state.apply(
        Event(
          random.once(in: 3)
            ? .stimulus : random.once(in: 9) ? random.pick(Hook.known) : .transition,
          time: random.int(), key: random.once(in: 20) ? nil : random.pick(keys),
          start: random.pick(State.known), finish: random.pick(State.known),
          taskRunID: random.once(in: 2) ? random.int() : nil, args: stimulus,
          snapshot: random.pick([.none, .task(facts), .other(1), .encoded(EncodedJSON("{"))])))
      if !random.once(in: 10) { state.settle() }
    }
    #expect(state.mismatchCount > 0)
  }
}
