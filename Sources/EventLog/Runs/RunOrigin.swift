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

  package init(
    labels: String? = nil, host: String? = nil, user: String? = nil, gitRevision: String? = nil
  ) {
    self.labels = labels
    self.host = host
    self.user = user
    self.gitRevision = gitRevision
  }
}

extension LogReader {
  /// The origins of all runs, by their numbers; all at once, because the labels of one run take
  /// almost as long as those of all of them.
  ///
  /// - Throws: `LogError`.
  package func origins() throws -> [Int64: RunOrigin] {
    try translating {
      let select = try connection.prepare(
        """
        SELECT runs.run, nullif(labelled.labels, '{}'), host, user, git_revision
        FROM runs LEFT JOIN (
          SELECT run, json_group_object(name, value) AS labels FROM labels GROUP BY run
        ) AS labelled ON labelled.run = runs.run
        """)
      var origins: [Int64: RunOrigin] = [:]
      while try select.step() {
        origins[select.integer(0)] = RunOrigin(
          labels: select.optionalText(1), host: select.optionalText(2),
          user: select.optionalText(3), gitRevision: select.optionalText(4))
      }
      return origins
    }
  }
}

/// The origins of runs of several logs, each of which is asked once.
package struct RunOrigins {
  private var known: [ObjectIdentifier: [Int64: RunOrigin]] = [:]

  package init() {}

  /// - Throws: `LogError`.
  package mutating func origin(of segment: RunSegment) throws -> RunOrigin {
    let reader = ObjectIdentifier(segment.reader)
    let origins = try known[reader] ?? segment.reader.origins()
    known[reader] = origins
    return origins[segment.run.number] ?? RunOrigin()
  }
}
