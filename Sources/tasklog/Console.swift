import Glibc
import Querying

/// The standard streams.
enum Console {
  /// Whether the standard output is a terminal.
  static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

  /// The terminal behind the standard output, nothing when it goes elsewhere.
  static var terminal: Terminal? {
    guard isTerminal else { return nil }
    var size = winsize()
    let isKnown = ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
    let noColour = getenv("NO_COLOR").map { String(cString: $0) } ?? ""
    return Terminal(
      columns: isKnown ? Int(size.ws_col) : 80, hasColours: noColour.isEmpty)
  }

  static func print(_ line: String = "") {
    write(Array((line + "\n").utf8))
  }

  /// Writes all of it; ends the program quietly when nobody reads any more.
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
          complain("cannot write the output: \(String(cString: strerror(errno)))")
          exit(1)
        }
      }
    }
  }

  /// Says in one line on the standard error what is wrong.
  static func complain(_ message: String) { tell("tasklog: " + message) }

  /// Says something in one line on the standard error.
  static func tell(_ message: String) {
    let line = Array("\(Printable.text(Passwords.hidden(in: message)))\n".utf8)
    _ = line.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}

/// Collects output and writes it in large pieces.
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
