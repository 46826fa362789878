import TaskLogPlugin

/// Which events to read. The same field given twice means or, different fields mean and.
public struct EventFilter: Sendable {
  /// Names or GLOB patterns of keys.
  public var keys: [String] = []
  /// The start or the finish is one of these.
  public var states: [String] = []
  public var starts: [String] = []
  public var finishes: [String] = []
  /// Names, addresses or GLOB patterns of addresses of workers: those that saw the event, and those
  /// that an event of the scheduler is about.
  public var workers: [String] = []
  public var hooks: [String] = []
  /// Nanoseconds since 1970 UTC, inclusive.
  public var since: Int64?
  /// Nanoseconds since 1970 UTC, inclusive.
  public var until: Int64?
  /// Numbers of runs in the file; nothing for all.
  public var runs: [Int64]?

  public init() {}

  /// The filter as conditions on the columns of `event`, with what to bind to their parameters.
  func sql() -> (condition: String, parameters: [SQLiteValue]) {
    var conditions: [String] = []
    var parameters: [SQLiteValue] = []

    func add(_ alternatives: [(String, [SQLiteValue])]) {
      guard !alternatives.isEmpty else { return }
      conditions.append("(" + alternatives.map(\.0).joined(separator: " OR ") + ")")
      parameters += alternatives.flatMap(\.1)
    }
    func texts(_ column: String, _ names: [String]) -> (String, [SQLiteValue]) {
      let marks = Array(repeating: "?", count: names.count).joined(separator: ", ")
      return (
        "\(column) IN (SELECT id FROM text WHERE text IN (\(marks)))",
        names.map(SQLiteValue.text)
      )
    }

    if let runs {
      let list = runs.map(String.init).joined(separator: ", ")
      add([("event.source IN (SELECT id FROM source WHERE run IN (\(list)))", [])])
      func bound(_ column: String) -> String {
        "(SELECT \(column) FROM run WHERE id IN (\(list)))"
      }
      add([
        ("event.seq BETWEEN \(bound("min(first_seq)")) AND \(bound("max(last_seq)"))", [])
      ])
    }
    add(
      keys.map { name in
        let (condition, parameters) = Self.text("text", is: name)
        return ("event.key IN (SELECT id FROM key WHERE \(condition))", parameters)
      })
    if !states.isEmpty { add([texts("event.start", states), texts("event.finish", states)]) }
    if !starts.isEmpty { add([texts("event.start", starts)]) }
    if !finishes.isEmpty { add([texts("event.finish", finishes)]) }
    if !hooks.isEmpty { add([texts("event.hook", hooks)]) }
    add(workers.map(Self.worker))
    if let since { add([("event.time >= ?", [.integer(since)])]) }
    if let until { add([("event.time <= ?", [.integer(until)])]) }
    return (conditions.isEmpty ? "TRUE" : conditions.joined(separator: " AND "), parameters)
  }

  /// The events that a worker saw, and those of the scheduler that are about it. A worker's name is
  /// looked up in the run of the event: another run may have another worker at that address.
  private static func worker(_ name: String) -> (String, [SQLiteValue]) {
    let (address, addressParameters) = text("address", is: name)
    let (about, aboutParameters) = text("text", is: name)
    // Names are JSON; one that is a number is typed as it stands.
    let names: [SQLiteValue] = [.text(name), .text(JSONWriter.text(.string(name)))]
    return (
      """
      event.source IN (SELECT id FROM source WHERE kind = 'worker'
        AND (\(address) OR name IN (?, ?)))
      OR event.source IN (SELECT id FROM source WHERE kind = 'scheduler')
        AND (event.worker IN (SELECT id FROM text WHERE \(about))
          OR ((SELECT run FROM source WHERE id = event.source), event.worker) IN (
            SELECT source.run, text.id FROM source JOIN text ON text.text = source.address
            WHERE source.kind = 'worker' AND source.name IN (?, ?)))
      """,
      addressParameters + names + aboutParameters + names
    )
  }

  /// A name with brackets in it (a key, an IPv6 address) must find itself, too.
  private static func text(_ column: String, is name: String) -> (String, [SQLiteValue]) {
    name.utf8.contains { "*?[".utf8.contains($0) }
      ? ("(\(column) = ? OR \(column) GLOB ?)", [.text(name), .text(name)])
      : ("\(column) = ?", [.text(name)])
  }
}
