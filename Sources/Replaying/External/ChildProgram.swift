import Glibc

/// A child process that reads from this one through its standard input and inherits the other
/// streams. A program that answers writes to a separate descriptor.
final class ChildProgram {
  enum Written {
    case written
    /// The reading end is closed.
    case closed
    case timedOut
  }

  enum End {
    case exited(Int32)
    case signalled(Int32)
    case timedOut
  }

  struct Failure: Error {
    var reason: String
  }

  /// The descriptor that a program writes answers to.
  static let answersDescriptor: Int32 = 3

  private var input: Int32
  private var output: Int32 = -1
  private var process: pid_t
  private var end: End?
  /// Answers received but not yet consumed.
  private(set) var answers: [UInt8] = []

  /// - Parameters:
  ///   - command: a line for `/bin/sh`.
  ///   - environment: in addition to that of this process.
  convenience init(command: String, environment: [String: String]) throws(Failure) {
    try self.init(words: ["/bin/sh", "-c", command], environment: environment)
  }

  /// - Parameters:
  ///   - words: the path of the program and its arguments.
  ///   - environment: in addition to that of this process.
  ///   - answers: whether the program answers.
  init(words: [String], environment: [String: String], answers: Bool = false) throws(Failure) {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw Failure(reason: Self.reason(errno)) }
    input = ends[1]
    defer { close(ends[0]) }
    var answerEnds: [Int32] = [-1, -1]
    if answers {
      guard pipe(&answerEnds) == 0 else {
        close(input)
        throw Failure(reason: Self.reason(errno))
      }
      output = answerEnds[0]
      _ = fcntl(output, F_SETFL, O_NONBLOCK)
    }
    defer { if answerEnds[1] >= 0 { close(answerEnds[1]) } }
    for descriptor in ends + answerEnds where descriptor >= 0 {
      _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    }
    // A program that stops reading must not block the replay beyond its timeout.
    _ = fcntl(input, F_SETFL, O_NONBLOCK)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO)
    if answers {
      posix_spawn_file_actions_adddup2(&actions, answerEnds[1], Self.answersDescriptor)
    }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // Signals that this process ignores or blocks are reset for the program.
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    sigaddset(&signals, SIGPIPE)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    var variables = Self.variables(adding: environment)
    var copies: [UnsafeMutablePointer<CChar>?] = words.map { (word: String) in strdup(word) }
    copies.append(nil)
    defer { for word in copies + variables { free(word) } }
    process = 0
    let code = posix_spawn(&process, words[0], &actions, &attributes, &copies, &variables)
    guard code == 0 else {
      close(input)
      if output >= 0 { close(output) }
      throw Failure(reason: Self.reason(code))
    }
  }

  deinit {
    closeInput()
    if output >= 0 { close(output) }
  }

  private static func reason(_ code: Int32) -> String { String(cString: strerror(code)) }

  private static func variables(
    adding extra: [String: String]
  ) -> [UnsafeMutablePointer<CChar>?] {
    var variables: [UnsafeMutablePointer<CChar>?] = []
    var next = environ
    while let variable = next.pointee {
      let text = String(cString: variable)
      let isReplaced = text.firstIndex(of: "=").map { extra[String(text[..<$0])] != nil } ?? false
      if !isReplaced { variables.append(strdup(text)) }
      next += 1
    }
    for name in extra.keys.sorted() { variables.append(strdup("\(name)=\(extra[name] ?? "")")) }
    return variables + [nil]
  }

  /// Writes all bytes.
  ///
  /// - Parameter timeoutSeconds: how long to wait for the program to read.
  func write(_ bytes: [UInt8], timeoutSeconds: Int?) -> Written {
    bytes.withUnsafeBytes { write($0, timeoutSeconds: timeoutSeconds) }
  }

  /// Writes all bytes; answers received meanwhile are buffered, so that neither side blocks the
  /// other.
  func write(_ bytes: UnsafeRawBufferPointer, timeoutSeconds: Int?) -> Written {
    guard input >= 0 else { return .closed }
    return Self.withoutSIGPIPE {
      var written = 0
      while written < bytes.count {
        let count = Glibc.write(
          input, bytes.baseAddress?.advanced(by: written), bytes.count - written)
        if count > 0 {
          written += count
        } else if errno == EAGAIN {
          guard waitForReader(timeoutSeconds) else { return .timedOut }
        } else if errno != EINTR {
          return .closed
        }
      }
      return .written
    }
  }

  private func waitForReader(_ timeoutSeconds: Int?) -> Bool {
    let limit = timeoutSeconds.map { Int32(clamping: $0 * 1000) } ?? -1
    while true {
      // `poll` ignores negative descriptors.
      var descriptors = [
        pollfd(fd: input, events: Int16(POLLOUT), revents: 0),
        pollfd(fd: output, events: Int16(POLLIN), revents: 0),
      ]
      let count = poll(&descriptors, 2, limit)
      if count == 0 { return false }
      if count < 0, errno != EINTR { return true }
      if descriptors[1].revents != 0 { receive() }
      if descriptors[0].revents != 0 { return true }
    }
  }

  /// Reads the answers available now.
  func receive() {
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while output >= 0 {
      let count = read(output, &chunk, chunk.count)
      if count > 0 {
        answers.append(contentsOf: chunk[..<count])
      } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
        close(output)
        output = -1
      } else if errno == EAGAIN {
        return
      }
    }
  }

  /// Waits for more answers.
  ///
  /// - Returns: `false` if no more answers will come.
  func waitForAnswer() -> Bool {
    guard output >= 0 else { return false }
    let before = answers.count
    var descriptor = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
    while poll(&descriptor, 1, -1) < 0, errno == EINTR {}
    receive()
    return answers.count > before || output >= 0
  }

  /// Removes consumed bytes from the front of `answers`.
  func removeAnswers(_ count: Int) { answers.removeFirst(count) }

  /// Makes writing to a closed pipe an error here rather than the end of this process, whatever its
  /// handling of SIGPIPE.
  private static func withoutSIGPIPE<Result>(_ body: () -> Result) -> Result {
    var pipe = sigset_t()
    var before = sigset_t()
    sigemptyset(&pipe)
    sigaddset(&pipe, SIGPIPE)
    pthread_sigmask(SIG_BLOCK, &pipe, &before)
    let result = body()
    if sigismember(&before, SIGPIPE) == 0 {
      var none = timespec()
      while sigtimedwait(&pipe, nil, &none) == SIGPIPE {}
    }
    pthread_sigmask(SIG_SETMASK, &before, nil)
    return result
  }

  /// Closes the program's input.
  func closeInput() {
    if input >= 0 { close(input) }
    input = -1
  }

  /// Waits for the program to end.
  func wait(timeoutSeconds: Int?) -> End {
    if let end { return end }
    let start = ContinuousClock.now
    var pause: UInt32 = 500
    while true {
      var status: Int32 = 0
      let waited = waitpid(process, &status, timeoutSeconds == nil ? 0 : WNOHANG)
      if waited == process || (waited < 0 && errno != EINTR) {
        let signal = status & 0x7F
        let end: End = signal == 0 ? .exited((status >> 8) & 0xFF) : .signalled(signal)
        self.end = end
        return end
      }
      if let timeoutSeconds, ContinuousClock.now - start > .seconds(timeoutSeconds) {
        return .timedOut
      }
      if waited == 0 {
        usleep(pause)
        pause = min(pause * 2, 50_000)
      }
    }
  }

  /// Terminates the program unless it has already ended.
  func stop() {
    closeInput()
    guard end == nil else { return }
    kill(process, SIGTERM)
    if case .timedOut = wait(timeoutSeconds: 1) {
      kill(process, SIGKILL)
      _ = wait(timeoutSeconds: nil)
    }
  }
}
