/// What Dask's choice of a worker for a task depends on besides what plugins see. Most tasks have none,
/// so that it is not in `TaskState` itself. Not part of a saved state.
package final class PlacementHints: Sendable {
  /// Dask's `actor`.
  package let isActor: Bool
  /// Whether it is root-ish whatever its group: Dask's `data_producer`.
  package let isProducer: Bool
  /// Whether the scheduler may queue it: Dask's `_queueable`.
  package let isQueueable: Bool
  /// The hosts that may run it, in addition to `workerRestrictions`.
  package let hosts: [String]

  /// `nil` if nothing in it differs from the default.
  init?(_ value: Value) {
    isActor = value["actor"]?.bool == true
    isProducer = value["dataProducer"]?.bool == true
    isQueueable = value["queueable"]?.bool != false
    hosts = (value["hostRestrictions"]?.elements ?? []).compactMap(\.string)
    if !isActor, !isProducer, isQueueable, hosts.isEmpty { return nil }
  }

  /// The same with the hosts of Dask's `set_restrictions`.
  init(_ args: Args.Content, replacing before: PlacementHints?) {
    isActor = before?.isActor ?? false
    isProducer = before?.isProducer ?? false
    isQueueable = before?.isQueueable ?? true
    hosts = (args["hostRestrictions"]?.elements ?? []).compactMap(\.string)
  }
}
