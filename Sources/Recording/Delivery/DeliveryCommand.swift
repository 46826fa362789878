import Glibc
import LogFormat

/// A command that delivers a file, such as one that puts it into an object store.
struct DeliveryCommand {
  let command: String

  private static let pollMicroseconds: UInt32 = 10_000

  /// Runs the command for a file, and waits for its end.
  ///
  /// - Parameters:
  ///   - errors: a file for what it prints to standard error.
  ///   - isCancelled: asked now and then; the command is then killed.
  /// - Throws: `DeliveryError` if it fails.
  func run(
    _ file: String, errors: String, unless isCancelled: () -> Bool
  ) throws(DeliveryError) {
    let text = command.replacing(Destination.fileMark, with: Self.quoted(file))
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
    let flags = O_WRONLY | O_CREAT | O_TRUNC
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors, flags, 0o600)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    sigfillset(&signals)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    // In its own group: what the host's terminal or manager sends does not end it, and what it
    // starts can be killed with it.
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes,
      Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))
    let arguments = ["/bin/sh", "-c", text]
    var words: [UnsafeMutablePointer<CChar>?] = arguments.map { (word: String) in strdup(word) }
    words.append(nil)
    defer { for word in words { free(word) } }
    var process = pid_t()
    let code = posix_spawn(&process, "/bin/sh", &actions, &attributes, &words, environ)
    guard code == 0 else {
      throw DeliveryError(description: "/bin/sh: \(String(cString: strerror(code)))")
    }
    var status: Int32 = 0
    while true {
      let ended = waitpid(process, &status, WNOHANG)
      if ended == process { break }
      // A host may have set SIGCHLD to be ignored: the child is gone, and how it ended is unknown.
      guard ended == 0 || errno == EINTR else {
        throw DeliveryError(description: "whether the command succeeded cannot be told")
      }
      if isCancelled() {
        kill(-process, SIGKILL)
        waitpid(process, &status, 0)
        throw DeliveryError(description: "the command was out of time and was killed")
      }
      usleep(Self.pollMicroseconds)
    }
    let signal = status & 0x7F
    let exitCode = (status >> 8) & 0xFF
    guard signal != 0 || exitCode != 0 else { return }
    let how = signal != 0 ? "was killed by signal \(signal)" : "ended with exit code \(exitCode)"
    let last = Self.lastLine(errors)
    throw DeliveryError(description: "the command \(how)" + (last.isEmpty ? "" : ": \(last)"))
  }

  /// A word of the shell.
  private static func quoted(_ path: String) -> String {
    let isPlain = path.utf8.allSatisfy {
      switch $0 {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "."),
        UInt8(ascii: "_"), UInt8(ascii: "-"):
        true
      default: false
      }
    }
    return isPlain ? path : "'\(path.replacing("'", with: "'\\''"))'"
  }

  /// The last line of a file that is not empty, at most 300 bytes of it.
  private static func lastLine(_ path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    let size = lseek(descriptor, 0, SEEK_END)
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = pread(descriptor, &bytes, bytes.count, max(0, size - off_t(bytes.count)))
    let lines = bytes.prefix(max(0, count)).split(separator: UInt8(ascii: "\n"))
    let last = lines.last { $0.contains { $0 > 0x20 } } ?? []
    return String(decoding: last.prefix(300), as: UTF8.self)
  }
}
