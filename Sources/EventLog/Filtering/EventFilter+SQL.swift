import LogFormat
import TaskLogPlugin

/// A filter as conditions on the columns of `event`.
///
/// One column leads, by its index; the others carry a unary plus, which keeps SQLite from using
/// their indexes: without statistics it does not know that a key is rare and a state is not.
/// https://sqlite.org/optoverview.html#disqualifying_where_clause_terms_using_unary_
package struct FilterSQL {
  private(set) var conditions: [String] = []
  private(set) var parameters: [SQLiteValue] = []
  /// The column whose index finds the events; `nil` for a scan of all events.
  let leader: String?

  /// - Parameters:
  ///   - indexes: `LogReader.eventIndexes`.
  ///   - selection: the name of the SQL function of `filter.tasks`, if it has one.
  init(_ filter: EventFilter, indexes: [String: String], selection: String? = nil) {
    let isOfFailures = filter.finishes.allSatisfy { $0 == "erred" || $0 == "error" }
    let wanted = [
      ("key", !filter.keys.isEmpty), ("stimulus", !filter.stimuli.isEmpty),
      ("finish", !filter.finishes.isEmpty), ("failure", !filter.finishes.isEmpty && isOfFailures),
    ]
    leader = wanted.first { $0.1 && indexes[$0.0] != nil }?.0
    // SQLite uses a partial index only if the query repeats its condition word for word.
    if leader == "failure", let failed = indexes["failure"] { add([("event.\(failed)", [])]) }
    addRuns(filter.runs)
    addKeys(filter)
    if !filter.states.isEmpty {
      add([texts("start", filter.states), texts("finish", filter.states)])
    }
    if !filter.starts.isEmpty { add([texts("start", filter.starts)]) }
    if !filter.finishes.isEmpty { add([texts("finish", filter.finishes)]) }
    if !filter.hooks.isEmpty { add([texts("hook", filter.hooks)]) }
    if !filter.sources.isEmpty {
      let kinds = filter.sources.map { "'\($0.rawValue)'" }.joined(separator: ", ")
      add([("\(column("source")) IN (SELECT id FROM source WHERE kind IN (\(kinds)))", [])])
    }
    add(filter.workers.map(Self.worker))
    add(filter.stimuli.map { named("stimulus", $0) })
    add(
      filter.clients.map {
        let (condition, parameters) = Self.text(Self.argument("client"), is: $0)
        return (condition, parameters)
      })
    addArgs(filter.args)
    let time = "(\(ClockSQL.time(of: "event")))"
    if let since = filter.since { add([("\(time) >= ?", [.integer(since)])]) }
    if let until = filter.until { add([("\(time) <= ?", [.integer(until)])]) }
    add(filter.patterns.map { ("\(Self.args()) REGEXP ?", [.text($0)]) })
    if let since = filter.sinceSeq { add([("event.seq >= ?", [.integer(since)])]) }
    if let until = filter.untilSeq { add([("event.seq <= ?", [.integer(until)])]) }
    if let selection { add([("\(selection)(event.key, event.source)", [])]) }
  }

  var condition: String { conditions.isEmpty ? "TRUE" : conditions.joined(separator: " AND ") }

  private func column(_ name: String) -> String {
    name == leader ? "event.\(name)" : "+event.\(name)"
  }

  private mutating func add(_ alternatives: [(String, [SQLiteValue])]) {
    guard !alternatives.isEmpty else { return }
    conditions.append("(" + alternatives.map(\.0).joined(separator: " OR ") + ")")
    parameters += alternatives.flatMap(\.1)
  }

  private mutating func addRuns(_ runs: [Int64]?) {
    guard let runs else { return }
    let list = runs.map(String.init).joined(separator: ", ")
    add([("+event.source IN (SELECT id FROM source WHERE run IN (\(list)))", [])])
    func bound(_ column: String) -> String { "(SELECT \(column) FROM run WHERE id IN (\(list)))" }
    add([("event.seq BETWEEN \(bound("min(first_seq)")) AND \(bound("max(last_seq)"))", [])])
  }

  private mutating func addKeys(_ filter: EventFilter) {
    add(
      filter.keys.map { name in
        let (condition, parameters) = Self.key(name)
        return ("\(column("key")) IN (SELECT id FROM key WHERE \(condition))", parameters)
      })
    for (bundle, names) in [("prefix", filter.prefixes), ("key_group", filter.groups)] {
      add(
        names.map { name in
          let (condition, parameters) = Self.text("text", is: name)
          return (
            """
            +event.key IN (SELECT id FROM key WHERE \(bundle) IN (
              SELECT id FROM text WHERE \(condition)))
            """, parameters
          )
        })
    }
  }

  private static func key(_ name: String) -> (String, [SQLiteValue]) {
    guard let key = KeyPattern.exact(name) else { return text("text", is: name) }
    return ("text = ? AND typed = ?", [.text(key.text), .text(key.typed)])
  }

  private func texts(_ column: String, _ names: [String]) -> (String, [SQLiteValue]) {
    let marks = Array(repeating: "?", count: names.count).joined(separator: ", ")
    return (
      "\(self.column(column)) IN (SELECT id FROM text WHERE text IN (\(marks)))",
      names.map(SQLiteValue.text)
    )
  }

  private func named(_ column: String, _ name: String) -> (String, [SQLiteValue]) {
    let (condition, parameters) = Self.text("text", is: name)
    return ("\(self.column(column)) IN (SELECT id FROM text WHERE \(condition))", parameters)
  }

  // MARK: - Workers

  /// The events that a worker observed, and those of the scheduler that are about it. A worker's
  /// name is looked up in the run of the event: another run may have another worker at that
  /// address.
  private static func worker(_ name: String) -> (String, [SQLiteValue]) {
    let (address, addressParameters) = text("address", is: name)
    let (about, aboutParameters) = text("text", is: name)
    // Names are JSON; one that is a number is typed as in JSON.
    let names: [SQLiteValue] = [.text(name), .text(JSONWriter.text(.string(name)))]
    return (
      """
      +event.source IN (SELECT id FROM source WHERE kind = 'worker'
        AND (\(address) OR name IN (?, ?)))
      OR +event.source IN (SELECT id FROM source WHERE kind = 'scheduler')
        AND (event.worker IN (SELECT id FROM text WHERE \(about))
          OR ((SELECT run FROM source WHERE id = event.source), event.worker) IN (
            SELECT source.run, text.id FROM source JOIN text ON text.text = source.address
            WHERE source.kind = 'worker' AND source.name IN (?, ?)))
      """,
      addressParameters + names + aboutParameters + names
    )
  }

  /// A name with brackets in it (a key, an IPv6 address) must match itself, too.
  static func text(_ column: String, is name: String) -> (String, [SQLiteValue]) {
    Glob.isPattern(name)
      ? ("(\(column) = ? OR \(column) GLOB ?)", [.text(name), .text(Glob(name).sql)])
      : ("\(column) = ?", [.text(name)])
  }

  // MARK: - Args

  /// Several values to equal (or to match) for the same argument are joined with OR; everything
  /// else with AND.
  private mutating func addArgs(_ args: [ArgCondition]) {
    var alternatives: [(name: String, conditions: [(String, [SQLiteValue])])] = []
    for arg in args {
      let condition = Self.condition(arg)
      guard arg.comparison == .equal || arg.comparison == .matches else {
        add([condition])
        continue
      }
      if let place = alternatives.firstIndex(where: { $0.name.sameBytes(as: arg.name) }) {
        alternatives[place].conditions.append(condition)
      } else {
        alternatives.append((arg.name, [condition]))
      }
    }
    for alternative in alternatives { add(alternative.conditions) }
  }

  /// An argument as an SQL value; `nil` if the args cannot be read.
  ///
  /// - Parameter time: the column with the event's time in nanoseconds.
  static func argument(_ name: String, time: String = "event.time") -> String {
    let args = args(time: time)
    return "(CASE WHEN json_valid(event.args) THEN json_extract(\(args), \(quoted(name))) END)"
  }

  /// The args as an object, also for heartbeats.
  static func args(time: String = "event.time") -> String { "tasklog_args(event.args, \(time))" }

  private static func type(_ name: String) -> String {
    "(CASE WHEN json_valid(event.args) THEN json_type(\(args()), \(quoted(name))) END)"
  }

  private static func quoted(_ name: String) -> String {
    "'" + ArgCondition.path(name).replacing("'", with: "''") + "'"
  }

  /// Numbers are compared as numbers if the argument is one; everything else as text.
  private static func condition(_ arg: ArgCondition) -> (String, [SQLiteValue]) {
    let (value, type) = (argument(arg.name), type(arg.name))
    let number =
      Int64(arg.value).map(SQLiteValue.integer)
      ?? Double(arg.value).flatMap { $0.isFinite ? .real($0) : nil }
    let text = SQLiteValue.text(arg.value)
    switch arg.comparison {
    case .matches:
      // SQL has no booleans: their JSON text is compared.
      return (
        """
        CASE \(type) WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'
          ELSE CAST(\(value) AS TEXT) END REGEXP ?
        """, [text]
      )
    case .equal: return equal(arg, value, type, number)
    case .notEqual:
      let (condition, parameters) = equal(arg, value, type, number)
      return ("\(type) IS NOT NULL AND NOT (\(condition))", parameters)
    default:
      let sign = arg.comparison.rawValue
      if let number { return ("\(type) IN ('integer', 'real') AND \(value) \(sign) ?", [number]) }
      return ("\(type) = 'text' AND \(value) \(sign) ?", [text])
    }
  }

  private static func equal(
    _ arg: ArgCondition, _ value: String, _ type: String, _ number: SQLiteValue?
  ) -> (String, [SQLiteValue]) {
    if ["true", "false", "null"].contains(arg.value) {
      return (
        "(\(type) = ? OR \(type) = 'text' AND \(value) = ?)",
        [.text(arg.value), .text(arg.value)]
      )
    }
    let isText = "\(type) NOT IN ('true', 'false', 'null') AND CAST(\(value) AS TEXT) = ?"
    guard let number else { return (isText, [.text(arg.value)]) }
    return (
      "(\(type) IN ('integer', 'real') AND \(value) = ? OR \(isText))",
      [number, .text(arg.value)]
    )
  }
}
