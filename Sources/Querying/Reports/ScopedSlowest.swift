import EventLog
import LogAnalysis
import LogFormat

extension Reports {
  /// The longest spans of work in parts of runs, cut at the edges of their time windows.
  static func slowest(
    _ reader: LogReader, _ runs: [RunInfo], _ action: String?, _ limit: Int, _ scopes: RunScopes
  ) throws -> Report {
    let events = try reader.eventsWithLongestSpans(
      in: runs, action: action, limit: limit, scopes: scopes)
    var parameters: [(name: String, value: SQLiteValue)] = [
      ("events", .text("[" + events.map(String.init).joined(separator: ",") + "]"))
    ]
    if let action { parameters.append(("action", .text(action))) }
    // The runs may have different windows: a bound is that of the row's run.
    func bound(_ name: String, _ end: (TimeWindow) -> Double) -> String {
      let cases = runs.map { run -> String in
        let parameter = "\(name)\(run.number)"
        parameters.append((parameter, .real(end(scopes[run]?.window ?? TimeWindow()))))
        return "WHEN \(run.number) THEN :\(parameter)"
      }
      return "CASE run \(cases.joined(separator: " ")) END"
    }
    let (since, until) = (bound("since") { $0.seconds.start }, bound("until") { $0.seconds.stop })
    let sql = """
      SELECT run, round(stop - start, 6), action, key, prefix, worker, seq, start, stop, life
      FROM (
        SELECT run, action, key, prefix, worker, seq, life,
          max(start, \(since)) AS start, min(stop, \(until)) AS stop
        FROM task_durations
        WHERE seq IN (SELECT value FROM json_each(:events))
          \(action == nil ? "" : "AND action = :action")
          AND start <= \(until) AND stop >= \(since)
      ) ORDER BY stop - start DESC, seq, start LIMIT \(limit)
      """
    return Report([
      Report.Table("slowest", title: "The longest spans of work", columns: slowestColumns) { emit in
        try UserSQL(path: reader.path).run(sql, parameters: parameters) { _ in
        } give: {
          try emit($0)
        }
      }
    ])
  }
}
