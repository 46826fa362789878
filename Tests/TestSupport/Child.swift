import CTestSupport
import Foundation

/// A process that a test starts, and ends by its pid.
///
/// Foundation's `Process` now and then misses the death of a child, so it is not used in tests.
package final class Child: @unchecked Sendable {
  /// Where standard output or standard error goes.
  package enum Sink {
    /// Appended to a file.
    case file(String)
    /// Read by the test.
    case pipe
    /// To where standard output goes.
    case output
  }

  package let pid: pid_t
  /// The other ends of its pipes.
  package let input: FileHandle?, output: FileHandle?, errors: FileHandle?
  private let words: [String]
  private let lock = NSLock()
  // Guarded by `lock`.
  private var status: Int32?

  /// - Parameters:
  ///   - words: the program, looked up in the path, and its arguments.
  ///   - environment: variables in addition to those of this process; those that are `nil` are
  ///     removed.
  ///   - folder: the folder that it starts in; by default that of this process.
  ///   - hasInput: whether the test writes to its standard input, which is empty otherwise.
  ///   - output: where standard output goes; nowhere by default.
  ///   - errors: where standard error goes.
  package init(
    _ words: [String], environment: [String: String?] = [:], folder: String? = nil,
    hasInput: Bool = false, output: Sink = .file("/dev/null"), errors: Sink = .output
  ) throws {
    // Signals that the shell or CI has left ignored are not; a program would inherit that.
    var prefix = ["env", "--default-signal"]
    if let folder { prefix += ["-C", folder] }
    for case (let name, nil) in environment { prefix += ["-u", name] }
    for case (let name, let value?) in environment { prefix.append("\(name)=\(value)") }
    var argv: [UnsafeMutablePointer<CChar>?] = (prefix + words).map { strdup($0) } + [nil]
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    let (input, output, errors) = (
      hasInput ? try Ends() : nil, try Self.add(output, 1, &actions),
      try Self.add(errors, 2, &actions)
    )
    if let input {
      posix_spawn_file_actions_adddup2(&actions, input.reading.fileDescriptor, 0)
    } else {
      posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    }
    // Nothing of another test: a file that is open for writing, an end of a pipe.
    ts_close_from(&actions, 3)
    // The threads of a test block signals that a program relies on.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    defer {
      posix_spawn_file_actions_destroy(&actions)
      posix_spawnattr_destroy(&attributes)
      for word in argv { free(word) }
    }
    var child = pid_t()
    let code = posix_spawnp(&child, "env", &actions, &attributes, &argv, environ)
    // Its ends, so that either side sees the end of the other.
    for end in [input?.reading, output?.writing, errors?.writing] { try end?.close() }
    guard code == 0 else { throw POSIXError(POSIXErrorCode(rawValue: code) ?? .EIO) }
    pid = child
    self.words = words
    (self.input, self.output, self.errors) = (input?.writing, output?.reading, errors?.reading)
  }

  // A test that fails half way must not leave it running for ever.
  deinit { end(SIGKILL) }

  /// A pipe.
  private struct Ends {
    let reading: FileHandle, writing: FileHandle

    init() throws {
      var ends: [Int32] = [0, 0]
      guard Glibc.pipe(&ends) == 0 else {
        throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
      }
      reading = FileHandle(fileDescriptor: ends[0], closeOnDealloc: true)
      writing = FileHandle(fileDescriptor: ends[1], closeOnDealloc: true)
    }
  }

  private static func add(
    _ sink: Sink, _ number: Int32, _ actions: inout posix_spawn_file_actions_t
  ) throws -> Ends? {
    switch sink {
    case .file(let path):
      posix_spawn_file_actions_addopen(
        &actions, number, path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    case .pipe:
      let ends = try Ends()
      posix_spawn_file_actions_adddup2(&actions, ends.writing.fileDescriptor, number)
      return ends
    case .output: posix_spawn_file_actions_adddup2(&actions, 1, number)
    }
    return nil
  }

  package func signal(_ number: Int32) {
    lock.withLock { if status == nil { _ = kill(pid, number) } }
  }

  /// Its exit code, or minus the number of the signal that ended it; `nil` while it runs.
  package var code: Int32? {
    lock.withLock {
      if status == nil {
        var found: Int32 = 0
        if waitpid(pid, &found, WNOHANG) == pid { status = found }
      }
      return status.map { $0 & 0x7F == 0 ? $0 >> 8 & 0xFF : -($0 & 0x7F) }
    }
  }

  /// Waits for its end; `nil` if that does not come in time.
  package func wait(seconds: Double = 60) -> Int32? {
    _ = waits(seconds: seconds) { code != nil }
    return code
  }

  /// Ends it by a signal, for good.
  @discardableResult
  package func end(_ number: Int32) -> Int32? {
    signal(SIGCONT)
    signal(number)
    if let code = wait(seconds: 30) { return code }
    signal(SIGKILL)
    return wait(seconds: 30)
  }
}

extension Child {
  /// What a process that has ended wrote, and its exit code or minus the number of a signal.
  package struct Outcome {
    package var output: Data, errors: Data
    package var code: Int32
  }

  /// Writes to its standard input, if it has one, reads what it writes into pipes until they end, and
  /// waits for its end.
  ///
  /// - Throws: `TimedOut`, which names its words, when the time has passed. It is killed then.
  package func outcome(writing: Data = Data(), seconds: Double = 300) throws -> Outcome {
    let deadline = Deadline(seconds: seconds)
    var (output, errors, rest) = (Data(), Data(), writing[...])
    var polled = [self.output, self.errors, input].map {
      pollfd(fd: $0?.fileDescriptor ?? -1, events: Int16(POLLIN), revents: 0)
    }
    polled[2].events = Int16(POLLOUT)
    if let input { _ = fcntl(input.fileDescriptor, F_SETFL, O_NONBLOCK) }
    func timedOut() -> TimedOut {
      end(SIGKILL)
      return TimedOut(
        awaited: "the end of \(words.joined(separator: " "))", seconds: deadline.seconds)
    }
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while polled.contains(where: { $0.fd >= 0 }) {
      guard !deadline.hasPassed else { throw timedOut() }
      poll(&polled, nfds_t(polled.count), 1_000)
      for index in 0..<2 where polled[index].fd >= 0 && polled[index].revents != 0 {
        let count = read(polled[index].fd, &buffer, buffer.count)
        guard count > 0 else {
          polled[index].fd = -1
          continue
        }
        if index == 0 { output += buffer[..<count] } else { errors += buffer[..<count] }
      }
      guard polled[2].fd >= 0 else { continue }
      if polled[2].revents != 0, !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(polled[2].fd, $0.baseAddress, $0.count) }
        rest = count < 0 && errno != EAGAIN ? Data()[...] : rest.dropFirst(max(0, count))
      }
      if rest.isEmpty {
        polled[2].fd = -1
        try input?.close()
      }
    }
    while code == nil {
      guard !deadline.hasPassed else { throw timedOut() }
      usleep(Patience.pollMicroseconds)
    }
    return Outcome(output: output, errors: errors, code: code ?? 0)
  }

  /// Runs a program to its end.
  ///
  /// - Throws: `TimedOut` when the time has passed.
  package static func run(
    _ words: [String], environment: [String: String?] = [:], folder: String? = nil,
    writing: Data? = nil, seconds: Double = 300
  ) throws -> Outcome {
    try Child(
      words, environment: environment, folder: folder, hasInput: writing != nil, output: .pipe,
      errors: .pipe
    ).outcome(writing: writing ?? Data(), seconds: seconds)
  }
}
