import Testing

@testable import Scheduling
@testable import TaskLogPlugin

/// Literal stimuli in, literal events and instructions out.
@Suite struct SchedulerCoreTests {
  @Test func `a chain runs from its start, and the middle is released`() throws {
    let scheduler = try HandDrivenScheduler()
    let all =
      try scheduler.submit(["a": [], "b": ["a"]], keys: ["b"])
      + scheduler.finish("a", run: 1) + scheduler.finish("b", run: 2) + scheduler.release("b")
    #expect(
      all == [
        "updateGraph", "transition b released>waiting", "transition a released>waiting",
        "transition a waiting>processing on=w run=1", "w <- compute a run=1",
        "transition a processing>memory on=w run=1",
        "transition b waiting>processing on=w run=2", "w <- compute b run=2 with a@w",
        "transition b processing>memory on=w run=2", "transition a memory>released",
        "c <- in memory b", "w <- free a",
        "clientReleasesKeys", "transition b memory>forgotten", "transition a released>forgotten",
        "w <- free b",
      ])
    #expect(scheduler.core.state.tasks.isEmpty)
  }

  @Test func `a reduction waits for all of its inputs`() throws {
    let scheduler = try HandDrivenScheduler(workers: ["v", "w"])
    try scheduler.submit(
      ["m-0": [], "m-1": [], "m-2": [], "sum": ["m-0", "m-1", "m-2"]], keys: ["sum"])
    let on = ["m-0", "m-1", "m-2"].map {
      scheduler.core.state.tasks[Key($0)]!.processingOn!.address
    }
    #expect(Set(on) == ["v", "w"])
    let runs = ["m-0", "m-1", "m-2"].map { scheduler.core.state.tasks[Key($0)]!.taskRunID }
    try scheduler.finish("m-0", on: on[0], run: runs[0])
    try scheduler.finish("m-1", on: on[1], run: runs[1])
    #expect(scheduler.state("sum") == "waiting")
    try scheduler.finish("m-2", on: on[2], run: runs[2])
    #expect(scheduler.state("sum") == "processing")
  }

  @Test func `the top of a diamond is kept until both sides are done`() throws {
    let scheduler = try HandDrivenScheduler()
    try scheduler.submit(["a": [], "l": ["a"], "r": ["a"], "z": ["l", "r"]], keys: ["z"])
    try scheduler.finish("a", run: 1)
    try scheduler.finish("l", run: 2)
    #expect(scheduler.state("a") == "memory")
    try scheduler.finish("r", run: 3)
    #expect(scheduler.state("a") == "released")
    #expect(scheduler.state("z") == "processing")
  }

  @Test func `an error propagates to all dependents of the task, and to later graphs`() throws {
    let scheduler = try HandDrivenScheduler()
    try scheduler.submit(["a": [], "b": ["a"], "z": ["b"]], keys: ["a", "b", "z"])
    #expect(
      try scheduler.fail("a", run: 1) == [
        "transition a processing>erred on=w run=1", "transition b waiting>released",
        "transition b released>erred", "transition z waiting>released",
        "transition z released>erred", "c <- erred a by a: broken", "c <- erred b by a: broken",
        "c <- erred z by a: broken",
      ])
    #expect(
      try scheduler.submit(["late": ["z"]], keys: ["late"]) == [
        "updateGraph", "transition late released>erred", "c <- erred late by a: broken",
      ])
    try scheduler.release("a", "b", "z", "late")
    #expect(scheduler.core.state.tasks.isEmpty)
  }

  @Test func `a failed task without a future is not rerun by its failed dependents`() throws {
    let scheduler = try HandDrivenScheduler()
    try scheduler.submit(["a": [], "b": ["a"]], keys: ["b"])
    try scheduler.fail("a", run: 1)
    #expect(scheduler.state("a") == "erred")
    #expect(scheduler.state("b") == "erred")
  }

  @Test func `a task errs once its retries are used up`() throws {
    let scheduler = try HandDrivenScheduler()
    try scheduler.submit(["a": []], keys: ["a"], retries: 1)
    #expect(
      try scheduler.fail("a", run: 1) == [
        "transition a processing>released on=w", "transition a released>waiting",
        "transition a waiting>processing on=w run=2", "w <- free a", "w <- compute a run=2",
      ])
    #expect(scheduler.core.state.tasks["a"]?.retries == 0)
    #expect(try scheduler.fail("a", run: 2).last == "c <- erred a by a: broken")
  }

  @Test func `a task can be released before, while and after it runs`() throws {
    let scheduler = try HandDrivenScheduler()
    try scheduler.submit(["a": [], "b": ["a"]], keys: ["b"])
    #expect(
      try scheduler.release("b") == [
        "clientReleasesKeys", "transition b waiting>released", "transition b released>forgotten",
        "transition a processing>released on=w", "transition a released>forgotten",
        "w <- free a",
      ])
    try scheduler.submit(["c": []], keys: ["c"])
    #expect(try scheduler.release("c").contains("w <- free c"))
    #expect(scheduler.core.state.tasks.isEmpty)
    #expect(scheduler.core.state.groups.isEmpty)
  }

  @Test func `a late result is answered by freeing the key`() throws {
    let scheduler = try HandDrivenScheduler(workers: ["v", "w"])
    #expect(try scheduler.finish("gone", run: 1) == ["w <- free gone"])
    #expect(try scheduler.fail("gone", run: 1) == [])
    try scheduler.submit(["a": []], keys: ["a"])
    let on = scheduler.core.state.tasks["a"]!.processingOn!.address
    let other = on == "v" ? "w" : "v"
    #expect(try scheduler.finish("a", on: other, run: 0) == ["\(other) <- free a"])
    #expect(try scheduler.fail("a", on: other, run: 0) == [])
    #expect(scheduler.state("a") == "processing")
  }

  @Test func `a result of an older run makes the assigned worker run the task again`() throws {
    let scheduler = try HandDrivenScheduler()
    try scheduler.submit(["a": []], keys: ["a"])
    try scheduler.release("a")
    try scheduler.submit(["a": []], keys: ["a"])
    #expect(scheduler.core.state.tasks["a"]?.taskRunID == 2)
    #expect(
      try scheduler.finish("a", run: 1) == [
        "transition a processing>released on=w", "transition a released>waiting",
        "transition a waiting>processing on=w run=3", "w <- free a", "w <- compute a run=3",
      ])
  }

  @Test func `a worker that joins gets the tasks without a worker, by priority`() throws {
    let scheduler = try HandDrivenScheduler(workers: [])
    try scheduler.submit(["a": []], keys: ["a"])
    try scheduler.submit(["b": []], keys: ["b"])
    #expect(scheduler.state("a") == "queued")
    try scheduler.add("w")
    #expect(scheduler.core.state.workers["w"]?.processing.map(\.key) == ["a", "b"])
  }

  @Test func `tasks and results of a dead worker are computed on another`() throws {
    let scheduler = try HandDrivenScheduler(workers: ["w"])
    try scheduler.submit(["a": [], "b": ["a"]], keys: ["a", "b"])
    try scheduler.finish("a", run: 1)
    try scheduler.add("v")
    #expect(
      try scheduler.tell(.removeWorker(address: "w", expected: false)) == [
        "stimulus remove-worker on=w", "transition a memory>released",
        "transition a released>waiting", "transition a waiting>processing on=v run=3",
        "transition b processing>released", "transition b released>waiting",
        "removeWorker on=w", "c <- lost a", "v <- compute a run=3", "v <- remove w",
      ])
  }

  @Test func `a lost result that depends on a failed task errs`() throws {
    let scheduler = try HandDrivenScheduler(workers: ["w"])
    try scheduler.submit(["a": [], "b": ["a"]], keys: ["b"])
    try scheduler.finish("a", run: 1)
    try scheduler.finish("b", run: 2)
    try scheduler.submit(["z": ["a"]], keys: ["z"])
    try scheduler.fail("a", run: 3)
    try scheduler.tell(.removeWorker(address: "w", expected: false))
    #expect(scheduler.state("b") == "erred")
    #expect(scheduler.core.state.tasks["b"]?.exceptionBlame?.key == "a")
  }

  @Test func `with a client its tasks are released, and those of others are not`() throws {
    let scheduler = try HandDrivenScheduler()
    try scheduler.tell(.addClient("d"))
    try scheduler.submit(["a": []], keys: ["a"])
    try scheduler.submit(["a": [], "b": []], keys: ["a", "b"], client: "d")
    try scheduler.tell(.removeClient("d"))
    #expect(scheduler.core.state.tasks.keys == ["a"])
    #expect(scheduler.core.state.clients.keys == ["c"])
  }

  @Test func `a known key is not run twice, and its state is reported`() throws {
    let scheduler = try HandDrivenScheduler()
    try scheduler.submit(["a": []], keys: ["a"])
    #expect(try scheduler.submit(["a": []], keys: ["a"]) == ["updateGraph"])
    try scheduler.finish("a", run: 1)
    #expect(try scheduler.submit(["a": []], keys: ["a"]) == ["updateGraph", "c <- in memory a"])
  }

  @Test func `a released task runs again when it is wanted`() throws {
    let scheduler = try HandDrivenScheduler()
    try scheduler.submit(["a": [], "b": ["a"]], keys: ["b"])
    try scheduler.finish("a", run: 1)
    try scheduler.finish("b", run: 2)
    #expect(scheduler.state("a") == "released")
    try scheduler.submit(["a": []], keys: ["a"])
    #expect(scheduler.state("a") == "processing")
  }

  @Test func `a graph that needs an unknown task is refused`() throws {
    let scheduler = try HandDrivenScheduler()
    #expect(
      try scheduler.submit(["b": ["elsewhere"]], keys: ["b"]) == [
        "c <- erred b by elsewhere: the scheduler does not know task 'elsewhere', which is needed"
      ])
    #expect(scheduler.core.state.tasks.isEmpty)
  }

  @Test func `a copy is recorded, an unneeded one is freed, an expected one stays`()
    throws
  {
    let scheduler = try HandDrivenScheduler(workers: ["w"])
    try scheduler.submit(["a": [], "b": []], keys: ["a"])
    try scheduler.add("v")
    #expect(try scheduler.tell(.addKeys(worker: "w", keys: ["a"])) == [])
    #expect(try scheduler.tell(.addKeys(worker: "v", keys: ["a"])) == ["v <- free a"])
    try scheduler.finish("a", run: 1)
    #expect(try scheduler.tell(.addKeys(worker: "v", keys: ["a"])) == ["addReplica a on=v"])
    #expect(
      try scheduler.tell(.requestRefreshWhoHas(worker: "v", keys: ["a", "none"])) == [
        "v <- free none", "v <- refresh a@w",
      ])
  }
}
