import Testing

@testable import Explaining

/// The sentences about a task, on literal steps in seconds.
@Suite struct TaskExplainerTests {
  private static let scheduler = TaskStep.Observer.scheduler
  private static let worker = TaskStep.Observer.worker("w1")

  private static func step(
    _ seq: Int64, _ seconds: Double, _ observer: TaskStep.Observer, _ start: String,
    _ finish: String, _ stimulus: String? = nil, to worker: String? = nil,
    ended: (String, Int64)? = nil
  ) -> TaskStep {
    var step = TaskStep(
      seq: seq, time: Int64(seconds * 1e9), observer: observer, start: start, finish: finish)
    (step.stimulus, step.worker) = (stimulus, worker)
    step.ended = ended.map { ($0.0, $0.1) }
    return step
  }

  private static func told(_ steps: [TaskStep], inputs: Set<String>? = nil) -> [String] {
    TaskExplainer.explain(steps, inputs: inputs).sentences.map {
      "\($0.attempt) \($0.text) \($0.evidence)"
    }
  }

  /// A task on a worker, from its arrival to its end.
  private static func ran(_ seq: Int64, _ start: Double, _ finish: String = "memory") -> [TaskStep]
  {
    [
      step(seq, start, worker, "released", "waiting"),
      step(seq + 1, start + 0.5, worker, "waiting", "ready"),
      step(seq + 2, start + 2, worker, "ready", "executing"),
      step(seq + 3, start + 5, worker, "executing", finish),
    ]
  }

  @Test func `a task that waits for nothing is sent at once, and its times on the worker follow`() {
    var end = Self.step(8, 10, Self.scheduler, "processing", "memory", "task-finished-1")
    end.bytes = 2048
    let steps =
      [
        Self.step(1, 1, Self.scheduler, "released", "waiting", "update-graph-1"),
        Self.step(2, 1, Self.scheduler, "waiting", "processing", "update-graph-1", to: "w1"),
      ] + Self.ran(3, 2) + [end]
    #expect(
      Self.told(steps) == [
        "0 A client submitted it. [1]",
        "1 It waited for nothing, and was sent to worker w1. [1, 2]",
        "1 It began to run: it had waited 1.0 s until the worker had it, 500 ms for its inputs and "
          + "1.5 s for a thread. [2, 5]",
        "1 It ran for 3.0 s. [5, 6]",
        "1 The scheduler recorded its result of 2.0 KiB, 3.0 s after it had ended. [8]",
      ])
  }

  private static func sent(
    from start: String = "waiting", _ stimulus: String, ended: (String, Int64)? = nil,
    inputs: Set<String>? = ["x"]
  ) -> String? {
    told(
      [
        step(1, 1, scheduler, "released", start, "update-graph-1"),
        step(9, 4, scheduler, start, "processing", stimulus, to: "w1", ended: ended),
      ], inputs: inputs
    ).last
  }

  @Test func `the input that came last is named`() {
    #expect(
      Self.sent("task-finished-1", ended: ("x", 8))
        == "1 It waited 3.0 s for inputs, for 'x' last, and was sent to worker w1. [8, 9]")
  }

  @Test func `a task that is no input is not said to be one`() {
    let unknown =
      "1 It was sent to worker w1 after 3.0 s; what it waited for, the log does not say. [1, 9]"
    #expect(Self.sent("task-finished-1", ended: ("y", 8)) == unknown)
    #expect(Self.sent("task-finished-1", ended: ("x", 8), inputs: nil) == unknown)
    #expect(Self.sent("task-finished-1") == unknown)
  }

  @Test func `a queued task waits for the task whose thread it gets`() {
    #expect(
      Self.sent(from: "queued", "task-finished-1", ended: ("y", 8))
        == "1 It waited 3.0 s for a thread, until task 'y' ended, and was sent to worker w1. [8, 9]"
    )
  }

  @Test func `a queued task may get the thread of one that failed`() {
    #expect(
      Self.sent(from: "queued", "task-erred-1", ended: ("y", 8))
        == "1 It waited 3.0 s for a thread, until task 'y' failed, and was sent to worker w1. [8, 9]"
    )
  }

  @Test(arguments: ["worker-status-change-1", "worker-connect-1", "add-worker-1"])
  func `a task that no worker could take waits for one`(stimulus: String) {
    #expect(
      Self.sent(from: "no-worker", stimulus)
        == "1 It waited 3.0 s until a worker was available, and was sent to worker w1. [1, 9]")
  }

  @Test func `a retry is a further attempt, and a failure for good has its exception`() {
    var end = Self.step(20, 20, Self.scheduler, "processing", "erred", "task-erred-2")
    end.exception = "OSError('gone')"
    let steps =
      [Self.step(1, 1, Self.scheduler, "waiting", "processing", "s", to: "w1")]
      + Self.ran(2, 1, "error")
      + [
        Self.step(7, 7, Self.scheduler, "processing", "released", "task-erred-1"),
        Self.step(8, 7, Self.scheduler, "released", "waiting", "task-erred-1"),
        Self.step(9, 7, Self.scheduler, "waiting", "processing", "task-erred-1", to: "w2"), end,
      ]
    #expect(
      Self.told(steps).suffix(4) == [
        "1 It failed after running for 3.0 s. [4, 5]",
        "1 It failed on worker w1, and is tried again. [7]",
        "2 It waited for nothing, and was sent to worker w2. [8, 9]",
        "2 It failed for good: OSError('gone'). [20]",
      ])
  }

  private static func failed(from start: String, _ stimulus: String) -> String? {
    told([step(9, 4, scheduler, start, "erred", stimulus)]).last
  }

  @Test func `what fails without having run says why`() {
    let timeout =
      "0 It failed for good: no worker could take it for as long as the scheduler waits. [9]"
    #expect(Self.failed(from: "no-worker", "check-no-workers-timeout-1") == timeout)
    #expect(Self.failed(from: "queued", "check-no-workers-timeout-1") == timeout)
    #expect(
      Self.failed(from: "memory", "handle-worker-cleanup-1")
        == "0 It failed for good: the worker that held it as an actor was removed. [9]")
    let input = "0 It failed because a task that it needs had failed. [9]"
    #expect(Self.failed(from: "waiting", "check-no-workers-timeout-1") == input)
    #expect(Self.failed(from: "released", "task-erred-1") == input)
  }

  @Test func `a stolen task waits on the thief, whatever its first worker recorded`() {
    let thief = TaskStep.Observer.worker("w2")
    var steal = Self.step(5, 4, Self.scheduler, "processing", "processing")
    steal.steal = (
      RecordedSteal(seq: 5, time: 4, victim: "w1", thief: "w2", requested: 4), { $0 }
    )
    let sent = Self.step(1, 1, Self.scheduler, "waiting", "processing", "s", to: "w1")
    let victim = [
      Self.step(2, 2, Self.worker, "released", "waiting"),
      Self.step(3, 2, Self.worker, "waiting", "ready"),
    ]
    let rest = [
      Self.step(8, 5, thief, "released", "waiting"), Self.step(9, 7, thief, "waiting", "ready"),
      Self.step(10, 10, thief, "ready", "executing"),
    ]
    let expected = [
      "1 Worker w2 stole it from worker w1, where it had been for 3.0 s; its cost and gain, the log does "
        + "not say. [4, 5]",
      "1 It began to run: since then it had waited 1.0 s until the worker had it, 2.0 s for its inputs and "
        + "3.0 s for a thread. [5, 10]",
    ]
    #expect(Self.told([sent] + victim + [steal] + rest).suffix(2) == expected)
    #expect(Self.told([sent, steal] + victim + rest).suffix(2) == expected)
    // Without the steal itself, only when it was sent and when it ran is known.
    #expect(
      Self.told([sent] + victim + rest).last
        == "1 It was moved to worker w2 and began to run: it had waited 9.0 s in all. [1, 10]")
  }

  @Test func `events of a worker belong to their dispatch, even if they arrive after the next one`()
  {
    func dispatch(_ seq: Int64, _ seconds: Double, run: Int64) -> TaskStep {
      var step = Self.step(seq, seconds, Self.scheduler, "waiting", "processing", "s", to: "w1")
      step.taskRun = run
      return step
    }
    let late = Self.ran(11, 1, "error").map { step in
      var step = step
      step.taskRun = 1
      return step
    }
    let told = Self.told(
      [
        dispatch(1, 1, run: 1),
        Self.step(7, 7, Self.scheduler, "processing", "released", "task-erred-1"),
        dispatch(9, 8, run: 2),
      ] + late)
    #expect(
      told.dropFirst() == [
        "1 It began to run: it had waited 0 s until the worker had it, 500 ms for its inputs and 1.5 s "
          + "for a thread. [1, 13]",
        "1 It failed after running for 3.0 s. [13, 14]",
        "1 It failed on worker w1, and is tried again. [7]",
        "2 It was sent to worker w1; what it waited for, the log does not say. [9]",
      ])
  }

  @Test func `the client that submitted it and the one that released it are named`() {
    var submitted = Self.step(2, 1, Self.scheduler, "released", "waiting", "update-graph-1")
    submitted.request = ("c1", 1)
    var steps = [
      submitted, Self.step(3, 1, Self.scheduler, "waiting", "processing", "s", to: "w1"),
    ]
    var end = Self.step(9, 4, Self.scheduler, "processing", "released", "client-releases-keys-1")
    end.request = ("c2", 8)
    #expect(Self.told(steps + [end]).first == "0 Client c1 submitted it. [1, 2]")
    #expect(
      Self.told(steps + [end]).last
        == "1 It was withdrawn: client c2 released it, and no other one wanted it. [8, 9]")
    steps.append(Self.step(5, 3, Self.scheduler, "processing", "memory", "task-finished-1"))
    end = Self.step(9, 4, Self.scheduler, "memory", "released", "remove-client-1")
    end.request = ("c2", 8)
    #expect(
      Self.told(steps + [end]).last
        == "1 Its result was released: client c2 left, and no other one wanted it. [8, 9]")
  }

  @Test(arguments: [
    (
      "processing", "handle-worker-cleanup-1",
      "Its worker w1 was removed, and with it this attempt."
    ),
    ("processing", "client-releases-keys-1", "It was withdrawn: no client wanted it any more."),
    ("processing", "cancel-key-1", "It was withdrawn: no client wanted it any more."),
    (
      "processing", "cancelled-by-worker-close-1", "Its worker w1 was closing, and gave it back."
    ),
    ("processing", "reschedule-1", "It asked worker w1 to be run again, on any worker."),
    ("processing", "odd-1", "It was taken from worker w1; why, the log does not say."),
    ("memory", "handle-worker-cleanup-1", "Its result was lost with the worker that held it."),
    (
      "memory", "client-releases-keys-1",
      "Its result was released: no client wanted it any more."
    ),
    ("memory", "odd-1", "Its result was released; why, the log does not say."),
  ])
  func `an end has the reason that its stimulus shows`(
    start: String, stimulus: String, expected: String
  ) {
    let told = Self.told([
      Self.step(1, 1, Self.scheduler, "waiting", "processing", "s", to: "w1"),
      Self.step(2, 2, Self.scheduler, start, "released", stimulus),
    ])
    #expect(told.last == "1 \(expected) [2]")
  }

  @Test func `a task that its worker frees was not on the worker that was removed`() {
    let told = Self.told([
      Self.step(1, 1, Self.scheduler, "waiting", "processing", "s", to: "w1"),
      Self.step(2, 2, Self.scheduler, "processing", "released", "handle-worker-cleanup-1"),
      Self.step(3, 3, Self.worker, "ready", "released", "handle-worker-cleanup-1"),
    ])
    #expect(
      told.last
        == "1 It was taken from worker w1, because an input was lost with another worker. [3, 2]")
  }

  @Test func `a result that the next task releases names it`() {
    let told = Self.told([
      Self.step(2, 2, Self.scheduler, "memory", "released", "task-finished-1", ended: ("y", 1))
    ])
    #expect(told == ["0 Its result was released when 'y' was done. [1, 2]"])
  }

  @Test func `a task that fails with another one is not said to have failed itself`() {
    #expect(
      Self.told([Self.step(1, 1, Self.scheduler, "waiting", "erred")])
        == ["0 It failed because a task that it needs had failed. [1]"])
  }

  @Test func `a task that another worker runs was moved`() {
    let told = Self.told(
      [Self.step(1, 1, Self.scheduler, "waiting", "processing", "s", to: "w2")] + Self.ran(2, 1))
    #expect(told[1].hasPrefix("1 It was moved to worker w1 and began to run: "))
  }
}
