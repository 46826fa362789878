import Testing

@testable import LogAnalysis
@testable import Reporting

/// The chains of tasks in a page.
@Suite struct PathTableTests {
  private func outcome(
    _ task: Int32, seq: Int64, sent: Int64, isResult: Bool = true, at time: Int64
  ) -> PathTable.Outcome {
    PathTable.Outcome(
      seq: seq, sentSeq: sent, task: task, worker: 0, isResult: isResult, seen: 0,
      sent: time - 10, done: time)
  }

  /// A table of tasks in which the last one depends on all others.
  private func tasks(_ count: Int) -> TaskTable {
    var tasks = TaskTable()
    tasks.beginRun()
    for identity in 0..<count { _ = tasks.task(ofIdentity: UInt64(identity)) }
    // Submitted twice.
    for need in (0..<count - 1).reversed() { tasks.addEdge(count - 1, needs: need) }
    for need in 0..<count - 1 { tasks.addEdge(count - 1, needs: need) }
    return tasks
  }

  private func predecessors(_ outcomes: [PathTable.Outcome], taskCount: Int) -> [Int32] {
    var table = PathTable()
    table.beginRun()
    for outcome in outcomes { table.add(outcome, []) }
    table.endRun(0)
    return table.predecessors(NeedTable(tasks(taskCount)), taskCount: taskCount)
  }

  @Test func `the predecessor is the result that arrived last, whatever the clock said`() {
    let outcomes = [
      outcome(0, seq: 10, sent: 2, at: 9_000), outcome(1, seq: 20, sent: 3, at: 500),
      outcome(2, seq: 40, sent: 30, at: 600),
    ]
    #expect(predecessors(outcomes, taskCount: 3) == [-1, -1, 1])
  }

  @Test func `neither a failure nor a result that came after the task was sent is a predecessor`() {
    let outcomes = [
      outcome(0, seq: 10, sent: 2, at: 100), outcome(1, seq: 20, sent: 3, isResult: false, at: 200),
      outcome(1, seq: 35, sent: 32, at: 300), outcome(2, seq: 40, sent: 30, at: 400),
    ]
    #expect(predecessors(outcomes, taskCount: 3) == [-1, -1, -1, 0])
  }

  @Test func `a task that was computed twice has a predecessor for each result`() {
    let outcomes = [
      outcome(0, seq: 10, sent: 2, at: 100), outcome(1, seq: 30, sent: 20, at: 200),
      outcome(0, seq: 50, sent: 40, at: 300), outcome(1, seq: 70, sent: 60, at: 400),
    ]
    #expect(predecessors(outcomes, taskCount: 2) == [-1, 0, -1, 2])
  }

  @Test func `a task whose beginning is not in the log has no predecessor`() {
    let outcomes = [outcome(0, seq: 10, sent: 2, at: 100), outcome(1, seq: 20, sent: 0, at: 200)]
    #expect(predecessors(outcomes, taskCount: 2) == [-1, -1])
  }

  @Test func `sources that were read interleaved are put into the order of arrival`() {
    var table = PathTable()
    table.beginRun()
    table.add(outcome(1, seq: 30, sent: 20, at: 200), [])
    table.add(outcome(0, seq: 10, sent: 2, at: 100), [])
    table.endRun(4)
    #expect(table.outcomes.map(\.seq) == [10, 30])
    #expect(table.index(ofSeq: 30) == 1)
    #expect(table.index(ofSeq: 20) == nil)
    #expect(table.lastOfRun == [4: 1])
  }

  @Test func `phases begin where the predecessor ended and are kept within the scheduler's times`()
  {
    var table = PathTable()
    table.beginRun()
    table.add(outcome(0, seq: 10, sent: 2, at: 100), [])
    var second = outcome(1, seq: 30, sent: 20, at: 200)
    second.sent = 120
    table.add(
      second,
      [
        WorkSpan(action: "transfer", start: 130, stop: 140),
        WorkSpan(action: "compute", start: 150, stop: 250),
      ])
    table.endRun(0)
    let phases = table.phases(1, after: 0)
    #expect(phases.map(\.kind) == [.wait, .queue, .transfer, .queue, .compute])
    #expect(phases.map(\.start) == [100, 120, 130, 140, 150])
    #expect(phases.map(\.stop) == [120, 130, 140, 150, 200])
  }
}
