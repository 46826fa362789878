import Testing

@testable import Scheduling
@testable import TaskLogPlugin

/// Root tasks of large groups wait at the scheduler until a worker has room.
@Suite struct QueuingTests {
  private static func keys(_ count: Int) -> [Key] { (0..<count).map { Key("m", $0) } }

  private static func submit(_ count: Int, to scheduler: HandDrivenScheduler) throws -> [String] {
    let keys = keys(count)
    return try scheduler.tell(
      .updateGraph(
        client: "c", tasks: keys.map { NewTask(key: $0, dependencies: []) }, keys: keys))
  }

  @Test func `a worker gets a tenth more root tasks than it has threads, the rest is queued`()
    throws
  {
    let scheduler = try HandDrivenScheduler(workers: ["w"])
    let events = try Self.submit(6, to: scheduler)
    #expect(events.filter { $0.contains(">queued") }.count == 3)
    #expect(events.contains("transition ('m', 3) waiting>waiting"))
    #expect(
      Self.keys(6).map { scheduler.state($0) }
        == ["processing", "processing", "processing", "queued", "queued", "queued"])
    #expect(
      try scheduler.finish(Key("m", 0), run: 1).contains(
        "transition ('m', 3) queued>processing on=w run=4"))
    #expect(scheduler.state(Key("m", 4)) == "queued")
  }

  @Test func `a dependent of a root task comes before the next root task`() throws {
    let scheduler = try HandDrivenScheduler(workers: [])
    try scheduler.add("w", threads: 1)
    let roots = Self.keys(5)
    let sums = roots.map { Key("s", $0.text) }
    let tasks =
      zip(roots, sums).flatMap { root, sum in
        [NewTask(key: root, dependencies: []), NewTask(key: sum, dependencies: [root])]
      }
    try scheduler.tell(.updateGraph(client: "c", tasks: tasks, keys: sums))
    let events = try scheduler.finish(roots[0], run: 1)
    #expect(events.contains("transition \(sums[0].text) waiting>processing on=w run=3"))
    #expect(!events.contains { $0.contains("queued>processing") })
  }

  @Test func `a small group, a restricted one and one with many inputs is not queued`() throws {
    let scheduler = try HandDrivenScheduler(workers: ["w"])
    _ = try Self.submit(4, to: scheduler)
    #expect(Self.keys(4).allSatisfy { scheduler.state($0) == "processing" })
    let bound = (0..<9).map { NewTask(key: Key("b", $0), dependencies: [], workers: ["w"]) }
    try scheduler.tell(.updateGraph(client: "c", tasks: bound, keys: bound.map(\.key)))
    #expect(bound.allSatisfy { scheduler.state($0.key) == "processing" })
    let inputs = (0..<9).map { NewTask(key: Key("i", $0), dependencies: [], workers: ["w"]) }
    let users = (0..<9).map { NewTask(key: Key("u", $0), dependencies: [Key("i", $0)]) }
    try scheduler.tell(.updateGraph(client: "c", tasks: inputs + users, keys: users.map(\.key)))
    for (index, input) in inputs.enumerated() {
      let run = scheduler.core.state.tasks[input.key]!.taskRunID
      try scheduler.finish(input.key, run: run)
      #expect(scheduler.state(users[index].key) == "processing")
    }
  }

  @Test func `a queued task that no client wants any more is forgotten`() throws {
    let scheduler = try HandDrivenScheduler(workers: ["w"])
    _ = try Self.submit(5, to: scheduler)
    #expect(
      try scheduler.release(Key("m", 4)) == [
        "clientReleasesKeys", "transition ('m', 4) queued>released",
        "transition ('m', 4) released>forgotten",
      ])
    #expect(scheduler.core.state.queued.map(\.key) == [Key("m", 3)])
  }

  @Test func `without a worker tasks are queued, and assigned by priority to a new one`() throws {
    let scheduler = try HandDrivenScheduler(workers: [])
    let tasks = [0.0, 2, 1].enumerated().map { index, priority in
      NewTask(key: Key("m", index), dependencies: [], userPriority: priority)
    }
    try scheduler.tell(.updateGraph(client: "c", tasks: tasks, keys: tasks.map(\.key)))
    #expect(tasks.allSatisfy { scheduler.state($0.key) == "queued" })
    try scheduler.add("w", threads: 1)
    #expect(
      scheduler.core.state.workers["w"]?.processing.map(\.key) == [Key("m", 1), Key("m", 2)])
  }

  @Test func `a task that leaves its thread makes room for a queued one`() throws {
    let scheduler = try HandDrivenScheduler(workers: ["w"])
    _ = try Self.submit(5, to: scheduler)
    let message = LongRunning(key: Key("m", 0), worker: "w", taskRunID: 1, computeSeconds: 1)
    #expect(
      try scheduler.tell(.longRunning(message)) == [
        "stimulus long-running ('m', 0) on=w run=1",
        "transition ('m', 3) queued>processing on=w run=4", "w <- compute ('m', 3) run=4",
      ])
  }

  @Test func `no task is queued if the saturation is infinite`() throws {
    let scheduler = try HandDrivenScheduler(workers: ["w"], workerSaturation: .infinity)
    _ = try Self.submit(9, to: scheduler)
    #expect(scheduler.core.state.workers["w"]?.processing.count == 9)
  }

  @Test func `a queued task errs if there has been no worker for too long`() throws {
    let scheduler = try HandDrivenScheduler(workers: [])
    try scheduler.submit(["a": [], "b": ["a"]], keys: ["a", "b"])
    #expect(try scheduler.tell(.noWorkersTimeout(nanoseconds: 100)) == [])
    let text = "NoWorkerError: there is no worker for task 'a'"
    #expect(
      try scheduler.tell(.noWorkersTimeout(nanoseconds: 1)) == [
        "transition a queued>erred", "transition b waiting>released", "transition b released>erred",
        "c <- erred a by a: \(text)", "c <- erred b by a: \(text)",
      ])
  }
}
