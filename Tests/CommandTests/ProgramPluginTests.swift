import Foundation
import TestTraits
import Testing

/// Programs that read the events of a replay as lines of JSON.
@Suite(.exclusive(.commands)) struct ProgramPluginTests {
  private let folder: PluginFolder

  init() throws { folder = try PluginFolder() }

  private func replay(
    _ program: String, _ arguments: [String] = []
  ) throws -> Command.Result {
    try folder.replay(["--plugin", "exec:" + program] + arguments)
  }

  @Test func `a program receives every field of every event as a line of JSON`() throws {
    let replay = try replay("cat")
    #expect(replay.code == 0, "\(replay.errors)")
    let lines = replay.lines.dropLast()
    #expect(replay.lines.last == "\(lines.count) events of run #1 replayed")
    let views = try folder.shell(
      """
      tasklog query --log run.db --format jsonl --timeout 30 "
        SELECT seq, run, source, server_id, source_seq, time_ns, hook, key, key_typed, start, finish,
          stimulus, worker, task_run, args, snapshot FROM events ORDER BY seq"
      """)
    var bySeq: [Int: String] = [:]
    for line in lines {
      let facts = try Self.facts(line)
      bySeq[try #require(facts["seq"] as? Int)] = try Self.text(facts)
    }
    #expect(bySeq.count == views.lines.count)
    for line in views.lines {
      var expected = try Self.facts(line)
      // SQL returns args as text, the line contains them as JSON.
      for name in ["args", "snapshot"] {
        if let text = expected[name] as? String { expected[name] = try Self.facts(text) }
      }
      #expect(bySeq[try #require(expected["seq"] as? Int)] == (try Self.text(expected)))
    }
  }

  private static func facts(_ line: String) throws -> [String: Any] {
    try #require(
      try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
  }

  private static func text(_ facts: Any) throws -> String {
    let data = try JSONSerialization.data(withJSONObject: facts, options: .sortedKeys)
    return String(decoding: data, as: UTF8.self)
  }

  @Test func `the output of a program comes before the reports of the others`() throws {
    let result = try folder.replay(["--plugin", "exec:wc -l", "--plugin", "counter"])
    #expect(result.code == 0, "\(result.errors)")
    let count = try #require(result.lines.first.flatMap { Int($0) })
    #expect(result.lines.contains("counter"))
    #expect(result.lines.last == "\(count) events of run #1 replayed")
  }

  @Test func `a program knows the run and its options`() throws {
    let result = try replay(
      "cat > /dev/null; echo $TASKLOG_RUN $TASKLOG_OPTION_LIMIT", ["--option", "limit=7"])
    let runs = try folder.shell("tasklog runs --log run.db --format csv")
    let id = try #require(result.lines.first?.split(separator: " "))
    #expect(id.count == 2 && id[1] == "7")
    #expect(runs.output.contains(id[0]))
  }

  @Test func `a program that exits early with success is not an error`() throws {
    let result = try replay("head -n 1 > first.json")
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.errors == "")
    let first = try String(contentsOfFile: folder("first.json"), encoding: .utf8)
    #expect(first.hasPrefix(#"{"seq":1,"#))
  }

  @Test(arguments: [
    ("cat > /dev/null; exit 3", "ended with code 3 after receiving the events up to seq "),
    ("exit 4", "ended with code 4 after receiving the events up to seq "),
    ("kill -9 $$", "was ended by signal 9 (Killed) after receiving the events up to seq "),
    ("no-such-program-here", "; the shell did not find the program"),
  ])
  func `a failing program is reported with the event`(program: String, message: String) throws {
    let result = try replay(program)
    #expect(result.code == 1)
    let line = try #require(result.errors.split(separator: "\n").last)
    #expect(line.hasPrefix("tasklog: plugin 'exec:\(program)' ended") || line.contains("signal 9"))
    #expect(line.contains(message), "\(result.errors)")
  }

  @Test func `a failing program does not disturb the others`() throws {
    let result = try folder.replay(["--plugin", "exec:exit 3", "--plugin", "counter"])
    #expect(result.code == 1)
    let alone = try folder.replay(["--plugin", "counter"])
    #expect(result.output == alone.output)
    #expect(result.errors.hasPrefix("tasklog: plugin 'exec:exit 3' ended with code 3 after "))
  }

  @Test func `a program that does not continue is ended after a timeout`() throws {
    let result = try replay("exec sleep 600", ["--timeout", "1"])
    #expect(result.code == 1)
    #expect(result.errors.contains("made no progress for 1 s"), "\(result.errors)")
    #expect(result.errors.contains("--timeout"))
  }

  @Test func `text in a log cannot end a line early`() throws {
    let change = try folder.shell(
      #"""
      sqlite3 run.db "UPDATE event SET args = '{' || char(10) || '\"a\":1}' WHERE seq = 3;
        UPDATE event SET args = 'no JSON', snapshot = '{' WHERE seq = 4"
      """#)
    try #require(change.code == 0, "\(change.errors)")
    let result = try replay("cat")
    #expect(result.errors.contains("2 args or snapshots are invalid JSON"), "\(result.errors)")
    for line in result.lines.dropLast() {
      let facts = try Self.facts(line)
      let args = try #require(facts["args"])
      if facts["seq"] as? Int == 3 { #expect(try Self.text(args) == #"{"a":1}"#) }
      if facts["seq"] as? Int == 4 {
        #expect(try Self.text(args) == #"{"$opaque":"unreadable"}"#)
      }
    }
  }

  @Test func `a program plugin requires the name of a program`() throws {
    let result = try replay("  ")
    #expect(result.code == 64)
    #expect(result.errors.contains("expected a program, as in"))
  }
}
