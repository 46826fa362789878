import LogFormat

/// Data that was moved, kept in memory or written to disk.
extension AdviceRules {
  var dataAdvice: [Advice] {
    transfers + deserializing + spilling + paused + nearLimit + largeResult
  }

  private var transfers: [Advice] {
    let cost = facts.time.split[.transfer]
    return timed(
      .transfers, cost: cost,
      "Threads waited \(duration(cost)) for inputs from other workers, "
        + "\(Units.percent(share(cost))) of their time while tasks were unfinished.",
      "Use fewer and larger workers, reduce data before it is combined, or avoid a shuffle.",
      .certain,
      sql(
        "prefix, sum(duration) AS seconds", from: "task_durations",
        "AND action = 'transfer' GROUP BY prefix ORDER BY seconds DESC"))
  }

  private var deserializing: [Advice] {
    let cost = facts.time.split[.deserializing]
    return timed(
      .deserializing, cost: cost,
      "Threads unpacked what was sent with tasks for \(duration(cost)).",
      "Do not put large data into tasks: scatter it, or load it within a task.", .certain,
      sql(
        "prefix, sum(duration) AS seconds", from: "task_durations",
        "AND action = 'deserialize' GROUP BY prefix ORDER BY seconds DESC"))
  }

  private var spilling: [Advice] {
    let peak = facts.resources.rows.compactMap { $0[.spilled]?.peak }.max() ?? 0
    let cost = facts.time.split[.disk]
    guard peak > 0 || cost > 0 else { return [] }
    let evidence = metric("spilled_bytes.disk")
    let finding =
      peak > 0
      ? "A worker had up to \(Units.bytes(peak)) of results on disk, and threads waited "
        + "\(duration(cost)) for disk."
      : "Threads waited \(duration(cost)) for results on disk."
    return timed(
      .spilling, cost: cost, finding,
      "Give workers more memory, use smaller chunks, or release results that are no longer needed.",
      .certain, evidence
    ).map { advice in
      var advice = advice
      advice.bytes = peak > 0 ? Int64(peak) : nil
      return advice
    }
  }

  private var paused: [Advice] {
    let cost = facts.time.split[.paused]
    return timed(
      .pausedWorkers, cost: cost,
      "Workers were paused for want of memory, which cost \(duration(cost)) of threads.",
      "Give workers more memory, or use smaller chunks and fewer threads for each worker.",
      .certain, metric("memory"))
  }

  private var nearLimit: [Advice] {
    var highest: (worker: Int, share: Double, bytes: Double)?
    for row in facts.resources.rows {
      guard let peak = row[.memory]?.peak, let limit = facts.resources.memoryLimits[row.worker],
        limit > 0, peak / Double(limit) > highest?.share ?? 0
      else { continue }
      highest = (row.worker, peak / Double(limit), peak)
    }
    guard let highest, highest.share >= thresholds.memoryNoteShare else { return [] }
    let worker = facts.resources.lives.label(highest.worker)
    return [
      Advice(
        kind: .memoryNearLimit,
        severity: highest.share >= thresholds.memoryWarningShare ? .warning : .note,
        subject: worker, bytes: Int64(highest.bytes),
        finding: "A worker used \(Units.bytes(highest.bytes)) of memory, "
          + "\(Units.percent(highest.share)) of its limit; Dask's default is to restart it at 95 %.",
        action:
          "Give workers more memory, or use smaller chunks and fewer threads for each worker.",
        certainty: .certain, evidence: metric("memory"))
    ]
  }

  private var largeResult: [Advice] {
    guard let largest = facts.scan.largest else { return [] }
    let limit = facts.resources.memoryLimits.values.filter { $0 > 0 }.min()
    let share = limit.map { Double(largest.bytes) / Double($0) }
    let isLarge =
      share.map { $0 >= thresholds.resultNoteShare }
      ?? (largest.bytes >= thresholds.resultNoteBytes)
    guard isLarge else { return [] }
    let size = Units.bytes(Double(largest.bytes))
    return [
      Advice(
        kind: .largeResult,
        severity: share ?? 0 >= thresholds.resultWarningShare ? .warning : .note,
        subject: largest.prefix, bytes: largest.bytes,
        finding: "The result of task '\(largest.key)' has \(size)"
          + (share.map { ", \(Units.percent($0)) of a worker's memory limit." } ?? "."),
        action:
          "Divide it into smaller chunks or partitions, and reduce it before it is collected.",
        certainty: .certain,
        evidence: sql("key, worker, nbytes", from: "tasks", "ORDER BY nbytes DESC LIMIT 10"))
    ]
  }

  private func metric(_ name: String) -> Advice.Evidence {
    sql(
      "worker, max(value) AS peak", from: "worker_metrics",
      "AND name = \(Self.literal(name)) GROUP BY worker ORDER BY peak DESC")
  }
}
