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
    let caller = run.metadata[RunMetadataKey.caller]
    func text(_ key: String) -> String? {
      caller?[key]?.string ?? run.metadata[key]?.string
    }
    return RunOrigin(
      labels: try labels(of: run), host: text(RunMetadataKey.host),
      user: text(RunMetadataKey.user),
      gitRevision: caller?[RunMetadataKey.gitRevision]?.string)
  }

  private func labels(of run: RunInfo) throws -> String? {
    try translating {
      let select = try connection.prepare(
        """
        SELECT json_group_object(name, value) FROM labels WHERE run = \(run.number)
        HAVING count(*) > 0
        """)
      return try select.step() ? select.optionalText(0) : nil
    }
  }
}
