import EventLog
import LogFormat

/// Work that failed, was lost or was repeated.
extension AdviceRules {
  var failureAdvice: [Advice] { failedTasks + lostWorkers + retries }

  private var failedTasks: [Advice] {
    let failed = facts.scan.failed
    guard failed > 0 else { return [] }
    return [
      Advice(
        kind: .failedTasks, severity: .warning, cost: facts.scan.failedTime,
        finding: "\(Units.count(failed, "task")) failed, after computing for "
          + "\(duration(facts.scan.failedTime)).",
        action: "Look at the exceptions, the first one first: 'tasklog errors' shows each with its "
          + "traceback.", certainty: .certain,
        evidence: sql("key, worker, exception", from: "errors", "ORDER BY seq"))
    ]
  }

  private var lostWorkers: [Advice] {
    let lost = facts.ends.filter(\.isLoss)
    guard !lost.isEmpty else { return [] }
    let (results, tasks, cost) = facts.scan.lost.values.reduce((Int64(0), Int64(0), Int64(0))) {
      ($0.0 + $1.results, $0.1 + $1.tasks, $0.2 + $1.time)
    }
    let causes = Dictionary(grouping: lost, by: \.verdict.cause.rawValue)
      .sorted { ($1.value.count, $0.key) < ($0.value.count, $1.key) }
      .map { "\($0.key): \($0.value.count)" }.joined(separator: ", ")
    let isOutOfMemory = lost.contains { $0.verdict.cause == .outOfMemory }
    return [
      Advice(
        kind: .lostWorkers, severity: .warning,
        subject: lost.count == 1 ? WorkerLives.label(lost[0].address, lost[0].life) : nil,
        cost: cost, bytes: lost.reduce(0) { $0 + $1.lostBytes },
        finding: "\(Units.count(Int64(lost.count), "worker")) ended unexpectedly (\(causes)): "
          + "\(Units.count(results, "result")) computed again, "
          + "\(Units.count(tasks, "task")) interrupted, \(duration(cost)) of work lost.",
        action: isOutOfMemory
          ? "Give workers more memory, or make chunks smaller; 'tasklog workers --deaths' shows what "
            + "each was doing."
          : "Find out why: 'tasklog workers --deaths' shows the cause and what each was doing.",
        certainty: .certain,
        evidence: sql("worker, reason, exit_code", from: "worker_ends", "AND expected IS NOT 1"))
    ]
  }

  private var retries: [Advice] {
    facts.scan.retries.filter { $0.value.succeeded > 0 }.sorted { $0.key < $1.key }.map {
      prefix, retries in
      let isAlways =
        retries.tasks >= thresholds.retriedTasks
        && Double(retries.tasks) >= thresholds.retriedShare * Double(retries.all)
      let times = Units.count(retries.attempts, "failed attempt")
      return Advice(
        kind: isAlways ? .alwaysRetried : .hiddenErrors, severity: .warning, subject: prefix,
        cost: retries.time,
        finding: isAlways
          ? "\(retries.tasks) of \(Units.count(retries.all, "task")) of prefix '\(prefix)' failed "
            + "before a retry: \(times) took \(duration(retries.time))."
          : "\(Units.count(retries.tasks, "task")) of prefix '\(prefix)' failed, of which "
            + "\(retries.succeeded) succeeded after retries, so that no client saw the error: \(times).",
        action: isAlways
          ? "Mend what fails the first time, such as a resource that the first attempt creates."
          : "Look at the exceptions of the workers; a retry hides an error that may be real.",
        certainty: .certain,
        evidence: sql(
          "key, worker, coalesce(args ->> '$.exception_text', stimulus) AS failure", from: "events",
          "AND prefix = \(Self.literal(prefix)) AND (args ->> '$.op' = 'execute-failure' "
            + "OR start = 'processing' AND stimulus GLOB 'task-erred*') ORDER BY seq"))
    }
  }
}
