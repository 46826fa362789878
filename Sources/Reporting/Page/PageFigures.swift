import EventLog
import LogAnalysis
import TaskLogPlugin

/// The figures of the page's head and tables: those of the runs' summaries, and sums over the spans
/// of work.
struct PageFigures {
  /// What became of the tasks of a prefix.
  struct Prefix {
    var summary = RunSummary.Prefix()
    /// Of its computations that the scheduler learned of, in microseconds.
    var durations = Durations()
  }

  /// Sums over some spans; the time is in microseconds.
  struct Sum {
    var count: Int64 = 0
    var time: Int64 = 0

    mutating func add(_ span: LaneTable.Span) {
      count += 1
      time += span.duration
    }
  }

  /// By index of the prefix.
  private(set) var prefixes: [Int: Prefix] = [:]
  private(set) var transfers = Sum()
  /// Computations that only their worker recorded: no summary includes them.
  private(set) var unreported = Sum()
  /// By row of the worker.
  private(set) var transfersOf: [Int: Sum] = [:]

  mutating func add(_ summary: RunSummary.Prefix, prefix: Int) {
    let before = prefixes[prefix, default: Prefix()].summary
    var sum = summary
    sum.tasks += before.tasks
    sum.done += before.done
    sum.failed += before.failed
    sum.retried += before.retried
    sum.nbytes += before.nbytes
    sum.computeSeconds += before.computeSeconds
    prefixes[prefix, default: Prefix()].summary = sum
  }

  mutating func add(_ lanes: LaneTable, _ tasks: TaskTable) {
    let transfer = lanes.actions.firstIndex(of: "transfer")
    for lane in lanes.lanes {
      for span in lane.spans {
        if span.action == transfer {
          transfers.add(span)
          transfersOf[lane.worker, default: Sum()].add(span)
        } else if span.action == 0, !span.outcome.isReported {
          unreported.add(span)
        } else if span.action == 0 {
          let prefix = Int(tasks.slots[Int(span.task)].prefix)
          prefixes[prefix, default: Prefix()].durations.add(span.duration)
        }
      }
    }
  }

  // MARK: - The document

  /// Prefix, tasks, done, failed, retried, bytes of results, time computed, number of computations,
  /// their median, 95th percentile and maximum.
  mutating func rows() -> Value {
    var rows: [Value] = []
    for prefix in prefixes.keys.sorted() {
      guard var figures = prefixes[prefix], figures.summary.tasks > 0 else { continue }
      let (summary, count) = (figures.summary, figures.durations.count)
      let percentiles = [50, 95, 100].map { percent -> Value in
        count > 0 ? .int(figures.durations.percentile(percent)) : .null
      }
      rows.append(
        .list(
          [
            .int(Int64(prefix)), .int(summary.tasks), .int(summary.done), .int(summary.failed),
            .int(summary.retried), .int(summary.nbytes), .double(summary.computeSeconds * 1e6),
            .int(Int64(count)),
          ] + percentiles))
    }
    return .list(rows)
  }

  func totals(_ scan: PageScan) -> Value {
    let summaries = prefixes.values.map(\.summary)
    let workers = scan.workers.rows.filter { $0.summary != nil }
    let lanes = Dictionary(
      scan.lanes.lanes.filter { $0.thread != nil }.map { ($0.worker, Int64(1)) },
      uniquingKeysWith: +)
    let threads = scan.workers.rows.enumerated().reduce(Int64(0)) { sum, row in
      // A part of a run has only the threads of workers that were there.
      if scan.isScoped, row.element.summary == nil, lanes[row.offset] == nil { return sum }
      return sum + (row.element.summary?.nthreads ?? row.element.nthreads ?? lanes[row.offset] ?? 0)
    }
    func sum(_ figure: (RunSummary.Prefix) -> Int64) -> Value {
      .int(summaries.reduce(0) { $0 + figure($1) })
    }
    return .object([
      "tasks": sum(\.tasks), "failed": .int(Int64(scan.failures.count)),
      "affected": .int(Int64(scan.failures.affectedCount)),
      "compute": .double(summaries.reduce(0) { $0 + $1.computeSeconds } * 1e6),
      "workers": .int(Int64(workers.count)), "threads": .int(threads),
      "share": .double(workers.compactMap(\.summary).utilization ?? 0),
      "fetches": .int(transfers.count), "fetched": .int(transfers.time),
      "held": .int(scan.workers.mostBytes),
      "missing": .int(scan.gaps.reduce(0) { $0 + $1.gap.count }),
      "events": .int(scan.runs.reduce(0) { $0 + $1.events }),
      "unreported": .int(unreported.count), "unreportedTime": .int(unreported.time),
    ])
  }
}

extension PageScan {
  mutating func addSummary(of run: RunInfo) throws {
    let summary = try reader.summary(of: run, in: scopes[run])
    for prefix in summary.prefixes {
      figures.add(prefix, prefix: prefixes.index(prefix.name ?? ""))
    }
    workers.add(summary)
  }

  mutating func addResources(of run: RunInfo) throws {
    for (life, limit) in try reader.memoryLimits(of: run) where limit > 0 {
      resources.setLimit(limit, row: workers.index(ofLife: life))
    }
    try reader.forEachSample(of: run, in: scopes[run]) { sample in
      resources.add(
        sample, row: workers.index(ofLife: sample.worker), time: microseconds(sample.time))
    }
    for load in try reader.schedulerLoad(of: run, in: scopes[run]) {
      resources.add(load, time: microseconds(load.time))
    }
  }

  /// Adds why workers left.
  mutating func addEnds(of run: RunInfo) throws {
    let lives = try reader.workerLives(of: run)
    for end in try reader.workerEnds(of: run, in: scopes[run]) {
      let index = lives.lives.firstIndex { $0.address == end.address && $0.number == end.life }
      if let index { workers[workers.index(ofLife: index)].end = end }
    }
  }
}
