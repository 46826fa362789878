import Testing

@testable import Scheduling
@testable import TaskLogPlugin

/// Tasks that only some workers may run.
@Suite struct RestrictionTests {
  private static func submit(
    _ key: Key, to scheduler: HandDrivenScheduler, workers: [String], others: Bool = false
  ) throws -> [String] {
    try scheduler.tell(
      .updateGraph(
        client: "c",
        tasks: [
          NewTask(key: key, dependencies: [], workers: workers, allowOtherWorkers: others)
        ], keys: [key]))
  }

  @Test func `a task is assigned to the worker that it is restricted to`() throws {
    let scheduler = try HandDrivenScheduler(workers: ["u", "v", "w"])
    for number in 0..<6 {
      _ = try Self.submit(Key("a\(number)"), to: scheduler, workers: ["v"])
      #expect(scheduler.core.state.tasks[Key("a\(number)")]?.processingOn?.address == "v")
    }
  }

  @Test func `a task waits for its worker, and no other worker gets it`() throws {
    let scheduler = try HandDrivenScheduler()
    #expect(
      try Self.submit("a", to: scheduler, workers: ["v"]) == [
        "updateGraph", "transition a released>waiting", "transition a waiting>waiting",
        "transition a waiting>no-worker",
      ])
    let facts = WorkerSnapshot(address: "u", name: "u", serverID: "Worker-u", nthreads: 1)
    #expect(try scheduler.tell(.addWorker(facts)) == ["addWorker on=u"])
    try scheduler.add("v")
    #expect(scheduler.core.state.tasks["a"]?.processingOn?.address == "v")
  }

  @Test func `a task with loose restrictions runs elsewhere if its worker is missing`() throws {
    let scheduler = try HandDrivenScheduler()
    _ = try Self.submit("a", to: scheduler, workers: ["v"], others: true)
    #expect(scheduler.core.state.tasks["a"]?.processingOn?.address == "w")
    #expect(scheduler.core.state.tasks["a"]?.looseRestrictions == true)
    try scheduler.add("v")
    _ = try Self.submit("b", to: scheduler, workers: ["v"], others: true)
    #expect(scheduler.core.state.tasks["b"]?.processingOn?.address == "v")
  }

  @Test func `restrictions and annotations of a client reach the scheduler`() async throws {
    try await withCluster(workers: 2) { cluster in
      let workers = await cluster.workers
      await cluster.scheduler.addPlugin(PlaceProbe())
      let futures = cluster.client.map(
        "place", Array(0..<20), workers: [workers[1]], annotations: ["color": "red"]
      ) { $0 }
      expect(try await cluster.client.gather(futures), is: Array(0..<20))
      let places = await cluster.scheduler.withPlugin(PlaceProbe.self) { $0.places }
      #expect(places == [workers[1]])
      let colors = await cluster.scheduler.withPlugin(PlaceProbe.self) { $0.colors }
      #expect(colors == 20)
    }
  }
}

/// Records where tasks run, and how many are annotated with a color.
private final class PlaceProbe: SchedulerPlugin {
  var places: Set<String> = []
  var colors = 0

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    if let worker = args["worker"]?.string { places.insert(worker) }
  }

  func updateGraph(
    scheduler: Scheduler, client: String, keys: [Key], tasks: [Key], annotations: Value,
    priority: OrderedMap<Key, Priority>, stimulusID: String, args: Args
  ) {
    if case .dict(let entries)? = annotations["color"] { colors += entries.count }
  }
}
