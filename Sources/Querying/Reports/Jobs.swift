import EventLog
import LogAnalysis
import LogFormat
import TaskLogPlugin

extension Reports {
  /// The named jobs, clients and spans of runs, with what their tasks did.
  ///
  /// - Parameter scopes: the parts of the runs.
  /// - Throws: `LogError`.
  package static func jobs(
    _ reader: LogReader, _ runs: [RunInfo], in scopes: RunScopes = RunScopes()
  ) throws -> Report {
    let all = try runs.map { ($0.number, try reader.jobs(of: $0, in: scopes[$0])) }
    return Report([
      Report.Table(
        "jobs", title: "Jobs", columns: jobColumns,
        rows: all.flatMap { run, jobs in jobs.map { row(run, $0) } }
      ).onTerminal(
        first: [
          "run", "kind", "name", "started", "seconds", "tasks", "failed", "unfinished", "compute",
        ])
    ]).onTerminal(none: "no jobs: no client submitted a task")
  }

  private static let jobColumns = [
    run, Column("kind"), Column("name", leastWidth: 18), Column("clients", .json, rank: 5),
    Column("started", .time), Column("seconds", .seconds), Column("tasks"), Column("failed"),
    Column("unfinished", rank: 3), Column("compute", .seconds, rank: 2),
  ]

  private static func row(_ run: Int64, _ job: Job) -> [SQLiteValue] {
    let seconds = job.started.flatMap { start in job.stopped.map { Double($0 - start) / 1e9 } }
    return [
      .integer(run), .text(job.kind.rawValue), .text(job.name),
      .text(JSONWriter.text(.list(job.clients.map(Value.string)))), time(job.started),
      seconds.map(SQLiteValue.real) ?? .null, .integer(job.tasks), .integer(job.failed),
      .integer(job.unfinished), .real(job.computeSeconds),
    ]
  }
}
