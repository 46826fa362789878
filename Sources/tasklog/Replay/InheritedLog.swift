import EventLog
import Glibc
import LogMaintenance

/// The merged segments of a rotated run, which `Supervisor` passes to its child process.
extension LogSet {
  private static let variable = "TASKLOG_RESOLVED_LOG"

  /// Passes the log to child processes, if there is only one and it was merged.
  func export() {
    guard named.count == 1, !named[0].segments.isEmpty, let selector = named[0].singleSelector
    else { return }
    setenv(Self.variable, "\(selector)\n\(named[0].path)", 1)
  }

  /// The log that the parent process has passed, or `nil`.
  static func inherited(_ name: String) -> LogSet? {
    guard let text = getenv(variable).map({ String(cString: $0) }),
      let end = text.firstIndex(of: "\n")
    else { return nil }
    unsetenv(variable)
    let path = String(text[text.index(after: end)...])
    return LogSet(
      Part(path: path, name: name, selector: String(text[..<end])), environment: .command())
  }
}
