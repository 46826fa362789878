import LogAnalysis
import LogFormat

/// The public views of a log, each with a summary and an example.
package enum Schema {
  package struct View: Sendable {
    package var name: String
    /// What a row of it represents.
    package var summary: String
    package var example: String
    package var columns: [String] = []
  }

  /// - Throws: `SQLiteError`.
  package static func views() throws -> [View] {
    let columns = Dictionary(
      try LogSchema.views().map { ($0.name, $0.columns) }, uniquingKeysWith: { $1 })
    return described.map { view in
      var view = view
      view.columns = columns[view.name] ?? []
      return view
    }
  }

  /// All views as rows.
  ///
  /// - Throws: `SQLiteError`.
  package static func report() throws -> Report {
    Report([
      Report.Table(
        "views", title: "Views",
        columns: ["view", "summary", "columns", "example"].map { Column($0) },
        rows: try views().map {
          [
            .text($0.name), .text($0.summary), .text($0.columns.joined(separator: " ")),
            .text($0.example),
          ]
        })
    ])
  }

  static let described: [View] = [
    View(
      name: "events", summary: "an event: a call of a hook, or a mark of the recorder",
      example: "SELECT hook, count(*) FROM events GROUP BY hook"),
    View(
      name: "transitions", summary: "a change of a task's state, at the scheduler or at a worker",
      example: "SELECT * FROM transitions WHERE key = 'top-20' ORDER BY seq"),
    View(
      name: "tasks",
      summary: "a task of a run: last state, outcome, number of dispatches, results and failures",
      example: "SELECT key, nbytes FROM tasks ORDER BY nbytes DESC LIMIT 5"),
    View(
      name: "task_durations",
      summary: "a span of work for a task: computing, transfers; in seconds",
      example: "SELECT action, sum(duration) FROM task_durations GROUP BY action"),
    View(
      name: "slowest", summary: "a span of work for a task, the longest first",
      example: "SELECT key, seconds FROM slowest WHERE action = 'compute' LIMIT 5"),
    View(
      name: "state_intervals",
      summary:
        "an interval that a task was in a state: from the event that began it to the next one",
      example: """
        SELECT state, count(*) FROM state_intervals
        WHERE seq <= 100 AND coalesce(next_seq > 100, 1) GROUP BY state
        """),
    View(
      name: "stays", summary: "the same as state_intervals, by the name of format 1",
      example: "SELECT state, seconds FROM stays WHERE key = 'top-20'"),
    View(
      name: "open_tasks", summary: "a task that was unfinished at the end of the log",
      example: "SELECT key, state, seconds FROM open_tasks ORDER BY seconds DESC"),
    View(
      name: "prefixes", summary: "a prefix of keys: its tasks and their outcomes",
      example: "SELECT prefix, tasks, failed, nbytes FROM prefixes"),
    View(
      name: "prefix_states", summary: "the time that tasks of a prefix were in a state",
      example: "SELECT prefix, p50, p95, max FROM prefix_states WHERE state = 'executing'"),
    View(
      name: "failures", summary: "a task that became erred, and the task that caused it",
      example: "SELECT key, cause_key FROM failures WHERE key != cause_key"),
    View(
      name: "errors", summary: "a task that failed on its own",
      example: "SELECT key, worker, exception, retries, dependents FROM errors"),
    View(
      name: "error_causes", summary: "an exception, with the tasks that failed because of it",
      example: "SELECT exception, tasks, first_key FROM error_causes"),
    View(
      name: "failure_texts", summary: "the exception text of a task that became erred",
      example: "SELECT exception, count(*) FROM failure_texts GROUP BY exception"),
    View(
      name: "worker_errors", summary: "a failure seen only by a worker",
      example: "SELECT key, worker, exception FROM worker_errors"),
    View(
      name: "workers", summary: "a worker of a run: when it joined and left, what it did",
      example: "SELECT worker, tasks, nbytes, busy, utilization FROM workers"),
    View(
      name: "worker_ends",
      summary: "the end of a worker that left: what scheduler, worker and nanny said of it",
      example: "SELECT worker, reason, exit_code FROM worker_ends"),
    View(
      name: "messages", summary: "a message that a logger of Dask wrote",
      example: "SELECT time, level, logger, text FROM messages"),
    View(
      name: "worker_metrics",
      summary: "a number that a worker measured, at a heartbeat: memory, CPU, spilled bytes, …",
      example: """
        SELECT worker, max(value) FROM worker_metrics WHERE name = 'memory' GROUP BY worker
        """),
    View(
      name: "activity",
      summary: "what workers measured of an activity: seconds, bytes and count by prefix",
      example: "SELECT prefix, seconds FROM activity WHERE activity = 'thread-cpu'"),
    View(
      name: "clock_offsets",
      summary: "the seconds that a worker's clock was behind, from an event on",
      example: "SELECT worker, source_seq, offset, uncertainty FROM clock_offsets"),
    View(
      name: "clock_bounds",
      summary: "the bounds of a worker's clock offset, derived from cause and effect",
      example: "SELECT worker, lower, upper FROM clock_bounds"),
    View(
      name: "dependencies", summary: "a task and one of its dependencies",
      example: "SELECT key, count(*) AS needs FROM dependencies GROUP BY key ORDER BY needs DESC"),
    View(
      name: "critical_path",
      summary: "a step in the chain of tasks and waits that determined the length of the run",
      example: "SELECT phase, sum(seconds) FROM critical_path GROUP BY phase"),
    View(
      name: "stimuli", summary: "an outside event that caused transitions",
      example: "SELECT stimulus, keys FROM stimuli ORDER BY keys DESC LIMIT 5"),
    View(
      name: "stories", summary: "an event about a key, with the seconds since the previous one",
      example: "SELECT time_ns, elapsed, source, start, finish FROM stories WHERE key = 'top-20'"),
    View(
      name: "runs", summary: "a run",
      example: "SELECT run, engine, end, events, tasks, failed FROM runs"),
    View(
      name: "labels", summary: "a label of a run, as it is now",
      example: "SELECT run, value FROM labels WHERE name = 'pipeline'"),
    View(
      name: "event_kinds", summary: "a kind of event: its count and bytes",
      example: "SELECT hook, events, args_bytes FROM event_kinds"),
    View(
      name: "run_differences", summary: "two runs side by side, by prefix",
      example: """
        SELECT prefix, compute1, compute2 FROM run_differences WHERE run1 = 1 AND run2 = 2
        """),
    View(
      name: "gaps",
      summary: "a known gap: the number of missing events of a source, with the reason",
      example: "SELECT reason, sum(count) FROM gaps GROUP BY reason"),
  ]
}
