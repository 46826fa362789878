import TaskLogPlugin

/// Marks that commands add to a run. No recorder writes them, so they have no index in spools.
extension Hook {
  /// What a manager of hosts said about the end of a worker: `tasklog import --deaths`.
  package static let manager = Hook.other("manager")

  /// A label of the run, from now on: `tasklog runs --label`. Without a value it is removed.
  package static let label = Hook.other("label")

  package static let ofCommands: Set<Hook> = [manager, label]
}
