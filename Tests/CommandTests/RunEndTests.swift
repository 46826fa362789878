import Foundation
import TestTraits
import Testing

/// Closed, died and running are three different ends, and every command distinguishes them.
@Suite(.blocking) struct RunEndTests {
  private static let warning = "; its last events may be missing from the log"

  /// A log with one run of a small job, changed by Python afterwards.
  private func makeLog(_ change: String) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.makeFolder("in")
    try folder.write("in/a.txt", "one two")
    let demo = try Command.run(["demo", "--input", "in"], folder: folder.url)
    try #require(demo.code == 0, "\(demo.errors)")
    try python("sqlite3.connect('tasklog.db').executescript('''\(change)''')", folder)
    return folder
  }

  @discardableResult
  private func python(_ line: String, _ folder: TemporaryFolder) throws -> Command.Result {
    try folder.write("script.py", "import fcntl, os, sqlite3, subprocess\n" + line + "\n")
    let result = try Command.shell("python3 script.py", folder: folder.url)
    try #require(result.code == 0, "\(result.errors)")
    return result
  }

  private func end(_ output: String) -> Substring? {
    output.firstMatch(of: /"end":"(\w+)"/)?.1
  }

  @Test func `a closed run prints no warning`() throws {
    let folder = try makeLog("")
    #expect(end(try Command.run(["runs"], folder: folder.url).output) == "closed")
    let replay = try Command.run(["replay", "--plugin", "counter"], folder: folder.url)
    #expect(replay.errors == "")
  }

  @Test func `a run that died is replayed with a warning`() throws {
    let folder = try makeLog("UPDATE run SET end = NULL, ended = NULL")
    #expect(end(try Command.run(["runs"], folder: folder.url).output) == "died")
    let replay = try Command.run(["replay", "--plugin", "counter"], folder: folder.url)
    #expect(replay.code == 0)
    #expect(replay.output.hasPrefix("counter\n  counter: 2\n\n"))
    #expect(replay.errors == "tasklog: run #1 died\(Self.warning)\n")
    // The next recorder records that.
    #expect(try Command.run(["demo", "--input", "in"], folder: folder.url).code == 0)
    let ends = try Command.run(
      ["query", "SELECT end FROM runs ORDER BY run", "--format", "csv"], folder: folder.url)
    #expect(ends.lines == ["end", "died", "closed"])
  }

  @Test func `a run whose recorder is alive is running`() throws {
    let folder = try makeLog("UPDATE run SET end = NULL, ended = NULL")
    // Holds the lock of the recorder while both commands run.
    let output = try python(
      """
      run = sqlite3.connect('tasklog.db').execute('SELECT uuid FROM run').fetchone()[0]
      os.makedirs('tasklog.db.spool/' + run)
      with open('tasklog.db.spool/' + run + '/lock', 'w') as lock:
          fcntl.flock(lock, fcntl.LOCK_EX)
          subprocess.run(['tasklog', 'runs'], check=True)
          subprocess.run(['tasklog', 'replay', '--plugin', 'counter'], check=True)
      """, folder)
    #expect(end(output.output) == "running")
    #expect(
      output.errors
        == "tasklog: run #1 is still running; the replay has its events so far\n")
  }

  @Test func `missing events are counted wherever the run is shown`() throws {
    let folder = try makeLog(
      """
      INSERT INTO gap (source, source_seq, count, time, reason)
      VALUES (1, 100000, 3, 0, 'buffer full')
      """)
    #expect(try Command.run(["runs"], folder: folder.url).output.contains("\"missing\":3"))
    let replay = try Command.run(["replay", "--plugin", "counter"], folder: folder.url)
    #expect(replay.errors == "tasklog: 3 events are missing in the log of run #1\n")
  }

  @Test func `a log without runs has no latest one`() throws {
    let folder = try makeLog("PRAGMA foreign_keys = OFF; DELETE FROM run")
    for command in [["query"], ["replay", "--plugin", "counter"]] {
      let result = try Command.run(command, folder: folder.url)
      #expect(result.code == 1)
      #expect(result.output == "")
      #expect(result.errors == "tasklog: tasklog.db: holds no runs yet\n")
    }
    let runs = try Command.run(["runs", "--format", "json"], folder: folder.url)
    #expect(runs.output == "[]\n")
  }
}
