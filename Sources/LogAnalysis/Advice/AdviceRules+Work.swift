import LogFormat

/// How work was divided into tasks and among workers.
extension AdviceRules {
  var workAdvice: [Advice] { smallTasks + fewTasks + stragglers + imbalance + stealing }

  /// The prefixes of small tasks, those with the most tasks first.
  private var smallPrefixes: [RunSummary.Prefix] {
    facts.summary.prefixes.filter {
      $0.done >= thresholds.smallTaskCount
        && $0.computeSeconds / Double($0.done) < thresholds.smallTaskSeconds
    }.sorted { ($1.done, $0.name ?? "") < ($0.done, $1.name ?? "") }
  }

  /// What threads wait for between tasks, in proportion to how many of them are small.
  func smallWait(_ kind: ThreadTime.Class) -> Int64 {
    let all = facts.summary.prefixes.reduce(Int64(0)) { $0 + $1.done }
    let count = smallPrefixes.reduce(Int64(0)) { $0 + $1.done }
    return Int64(
      saturating: Double(facts.time.split[kind]) * Double(count) / Double(max(1, all)))
  }

  var smallTasks: [Advice] {
    let small = smallPrefixes
    guard let first = small.first else { return [] }
    let (count, seconds) = small.reduce((Int64(0), 0.0)) {
      ($0.0 + $1.done, $0.1 + $1.computeSeconds)
    }
    let cost = smallWait(.schedulerLag) + smallWait(.ready)
    let mean = duration(Int64(saturating: seconds / Double(count) * 1e9))
    let names = small.prefix(3).map { "'\($0.name ?? "")'" }.joined(separator: ", ")
    return timed(
      .smallTasks, of: first.name, cost: cost,
      "\(Units.count(count, "task")) of \(names) computed for \(mean) on average, while threads "
        + "waited \(duration(cost)) for the next task.",
      "Do more in each task: larger chunks or partitions, batches of inputs, or fused tasks.",
      .likely,
      sql(
        "prefix, done, compute / done AS mean", from: "prefixes", "AND done > 0 ORDER BY done DESC")
    )
  }

  private var fewTasks: [Advice] {
    let cost = facts.idle.tooFewTasks
    let (tasks, threads) = (facts.idle.mostTasks, facts.idle.threads)
    let number =
      tasks < threads
      ? "at most \(Units.count(tasks, "task")) ran or were ready at a time"
      : "at times fewer tasks ran or were ready"
    return timed(
      .fewTasks, cost: cost,
      "Threads had nothing to run for \(duration(cost)), \(Units.percent(share(cost))) of their time "
        + "while tasks were unfinished: \(number), for \(Units.count(threads, "thread")).",
      "Divide the work into more tasks that do not wait for each other, or use fewer threads; "
        + "'tasklog critical-path' shows the chain that determined the duration.", .likely,
      .command("time"))
  }

  private var stragglers: [Advice] {
    facts.idle.stragglers.flatMap { straggler in
      let isSkewed = straggler.tasks > thresholds.stragglerCount
      let factor = Units.twoDigits(Double(straggler.longest) / Double(straggler.median))
      return timed(
        isSkewed ? .skewedPrefix : .straggler, of: straggler.prefix, cost: straggler.cost,
        "\(Units.count(Int64(straggler.tasks), "task")) of prefix '\(straggler.prefix)' computed "
          + "for up to \(duration(straggler.longest)), \(factor) times the median of "
          + "\(duration(straggler.median)), while \(duration(straggler.cost)) of threads had nothing "
          + "else to run.",
        isSkewed
          ? "Divide the data more evenly, by size instead of by number, or start the largest parts "
            + "first."
          : "Divide this task, or start it first; look at its worker if its input is not larger.",
        .likely,
        sql(
          "key, worker, duration", from: "task_durations",
          "AND action = 'compute' AND prefix = \(Self.literal(straggler.prefix)) "
            + "ORDER BY duration DESC LIMIT 10"))
    }
  }

  private var imbalance: [Advice] {
    timed(
      .imbalance, cost: facts.idle.imbalance,
      "Threads had nothing to run for \(duration(facts.idle.imbalance)) while tasks were ready on "
        + "other workers.",
      "Look for restrictions (workers=, resources=) and for data that is on one worker only; "
        + "rebalance or replicate it.", .likely,
      sql("worker, tasks, busy, utilization", from: "workers", "ORDER BY busy DESC"))
  }

  var stealing: [Advice] {
    let stolen = facts.scan.stolen
    guard stolen.transfer > stolen.compute else { return [] }
    return timed(
      .stealing, cost: stolen.transfer - stolen.compute,
      "\(Units.count(stolen.tasks, "stolen task")) fetched inputs for "
        + "\(duration(stolen.transfer)) and computed for \(duration(stolen.compute)).",
      "Turn work stealing off (distributed.scheduler.work-stealing), or make these tasks longer.",
      .likely,
      sql(
        "key, worker, action, duration", from: "task_durations",
        "AND action = 'transfer' ORDER BY duration DESC LIMIT 10"))
  }
}
