/// A filter that a run cannot answer.
package enum ScopeError: Error, Sendable, CustomStringConvertible {
  case noClients(run: Int64)
  case noSpans(run: Int64)
  /// The window ends before it starts.
  case reversed(run: Int64)

  package var description: String {
    switch self {
    case .noClients(let run):
      "--client: run #\(run) does not record which client submitted a task"
    case .noSpans(let run): "--span: run #\(run) does not record spans, which only Dask has"
    case .reversed(let run): "--since is after --until in run #\(run)"
    }
  }
}
