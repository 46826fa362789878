/// A filter that a run cannot answer.
package enum ScopeError: Error, Sendable, CustomStringConvertible {
  case noClients(run: Int64)
  case noJobs(run: Int64)
  case noSpans(run: Int64)
  /// The window ends before it starts.
  case reversed(run: Int64)

  package var description: String {
    switch self {
    case .noClients(let run):
      "--client: run #\(run) records no client that submitted a task"
    case .noJobs(let run):
      "--job: run #\(run) records no task of a named job; 'with tasklog.job(\"etl\"):' names one"
    case .noSpans(let run):
      "--span: run #\(run) records no task in a span; only runs of Dask have spans"
    case .reversed(let run): "--since is after --until in run #\(run)"
    }
  }
}
