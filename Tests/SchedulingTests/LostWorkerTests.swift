import Testing

@testable import Scheduling
@testable import TaskLogPlugin

/// Workers that die, join, retire and are restarted, reported to a scheduler by hand.
@Suite struct LostWorkerTests {
  @Test func `a task errs when more workers than allowed have died with it`() throws {
    let scheduler = try HandDrivenScheduler(workers: ["u", "v"], allowedFailures: 1)
    try scheduler.submit(["a": [], "b": ["a"]], keys: ["b"])
    let first = scheduler.core.state.tasks["a"]!.processingOn!.address
    let second = first == "u" ? "v" : "u"
    try scheduler.tell(.removeWorker(address: first, expected: false))
    #expect(scheduler.core.state.tasks["a"]?.suspicious == 1)
    #expect(scheduler.core.state.prefixes["a"]?.suspicious == 1)
    let text =
      "KilledWorker: attempted to run task 'a' on 2 workers, but all those workers died while "
      + "running it; the last of them was \(second)"
    #expect(
      try scheduler.tell(.removeWorker(address: second, expected: false)) == [
        "stimulus remove-worker on=\(second)",
        "transition a processing>erred on=\(second) run=2", "transition b waiting>released",
        "transition b released>erred", "removeWorker on=\(second)", "c <- erred b by a: \(text)",
      ])
    #expect(scheduler.core.state.tasks["a"]?.exceptionText == text)
    #expect(scheduler.core.state.tasks["a"]?.erredOn == [second])
  }

  @Test func `a worker that retires makes no task suspicious`() throws {
    let scheduler = try HandDrivenScheduler(allowedFailures: 0)
    try scheduler.submit(["a": []], keys: ["a"])
    try scheduler.tell(.removeWorker(address: "w", expected: true))
    #expect(scheduler.core.state.tasks["a"]?.suspicious == 0)
    #expect(scheduler.state("a") == "queued")
  }

  @Test func `a result with a second replica is not lost with one worker`() throws {
    let scheduler = try HandDrivenScheduler()
    try scheduler.submit(["a": []], keys: ["a"])
    try scheduler.finish("a", run: 1)
    try scheduler.add("v")
    try scheduler.tell(.addKeys(worker: "v", keys: ["a"]))
    #expect(
      try scheduler.tell(.removeWorker(address: "w", expected: false)) == [
        "stimulus remove-worker on=w", "removeWorker on=w", "v <- remove w",
      ])
    #expect(scheduler.core.state.tasks["a"]?.whoHas.map(\.address) == ["v"])
  }

  @Test func `a worker retires when its results are elsewhere, and gets no task before`() throws {
    let scheduler = try HandDrivenScheduler()
    try scheduler.submit(["a": [], "b": []], keys: ["a", "b"])
    try scheduler.finish("a", run: 1)
    try scheduler.add("v")
    #expect(
      try scheduler.tell(.retireWorkers(["w"])) == [
        "stimulus worker-status-change on=w", "v <- acquire a@w",
      ])
    try scheduler.submit(["c": ["a"]], keys: ["c"])
    #expect(scheduler.core.state.tasks["c"]?.processingOn?.address == "v")
    #expect(
      try scheduler.tell(.addKeys(worker: "v", keys: ["a"])) == [
        "addReplica a on=v", "stimulus remove-worker on=w", "transition b processing>released",
        "transition b released>waiting", "transition b waiting>processing on=v run=4",
        "removeWorker on=w", "v <- compute b run=4", "v <- remove w", "w retired",
      ])
    #expect(scheduler.core.state.tasks["b"]?.suspicious == 0)
  }

  @Test func `a worker whose results no other worker can store stays and continues`() throws {
    let scheduler = try HandDrivenScheduler()
    try scheduler.submit(["a": []], keys: ["a"])
    try scheduler.finish("a", run: 1)
    #expect(
      try scheduler.tell(.retireWorkers(["w"])) == [
        "stimulus worker-status-change on=w", "stimulus worker-status-change on=w", "w stays",
      ])
    try scheduler.submit(["b": []], keys: ["b"])
    #expect(scheduler.state("b") == "processing")
  }

  @Test func `when the receiver of a result dies another one is chosen`() throws {
    let scheduler = try HandDrivenScheduler()
    try scheduler.submit(["a": []], keys: ["a"])
    try scheduler.finish("a", run: 1)
    try scheduler.add("u")
    try scheduler.add("v")
    #expect(try scheduler.tell(.retireWorkers(["w"])).last == "u <- acquire a@w")
    #expect(
      try scheduler.tell(.removeWorker(address: "u", expected: false)).last == "v <- acquire a@w")
  }

  @Test func `a requested copy that no worker has any more is freed`() throws {
    let scheduler = try HandDrivenScheduler(workers: ["v", "w"])
    #expect(
      try scheduler.tell(.requestRefreshWhoHas(worker: "v", keys: ["a"])) == ["v <- free a"])
  }

  @Test func `a restart forgets every task and removes every worker`() throws {
    let scheduler = try HandDrivenScheduler()
    try scheduler.submit(["a": [], "b": ["a"]], keys: ["a", "b"])
    try scheduler.finish("a", run: 1)
    #expect(
      try scheduler.tell(.restart) == [
        "clientReleasesKeys", "transition b processing>released on=w",
        "transition b released>forgotten", "transition a memory>forgotten", "restart",
        "stimulus remove-worker on=w", "removeWorker on=w", "w <- free b",
        "w <- free a", "w retired",
      ])
    #expect(scheduler.core.state.prefixes.isEmpty)
    #expect(scheduler.core.state.clients.keys == ["c"])
  }

  @Test func `a worker fetches data that it must keep, though no task on it needs it`() throws {
    let worker = HandDrivenWorker()
    #expect(
      try worker.tell(.acquireReplicas([("a", ["v"])])) == [
        "stimulus acquire-replicas on=w", "transition a released>fetch",
        "transition a fetch>flight", "gather a from v",
      ])
    // It is not released with a task that needs it, either.
    try worker.compute("b", run: 1, with: [("a", ["v"])])
    try worker.free("b")
    #expect(worker.state("a") == "flight")
    #expect(try worker.receive("a", from: "v") == ["transition a flight>memory", "add a"])
  }
}
