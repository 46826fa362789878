import LogFormat
import TaskLogPlugin

/// Where a run comes from, as the columns of the view `runs` say it.
package struct RunOrigin: Equatable {
  /// The labels as they are now, a JSON object; `nil` if there are none.
  package var labels: String?
  /// Of the process that requested the recording, else of the recorder's own.
  package var host: String?
  package var user: String?
  package var gitRevision: String?
}

extension LogReader {
  /// - Throws: `LogError`.
  package func origin(of run: RunInfo) throws -> RunOrigin {
    try translating {
      let select = try connection.prepare(
        """
        SELECT nullif(labels, '{}'), host, user, git_revision FROM runs WHERE run = \(run.number)
        """)
      guard try select.step() else { return RunOrigin() }
      return RunOrigin(
        labels: select.optionalText(0), host: select.optionalText(1),
        user: select.optionalText(2), gitRevision: select.optionalText(3))
    }
  }
}
