import Testing

@testable import TaskLogPlugin

/// The state that a recorder of Dask finds at attach, and fields that its graphs leave to the args.
@Suite struct PresentStateTests {
  private static let worker: Value = .object([
    "address": "w", "name": 0, "serverID": "Worker-1", "nthreads": 2,
  ])

  private static func attach(_ tasks: [Value]) -> Event {
    Event(
      .attach, time: 1, args: Args(named: [.init("transitionCounter", 41)]),
      snapshot: .other(
        .object([
          "attach": .object([
            "workers": .list([worker]), "clients": .object(["c": .object([:])]),
            "tasks": .list(tasks),
          ])
        ])))
  }

  @Test func `an attach adds workers, clients and unfinished tasks`() throws {
    let state = SchedulerState()
    state.apply(
      Self.attach([
        .object([
          "key": "a-1", "state": "memory", "nbytes": 28, "whoHas": ["w"], "typeName": "int",
        ]),
        .object([
          "key": "b-1", "state": "processing", "processingOn": "w", "taskRunID": 5,
          "dependencies": ["a-1"], "whoWants": ["c"], "priority": .tuple([0, 1, 2]),
        ]),
        .object(["key": "c-1", "state": "waiting", "dependencies": ["b-1"], "waitingOn": ["b-1"]]),
      ]))
    #expect(state.mismatchCount == 0)
    #expect(state.transitionCounter == 41)
    let (a, b, c) = (state.tasks["a-1"], state.tasks["b-1"], state.tasks["c-1"])
    #expect(a?.state == .memory && a?.whoHas.map(\.address) == ["w"])
    #expect(state.workers["w"]?.nbytes == 28)
    #expect(b?.processingOn?.address == "w" && b?.taskRunID == 5)
    #expect(b?.priority == Priority([0, 1, 2]) && b?.whoWants.map(\.id) == ["c"])
    #expect(c?.waitingOn.map(\.key.text) == ["b-1"])
    #expect(state.groups["b"]?.states[.processing] == 1)
    // The following events fit.
    state.apply(
      Event(
        .transition, time: 2, key: "b-1", start: .processing, finish: .memory, stimulusID: "s",
        worker: "w",
        args: Args(named: [.init("worker", "w"), .init("nbytes", 4), .init("typename", "int")])))
    #expect(state.mismatchCount == 0)
    #expect(c?.waitingOn.isEmpty == true)
    #expect(state.workers["w"]?.nbytes == 32)
  }

  @Test func `a worker that is attached to again counts its threads once`() {
    let state = SchedulerState()
    for _ in 1...2 { state.apply(Self.attach([])) }
    #expect(state.workers.count == 1)
    #expect(state.totalThreads == 2)
  }

  @Test func `data that came without a graph exists from its first mark on`() {
    let state = SchedulerState()
    state.apply(Self.attach([]))
    state.apply(
      Event(
        .stimulus, time: 1, key: "data", args: Args(named: [.init("op", "update-data")]),
        snapshot: .other(
          .object(["graph": .list([.object(["key": "data", "state": "memory", "nbytes": 3])])]))))
    state.apply(Event(.addReplica, time: 1, key: "data", worker: "w"))
    #expect(state.mismatchCount == 0)
    #expect(state.tasks["data"]?.whoHas.map(\.address) == ["w"])
  }

  @Test func `a graph takes keys and priorities from the args`() {
    let state = SchedulerState()
    let args = Args(named: [
      .init("client", "c"), .init("tasks", ["a-1", .tuple(["b", 1])]),
      .init("keys", .set([.tuple(["b", 1])])),
      .init(
        "priority",
        .dict([
          .init("a-1", .tuple([0, 1, 0])), .init(.tuple(["b", 1]), .tuple([0, 1, 1])),
        ])),
    ])
    state.apply(
      Event(
        .updateGraph, time: 1, args: args,
        snapshot: .other(
          .object(["graph": .list([.object([:]), .object(["dependencies": ["a-1"]])])]))))
    #expect(state.mismatchCount == 0)
    #expect(state.tasks["a-1"]?.priority == Priority([0, 1, 0]))
    let b = state.tasks[Key("b", 1)]
    #expect(b?.priority == Priority([0, 1, 1]))
    #expect(b?.dependencies.map(\.key.text) == ["a-1"])
    #expect(b?.whoWants.map(\.id) == ["c"])
  }

  @Test func `a client's wish for a single key may have it as its key`() {
    let state = SchedulerState()
    state.apply(Self.attach([.object(["key": "a-1", "state": "memory"])]))
    let client = Args(named: [.init("client", "c")])
    state.apply(Event(.clientDesiresKeys, time: 1, key: "a-1", args: client))
    #expect(state.tasks["a-1"]?.whoWants.map(\.id) == ["c"])
    state.apply(Event(.clientReleasesKeys, time: 1, key: "a-1", args: client))
    #expect(state.tasks["a-1"]?.whoWants.isEmpty == true)
    #expect(state.mismatchCount == 0)
  }

  @Test func `a graph that does not fit its args is a misfit`() {
    let state = SchedulerState()
    state.apply(
      Event(
        .updateGraph, time: 1, args: Args(named: [.init("tasks", ["a", "b"])]),
        snapshot: .other(.object(["graph": .list([.object([:])])]))))
    #expect(state.mismatchCount == 1)
    #expect(state.tasks.isEmpty)
  }

  @Test func `a worker's task is in its real state, whatever state the hook received`() {
    let state = WorkerState()
    func move(_ start: State, _ finish: State, really: State? = nil) {
      var snapshot = Snapshot.none
      if let really { snapshot = .task(TaskSnapshot(state: really)) }
      state.apply(
        Event(
          .transition, time: 1, key: "x", start: start, finish: finish, stimulusID: "s",
          snapshot: snapshot))
    }
    move(.released, .waiting)
    move(.waiting, .ready)
    move(.ready, .executing)
    move(.executing, .released, really: .cancelled)
    #expect(state.tasks["x"]?.state == .cancelled)
    #expect(state.tasks["x"]?.previous == .executing)
    move(.cancelled, .memory, really: .released)
    #expect(state.tasks["x"]?.state == .released)
    #expect(state.mismatchCount == 0)
  }
}
