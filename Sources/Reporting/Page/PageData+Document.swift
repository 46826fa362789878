import EventLog
import LogAnalysis
import TaskLogPlugin

/// The JSON document of the page's data: names, workers, failures, gaps, and omitted details.
extension PageData {
  func document(
    _ scan: PageScan, _ detail: Detail, _ needCount: Int,
    _ lastOfRun: [Int: (task: Int, index: Int)]
  ) throws -> Value {
    let reader = scan.reader
    func texts(_ names: [String]) -> Value { .list(names.map(Value.string)) }
    func optional(_ value: Int64?) -> Value { value.map(Value.int) ?? .null }
    func optional(_ index: Int?) -> Value { index.map { .int(Int64($0)) } ?? .null }
    let times = scan.shownTimes
    let spanCount = scan.lanes.count
    var figures = scan.figures
    return .object([
      "runs": .list(
        scan.runs.enumerated().map { index, scanned in
          let (run, events) = scanned
          return .object([
            "number": .int(run.number), "id": .string(run.id), "engine": .string(run.engine),
            "engineVersion": .string(run.engineVersion), "mode": .string(run.mode),
            "started": .int(scan.microseconds(run.started)),
            "ended": optional(run.ended.map(scan.microseconds)),
            "end": .string(run.apparentEnd.rawValue),
            "events": .int(events),
            // The last task that came to an end, with which the critical path ends.
            "last": lastOfRun[index].map {
              .list([.int(Int64($0.task)), .int(Int64($0.index))])
            } ?? .null,
          ])
        }),
      // In microseconds since 1970 UTC, which a browser's numbers represent exactly.
      "origin": .int(scan.origin / 1000),
      "first": .int(times.first ?? 0), "last": .int(times.last ?? 0),
      "taskCount": .int(Int64(scan.tasks.slots.count)),
      "edgeCount": .int(Int64(needCount)),
      "spanCount": .int(Int64(spanCount)),
      "figures": figures.rows(), "totals": figures.totals(scan),
      "states": texts(PageStates.names), "outcomes": texts(scan.attempts.outcomes.names),
      "actions": texts(scan.lanes.actions), "prefixes": texts(scan.prefixes.names),
      "types": texts(scan.typenames.names),
      "kinds": .list(
        try scan.kinds.map { kind in
          .list([
            .int(kind.isScheduler ? 0 : 1), .string(try reader.text(kind.hook) ?? ""),
            .string(try reader.text(kind.start) ?? ""),
            .string(try reader.text(kind.finish) ?? ""),
          ])
        }),
      "workers": .list(
        scan.workers.rows.enumerated().map { worker($1, figures.transfersOf[$0]?.time, scan) }),
      "lanes": .list(
        scan.lanes.lanes.map { lane in
          .object([
            "worker": .int(Int64(lane.worker)), "known": .bool(lane.thread != nil),
            "count": .int(Int64(lane.spans.count)),
          ])
        }),
      "statePoints": .int(Int64(scan.states.times.count)),
      "stateResolution": .int(scan.states.resolution),
      "gaps": .list(
        scan.gaps.map { worker, gap in
          .object([
            "worker": optional(worker), "count": .int(gap.count), "reason": .string(gap.reason),
            "time": .int(scan.microseconds(gap.time)),
            "before": optional(gap.before.map(scan.microseconds)),
            "after": optional(gap.after.map(scan.microseconds)),
          ])
        }),
      "failures": failures(scan.failures),
      "threadTime": scan.threadTime.document, "profile": scan.profile.document,
      "advice": scan.advice.document, "explanations": scan.explanations.document(scan),
      "resourceGrid": .object([
        "start": .int(resources.start), "width": .int(resources.width),
        "count": .int(Int64(resources.count)), "hasGIL": .bool(resources.has(.gil)),
        "workers": .list(resources.rows.map { .int(Int64($0)) }),
        "limits": .list(resources.rows.map { optional(scan.resources.limits[$0]) }),
        "scheduler": resources.scheduler?.document ?? .null,
      ]),
      "detail": .object([
        "shortenedKeys": .int(Int64(shortenedKeys)), "omittedEvents": .int(Int64(omittedEvents)),
        "omits": .string(detail == .withoutStimuli ? "stimuli" : "workers"),
        "hashLength": .int(Int64(ShortKey.hashLength)),
        "keptLength": .int(Int64(ShortKey.keptLength)),
      ]),
    ])
  }

  private func worker(_ row: WorkerTable.Row, _ fetched: Int64?, _ scan: PageScan) -> Value {
    func optional(_ value: Int64?) -> Value { value.map(Value.int) ?? .null }
    func optional(_ value: Double?) -> Value { value.map(Value.double) ?? .null }
    let summary = row.summary
    return .object([
      "run": .int(Int64(row.run)), "address": .string(row.address), "life": .int(row.life),
      // The number of seconds that its clock was behind the scheduler's.
      "clockOffset": optional(row.clock.map { Double($0.offset) / 1e9 }),
      "clockUncertainty": optional(row.clock.map { Double($0.uncertainty) / 1e9 }),
      "isClockUnknown": .bool(row.isClockUnknown), "name": .string(Self.name(row.name)),
      "joined": optional(summary?.joined.map(scan.microseconds) ?? row.joined),
      "left": optional(summary?.left.map(scan.microseconds) ?? row.left),
      "lastSeen": optional(row.lastSeen), "nthreads": optional(summary?.nthreads ?? row.nthreads),
      "isKnown": .bool(summary != nil), "tasks": .int(summary?.tasks ?? 0),
      "failed": .int(summary?.failed ?? 0), "nbytes": .int(summary?.nbytes ?? 0),
      "busy": .double((summary?.busySeconds ?? 0) * 1e6),
      "utilization": optional(summary?.share), "occupancy": optional(summary?.occupancy),
      "fetched": .int(fetched ?? 0), "mostTasks": .int(row.mostTasks),
      "mostBytes": .int(row.mostBytes), "end": row.end.map(Self.end) ?? .null,
      "points": .int(Int64(row.series.times.count)),
      "resolution": .int(row.series.resolution),
    ])
  }

  private static func end(_ end: WorkerEnd) -> Value {
    .object([
      "cause": .string(end.verdict.cause.rawValue),
      "explanation": .string(end.verdict.explanation),
      "missing": .string(end.verdict.missing ?? ""),
      "evidence": .list(end.verdict.evidence.map(Value.int)),
      "tasks": .int(end.processing.count),
    ])
  }

  private func failures(_ table: FailureTable) -> Value {
    func optional(_ index: Int?) -> Value { index.map { .int(Int64($0)) } ?? .int(-1) }
    return .object([
      "count": .int(Int64(table.count)), "affectedCount": .int(Int64(table.affectedCount)),
      "omittedTexts": .int(Int64(table.omittedTexts)),
      "texts": .list(table.texts.names.map(Value.string)),
      // Task, time, worker, cause, traceback, retries, dependents.
      "rows": .list(
        table.failures.map {
          .list([
            .int(Int64($0.task)), .int($0.time), optional($0.worker), .int(Int64($0.cause)),
            optional($0.traceback), .int($0.retries), .int($0.dependents),
          ])
        }),
      // Run, exception, tasks, dependents, workers, first task, traceback.
      "causes": .list(
        table.causes.map {
          .list([
            .int(Int64($0.run)), optional($0.exception), .int($0.tasks), .int($0.dependents),
            .int($0.workers), .int(Int64($0.first)), optional($0.traceback),
          ])
        }),
      "blamed": .list(table.blamed.map { .list([.int(Int64($0.task)), .int(Int64($0.key))]) }),
    ])
  }

  /// The name of a worker as text: Dask's names are texts or numbers.
  private static func name(_ name: Value) -> String {
    switch name {
    case .null: ""
    case .string(let text): text
    default: JSONWriter.text(name)
    }
  }
}
