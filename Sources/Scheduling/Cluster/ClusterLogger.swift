import Glibc
import Logging

/// Logs the events of a cluster. Without a logger from the user only errors are printed, to
/// standard error.
struct ClusterLogger: Sendable {
  var logger: Logger?

  func error(_ message: String, _ metadata: Logger.Metadata = [:]) {
    if let logger {
      logger.error("\(message)", metadata: metadata)
    } else {
      printError(message)
    }
  }

  func warning(_ message: String, _ metadata: Logger.Metadata = [:]) {
    logger?.warning("\(message)", metadata: metadata)
  }

  func info(_ message: String, _ metadata: Logger.Metadata = [:]) {
    logger?.info("\(message)", metadata: metadata)
  }
}

/// Writes a line to standard error.
func printError(_ message: String) {
  let line = "tasklog: \(message)\n"
  _ = Array(line.utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
}
