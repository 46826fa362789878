import EventLog
import TaskLogPlugin

extension Verbs {
  /// What was where at a moment: how many tasks in each state, and each of them.
  ///
  /// - Throws: `LogError`.
  public static func state(
    _ reader: LogReader, _ runs: [RunInfo], at moment: Moment
  ) throws -> Report {
    let all = try runs.map { ($0, try reader.whereabouts(in: $0, at: moment)) }
    var counts: [[SQLiteValue]] = []
    var tasks: [[SQLiteValue]] = []
    for (run, found) in all {
      let sources = try sources(reader, run)
      counts += countRows(run, found, sources)
      tasks += found.map { taskRow(run, $0, sources[$0.source]) }
    }
    return Report([
      Report.Table(
        "states", title: "Tasks in each state",
        columns: [
          Verbs.run, Column("source"), Column("worker", .address), Column("state", .state),
          Column("tasks"),
        ], rows: counts),
      Report.Table("tasks", title: "Tasks", columns: taskColumns, rows: tasks),
    ])
  }

  /// What was unfinished at the end of the log.
  ///
  /// - Throws: `LogError`.
  public static func open(_ reader: LogReader, _ runs: [RunInfo]) throws -> Report {
    var rows: [[SQLiteValue]] = []
    for run in runs {
      let sources = try sources(reader, run)
      let end = try reader.timeOfLastEvent(in: run) ?? 0
      rows += try reader.whereabouts(in: run, at: .end).filter { isOpen($0.state) }.map {
        taskRow(run, $0, sources[$0.source]) + [seconds(end - $0.since)]
      }
    }
    return Report([
      Report.Table(
        "open", title: "What was unfinished", columns: taskColumns + [Column("seconds", rank: 3)],
        rows: rows)
    ])
  }

  private static func isOpen(_ state: String) -> Bool {
    !["memory", "erred", "error", "released", "forgotten"].contains(state)
  }

  private static let taskColumns: [Column] = [
    Verbs.run, Column("source", rank: 4, leastWidth: 9), Column("worker", .address, rank: 1), key,
    Column("state", .state), Column("since", .time), Column("seq", rank: 5),
  ]

  private static func sources(
    _ reader: LogReader, _ run: RunInfo
  ) throws -> [Int64: Source] {
    Dictionary(
      try reader.sources(of: run).map { ($0.number, $0.source) }, uniquingKeysWith: { $1 })
  }

  private static func taskRow(
    _ run: RunInfo, _ task: TaskWhereabouts, _ source: Source?
  ) -> [SQLiteValue] {
    [
      .integer(run.number), text(source?.kind.rawValue),
      text(source?.kind == .worker ? source?.address : task.worker), .text(task.key),
      .text(task.state), time(task.since), .integer(task.seq),
    ]
  }

  private static func countRows(
    _ run: RunInfo, _ found: [TaskWhereabouts], _ sources: [Int64: Source]
  ) -> [[SQLiteValue]] {
    struct Place: Hashable {
      var source: Int64
      var state: String
    }
    var counts: [Place: Int64] = [:]
    for task in found { counts[Place(source: task.source, state: task.state), default: 0] += 1 }
    return counts.sorted { ($0.key.source, $0.key.state) < ($1.key.source, $1.key.state) }.map {
      place, count in
      let source = sources[place.source]
      return [
        .integer(run.number), text(source?.kind.rawValue),
        source?.kind == .worker ? text(source?.address) : .null, .text(place.state),
        .integer(count),
      ]
    }
  }
}
