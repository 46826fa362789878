import TaskLogKit
import Testing

@testable import LogFormat

/// A replay of any log ends and counts what it could not use.
@Suite struct SafetyTests {
  /// Damage to a whole log, and whether the file itself shows it.
  @Test(arguments: [
    "UPDATE event SET hook = 999999 WHERE seq % 7 = 0",
    "UPDATE event SET key = 999999 WHERE seq % 5 = 0",
    "UPDATE event SET key = -1 WHERE seq % 5 = 0",
    "UPDATE event SET start = 999999, finish = 888888 WHERE seq % 6 = 0",
    "UPDATE event SET stimulus = 9223372036854775807, worker = -9223372036854775808",
    "DELETE FROM text WHERE id % 3 = 0",
    "DELETE FROM key WHERE id % 2 = 0",
  ])
  func `numbers that refer to nothing are counted`(damage: String) async throws {
    let log = try TemporaryLog()
    _ = try await log.record()
    try log.execute(damage)
    let result = try await log.replayAll()
    #expect(result.damaged > 0)
    #expect(result.events > 0)
  }

  @Test(arguments: [
    "UPDATE event SET args = '{' WHERE args IS NOT NULL",
    "UPDATE event SET args = '[[[[1e999,-0,\"\\ud800\"]]]]', snapshot = '{\"task\":{\"nbytes\":1e400}}'",
    "UPDATE event SET snapshot = '{\"graph\":[{\"key\":{\"$tuple\":[]}},7,null]}'",
    "UPDATE event SET snapshot = '{\"worker\":{\"address\":\"x\",\"nthreads\":9223372036854775807}}'",
    "UPDATE event SET args = '{\"nbytes\":9223372036854775807,\"worker\":\"inproc://x\"}'",
    "UPDATE event SET args = '{\"nbytes\":-9223372036854775808}', task_run = -9223372036854775808",
    "UPDATE event SET time = 9223372036854775807 WHERE seq % 2 = 0",
    "UPDATE event SET time = -9223372036854775808",
    "UPDATE event SET start = finish, finish = start WHERE seq % 3 = 0",
    "UPDATE event SET key = (SELECT min(id) FROM key)",
    "UPDATE event SET hook = (SELECT id FROM text WHERE text = 'transition')",
    "UPDATE event SET worker = (SELECT id FROM text WHERE text = 'waiting')",
    "DELETE FROM event WHERE seq % 3 = 0",
    "DELETE FROM event WHERE hook = (SELECT id FROM text WHERE text = 'updateGraph')",
    "UPDATE key SET text = replace(hex(zeroblob(20000)), '00', 'long ') || id",
    "UPDATE key SET text = char(27) || '[2J' || char(10) || '\\u0000' || id, typed = '{\"$tuple\":[' ",
    "UPDATE source SET kind = 'worker'",
    "UPDATE source SET address = '', name = '{', server_id = server_id || char(10)",
  ])
  func `undecodable contents do no harm`(damage: String) async throws {
    let log = try TemporaryLog()
    _ = try await log.record(tasks: 20, workers: 2)
    try log.execute(damage)
    let result = try await log.replayAll()
    #expect(result.events > 0)
    var options = ReplayOptions()
    options.verifies = true
    options.from = .time(0)
    options.keys = ["*[a-z]*"]
    _ = try await log.replay(options: options, (EveryTask.self, [:]))
  }

  @Test func `events that do not fit the state are counted`() async throws {
    let log = try TemporaryLog()
    _ = try await log.record()
    try log.execute(
      "DELETE FROM event WHERE finish = (SELECT id FROM text WHERE text = 'processing')")
    let result = try await log.replayAll()
    #expect(result.mismatchCount > 0)
  }
}

extension TemporaryLog {
  fileprivate func execute(_ sql: String) throws {
    try Connection(path: path, mode: .readWrite).execute(sql)
  }

  /// Replays through plugins that read the whole state.
  fileprivate func replayAll() async throws -> Replayer.Result {
    try await replay(
      (EveryTask.self, [:]), (EveryWorkerTask.self, [:]), (SchedulerProbe.self, [:]),
      (WorkerProbe.self, [:]), (Counter.self, [:]), (ErrorLogger.self, [:]))
  }
}
