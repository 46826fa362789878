import Glibc
import Querying
import Synchronization

/// The standard streams.
enum Console {
  /// Whether the standard output is a terminal.
  static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

  /// The terminal of the standard output; `nil` if the output is not a terminal.
  static var terminal: Terminal? {
    guard isTerminal else { return nil }
    var size = winsize()
    let hasSize = ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
    let noColor = getenv("NO_COLOR").map { String(cString: $0) } ?? ""
    return Terminal(
      columns: hasSize ? Int(size.ws_col) : 80, hasColours: noColor.isEmpty)
  }

  static func print(_ line: String = "") {
    write(Array((line + "\n").utf8))
  }

  /// Writes all bytes; ends the program quietly if the reader has closed the pipe.
  static func write(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { buffer in
      var written = 0
      while written < buffer.count {
        let count = Glibc.write(
          STDOUT_FILENO, buffer.baseAddress?.advanced(by: written), buffer.count - written)
        if count > 0 {
          written += count
        } else if errno == EPIPE {
          exit(0)
        } else if errno != EINTR {
          warn("cannot write the output: \(String(cString: strerror(errno)))")
          exit(1)
        }
      }
    }
  }

  /// Prints a warning in one line on the standard error.
  static func warn(_ message: String) { printError("tasklog: " + message) }

  /// Whether something was left out of the result, which is an error at the end.
  private static let hasOmissions = Atomic(false)

  /// Prints a warning about something that is left out of the result; the command ends with 1.
  static func omit(_ message: String) {
    hasOmissions.store(true, ordering: .relaxed)
    warn(message)
  }

  /// Ends the program if something was left out of the result.
  static func exitIfOmitted() {
    if hasOmissions.load(ordering: .relaxed) { exit(Failure.runCode) }
  }

  /// Prints a message in one line on the standard error.
  static func printError(_ message: String) {
    let line = Array("\(Printable.text(Passwords.hidden(in: message)))\n".utf8)
    _ = line.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}

/// Buffers output and writes it in large chunks.
final class BufferedOutput {
  private var buffer: [UInt8] = []

  func write(_ bytes: [UInt8]) {
    buffer += bytes
    if buffer.count >= 1 << 16 { flush() }
  }

  func flush() {
    Console.write(buffer)
    buffer.removeAll(keepingCapacity: true)
  }
}
