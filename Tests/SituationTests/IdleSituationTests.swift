import EventLog
import Explaining
import LogAnalysis
import TaskLogPlugin
import Testing

@testable import Scheduling

/// What a worker of our engine did at a moment, in a situation for each reason to be idle that it can have.
///
/// The engine does not pause workers (`paused`), and sets a worker up before it joins (`starting`).
@Suite struct IdleSituationTests {
  private static let one = "\(TimedCluster.scheduler)/0"
  private static let other = "\(TimedCluster.scheduler)/1"

  /// The reasons of a worker after a number of seconds.
  private func told(
    _ cluster: TimedCluster, _ worker: String = other, at seconds: Double
  ) async throws -> [String] {
    try cluster.run(until: seconds + 5)
    try cluster.connect("observer")
    let reader = try await cluster.log()
    let idle = try reader.idleReasons(
      of: #require(try reader.runs(matching: "latest").first), worker: worker,
      at: .time(cluster.moment(seconds)))
    return try #require(idle).flatMap(\.reasons).map { "\($0.kind.rawValue): \($0.sentence)" }
  }

  private func kinds(
    _ cluster: TimedCluster, _ worker: String = other, at seconds: Double
  ) async throws -> [String] {
    try await told(cluster, worker, at: seconds).map { String($0.prefix { $0 != ":" }) }
  }

  @Test func `it ran a task`() async throws {
    let cluster = try TimedCluster()
    try cluster.submit(["task"], .init(seconds: 2))
    expect(
      try await told(cluster, at: 1),
      is: [
        "running: Worker \(Self.other) was not idle: its thread ran 'task' for 999 ms."
      ])
  }

  @Test func `no task was unfinished`() async throws {
    let cluster = try TimedCluster()
    try cluster.submit(["task"], .init(seconds: 0.998))
    expect(
      try await told(cluster, at: 3),
      is: [
        "no-tasks: No task was unfinished: the last one had ended 2.0 s before."
      ])
  }

  @Test func `the only task ran elsewhere, and others waited for it`() async throws {
    let cluster = try TimedCluster()
    let first = try cluster.submit(["first"], .init(seconds: 2))
    try cluster.submit(["second"], needing: first)
    expect(
      try await told(cluster, Self.one, at: 1),
      is: [
        "nothing-ready: No task was ready to run: of 2 tasks that were unfinished, 1 ran and 1 waited "
          + "for others. Task 'first' was processing on worker \(Self.other) for 1.0 s."
      ])
  }

  @Test func `tasks were ready that only another worker may run`() async throws {
    let cluster = try TimedCluster()
    try cluster.submit(TimedCluster.keys("task", 2), .init(seconds: 2), on: [Self.one])
    expect(
      try await told(cluster, at: 1),
      is: [
        "restrictions: Task 'task-1' was ready for 1.0 s, and may run only on \(Self.one)."
      ])
  }

  @Test func `a task needed a resource that it has not`() async throws {
    let cluster = try TimedCluster(workers: 1)
    let able = try cluster.join(resources: [Resource("GPU", 1)])
    try cluster.submit(
      TimedCluster.keys("train", 2), .init(seconds: 2), resources: [Resource("GPU", 1)])
    #expect(able == Self.other)
    expect(
      try await told(cluster, Self.one, at: 1),
      is: [
        "restrictions: Task 'train-1' was ready for 1.0 s, and needs 1 of GPU, which worker \(Self.one) "
          + "does not have."
      ])
  }

  @Test func `a task waited for a resource that another one used`() async throws {
    let cluster = try TimedCluster(workers: 1, threads: 2, resources: ["GPU": 1])
    try cluster.submit(
      TimedCluster.keys("train", 2), .init(seconds: 2), resources: [Resource("GPU", 1)])
    let told = try await told(cluster, Self.one, at: 1)
    #expect(told.count == 2)
    #expect(
      told.first?.hasPrefix("running: 1 of the 2 threads of worker \(Self.one) ran 'train-0'")
        == true)
    #expect(
      told.last
        == "resources: Task 'train-1' waited for 999 ms for 1 of GPU of worker \(Self.one), which other "
        + "tasks used.")
  }

  @Test func `its task waited for an input`() async throws {
    let cluster = try TimedCluster()
    let made = try cluster.submit(["made"], .init(seconds: 0.5, bytes: 300_000_000), on: [Self.one])
    cluster.after(made) { try cluster.submit(["use"], needing: made, on: [Self.other]) }
    let told = try await told(cluster, at: 1.5)
    #expect(told.count == 1, "\(told)")
    #expect(
      told.first?.hasPrefix(
        "data: Worker \(Self.other) waited for input 'made' (286 MiB), which was on its way from "
          + "worker \(Self.one) for ") == true, "\(told)")
  }

  @Test func `its input was on its way, and tasks were queued`() async throws {
    let cluster = try TimedCluster()
    let made = try cluster.submit(["made"], .init(seconds: 0.5, bytes: 900_000_000), on: [Self.one])
    cluster.after(made) {
      try cluster.submit(TimedCluster.keys("use", 2), needing: made, on: [Self.other])
      try cluster.submit(TimedCluster.keys("root", 12), .init(seconds: 6))
    }
    expect(try await kinds(cluster, at: 2), is: ["data", "saturation"])
  }

  @Test func `the scheduler had not recorded the result that a task waited for`() async throws {
    let cluster = try TimedCluster()
    cluster.latency = 0.5
    let first = try cluster.submit(["first"], .init(seconds: 1))
    try cluster.submit(["second"], needing: first)
    let told = try await told(cluster, at: 1.75)
    #expect(
      told == [
        "scheduler: Task 'second' waited only for results that the scheduler had not recorded yet: task "
          + "'first' had ended 250 ms before."
      ])
  }

  @Test func `its task was on its way`() async throws {
    let cluster = try TimedCluster(workers: 1)
    cluster.latency = 0.5
    try cluster.submit(["task"])
    expect(
      try await told(cluster, Self.one, at: 0.25),
      is: [
        "not-received: Task 'task' had been sent to worker \(Self.one) 250 ms before, and the worker had "
          + "recorded nothing of it."
      ])
  }

  @Test func `a task was ready on another worker that could have run here`() async throws {
    let cluster = try TimedCluster(options: .init(workStealing: false))
    try cluster.submit(
      TimedCluster.keys("task", 2), .init(seconds: 2), on: [Self.one], allowsOthers: true)
    expect(
      try await told(cluster, at: 1),
      is: [
        "elsewhere: Task 'task-1' was ready on worker \(Self.one) for 1.0 s and could have run on worker "
          + "\(Self.other): the scheduler had sent it there."
      ])
  }

  @Test func `it had not joined, was leaving, or had left`() async throws {
    let cluster = try TimedCluster(workers: 1)
    try cluster.submit(TimedCluster.keys("nap", 4), .init(seconds: 4))
    cluster.at(2) { try cluster.join() }
    cluster.at(5) { try cluster.remove(Self.other) }
    try cluster.run(until: 20)
    try cluster.connect("observer")
    let reader = try await cluster.log()
    let run = try #require(try reader.runs(matching: "latest").first)
    func kind(_ seconds: Double) throws -> [IdleReason.Kind] {
      try #require(
        try reader.idleReasons(of: run, worker: Self.other, at: .time(cluster.moment(seconds)))
      ).flatMap(\.reasons).map(\.kind)
    }
    #expect(try kind(1) == [.notJoined])
    #expect(try kind(6) == [.left])
  }

  @Test func `it was leaving while its last result was moved`() async throws {
    let cluster = try TimedCluster()
    let made = try cluster.submit(
      ["made"], .init(seconds: 0.5, bytes: 300_000_000), on: [Self.other])
    cluster.after(made) {
      try cluster.retire(Self.other)
      try cluster.submit(TimedCluster.keys("nap", 3), .init(seconds: 4))
    }
    expect(try await kinds(cluster, at: 2), is: ["closing"])
  }
}
