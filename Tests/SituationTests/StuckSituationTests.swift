import EventLog
import Explaining
import LogAnalysis
import TaskLogPlugin
import Testing

@testable import Scheduling

/// Runs of our engine that hang: the first cause that `tasklog explain --stuck` names is the planted one.
///
/// The engine has no locks between tasks (`lock`) and does not pause workers (`paused-workers`); its recorder
/// records all workers (`unknown`); its scheduler fills every free thread before it has handled a stimulus
/// (`not-sent`). What only a defect of it could cause is planted by hand: `disagreement`, `released-input`.
/// Messages are lost, as if a plugin kept a server busy for good.
@Suite struct StuckSituationTests {
  /// The causes two seconds after the start.
  private func causes(_ cluster: TimedCluster, at seconds: Double = 2) async throws -> [StuckCause]
  {
    try cluster.run(until: seconds)
    // An event by which it is so late.
    try cluster.connect("observer")
    let reader = try await cluster.log()
    return try reader.stuckCauses(of: #require(try reader.runs(matching: "latest").first))
  }

  private func told(_ cluster: TimedCluster, at seconds: Double = 2) async throws -> [String] {
    try await causes(cluster, at: seconds).map { "\($0.kind.rawValue): \($0.sentence)" }
  }

  private static let endless = TimedCluster.Work(seconds: TimedCluster.never)
  private static let one = "\(TimedCluster.scheduler)/0"
  private static let other = "\(TimedCluster.scheduler)/1"

  @Test func `a run that has ended is not stuck`() async throws {
    let cluster = try TimedCluster()
    try cluster.submit(TimedCluster.keys("nap", 8))
    expect(try await told(cluster), is: [])
  }

  @Test func `a task that never ends runs, and what needs it waits`() async throws {
    let cluster = try TimedCluster()
    let first = try cluster.submit(["first"], Self.endless)
    try cluster.submit(["second"], needing: first)
    let causes = try await causes(cluster)
    #expect(
      causes.map(\.sentence) == [
        "Task 'first' has been running on worker \(Self.other) for 2.0 s; whether it makes progress, "
          + "the log does not say."
      ])
    #expect(causes.first?.chain == ["second", "first"])
  }

  @Test func `a task that needs a resource which no worker has`() async throws {
    let cluster = try TimedCluster(resources: ["CPU": 2])
    try cluster.submit(["train"], resources: [Resource("GPU", 1)])
    expect(
      try await told(cluster),
      is: [
        "resources: Task 'train' needs 1 of GPU, which no worker has."
      ])
  }

  @Test func `a task that may run only on a worker which has gone`() async throws {
    let cluster = try TimedCluster()
    cluster.at(0.5) {
      try cluster.remove(Self.one)
      try cluster.submit(["task"], on: [Self.one])
    }
    expect(
      try await told(cluster),
      is: [
        "restrictions: Task 'task' may run only on \(Self.one), of which none is there."
      ])
  }

  @Test func `a task for which there is no worker`() async throws {
    let cluster = try TimedCluster(workers: 0)
    try cluster.submit(["task"])
    expect(
      try await told(cluster), is: ["no-worker: Task 'task' has no worker: there is none."])
  }

  @Test func `the only worker that may run it is leaving, and takes no tasks`() async throws {
    let cluster = try TimedCluster()
    // What it has to move first does not arrive.
    cluster.isLost = { message in
      if case .request = message { true } else { false }
    }
    let made = try cluster.submit(["made"], on: [Self.other])
    cluster.after(made) {
      try cluster.retire(Self.other)
      try cluster.submit(["task"], on: [Self.other])
    }
    expect(
      try await told(cluster),
      is: [
        "no-worker: Task 'task' could run only on workers that take no tasks now: \(Self.other) "
          + "(closing_gracefully)."
      ])
  }

  @Test func `all threads have a task that does not end`() async throws {
    let cluster = try TimedCluster()
    try cluster.submit(TimedCluster.keys("endless", 2), Self.endless)
    try cluster.submit(["next"])
    #expect(
      try await causes(cluster).map(\.kind) == [.running, .noThread])
  }

  @Test func `tasks are queued at the scheduler while all threads are taken`() async throws {
    let cluster = try TimedCluster()
    try cluster.submit(TimedCluster.keys("endless", 12), Self.endless)
    let causes = try await causes(cluster)
    #expect(causes.map(\.kind) == [.running, .noThread, .noThread, .noThread])
    #expect(causes.map(\.tasks) == [2, 8, 1, 1])
  }

  @Test func `a worker does not receive what it is sent`() async throws {
    let cluster = try TimedCluster()
    cluster.isLost = { message in
      if case .toWorker(_, .computeTask) = message { true } else { false }
    }
    try cluster.submit(["task"])
    expect(
      try await told(cluster),
      is: [
        "not-received: The scheduler sent task 'task' to worker \(Self.other), and the worker has "
          + "recorded nothing of it for 2.0 s."
      ])
  }

  @Test func `the scheduler does not receive a result`() async throws {
    let cluster = try TimedCluster()
    cluster.isLost = { message in
      if case .toScheduler(.taskFinished) = message { true } else { false }
    }
    try cluster.submit(["task"], .init(seconds: 0.999))
    expect(
      try await told(cluster),
      is: [
        "result-not-received: Worker \(Self.other) finished task 'task' with memory, and the scheduler "
          + "has recorded nothing of it for 1.0 s."
      ])
  }

  @Test func `a worker does not answer who asks it for an input`() async throws {
    let cluster = try TimedCluster()
    cluster.isLost = { message in
      if case .request = message { true } else { false }
    }
    let made = try cluster.submit(["made"], on: [Self.one])
    cluster.after(made) { try cluster.submit(["taken"], needing: made, on: [Self.other]) }
    let told = try await told(cluster)
    #expect(told.count == 1)
    #expect(
      told.first?.hasPrefix(
        "missing-input: Task 'taken' on worker \(Self.other) has waited for 1.9 s for inputs: "
          + "'made' (flight).") == true)
  }

  @Test func `a worker has released a task that the scheduler takes to be there`() async throws {
    let cluster = try TimedCluster(workers: 1)
    try cluster.submit(["first"], .init(seconds: 1))
    try cluster.submit(["task"])
    cluster.at(0.5) {
      try cluster.inject(.freeKeys([Key("task")]), at: Self.one, "planted")
    }
    let told = try await told(cluster)
    #expect(told.count == 1, "\(told)")
    #expect(
      told.first?.hasPrefix(
        "disagreement: The scheduler takes task 'task' to be on worker \(Self.one), where it has been "
          + "forgotten for 1.5 s. They have disagreed since event ") == true, "\(told)")
  }

  @Test func `an input is released, and is not computed again`() async throws {
    let cluster = try TimedCluster()
    let made = try cluster.submit(["made"], Self.endless)
    try cluster.submit(["task"], needing: made)
    cluster.at(0.5) {
      // What it recommends is forgotten.
      _ = try cluster.core.transition(
        #require(cluster.core.state.tasks["made"]), .released,
        TransitionContext(stimulusID: "planted", time: cluster.moment(0.5)))
    }
    expect(
      try await told(cluster),
      is: [
        "released-input: Task 'task' waits for 'made', which is released and is not being computed."
      ])
  }
}
