import Glibc

/// A process with what it took.
enum Process {
  struct Result {
    var seconds: Double
    /// The most memory that it had.
    var bytes: Int
  }

  /// The `tasklog` that lies beside this program.
  static let tasklog: String = {
    let own = CommandLine.arguments[0]
    return (own.lastIndex(of: "/").map { String(own[...$0]) } ?? "./") + "tasklog"
  }()

  static func size(_ path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : 0
  }

  /// Runs a program to its end; its output goes nowhere.
  static func run(_ arguments: [String]) throws -> Result {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
    var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var child = pid_t()
    let start = ContinuousClock.now
    let code = posix_spawnp(&child, arguments[0], &actions, nil, &words, environ)
    guard code == 0 else { throw BenchmarkError.noProgram(arguments[0], code) }
    var status: Int32 = 0
    var usage = rusage()
    guard wait4(child, &status, 0, &usage) == child, status == 0 else {
      throw BenchmarkError.noProgram(arguments.joined(separator: " "), status)
    }
    return Result(
      seconds: (ContinuousClock.now - start) / .seconds(1), bytes: Int(usage.ru_maxrss) * 1024)
  }
}
