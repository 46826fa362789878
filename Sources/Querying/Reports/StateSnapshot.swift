import EventLog
import LogAnalysis
import LogFormat
import TaskLogPlugin

extension Reports {
  /// The state at a point in time: the number of tasks in each state, and each task.
  ///
  /// - Throws: `LogError`.
  package static func state(
    _ reader: LogReader, _ runs: [RunInfo], at moment: PointInTime
  ) throws -> Report {
    let all = try runs.map { run in
      (run, try sources(reader, run), try reader.whereabouts(in: run, at: moment))
    }
    return Report([
      Report.Table(
        "states", title: "Tasks in each state",
        columns: [
          Reports.run, Column("source"), Column("worker", .address), Column("state", .state),
          Column("tasks"), Column("life", rank: 8),
        ]
      ) { emit in
        for (run, sources, snapshot) in all {
          for (sourceID, state, count) in try snapshot.counts() {
            let source = sources[sourceID]
            try emit([
              .integer(run.number), text(source?.kind.rawValue),
              source?.kind == .worker ? text(source?.address) : .null, .text(state),
              .integer(count),
              source?.kind == .worker ? .integer(snapshot.life(ofSource: sourceID)) : .null,
            ])
          }
        }
      },
      Report.Table("tasks", title: "Tasks", columns: taskColumns) { emit in
        for (run, sources, snapshot) in all {
          try snapshot.forEachTask { try emit(taskRow(run, $0, sources[$0.source])) }
        }
      }.onTerminal(first: firstTaskColumns),
    ]).onTerminal(none: "no tasks at that point")
  }

  /// The tasks that were unfinished at the end of the log.
  ///
  /// - Parameter scopes: the parts of the runs; the moment is the end of the time window, if there is
  ///   one, and the seconds are those within it.
  /// - Throws: `LogError`.
  package static func open(
    _ reader: LogReader, _ runs: [RunInfo], in scopes: RunScopes = RunScopes()
  ) throws -> Report {
    let all = try runs.map { run in
      let (scope, end) = (scopes[run], try reader.timeOfLastEvent(in: run) ?? 0)
      let window = scope?.window ?? TimeWindow()
      let moment = window.stop < end ? PointInTime.time(window.stop) : .end
      return (
        run, try sources(reader, run),
        try reader.whereabouts(
          in: run, at: moment, states: StateSnapshot.isUnfinished, scope: scope), window, end
      )
    }
    return Report([
      Report.Table(
        "open", title: "Unfinished tasks",
        columns: taskColumns + [Column("seconds", .seconds, rank: 3)]
      ) { emit in
        for (run, sources, snapshot, window, end) in all {
          try snapshot.forEachTask { task in
            let duration = window.duration(task.since, end) ?? 0
            try emit(taskRow(run, task, sources[task.source]) + [seconds(duration)])
          }
        }
      }.onTerminal(first: firstTaskColumns)
    ]).onTerminal(none: "no unfinished tasks")
  }

  private static let firstTaskColumns = ["run", "key", "state", "seconds", "worker", "source"]

  private static let taskColumns: [Column] = [
    Reports.run, Column("source", rank: 4, leastWidth: 9), Column("worker", .address, rank: 1), key,
    Column("state", .state), Column("since", .time), Column("seq", rank: 5),
    Column("life", rank: 8),
  ]

  private static func sources(
    _ reader: LogReader, _ run: RunInfo
  ) throws -> [Int64: Source] {
    Dictionary(
      try reader.sources(of: run).map { ($0.number, $0.source) }, uniquingKeysWith: { $1 })
  }

  private static func taskRow(
    _ run: RunInfo, _ task: TaskLocation, _ source: Source?
  ) -> [SQLiteValue] {
    [
      .integer(run.number), text(source?.kind.rawValue),
      text(source?.kind == .worker ? source?.address : task.worker), .text(task.key),
      .text(task.state), time(task.since), .integer(task.seq),
      task.life.map(SQLiteValue.integer) ?? .null,
    ]
  }
}
