/// What can be wrong with the logs that a command was given.
package enum LogSetError: Error, Sendable {
  /// The segments of a rotated run cannot be merged into a temporary file.
  case cannotMerge(template: String, reason: String)
  /// Only one run of a name template can be followed.
  case severalRunsToFollow(template: String)
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
    }
  }
}
