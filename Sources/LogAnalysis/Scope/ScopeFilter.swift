/// What part of a run an analysis is to cover. Values of the same field are joined with OR,
/// different fields with AND; see `RunScope` for what each selects.
public struct ScopeFilter: Sendable {
  /// Names or GLOB patterns of prefixes of keys.
  public var prefixes: [String] = []
  /// Names or GLOB patterns of clients.
  public var clients: [String] = []
  /// Names, IDs or GLOB patterns of Dask's spans.
  public var spans: [String] = []
  /// Names, addresses or GLOB patterns of addresses of workers.
  public var workers: [String] = []
  /// Inclusive.
  public var since: PointInTime?
  /// Inclusive; `nil` for the end of the run.
  public var until: PointInTime?

  public init() {}

  /// Whether it selects everything.
  public var isEmpty: Bool {
    prefixes.isEmpty && clients.isEmpty && spans.isEmpty && workers.isEmpty && since == nil
      && until == nil
  }
}
