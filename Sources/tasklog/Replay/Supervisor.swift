import BrokerMessages
import CSupport
import EventLog
import Glibc
import Replaying
import TaskLogPlugin

/// Runs a replay with user plugins in a child process, and reports the plugin and the event if one
/// of them traps, ends the program or never returns.
///
/// This process starts itself again, with the same arguments and streams and in the same process
/// group, so that a terminal treats both as one. The child does the work, and records its active
/// call in shared memory. The parent waits.
enum Supervisor {
  /// The environment variable with the shared file, and with the pipe whose closing shows the end
  /// of the child.
  private static let variable = EnvironmentVariable.watched.rawValue
  private static let tickMilliseconds = 100

  // MARK: - The child

  /// The shared memory for the active call of this process; `nil` if it is not supervised.
  static func watched() -> ActiveCall? {
    guard let text = getenv(variable).map({ String(cString: $0) }) else { return nil }
    unsetenv(variable)
    let values = text.split(separator: " ").compactMap { Int32($0) }
    guard values.count == 3 else { return nil }
    tl_end_with_parent(values[2])
    // Programs that are started here do not inherit the descriptors.
    for descriptor in values[..<2] { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    return ActiveCall(descriptor: values[0])
  }

  // MARK: - The parent

  /// Runs this program again as the child.
  ///
  /// - Parameters:
  ///   - timeoutSeconds: the time limit of a plugin call; 0 for none.
  ///   - logs: the replayed logs, to describe an event.
  /// - Returns: the exit code.
  /// - Throws: `Failure`.
  static func run(timeoutSeconds: Int, logs: [String]) throws -> Int32 {
    var ends: [Int32] = [0, 0]
    let file = tl_memory_file(ActiveCall.size)
    guard file >= 0, let activeCall = ActiveCall(descriptor: file), pipe(&ends) == 0 else {
      throw cannotStart(errno)
    }
    for descriptor in ends { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    let process = try spawn(file: file, pipe: ends[1])
    tl_forward_signals(process)
    close(ends[1])
    var child = Child(process: process, activeCall: activeCall, pipe: ends[0])
    let end = child.wait(ticks: timeoutSeconds * 1000 / tickMilliseconds)
    if case .exited(let code) = end, activeCall.call == nil { return code }
    // Erase a progress bar from the line.
    if isatty(STDERR_FILENO) == 1 { _ = "\r\u{1B}[K".withCString { write(STDERR_FILENO, $0, 4) } }
    switch end {
    case .exited(let code):
      guard let call = activeCall.call else { return code }
      throw Failure.run(
        "\(call.plugin) ended the program with code \(code) \(location(call, logs))")
    case .signalled(let signal): throw ended(by: signal, activeCall, logs)
    case .hung(let call):
      throw Failure.run(
        "\(call.plugin) made no progress for \(timeoutSeconds) s \(location(call, logs)); "
          + "raise the limit with --timeout")
    }
  }

  private static func ended(
    by signal: Int32, _ activeCall: ActiveCall, _ logs: [String]
  ) -> Failure {
    // Signals with which a user or a terminal ends both, and the signal of a closed output pipe.
    if [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE].contains(signal) { tl_end_by_signal(signal) }
    let name = "signal \(signal) (\(String(cString: strsignal(signal))))"
    guard let call = activeCall.call else {
      return Failure.run("the replay was ended by \(name), not within a call of a plugin")
    }
    return Failure.run("\(call.plugin) was ended by \(name) \(location(call, logs))")
  }

  private static func location(_ call: ActiveCall.Call, _ logs: [String]) -> String {
    guard let seq = call.seq else { return "in \(call.what)" }
    let event = (try? event(at: seq, logs))?.summaryText
    return "in \(event ?? call.what) (seq \(seq))"
  }

  /// Only logs that are replayed without a merge have these seqs.
  private static func event(at seq: Int64, _ logs: [String]) throws -> Event? {
    guard logs.count == 1 else { return nil }
    let reader = try LogReader(path: logs[0])
    guard try reader.runs().allSatisfy({ !$0.isUnordered }) else { return nil }
    return try reader.event(at: seq)?.event
  }

  private static func cannotStart(_ code: Int32) -> Failure {
    .run("cannot start a process for the plugins: \(String(cString: strerror(code)))")
  }

  private static func spawn(file: Int32, pipe: Int32) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    // Duplicated onto itself: inherited by the child, but not by other programs started meanwhile.
    for descriptor in [file, pipe] {
      posix_spawn_file_actions_adddup2(&actions, descriptor, descriptor)
    }
    setenv(variable, "\(file) \(pipe) \(getpid())", 1)
    defer { unsetenv(variable) }
    // One line is enough, unless the user has set this.
    setenv("SWIFT_BACKTRACE", "enable=no", 0)
    var words: [UnsafeMutablePointer<CChar>?] = CommandLine.arguments.map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var process = pid_t()
    let code = posix_spawn(&process, "/proc/self/exe", &actions, nil, &words, environ)
    guard code == 0 else { throw cannotStart(code) }
    return process
  }

  /// The process that does the work.
  private struct Child {
    enum End {
      case exited(Int32)
      case signalled(Int32)
      case hung(ActiveCall.Call)
    }

    var process: pid_t
    var activeCall: ActiveCall
    var pipe: Int32
    private var isStopped = false

    init(process: pid_t, activeCall: ActiveCall, pipe: Int32) {
      self.process = process
      self.activeCall = activeCall
      self.pipe = pipe
    }

    /// Time is counted in ticks of this process, so that none passes while both are stopped.
    mutating func wait(ticks limit: Int) -> End {
      var last: UInt64 = 0
      var ticks = 0
      while true {
        var descriptor = pollfd(fd: pipe, events: Int16(POLLIN), revents: 0)
        // It is closed when the child ends; nothing is ever written to it.
        let isOver = poll(&descriptor, 1, Int32(Supervisor.tickMilliseconds)) > 0
        if let end = end(waiting: isOver) { return end }
        let (calls, isInside) = activeCall.progress
        if !isInside || calls != last || isStopped { ticks = 0 }
        last = calls
        ticks += 1
        if limit > 0, ticks > limit, let call = activeCall.call, call.number == calls {
          kill(process, SIGKILL)
          var status: Int32 = 0
          while waitpid(process, &status, 0) < 0, errno == EINTR {}
          return .hung(call)
        }
      }
    }

    private mutating func end(waiting: Bool) -> End? {
      var status: Int32 = 0
      let changed = waitpid(process, &status, (waiting ? 0 : WNOHANG) | WUNTRACED | WCONTINUED)
      guard changed == process else { return nil }
      // The conditions of the macros of `wait.h`, which Swift does not have.
      if status & 0xFF == 0x7F {
        isStopped = true
      } else if status == 0xFFFF {
        isStopped = false
      } else {
        let signal = status & 0x7F
        return signal == 0 ? .exited((status >> 8) & 0xFF) : .signalled(signal)
      }
      return nil
    }
  }
}
