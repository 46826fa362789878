/// What part of a run an analysis is to cover. Values of the same field are joined with OR,
/// different fields with AND; see `RunScope` for what each selects.
package struct ScopeFilter: Sendable {
  /// Names or GLOB patterns of prefixes of keys.
  package var prefixes: [String] = []
  /// Names or GLOB patterns of clients.
  package var clients: [String] = []
  /// Names or GLOB patterns of named jobs.
  package var jobs: [String] = []
  /// Names, IDs or GLOB patterns of Dask's spans.
  package var spans: [String] = []
  /// Names, addresses or GLOB patterns of addresses of workers.
  package var workers: [String] = []
  /// Inclusive.
  package var since: PointInTime?
  /// Inclusive; `nil` for the end of the run.
  package var until: PointInTime?

  package init() {}

  /// Whether it selects everything.
  package var isEmpty: Bool {
    prefixes.isEmpty && clients.isEmpty && jobs.isEmpty && spans.isEmpty && workers.isEmpty
      && since == nil && until == nil
  }
}
