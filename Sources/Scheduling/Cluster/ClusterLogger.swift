import Glibc
import Logging

/// Where a cluster says what befalls it. Without a logger of the user's only errors are told, on the
/// standard error.
struct ClusterLogger: Sendable {
  var logger: Logger?

  func error(_ message: String, _ metadata: Logger.Metadata = [:]) {
    if let logger {
      logger.error("\(message)", metadata: metadata)
    } else {
      complain(message)
    }
  }

  func warning(_ message: String, _ metadata: Logger.Metadata = [:]) {
    logger?.warning("\(message)", metadata: metadata)
  }

  func info(_ message: String, _ metadata: Logger.Metadata = [:]) {
    logger?.info("\(message)", metadata: metadata)
  }
}

/// Writes a line to the standard error.
func complain(_ message: String) {
  let line = "tasklog: \(message)\n"
  _ = Array(line.utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
}
