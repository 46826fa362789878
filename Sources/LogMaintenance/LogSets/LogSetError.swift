/// What can be wrong with the logs that a command was given.
package enum LogSetError: Error, Sendable {
  /// The segments of a rotated run cannot be merged into a temporary file.
  case cannotMerge(template: String, reason: String)
  /// Only one run of a name template can be followed.
  case severalRunsToFollow(template: String)
  /// A folder, a pattern or several selected runs cannot be followed.
  case cannotFollow(name: String)
  /// A folder or a pattern has no log.
  case noLogs(name: String)
  /// No run matches an expression, or there is none in any log.
  case noRuns(names: [String], isSelected: Bool)
}

extension LogSetError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .cannotMerge(let template, let reason):
      // There may be space elsewhere.
      "\(template): cannot merge its files (\(reason)); set TMPDIR to another folder for it, "
        + "or name one of the files with --log"
    case .severalRunsToFollow(let template):
      "--follow follows one run of \(template); choose it with --run"
    case .cannotFollow(let name):
      "--follow follows one log; name it instead of \(name)"
    case .noLogs(let name): "\(name): there is no log in it"
    case .noRuns(let names, let isSelected):
      names.joined(separator: ", ")
        + (isSelected ? ": no run matches --runs; see 'tasklog runs'" : ": there is no run in it")
    }
  }
}
