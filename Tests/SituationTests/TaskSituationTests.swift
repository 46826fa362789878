import EventLog
import Explaining
import LogAnalysis
import TaskLogPlugin
import Testing

@testable import Scheduling

/// What `tasklog explain KEY` says of a task of our engine, in a situation for each thing that a task can wait
/// for and each end that it can come to.
@Suite struct TaskSituationTests {
  private static let one = "\(TimedCluster.scheduler)/0"
  private static let other = "\(TimedCluster.scheduler)/1"

  /// The sentences about a task, each after the number of its attempt.
  private func told(_ cluster: TimedCluster, _ key: String) async throws -> [String] {
    try cluster.run()
    let reader = try await cluster.log()
    let history = try TaskHistory(reader, #require(try reader.runs(matching: "latest").first))
    var told: [String] = []
    for case .key(let number) in try reader.subjects(named: key) {
      told += try history.explanation(ofKey: number).sentences.map { "\($0.attempt) \($0.text)" }
    }
    return told
  }

  @Test func `it waited for nothing`() async throws {
    let cluster = try TimedCluster(workers: 1)
    try cluster.submit(["task"], .init(seconds: 2, bytes: 2048))
    expect(
      try await told(cluster, "task"),
      is: [
        "0 Client client submitted it.",
        "1 It waited for nothing, and was sent to worker \(Self.one).",
        "1 It was put there because there was no other worker.",
        "1 It began to run: it had waited 1.0 ms until the worker had it, 0 s for its inputs and 0 s for "
          + "a thread.",
        "1 It ran for 2.0 s.",
        "1 The scheduler recorded its result of 2.0 KiB, 1.0 ms after it had ended.",
      ])
  }

  @Test func `it waited for its inputs, the last of which is named`() async throws {
    let cluster = try TimedCluster()
    let short = try cluster.submit(["short"], .init(seconds: 1))
    let long = try cluster.submit(["long"], .init(seconds: 3))
    try cluster.submit(["task"], needing: short + long)
    let told = try await told(cluster, "task")
    #expect(
      told.contains(
        "1 It waited 3.0 s for inputs, for 'long' last, and was sent to worker \(Self.one)."))
  }

  @Test func `its inputs came from another worker`() async throws {
    let cluster = try TimedCluster()
    let made = try cluster.submit(["made"], .init(seconds: 1, bytes: 200_000_000), on: [Self.one])
    cluster.after(made) { try cluster.submit(["task"], needing: made, on: [Self.other]) }
    #expect(
      try await told(cluster, "task").contains(
        "1 It began to run: it had waited 1.0 ms until the worker had it, 2.0 s for its inputs and 0 s "
          + "for a thread. Its inputs came from worker \(Self.one) (2.0 s)."))
  }

  @Test func `it was queued until a thread was free`() async throws {
    let cluster = try TimedCluster(workers: 1)
    try cluster.submit(TimedCluster.keys("task", 6), .init(seconds: 1))
    let told = try await told(cluster, "task-5")
    #expect(
      told.prefix(3) == [
        "0 Client client submitted it.",
        "0 It was ready to run after 0 s, and was queued: no worker had room for it.",
        "1 It waited 4.0 s for a thread, until task 'task-3' ended, and was sent to worker \(Self.one).",
      ])
  }

  @Test func `it was queued until a task that failed freed a thread`() async throws {
    let cluster = try TimedCluster(workers: 1)
    try cluster.submit(TimedCluster.keys("task", 6), .init(seconds: 1, failures: 1))
    let told = try await told(cluster, "task-5")
    #expect(
      told.contains(
        "1 It waited 4.0 s for a thread, until task 'task-3' failed, and was sent to worker \(Self.one)."
      ))
  }

  @Test func `it was queued until a worker joined`() async throws {
    let cluster = try TimedCluster(workers: 1)
    try cluster.submit(TimedCluster.keys("task", 6), .init(seconds: 10))
    cluster.at(3) { try cluster.join() }
    let told = try await told(cluster, "task-2")
    #expect(
      told.contains(
        "1 It waited 3.0 s until a worker was available, and was sent to worker \(Self.other)."))
  }

  @Test func `it waited on its worker for a thread`() async throws {
    let cluster = try TimedCluster(workers: 1)
    try cluster.submit(["first"], .init(seconds: 2))
    try cluster.submit(["task"], .init(seconds: 1))
    #expect(
      try await told(cluster, "task").contains(
        "1 It began to run: it had waited 1.0 ms until the worker had it, 0 s for its inputs and 2.0 s "
          + "for a thread. It got the thread of 'first'."))
  }

  @Test func `it waited on its worker behind tasks of higher priority`() async throws {
    let cluster = try TimedCluster(workers: 1)
    try cluster.submit(["first"], .init(seconds: 2))
    try cluster.submit(["task"], .init(seconds: 1), on: [Self.one])
    cluster.at(1) {
      for number in 1...2 {
        try cluster.submit(
          [Key("urgent-\(number)")], .init(seconds: 1), on: [Self.one], priority: 10)
      }
    }
    #expect(
      try await told(cluster, "task").contains(
        "1 It began to run: it had waited 1.0 ms until the worker had it, 0 s for its inputs and 4.0 s "
          + "for a thread. 2 tasks of higher priority began first, from 'urgent-1' to 'urgent-2'. It got "
          + "the thread of 'urgent-2'."))
  }

  @Test func `it waited until there was a worker`() async throws {
    let cluster = try TimedCluster(workers: 0)
    try cluster.submit(["task"])
    cluster.at(3) { try cluster.join() }
    expect(
      try await told(cluster, "task").prefix(3),
      is: [
        "0 Client client submitted it.",
        "0 It was ready to run after 0 s, and was queued: no worker had room for it.",
        "1 It waited 3.0 s until a worker was available, and was sent to worker \(Self.one).",
      ])
  }

  @Test func `it waited for a worker with a resource`() async throws {
    let cluster = try TimedCluster(workers: 1)
    try cluster.submit(["task"], resources: [Resource("GPU", 1)])
    cluster.at(3) { try cluster.join(resources: [Resource("GPU", 1)]) }
    expect(
      try await told(cluster, "task").prefix(4),
      is: [
        "0 Client client submitted it.", "0 No worker could take it.",
        "1 It waited 3.0 s until a worker was available, and was sent to worker \(Self.other).",
        "1 It was put there because no other worker may run it.",
      ])
  }

  @Test func `it was stolen`() async throws {
    let cluster = try TimedCluster()
    try cluster.submit(
      TimedCluster.keys("task", 4), .init(seconds: 2), on: [Self.one], allowsOthers: true)
    let told = try await told(cluster, "task-3")
    #expect(
      told.contains(
        "1 It was put there because its client prefers that worker, and others run it only if that one "
          + "cannot."))
    #expect(
      told.contains(
        "1 Worker \(Self.other) stole it from worker \(Self.one), where it had been for 102 ms; its cost and "
          + "gain, the log does not say."))
    #expect(
      told.contains(
        "1 It began to run: since then it had waited 1.0 ms until the worker had it, 0 s for its inputs and "
          + "0 s for a thread."))
  }

  @Test func `it failed, was tried again, and failed for good`() async throws {
    let cluster = try TimedCluster(workers: 1)
    let task = try cluster.submit(["task"], .init(seconds: 1, failures: 2), retries: 1)
    try cluster.submit(["after"], needing: task)
    let told = try await told(cluster, "task")
    #expect(told.contains("1 It failed after running for 1.0 s."))
    #expect(told.contains("1 It failed on worker \(Self.one), and is tried again."))
    #expect(told.contains("2 It failed for good: broken on purpose."))
  }

  @Test func `it failed because of a task that it needs`() async throws {
    let cluster = try TimedCluster(workers: 1)
    let task = try cluster.submit(["task"], .init(seconds: 1, failures: 1))
    try cluster.submit(["after"], needing: task)
    expect(
      try await told(cluster, "after"),
      is: [
        "0 Client client submitted it.", "0 It failed because a task that it needs had failed.",
      ])
  }

  @Test func `its worker died, and it ran on another one`() async throws {
    let cluster = try TimedCluster()
    try cluster.submit(["task"], .init(seconds: 2), on: [Self.one], allowsOthers: true)
    cluster.at(1) { try cluster.kill(Self.one) }
    let told = try await told(cluster, "task")
    #expect(told.contains("1 Its worker \(Self.one) was removed, and with it this attempt."))
    #expect(told.contains("2 It waited for nothing, and was sent to worker \(Self.other)."))
  }

  @Test func `its result was lost with a worker, and it ran again`() async throws {
    let cluster = try TimedCluster()
    try cluster.submit(["task"], .init(seconds: 1), on: [Self.one], allowsOthers: true)
    cluster.at(3) { try cluster.kill(Self.one) }
    let told = try await told(cluster, "task")
    #expect(told.contains("1 Its result was lost with the worker that held it."))
    #expect(told.contains("2 It waited for nothing, and was sent to worker \(Self.other)."))
  }

  @Test func `it was withdrawn by its client`() async throws {
    let cluster = try TimedCluster()
    let task = try cluster.submit(["task"], .init(seconds: 5))
    cluster.at(1) { try cluster.release(task) }
    #expect(
      try await told(cluster, "task").contains(
        "1 It was withdrawn: client client released it, and no other one wanted it."))
  }

  @Test func `its client cancelled it`() async throws {
    let cluster = try TimedCluster()
    let task = try cluster.submit(["task"], .init(seconds: 5))
    cluster.at(1) {
      try cluster.handle(.cancel(client: "client", keys: task, force: false), "cancel-key")
    }
    #expect(
      try await told(cluster, "task").contains(
        "1 It was withdrawn: client client released it, and no other one wanted it."))
  }

  @Test func `its client released its result, or the last task that needed it`() async throws {
    let cluster = try TimedCluster(workers: 1)
    let task = try cluster.submit(["task"], .init(seconds: 1))
    try cluster.submit(["after"], needing: task, .init(seconds: 2))
    cluster.at(2) { try cluster.release(task) }
    cluster.at(5) { try cluster.release(["after"]) }
    let (log, path) = (try await told(cluster, "task"), cluster.path)
    #expect(log.last == "1 Its result was released when 'after' was done.")
    let reader = try LogReader(path: path)
    let history = try TaskHistory(reader, #require(try reader.runs(matching: "latest").first))
    guard case .key(let number)? = try reader.subjects(named: "after").first else {
      Issue.record("no such task")
      return
    }
    #expect(
      try history.explanation(ofKey: number).sentences.last?.text
        == "Its result was released: client client released it, and no other one wanted it.")
  }
}
