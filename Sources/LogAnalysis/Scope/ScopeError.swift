/// A filter that a run cannot answer.
public enum ScopeError: Error, Sendable, CustomStringConvertible {
  case noClients(run: Int64)
  case noSpans(run: Int64)

  public var description: String {
    switch self {
    case .noClients(let run):
      "--client: run #\(run) does not record which client submitted a task"
    case .noSpans(let run): "--span: run #\(run) does not record spans, which only Dask has"
    }
  }
}
