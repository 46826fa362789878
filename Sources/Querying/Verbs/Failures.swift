import EventLog

extension Verbs {
  /// What went wrong: by cause, each task that failed on its own, and those that failed with them.
  public static func errors(_ reader: LogReader, _ runs: [RunInfo]) -> Report {
    Report([
      view(
        "causes", title: "Causes", of: "error_causes",
        [
          run, Column("exception", leastWidth: 30), Column("tasks"), Column("dependents"),
          Column("workers", rank: 2), Column("first_key", rank: 1, leastWidth: 18),
          Column("first_seq", rank: 3), Column("first_traceback", rank: 5, leastWidth: 20),
        ], path: reader.path, runs: runs),
      view(
        "errors", title: "Tasks that failed on their own", of: "errors",
        [
          run, Column("seq", rank: 4), Column("time", .time, rank: 3), key,
          Column("worker", .address, rank: 1), Column("retries"), Column("dependents"),
          Column("exception", rank: 2, leastWidth: 20),
          Column("traceback", rank: 6, leastWidth: 20),
        ], path: reader.path, runs: runs, order: "run, seq"),
      view(
        "affected", title: "Tasks that failed with them", of: "failures",
        [
          run, Column("seq", rank: 4), Column("time", .time, rank: 3), key,
          Column("blamed", leastWidth: 18), Column("cause_seq", rank: 5),
        ], path: reader.path, runs: runs, condition: "(blamed IS NOT key OR cause_seq IS NOT seq)",
        order: "run, seq"),
    ])
  }

  /// The longest spans of work.
  ///
  /// - Parameter action: of this kind only, such as compute or transfer; nothing for all.
  public static func slowest(
    _ reader: LogReader, _ runs: [RunInfo], action: String?, limit: Int
  ) -> Report {
    Report([
      view(
        "slowest", title: "The longest spans of work", of: "slowest",
        [
          run, Column("seconds"), Column("action"), key, Column("prefix", rank: 4, leastWidth: 12),
          Column("worker", .address, rank: 1), Column("seq", rank: 5), Column("start", rank: 6),
          Column("stop", rank: 7),
        ], path: reader.path, runs: runs,
        condition: action == nil ? "TRUE" : "action = :action", limit: limit,
        parameters: action.map { [("action", .text($0))] } ?? [])
    ])
  }

  /// The chain of tasks and waits that set the length of the run.
  public static func criticalPath(_ reader: LogReader, _ runs: [RunInfo]) -> Report {
    Report([
      view(
        "critical_path", title: "What set the length of the run", of: "critical_path",
        [
          run, Column("step", rank: 2), key, Column("piece", leastWidth: 8),
          Column("worker", .address, rank: 1), Column("seconds"), Column("share"),
          Column("started", .time, rank: 3), Column("stopped", .time, rank: 4),
          Column("seq", rank: 5),
        ], path: reader.path, runs: runs, order: "run, step")
    ])
  }
}
