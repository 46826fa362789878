import TaskLogPlugin

/// Marks that commands add to a run. No recorder writes them, so they have no index in spools.
extension Hook {
  /// What a manager of hosts said about the end of a worker: `tasklog import --deaths`.
  package static let manager = Hook.other("manager")

  package static let ofCommands: Set<Hook> = [manager]
}
