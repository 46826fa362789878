import LogFormat

/// What the scheduler, clients and workers did, and what makes all of this uncertain.
extension AdviceRules {
  var clusterAdvice: [Advice] {
    schedulerBusy + workerBusy + largeGraph + largeArguments + heldGIL + lockWaits + idleCluster
      + waitingClients + lateWorkers + leavingWorkers
  }

  var doubtAdvice: [Advice] { clocks + gaps }

  /// How late the scheduler's event loop was on average, in seconds, if it was late.
  private var lateScheduler: Double? {
    let late = facts.load.compactMap(\.late)
    guard !late.isEmpty else { return nil }
    let mean = late.reduce(0, +) / Double(late.count)
    return mean >= thresholds.lateSeconds ? mean : nil
  }

  private var schedulerBusy: [Advice] {
    guard let mean = lateScheduler else { return [] }
    // What it has sent leaves it when its event loop runs again.
    let cost = facts.time.split[.schedulerLag] + facts.sent
    return timed(
      .schedulerBusy, cost: cost,
      "The scheduler's event loop was late by \(duration(Int64(saturating: mean * 1e9))) on average, and threads "
        + "waited \(duration(cost)) for the scheduler.",
      "Make fewer and longer tasks, take slow plugins off the scheduler, and give it a processor of "
        + "its own.", .likely,
      .sql(
        "SELECT time, args ->> '$.late' AS late FROM events WHERE run = \(facts.run) "
          + "AND hook = 'monitor' ORDER BY late DESC LIMIT 10"))
  }

  private var workerBusy: [Advice] {
    // What small tasks are blamed for is not said twice.
    // What was on its way is measured by two clocks, and may have waited for the scheduler.
    let isKnown = lateScheduler == nil && clocks.isEmpty
    let ready = facts.time.split[.ready] - facts.constrained - (isKnown ? 0 : facts.sent)
    let cost = smallTasks.isEmpty ? ready : ready - smallWait(.ready)
    return timed(
      .workerBusy, cost: cost,
      "Tasks lay ready on workers with a free thread for \(duration(cost)): the event loops of these "
        + "workers were late.",
      "Look for code that holds the GIL for long, for large results that are serialized, and for "
        + "workers that share a processor; use more worker processes with fewer threads each.",
      .likely,
      .command("time --by worker"))
  }

  private var largeGraph: [Advice] {
    let graphs = facts.scan.graphs
    // While it reads a graph, the scheduler sends no task to any thread.
    let cost = graphs.time * max(1, facts.idle.threads)
    return timed(
      .largeGraph, cost: cost,
      "The scheduler was busy for \(duration(graphs.time)) with "
        + "\(Units.count(graphs.count, "graph")) of \(Units.count(graphs.tasks, "task")) from "
        + "clients, up to \(duration(graphs.longest)) with one.",
      "Send smaller graphs: larger chunks, less data within tasks, several graphs instead of one.",
      .likely,
      .sql(
        "SELECT time, args ->> '$.message.metrics' AS metrics FROM events WHERE run = \(facts.run) "
          + "AND hook = 'logEvent' AND args ->> '$.message.action' = 'update-graph' "
          + "AND args ->> '$.topic' = 'scheduler'"))
  }

  private var largeArguments: [Advice] {
    let sent = facts.scan.arguments
    guard sent.largest >= thresholds.argumentNoteBytes else { return [] }
    return [
      Advice(
        kind: .largeArguments,
        severity: sent.bytes >= thresholds.argumentWarningBytes ? .warning : .note,
        bytes: sent.bytes,
        finding: "Clients sent \(Units.bytes(Double(sent.bytes))) within "
          + "\(Units.count(sent.count, "graph")), up to \(Units.bytes(Double(sent.largest))) in one: "
          + "data that is part of tasks goes through the scheduler.",
        action: "Load the data within tasks, or scatter it once and pass the future "
          + "(client.scatter, or dask.delayed of the data).", certainty: .certain,
        evidence: .sql(
          "SELECT time, args ->> '$.client' AS client, args ->> '$.nbytes' AS nbytes FROM events "
            + "WHERE run = \(facts.run) AND hook = 'request' AND args ->> '$.op' = 'update-graph' "
            + "ORDER BY nbytes DESC LIMIT 10"))
    ]
  }

  private var waitingClients: [Advice] {
    facts.waitingClients.flatMap { client -> [Advice] in
      let (seconds, share) = (
        Double(client.waited) / 1e9, Double(client.waited) / Double(max(1, client.unfinished))
      )
      guard seconds >= thresholds.noteSeconds, share >= thresholds.waitingNoteShare else {
        return []
      }
      let isWarning =
        seconds >= thresholds.warningSeconds && share >= thresholds.waitingWarningShare
      return [
        Advice(
          kind: .waitingClients, severity: isWarning ? .warning : .note, subject: client.client,
          cost: client.waited,
          finding: "None of this client's tasks ran for \(duration(client.waited)), "
            + "\(Units.percent(share)) of the time while they were unfinished, and tasks of other "
            + "clients had all threads.",
          action: "Give its tasks a higher priority (priority=), add workers, or give each client "
            + "its own cluster.", certainty: .certain, evidence: .command("time --by client"))
      ]
    }
  }

  private var leavingWorkers: [Advice] {
    let left = facts.idle.left
    return timed(
      .leavingWorkers, cost: left.time,
      "Workers had left while tasks waited for a thread: up to "
        + "\(Units.count(left.threads, "thread")) of those that had been there were missing, for \(duration(left.time)) in all.",
      "Keep workers until the work is done (adaptive: minimum=, wait_count=; lifetime), or replace "
        + "those that end.", .certain, most: .note,
      sql("worker, joined_ns, left_ns, nthreads", from: "workers", "ORDER BY left_ns"))
  }

  private var heldGIL: [Advice] {
    let held = facts.resources.rows.compactMap { row -> Double? in
      let threads = facts.resources.lives.lives[row.worker].nthreads ?? 1
      return threads > 1 ? row[.gil]?.mean : nil
    }
    guard !held.isEmpty else { return [] }
    let mean = held.reduce(0, +) / Double(held.count)
    guard mean >= thresholds.heldGILShare else { return [] }
    let prefixes = facts.time.prefixes.rows.compactMap { name, split in
      name.map { (name: $0, time: split[.notCPU]) }
    }
    guard let most = prefixes.max(by: { ($0.time, $1.name) < ($1.time, $0.name) }) else {
      return []
    }
    return timed(
      .heldGIL, of: most.name, cost: most.time,
      "The GIL was held for \(Units.percent(mean)) of the time on workers with several threads; "
        + "tasks of prefix '\(most.name)' held threads for \(duration(most.time)) without computing.",
      "Use more worker processes with fewer threads each, or code that releases the GIL.", .likely,
      sql(
        "worker, avg(value) AS held", from: "worker_metrics",
        "AND name = 'gil_contention' GROUP BY worker ORDER BY held DESC"))
  }

  private var lockWaits: [Advice] {
    facts.time.locks.sorted.flatMap { name, split -> [Advice] in
      guard let name else { return [] }
      let cost = split[.lock]
      return timed(
        .lockWaits, of: name, cost: cost,
        "Tasks held threads for \(duration(cost)) while they waited for \(name).",
        "Hold it for less time, wait before the task is submitted, or use more than one.",
        .certain, .command("time --by lock"))
    }
  }

  private var idleCluster: [Advice] {
    let cost = facts.idle.betweenTasks
    return timed(
      .idleCluster, cost: cost,
      "The cluster had no unfinished task for \(duration(cost)) of threads between the first and the "
        + "last one.",
      "Submit the next work before waiting for results, or stop workers between jobs.", .certain,
      most: .note, .command("jobs"))
  }

  private var lateWorkers: [Advice] {
    let late = facts.idle.late
    return timed(
      .lateWorkers, cost: late.time,
      "\(Units.count(Int64(late.workers), "worker")) joined up to \(duration(late.longest)) after "
        + "the first task was there.",
      "Wait for workers before submitting work, or start them sooner.", .certain, most: .note,
      sql("worker, joined_ns, nthreads", from: "workers", "ORDER BY joined_ns"))
  }

  private var clocks: [Advice] {
    let limit = Int64(thresholds.clockSeconds * 1e9)
    guard
      let most = facts.clocks.max(by: { $0.uncertainty < $1.uncertainty }),
      most.uncertainty >= limit
    else { return [] }
    return [
      Advice(
        kind: .clockOffsets, severity: .note, subject: most.worker, cost: nil,
        finding:
          "The clock of a worker is known only to \(duration(most.uncertainty)): shorter waits "
          + "between it and the scheduler are uncertain.",
        action: "Synchronize the clocks of hosts (NTP, chrony).", certainty: .certain,
        evidence: sql(
          "worker, offset, uncertainty", from: "clock_offsets", "ORDER BY uncertainty DESC"))
    ]
  }

  private var gaps: [Advice] {
    guard facts.missing > 0 else { return [] }
    let share = Double(facts.missing) / Double(facts.missing + facts.events)
    return [
      Advice(
        kind: .gaps, severity: share >= thresholds.gapWarningShare ? .warning : .note,
        finding: "\(Units.count(facts.missing, "event")) of the run "
          + "(\(Units.percent(share))) are missing: the other advice may miss or overstate costs.",
        action: "See why 'tasklog check' says they are missing.", certainty: .certain,
        evidence: sql("source, worker, count, reason", from: "gaps", "ORDER BY count DESC"))
    ]
  }
}
