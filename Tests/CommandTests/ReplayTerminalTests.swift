import Foundation
import TestTraits
import Testing

/// A long replay on a terminal.
@Suite(.exclusive(.commands)) struct ReplayTerminalTests {
  private let folder: PluginFolder

  init() throws { folder = try PluginFolder() }

  /// Runs a command on a terminal, and presses Ctrl-C once its output contains a text.
  private static let terminal = """
    import fcntl, os, pty, select, sqlite3, sys
    awaited, *command = sys.argv[1:]
    if os.environ.get("RUNNING"):
        # As long as its lock is held a run is live.
        log = sqlite3.connect("run.db")
        log.executescript("UPDATE run SET end = NULL, ended = NULL")
        spool = "run.db.spool/" + log.execute("SELECT uuid FROM run").fetchone()[0]
        os.makedirs(spool)
        lock = os.open(spool + "/lock", os.O_CREAT | os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(command[0], command)
    shown = b""
    while True:
        ready, _, _ = select.select([terminal], [], [], 60)
        try:
            more = os.read(terminal, 65536) if ready else b""
        except OSError:
            more = b""
        if not more:
            break
        shown += more
        if awaited and awaited.encode() in shown:
            os.write(terminal, b"\\x03")
            awaited = None
    _, status = os.waitpid(child, 0)
    sys.stdout.buffer.write(shown)
    print("ended with", os.waitstatus_to_exitcode(status))
    """

  private func onTerminal(
    _ arguments: [String], awaiting text: String, environment: [String: String] = [:]
  ) throws -> String {
    try folder.write("terminal.py", Self.terminal)
    let words = ([text, "tasklog", "replay", "--log", "run.db"] + arguments)
      .map { "'\($0)'" }.joined(separator: " ")
    let result = try folder.shell("python3 terminal.py \(words)", environment: environment)
    #expect(result.errors == "")
    return result.output
  }

  /// So slow that it never ends by itself.
  private static let slowly = ["--plugin", "counter", "--speed", "0.00001x"]

  @Test func `a bar shows the progress, the speed and the remaining time`() throws {
    let shown = try onTerminal(Self.slowly, awaiting: "left")
    let bar = /\r\[[#.]{30}\] \d+ %  \d+ events\/s  (\d+ h )?(\d+ min )?(\d+ s )?left\x1B\[K/
    #expect(shown.firstMatch(of: bar) != nil, "\(shown)")
    // A plugin that has seen only the beginning does not report.
    #expect(!shown.contains("counter:"))
    #expect(shown.hasSuffix("ended with -2\n"), "\(shown)")
  }

  @Test func `without a terminal no bar is shown`() throws {
    let result = try folder.shell(
      "timeout --signal INT 2 tasklog replay --log run.db "
        + Self.slowly.joined(separator: " "))
    #expect(result.errors == "")
    #expect(result.output == "")
    #expect(result.code == 124)
  }

  @Test func `Ctrl-C while following a live run reports what was seen of it`() throws {
    let whole = try folder.replay(["--plugin", "counter"])
    let shown = try onTerminal(
      ["--plugin", "counter", "--follow"], awaiting: "events/s", environment: ["RUNNING": "1"])
    let report = try #require(whole.output.firstMatch(of: /counter: \d+/)).0
    #expect(shown.contains(report), "\(shown)")
    #expect(shown.contains("\r\u{1B}[K"))
    #expect(shown.hasSuffix("ended with 0\n"), "\(shown)")
  }

  @Test func `Ctrl-C ends a plugin of a file, too`() throws {
    try folder.write(
      "Counts.swift",
      """
      import TaskLogPlugin
      final class Counts: SchedulerPlugin {
        var counter = 0
        func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
          counter += 1
        }
      }
      """)
    let whole = try folder.replay(["--plugin", "Counts.swift"])
    let shown = try onTerminal(
      ["--plugin", "Counts.swift", "--follow"], awaiting: "events/s",
      environment: ["RUNNING": "1"])
    let report = try #require(whole.output.firstMatch(of: /counter: \d+/)).0
    #expect(shown.contains(report), "\(shown)")
    #expect(shown.hasSuffix("ended with 0\n"), "\(shown)")
  }
}
