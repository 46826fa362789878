import LogFormat

/// Data that was moved, kept in memory or written to disk.
extension AdviceRules {
  var dataAdvice: [Advice] {
    transfers + deserializing + spilling + paused + nearLimit + largeResult + heldResults
  }

  private var transfers: [Advice] {
    // What stealing is blamed for is not said twice.
    let fetched = facts.scan.fetched
    let share =
      stealing.isEmpty ? 0 : Double(fetched.stolen) / Double(max(1, fetched.all))
    let cost = Int64(saturating: Double(facts.time.split[.transfer]) * (1 - share))
    let edge =
      facts.edge.map {
        ", most of \(Units.bytes(Double($0.all))) from tasks of prefix '\($0.from)' to those of "
          + "'\($0.to)' (\(Units.percent(Double($0.bytes) / Double(max(1, $0.all)))))"
      } ?? ""
    return timed(
      .transfers, cost: cost,
      "Threads waited \(duration(cost)) for inputs from other workers, "
        + "\(Units.percent(self.share(cost))) of their time while tasks were unfinished\(edge).",
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
      advice.bytes = peak > 0 ? Int64(saturating: peak) : nil
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
        subject: worker, bytes: Int64(saturating: highest.bytes),
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

  private var heldResults: [Advice] {
    let held = facts.held
    let limits = facts.resources.memoryLimits.values.filter { $0 > 0 }.reduce(0, +)
    let share = limits > 0 ? Double(held.mean) / Double(limits) : nil
    guard share.map({ $0 >= thresholds.heldShare }) ?? (held.mean >= thresholds.heldBytes) else {
      return []
    }
    // Memory that no task needs costs nothing.
    let isShort =
      !nearLimit.isEmpty || facts.time.split[.paused] > 0 || facts.time.split[.disk] > 0
      || facts.resources.rows.contains { $0[.spilled]?.peak ?? 0 > 0 }
    let prefix = held.prefix ?? ""
    return [
      Advice(
        kind: .heldResults, severity: isShort ? .warning : .note, subject: prefix, bytes: held.most,
        finding: "\(Units.count(held.count, "result")) stayed in memory after the last task that "
          + "used them had ended, most of prefix '\(prefix)': up to "
          + "\(Units.bytes(Double(held.most))), for up to \(duration(held.longest)) while other "
          + "tasks were unfinished"
          + (isShort ? ", and workers were short of memory." : "."),
        action: "Release what is no longer needed: delete the futures or the persisted collection "
          + "(del, future.release, client.cancel).", certainty: .certain,
        evidence: sql(
          "key, nbytes, last_seen", from: "tasks",
          "AND prefix = \(Self.literal(prefix)) ORDER BY nbytes DESC LIMIT 10"))
    ]
  }

  private func metric(_ name: String) -> Advice.Evidence {
    sql(
      "worker, max(value) AS peak", from: "worker_metrics",
      "AND name = \(Self.literal(name)) GROUP BY worker ORDER BY peak DESC")
  }
}
