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
      },
    ])
  }

  /// The tasks that were unfinished at the end of the log.
  ///
  /// - Throws: `LogError`.
  package static func open(_ reader: LogReader, _ runs: [RunInfo]) throws -> Report {
    let all = try runs.map { run in
      (
        run, try sources(reader, run),
        try reader.whereabouts(in: run, at: .end, states: isOpen),
        try reader.timeOfLastEvent(in: run) ?? 0
      )
    }
    return Report([
      Report.Table(
        "open", title: "Unfinished tasks", columns: taskColumns + [Column("seconds", rank: 3)]
      ) { emit in
        for (run, sources, snapshot, end) in all {
          try snapshot.forEachTask { task in
            try emit(taskRow(run, task, sources[task.source]) + [seconds(end &- task.since)])
          }
        }
      }
    ])
  }

  private static func isOpen(_ state: String) -> Bool {
    !["memory", "erred", "error", "released", "forgotten"].contains(state)
  }

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
