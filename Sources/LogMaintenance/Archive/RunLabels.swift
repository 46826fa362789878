import EventLog
import LogFormat
import TaskLogPlugin

/// Adds labels to runs that are in logs already, also while they are recorded.
package enum RunLabels {
  /// A label; without a value it is removed.
  package struct Change: Sendable, Equatable {
    package var name: String
    package var value: String?

    package init(name: String, value: String?) {
      (self.name, self.value) = (name, value)
    }
  }

  /// Adds an event for each change to a run.
  ///
  /// - Parameter path: the file with the run, the last one if there are several.
  /// - Throws: `LogError`.
  package static func apply(_ changes: [Change], to run: RunInfo, in path: String) throws {
    let now = Clock.now()
    // A run does not get longer by what is known of it.
    let time = run.end == .running ? now : min(now, run.ended ?? now)
    let writer = try LogWriter(path: path)
    defer { writer.close() }
    do {
      try writer.transaction(synced: true) {
        let source = try writer.add(
          Source(kind: .command, id: "label-" + RunID.make(), address: "tasklog runs"),
          run: run.number)
        for (index, change) in changes.enumerated() {
          let args = Args(
            Args.Content(named: [
              .init("name", .string(change.name)),
              .init("value", change.value.map { .string($0) } ?? .null), .init("at_ns", .int(now)),
            ]))
          try writer.append(
            Event(.label, time: time, args: args), source: source, sourceSeq: Int64(index + 1))
        }
      }
    } catch let error as SQLiteError {
      throw LogError.cannotWrite(path: path, reason: error.message)
    }
  }
}
