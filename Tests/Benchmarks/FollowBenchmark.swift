import EventLog
import Glibc
import Recording
import TaskLogPlugin

/// The time from a hook to the line that `tasklog query --follow` writes: through the spool, the
/// thread that writes, the log, and a process that polls it.
struct FollowBenchmark {
  /// The program `tasklog`.
  var program: String
  var rounds: Int

  func run() throws {
    let folder = try TemporaryFolder()
    let recorder = try Recorder(log: folder.log)
    defer { recorder.close() }
    let channel = recorder.channel(
      for: Source(kind: .scheduler, id: "Scheduler-bench", address: "inproc://bench"))
    func record(_ number: Int) {
      channel.record(
        Event(
          .transition, time: 1_750_000_000_000_000_000, key: Key("task-\(number)"),
          start: .released, finish: .waiting))
    }
    record(0)
    guard recorder.flush(timeoutSeconds: 10) else { return }
    var reader = try Follower([
      program, "query", "--follow", "--columns", "key", "--format", "tsv", "--log", folder.log,
    ])
    defer { reader.end() }
    reader.wait(for: "task-0")
    let seconds = (1...max(50, rounds * 20)).map { number in
      // At any moment of the follower's polling interval.
      usleep(UInt32(number * 7919 % 40_000))
      let start = now()
      record(number)
      reader.wait(for: "task-\(number)")
      return Double(now() - start) / 1e6
    }
    say()
    say(
      "query --follow: \(rounded(median(seconds), 10)) ms from a hook to the line of it, at most "
        + "\(rounded(seconds.max() ?? 0, 10)) ms of \(seconds.count) times (allowed: 200)")
  }
}

/// A process whose output lines are awaited.
private struct Follower {
  private let output: Int32
  private var child = pid_t()
  private var text: [UInt8] = []

  init(_ arguments: [String]) throws {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw BenchmarkError.noProgram(arguments[0], errno) }
    output = ends[0]
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
    for end in ends { posix_spawn_file_actions_addclose(&actions, end) }
    var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    let code = posix_spawn(&child, arguments[0], &actions, nil, &words, environ)
    close(ends[1])
    guard code == 0 else { throw BenchmarkError.noProgram(arguments[0], code) }
  }

  /// Reads until a line has arrived or the output ends.
  mutating func wait(for line: String) {
    let wanted = Array((line + "\n").utf8)
    var bytes = [UInt8](repeating: 0, count: 4096)
    while !text.suffix(wanted.count).elementsEqual(wanted) {
      let count = read(output, &bytes, bytes.count)
      guard count > 0 else { return }
      text = text.suffix(256) + bytes[..<count]
    }
  }

  func end() {
    // Not SIGTERM: threads of Dispatch block it, and their children inherit that.
    kill(child, SIGKILL)
    var status: Int32 = 0
    waitpid(child, &status, 0)
    close(output)
  }
}
