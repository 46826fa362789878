import Foundation

/// A process that a test starts, and ends by its pid.
///
/// Foundation's `Process` now and then misses the death of a child, so it is not used here.
package final class Child: @unchecked Sendable {
  package let pid: pid_t
  private let lock = NSLock()
  // Guarded by `lock`.
  private var status: Int32?

  /// - Parameters:
  ///   - words: the program, looked up in the path, and its arguments.
  ///   - environment: variables in addition to those of this process.
  ///   - output: the file that standard output goes to, and standard error if `errors` is `nil`;
  ///     nowhere by default.
  package init(
    _ words: [String], environment: [String: String] = [:], output: String = "/dev/null",
    errors: String? = nil
  ) throws {
    let variables = environment.map { "\($0.key)=\($0.value)" }
    var argv: [UnsafeMutablePointer<CChar>?] =
      (["env"] + variables + words).map { strdup($0) } + [nil]
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(
      &actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    if let errors {
      posix_spawn_file_actions_addopen(
        &actions, 2, errors, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    } else {
      posix_spawn_file_actions_adddup2(&actions, 1, 2)
    }
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
    guard code == 0 else { throw POSIXError(POSIXErrorCode(rawValue: code) ?? .EIO) }
    pid = child
  }

  // A test that fails half way must not leave it running for ever.
  deinit { end(SIGKILL) }

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
