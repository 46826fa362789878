import LogFormat

/// Errors of many runs, grouped by the type of their exception and the function that raised it.
package struct ErrorGroups: Sendable {
  package struct Group: Sendable {
    /// The name of its type; `nil` for an exception that was not recorded as Python shows one.
    package var type: String?
    /// The file and function of the innermost frame; `nil` if there is no traceback.
    package var frame: String?
    package var tasks: Int64 = 0
    package var dependents: Int64 = 0
    /// The places of its runs, in ascending order.
    package var runs: [Int] = []
    /// An example: the exception and the key in the last run.
    package var exception: SQLiteValue
    package var key: String
  }

  private struct Kind: Hashable {
    var type: String?
    var frame: String?
  }

  private var groups: [Kind: Group] = [:]

  package init() {}

  /// - Parameter run: its place among the runs, which are added in ascending order.
  package mutating func add(_ cause: ErrorCause, run: Int) {
    var kind = Kind(frame: Self.frame(of: cause.firstTraceback))
    if case .text(let text) = cause.exception, let shown = ExceptionRepr(text) {
      kind.type = String(shown.type)
    }
    var group =
      groups[kind]
      ?? Group(type: kind.type, frame: kind.frame, exception: cause.exception, key: cause.firstKey)
    group.tasks += cause.tasks
    group.dependents += cause.dependents
    if group.runs.last != run { group.runs.append(run) }
    (group.exception, group.key) = (cause.exception, cause.firstKey)
    groups[kind] = group
  }

  /// Those of the most runs first, then those with the most tasks.
  package var sorted: [Group] {
    groups.values.sorted {
      ($1.runs.count, $1.tasks, $0.type ?? "", $0.frame ?? "")
        < ($0.runs.count, $0.tasks, $1.type ?? "", $1.frame ?? "")
    }
  }

  /// The innermost frame of Python's traceback, without its line, which moves with every edit; of a task
  /// in Swift, where it was submitted.
  static func frame(of traceback: SQLiteValue) -> String? {
    guard case .text(let text) = traceback else { return nil }
    let lines = text.split(whereSeparator: \.isNewline)
    for line in lines.reversed() {
      let line = line.drop { $0 == " " }
      guard line.hasPrefix("File \""), let end = line.dropFirst(6).firstIndex(of: "\"") else {
        continue
      }
      let file = line.dropFirst(6)[..<end].split(separator: "/").last ?? ""
      guard let function = line[end...].firstRange(of: ", in ") else { return String(file) }
      return "\(file), \(line[function.upperBound...])"
    }
    guard let line = lines.last, let place = line.firstRange(of: "submitted at ") else {
      return nil
    }
    return String(line[place.upperBound...])
  }
}
