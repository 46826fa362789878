import Querying
import TaskLogPlugin

/// Prints plugin reports, in the same format for a live run and a replay.
enum ReportText {
  struct Entry {
    var plugin: String
    /// The plugin's worker; `nil` for the scheduler.
    var worker: String?
    var report: Value
  }

  /// Prints the reports of each plugin under its name, followed by an empty line.
  static func write(_ entries: [Entry]) {
    var names: [String] = []
    for entry in entries where !names.contains(entry.plugin) { names.append(entry.plugin) }
    for name in names {
      Console.print(Printable.text(name))
      let lines = entries.filter { $0.plugin == name }.flatMap(lines)
      for line in lines { Console.print("  \(line)") }
      if lines.isEmpty { Console.print("  nothing to report") }
      Console.print()
    }
  }

  private static func lines(_ entry: Entry) -> [String] {
    switch entry.report {
    // A list is printed as lines, worker after worker.
    case .list(let values): return values.map(text)
    case .dict(let entries):
      let lines = entries.map { "\(text($0.key)): \(text($0.value))" }
      return entry.worker.map { worker in [Printable.text(worker)] + lines.map { "  " + $0 } }
        ?? lines
    case let value:
      return [(entry.worker.map { "\(Printable.text($0)): " } ?? "") + text(value)]
    }
  }

  /// Text as it is, everything else as JSON.
  private static func text(_ value: Value) -> String {
    guard case .string(let text) = value else { return Printable.text(JSONWriter.text(value)) }
    return Printable.text(text)
  }
}
