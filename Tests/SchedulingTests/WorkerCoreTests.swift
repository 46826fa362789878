import Testing

@testable import Scheduling
@testable import TaskLogPlugin

/// Literal stimuli in, literal events and instructions out.
@Suite struct WorkerCoreTests {
  @Test func `a task without inputs runs at once and is kept until it is freed`() throws {
    let worker = HandDrivenWorker()
    let all = try worker.compute("a", run: 7) + worker.succeed("a", run: 7) + worker.free("a")
    #expect(
      all == [
        "stimulus compute-task a run=7", "transition a released>waiting run=7",
        "transition a waiting>ready run=7", "transition a ready>executing run=7",
        "execute a run=7", "transition a executing>memory run=7", "finished a run=7 nbytes=8",
        "transition a memory>released run=7", "transition a released>forgotten run=7", "drop a",
      ])
  }

  @Test func `an input on another worker is fetched before the task runs`() throws {
    let worker = HandDrivenWorker()
    let all =
      try worker.compute("b", run: 2, with: [("a", ["v"])]) + worker.receive("a", from: "v")
    #expect(
      all == [
        "stimulus compute-task b run=2", "transition b released>waiting run=2",
        "transition a released>fetch", "transition a fetch>flight", "gather a from v",
        "transition a flight>memory", "transition b waiting>ready run=2",
        "transition b ready>executing run=2", "execute b run=2", "add a",
      ])
    let spans = worker.core.state.tasks["b"]?.startStops
    #expect(spans == [StartStop(action: "transfer", start: 1, stop: 2, source: "v")])
  }

  @Test func `an input that is in memory here is not fetched`() throws {
    let worker = HandDrivenWorker()
    try worker.compute("a", run: 1)
    try worker.succeed("a", run: 1)
    #expect(
      try worker.compute("b", run: 2, with: [("a", ["w", "v"])]).last == "execute b run=2")
  }

  @Test func `no more tasks run than there are threads, the most urgent first`() throws {
    let worker = HandDrivenWorker(nthreads: 2)
    for (key, priority) in [("a", 5.0), ("b", 4), ("c", 3), ("d", 1), ("e", 2)] {
      try worker.compute(Key(key), run: 1, priority: priority)
    }
    #expect(worker.core.executing == ["a", "b"])
    #expect(try worker.succeed("a", run: 1).last == "execute d run=1")
    #expect(try worker.fail("b", run: 1).last == "execute e run=1")
    #expect(try worker.succeed("d", run: 1).last == "execute c run=1")
  }

  @Test func `an error is reported and kept until the task is freed`() throws {
    let worker = HandDrivenWorker()
    try worker.compute("a", run: 1)
    #expect(
      try worker.fail("a", run: 1) == [
        "transition a executing>error run=1", "erred a run=1 broken",
      ])
    #expect(worker.core.state.tasks["a"]?.exceptionText == "broken")
    try worker.free("a")
    #expect(worker.core.state.tasks.isEmpty)
  }

  @Test func `a task that waits or is ready is forgotten when it is freed`() throws {
    let worker = HandDrivenWorker()
    try worker.compute("a", run: 1)
    try worker.compute("ready", run: 2)
    try worker.compute("waits", run: 3, with: [("x", ["v"])])
    try worker.free("ready", "waits")
    #expect(worker.core.state.tasks.keys == ["a", "x"])
    #expect(worker.state("x") == "cancelled")
    #expect(try worker.receive("x", from: "v").last == "drop x")
    #expect(
      try worker.succeed("a", run: 1) == [
        "transition a executing>memory run=1", "finished a run=1 nbytes=8",
      ])
  }

  @Test func `a running task that is freed is cancelled until its end`() throws {
    for fails in [false, true] {
      let worker = HandDrivenWorker()
      try worker.compute("a", run: 1)
      #expect(try worker.free("a") == ["transition a executing>cancelled run=1"])
      #expect(try worker.free("a") == ["transition a cancelled>cancelled run=1"])
      let end = try fails ? worker.fail("a", run: 1) : worker.succeed("a", run: 1)
      #expect(
        end == [
          "transition a cancelled>released run=1", "transition a released>forgotten run=1",
          "drop a",
        ])
    }
  }

  @Test func `a cancelled task that is requested again continues as the older run`() throws {
    let worker = HandDrivenWorker()
    try worker.compute("a", run: 1)
    try worker.free("a")
    #expect(
      try worker.compute("a", run: 2) == [
        "stimulus compute-task a run=2", "transition a cancelled>executing run=2",
      ])
    #expect(try worker.succeed("a", run: 1).last == "finished a run=1 nbytes=8")
  }

  @Test func `a second task that needs a result in flight does not fetch it again`() throws {
    let worker = HandDrivenWorker(nthreads: 2)
    try worker.compute("b", run: 1, with: [("a", ["v", "u"])])
    #expect(
      try worker.compute("c", run: 2, with: [("a", ["v", "u"])]) == [
        "stimulus compute-task c run=2", "transition c released>waiting run=2",
        "transition a flight>flight",
      ])
    try worker.receive("a", from: "v")
    #expect(worker.core.executing == ["b", "c"])
  }

  @Test func `a missing result is fetched from the next holder, or holders are requested`() throws {
    let worker = HandDrivenWorker()
    try worker.compute("b", run: 1, with: [("a", ["v", "u"]), ("x", ["v"])])
    #expect(
      try worker.receive(from: "v") == [
        "transition x flight>flight", "transition x flight>missing", "transition a flight>fetch",
        "transition a fetch>flight",
        "gather a from u", "who has x",
      ])
    #expect(
      try worker.tell(.gatherFailure(worker: "u")) == [
        "transition a flight>flight", "transition a flight>missing", "stimulus remove-worker on=w",
        "who has a",
      ])
    #expect(
      try worker.tell(.refreshWhoHas([("a", ["t"]), ("x", ["t"])])) == [
        "stimulus refresh-who-has on=w", "transition x missing>fetch",
        "transition a missing>fetch", "transition x fetch>flight", "transition a fetch>flight",
        "gather x,a from t",
      ])
    #expect(try worker.receive("a", "x", from: "t").contains("execute b run=1"))
  }

  @Test func `a missing result that is requested to be computed here is computed`() throws {
    let worker = HandDrivenWorker()
    try worker.compute("b", run: 1, with: [("a", ["v"])])
    try worker.tell(.gatherFailure(worker: "v"))
    #expect(worker.state("a") == "missing")
    #expect(try worker.compute("a", run: 2).last == "execute a run=2")
    #expect(try worker.succeed("a", run: 2).last == "execute b run=1")
  }

  @Test func `a transfer that is cancelled and wanted again continues`() throws {
    let worker = HandDrivenWorker()
    try worker.compute("b", run: 1, with: [("a", ["v"])])
    try worker.free("b")
    #expect(worker.state("a") == "cancelled")
    try worker.compute("c", run: 2, with: [("a", ["v"])])
    #expect(worker.state("a") == "flight")
    #expect(try worker.receive("a", from: "v").contains("execute c run=2"))
  }

  @Test func `a task in transfer that is to run here is finished when it arrives`() throws {
    let worker = HandDrivenWorker()
    try worker.compute("b", run: 1, with: [("a", ["v"])])
    try worker.compute("a", run: 2)
    #expect(worker.state("a") == "resumed")
    #expect(try worker.receive("a", from: "v").contains("finished a run=2 nbytes=8"))
  }

  @Test func `a task that is to run here after its transfer fails is run`() throws {
    let worker = HandDrivenWorker()
    try worker.compute("b", run: 1, with: [("a", ["v"])])
    try worker.compute("a", run: 2)
    #expect(try worker.receive(from: "v").last == "execute a run=2")
    #expect(try worker.succeed("a", run: 2).last == "execute b run=1")
  }

  @Test func `a cancelled run whose result is needed from elsewhere replaces a transfer`()
    throws
  {
    let worker = HandDrivenWorker(nthreads: 2)
    try worker.compute("a", run: 1)
    try worker.free("a")
    try worker.compute("b", run: 2, with: [("a", ["v"])])
    #expect(worker.state("a") == "resumed")
    // Needed by one more: nothing is started twice.
    try worker.compute("c", run: 3, with: [("a", ["v"])])
    #expect(worker.state("a") == "resumed")
    #expect(try worker.succeed("a", run: 1).contains("add a"))
    #expect(worker.core.executing == ["b", "c"])
  }

  @Test func `a cancelled run that fails while its result is needed from elsewhere is fetched`()
    throws
  {
    let worker = HandDrivenWorker()
    try worker.compute("a", run: 1)
    try worker.free("a")
    try worker.compute("b", run: 2, with: [("a", ["v"])])
    #expect(try worker.fail("a", run: 1).last == "gather a from v")
  }

  @Test func `a resumed run that no task needs any more is cancelled again`() throws {
    let worker = HandDrivenWorker()
    try worker.compute("a", run: 1)
    try worker.free("a")
    try worker.compute("b", run: 2, with: [("a", ["v"])])
    try worker.free("b")
    #expect(worker.state("a") == "cancelled")
    try worker.succeed("a", run: 1)
    #expect(worker.core.state.tasks.isEmpty)
  }

  @Test func `a task in memory that is requested again is reported as done`() throws {
    let worker = HandDrivenWorker()
    try worker.compute("a", run: 1)
    try worker.succeed("a", run: 1)
    #expect(try worker.compute("a", run: 5).last == "finished a run=5 nbytes=8")
  }

  @Test func `an input that is not yet fetched, or missing, is released at once`() throws {
    let worker = HandDrivenWorker()
    try worker.compute("b", run: 1, with: [("a", ["v"])])
    try worker.compute("c", run: 2, with: [("x", ["v"])])
    #expect(worker.state("x") == "fetch")
    try worker.free("c")
    #expect(worker.state("x") == "none")
    try worker.tell(.gatherFailure(worker: "v"))
    #expect(worker.state("a") == "missing")
    try worker.free("b")
    #expect(worker.core.state.tasks.isEmpty)
  }
}
