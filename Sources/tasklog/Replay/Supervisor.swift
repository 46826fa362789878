import BrokerMessages
import CSupport
import EventLog
import Glibc
import Replaying
import TaskLogPlugin

/// Runs a replay with plugins of the user's in a process of its own, and says which plugin it was, and
/// in which event, when one of them traps, ends the program or never comes back.
///
/// This process starts itself once more, with the same arguments and streams and in the same group
/// of processes, so that a terminal treats both as one. The child does everything, and shows in memory
/// that both have which call it is in. This one waits.
enum Supervisor {
  /// How the child finds the shared file, and the pipe by whose end its own end is seen.
  private static let variable = "TASKLOG_WATCHED"
  private static let tickMilliseconds = 100

  // MARK: - The child

  /// Where this process is to show its present call; nothing when nobody watches it.
  static func watched() -> ActiveCall? {
    guard let text = getenv(variable).map({ String(cString: $0) }) else { return nil }
    unsetenv(variable)
    let numbers = text.split(separator: " ").compactMap { Int32($0) }
    guard numbers.count == 3 else { return nil }
    tl_end_with_parent(numbers[2])
    // Programs that are started from here are none of the parent's business.
    for descriptor in numbers[..<2] { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    return ActiveCall(descriptor: numbers[0])
  }

  // MARK: - The parent

  /// Runs this program once more as the child.
  ///
  /// - Parameters:
  ///   - timeoutSeconds: how long a call of a plugin may take; 0 for ever.
  ///   - logs: what is replayed, to say what an event is.
  /// - Returns: the code to exit with.
  /// - Throws: `Failure`.
  static func run(timeoutSeconds: Int, logs: [String]) throws -> Int32 {
    var ends: [Int32] = [0, 0]
    let file = tl_memory_file(ActiveCall.size)
    guard file >= 0, let present = ActiveCall(descriptor: file), pipe(&ends) == 0 else {
      throw cannotStart(errno)
    }
    for descriptor in ends { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    let process = try spawn(file: file, pipe: ends[1])
    tl_forward_signals(process)
    close(ends[1])
    var child = Child(process: process, present: present, pipe: ends[0])
    let end = child.wait(ticks: timeoutSeconds * 1000 / tickMilliseconds)
    if case .exited(let code) = end, present.call == nil { return code }
    // A progress bar may stand where the line is to begin.
    if isatty(STDERR_FILENO) == 1 { _ = "\r\u{1B}[K".withCString { write(STDERR_FILENO, $0, 4) } }
    switch end {
    case .exited(let code):
      guard let call = present.call else { return code }
      throw Failure.run(
        "\(call.plugin) ended the program with code \(code) \(place(call, logs))")
    case .signalled(let signal): throw ended(by: signal, present, logs)
    case .hung(let call):
      throw Failure.run(
        "\(call.plugin) has not come back for \(timeoutSeconds) s \(place(call, logs)); "
          + "--timeout gives it more")
    }
  }

  private static func ended(by signal: Int32, _ present: ActiveCall, _ logs: [String]) -> Failure {
    // What a user or a terminal ends both with, and what ends whoever writes where nobody reads.
    if [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE].contains(signal) { tl_end_by_signal(signal) }
    let name = "signal \(signal) (\(String(cString: strsignal(signal))))"
    guard let call = present.call else {
      return Failure.run("the replay was ended by \(name), not within a call of a plugin")
    }
    return Failure.run("\(call.plugin) was ended by \(name) \(place(call, logs))")
  }

  private static func place(_ call: ActiveCall.Call, _ logs: [String]) -> String {
    guard let seq = call.seq else { return "in \(call.what)" }
    let event = (try? event(at: seq, logs))?.summaryText
    return "in \(event ?? call.what) (seq \(seq))"
  }

  /// Only what is replayed as it stands has its events where they are.
  private static func event(at seq: Int64, _ logs: [String]) throws -> Event? {
    guard logs.count == 1 else { return nil }
    let reader = try LogReader(path: logs[0])
    guard try reader.runs().allSatisfy({ !$0.isUnordered }) else { return nil }
    return try reader.event(at: seq)?.event
  }

  private static func cannotStart(_ code: Int32) -> Failure {
    .run("a process for the plugins cannot be started: \(String(cString: strerror(code)))")
  }

  private static func spawn(file: Int32, pipe: Int32) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    // Onto itself: the child has it, other programs that may be started meanwhile have not.
    for descriptor in [file, pipe] {
      posix_spawn_file_actions_adddup2(&actions, descriptor, descriptor)
    }
    setenv(variable, "\(file) \(pipe) \(getpid())", 1)
    defer { unsetenv(variable) }
    // One line says it all, unless somebody wants more.
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
    var present: ActiveCall
    var pipe: Int32
    private var isStopped = false

    init(process: pid_t, present: ActiveCall, pipe: Int32) {
      self.process = process
      self.present = present
      self.pipe = pipe
    }

    /// Time is counted in ticks of this process, so that none passes while both are stopped.
    mutating func wait(ticks limit: Int) -> End {
      var last: UInt64 = 0
      var ticks = 0
      while true {
        var descriptor = pollfd(fd: pipe, events: Int16(POLLIN), revents: 0)
        // It is closed by the end of the child, and nothing is ever written.
        let isOver = poll(&descriptor, 1, Int32(Supervisor.tickMilliseconds)) > 0
        if let end = end(waiting: isOver) { return end }
        let (calls, isInside) = present.progress
        if !isInside || calls != last || isStopped { ticks = 0 }
        last = calls
        ticks += 1
        if limit > 0, ticks > limit, let call = present.call, call.number == calls {
          kill(process, SIGKILL)
          var status: Int32 = 0
          while waitpid(process, &status, 0) < 0, errno == EINTR {}
          return .hung(call)
        }
      }
    }

    private mutating func end(waiting: Bool) -> End? {
      var status: Int32 = 0
      let found = waitpid(process, &status, (waiting ? 0 : WNOHANG) | WUNTRACED | WCONTINUED)
      guard found == process else { return nil }
      // What the macros of `wait.h` say, which Swift does not have.
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
