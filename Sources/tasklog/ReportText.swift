import Querying
import TaskLogPlugin

/// Prints what plugins report, the same for a live run and for a replay.
enum ReportText {
  struct Entry {
    var plugin: String
    /// The worker that the plugin was on; nothing on the scheduler.
    var worker: String?
    var report: Value
  }

  /// Prints the reports of each plugin under its name, each with an empty line behind it.
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
    // A list is read as lines, one worker's behind the other's.
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
