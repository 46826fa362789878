import TaskLogPlugin

/// Which events to read. Values of the same field are joined with OR, different fields with AND.
package struct EventFilter: Sendable {
  /// Names or patterns of keys: see `KeyPattern` and `Glob`.
  package var keys: [String] = []
  /// Names or patterns of prefixes of keys.
  package var prefixes: [String] = []
  /// Names or patterns of groups of keys.
  package var groups: [String] = []
  /// The start or the finish state is one of these.
  package var states: [String] = []
  package var starts: [String] = []
  package var finishes: [String] = []
  /// Names, addresses or patterns of addresses of workers: those that observed the event, and
  /// those that an event of the scheduler is about.
  package var workers: [String] = []
  /// The kind of source that observed the event.
  package var sources: [Source.Kind] = []
  package var hooks: [String] = []
  /// Names or patterns of stimuli.
  package var stimuli: [String] = []
  /// Names or patterns of clients, as in the args.
  package var clients: [String] = []
  /// Names or patterns of named jobs; `tasks` has to select their tasks.
  package var jobs: [String] = []
  /// Names, IDs or GLOB patterns of Dask's spans; `tasks` has to select the tasks in them.
  package var spans: [String] = []
  /// Only events of these tasks; `nil` for all events.
  package var tasks: (any TaskSelection)?
  package var args: [ArgCondition] = []
  /// POSIX extended regular expressions, searched in the JSON of the args.
  package var patterns: [String] = []
  /// Nanoseconds since 1970 UTC, inclusive.
  package var since: Int64?
  /// Nanoseconds since 1970 UTC, inclusive.
  package var until: Int64?
  /// A seq (order of arrival), inclusive.
  package var sinceSeq: Int64?
  /// A seq (order of arrival), inclusive.
  package var untilSeq: Int64?
  /// Row IDs of runs in the file; `nil` for all.
  package var runs: [Int64]?

  package init() {}
}

/// What one argument of an event is compared with.
package struct ArgCondition: Sendable, Equatable {
  package enum Comparison: String, Sendable, CaseIterable {
    case notEqual = "!="
    case lessOrEqual = "<="
    case greaterOrEqual = ">="
    case equal = "="
    case less = "<"
    case greater = ">"
    /// A POSIX extended regular expression.
    case matches = "~"
  }

  /// The name of the argument, or the path of a value inside it: `metadata.x`, `keys.0`.
  package var name: String
  package var comparison: Comparison
  package var value: String

  package init(name: String, comparison: Comparison, value: String) {
    self.name = name
    self.comparison = comparison
    self.value = value
  }

  /// The JSON path: https://sqlite.org/json1.html#path_arguments
  static func path(_ name: String) -> String {
    name.split(separator: ".", omittingEmptySubsequences: false).reduce("$") { path, part in
      part.isEmpty || !part.utf8.allSatisfy { (0x30...0x39).contains($0) }
        ? path + ".\"" + part.replacing("\"", with: "") + "\"" : path + "[\(part)]"
    }
  }
}
