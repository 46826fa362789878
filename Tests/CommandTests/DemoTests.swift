import Foundation
import TestTraits
import Testing

@Suite(.exclusive(.commands)) struct DemoTests {
  @Test(arguments: [1, 4])
  func `a replay prints what the live plugins reported`(workers: Int) throws {
    let folder = try DemoFolder()
    let log = folder.folder("tasklog.db")
    let live = try Command.run(
      ["demo", "--input", folder.folder.path, "--log", log, "--workers", "\(workers)"])
    try #require(live.code == 0, "\(live.errors)")
    #expect(live.errors == "")
    let output = DemoOutput(text: live.output)

    let arguments = ["replay", "--plugin", "counter", "--plugin", "errors", "--log", log]
    let replay = try Command.run(arguments)
    #expect(replay.code == 0)
    #expect(replay.errors == "")
    #expect(DemoOutput(text: replay.output).plugins == output.plugins)
    #expect(output.plugins.contains("\n  counter: "))
    #expect(output.errorLines.count == folder.bad.count)
    #expect(try Command.run(arguments).output == replay.output)
  }

  @Test func `the top 20 are the most frequent words`() throws {
    let folder = try DemoFolder()
    let result = try Command.run(
      ["demo", "--input", folder.folder.path, "--log", folder.folder("tasklog.db")])
    #expect(result.code == 0)
    let output = DemoOutput(text: result.output)
    #expect(output.top == folder.top)
    #expect(output.top.count == 20)
    #expect(
      result.output.hasPrefix(
        "The most frequent words of \(folder.files) files in \(folder.folder.path); "
          + "\(folder.bad.count) could not be counted:\n"))
  }

  @Test func `a second demo is the second run, and skips the log of the first`() throws {
    let folder = try DemoFolder(files: 30)
    let log = folder.folder("tasklog.db")
    let arguments = ["demo", "--input", folder.folder.path, "--log", log]
    let first = DemoOutput(text: try Command.run(arguments).output)
    let second = DemoOutput(text: try Command.run(arguments).output)
    #expect(second.top == first.top)
    #expect(first.text.contains(" as run #1 in "))
    #expect(second.text.contains(" as run #2 in "))
    #expect(second.errorLines.sorted() == first.errorLines.sorted())

    func replay(_ run: String...) throws -> Command.Result {
      try Command.run(["replay", "--plugin", "errors", "--plugin", "counter", "--log", log] + run)
    }
    let one = try replay("--run", "#1")
    let two = try replay("--run", "#2")
    #expect(one.output.hasSuffix(" of run #1 replayed\n"))
    #expect(two.output.hasSuffix(" of run #2 replayed\n"))
    #expect(try replay().output == two.output)
    #expect(try replay("--run", "latest").output == two.output)
    let all = try replay("--run", "all").output
    #expect(all.contains(one.output))
    #expect(all.contains(two.output))

    func rows(_ run: String...) throws -> Int {
      try Command.run(["query", "--log", log] + run).lines.count
    }
    #expect(try rows("--run", "all") == rows("--run", "#1") + rows("--run", "#2"))
    #expect(try rows() == rows("--run", "#2"))

    let ids = try Command.run(
      ["query", "SELECT uuid FROM runs", "--format", "csv", "--log", log]
    ).lines
    let id = try #require(ids.last)
    #expect(try replay("--run", id).output == two.output)
    #expect(try replay("--run", String(id.dropLast(3))).output == two.output)
  }

  @Test func `a log is one file after the demo`() throws {
    let folder = try DemoFolder(files: 20)
    _ = try Command.run(
      ["demo", "--input", folder.folder.path, "--log", folder.folder("tasklog.db")])
    #expect(folder.folder.names.filter { $0.contains("tasklog.db") } == ["tasklog.db"])
  }

  @Test func `the commands that a demo suggests work`() throws {
    let folder = try TemporaryFolder()
    try folder.makeFolder("it's in")
    try folder.write("it's in/a.txt", "one two")
    try folder.write("it's in/b.bin", [0xFF])
    for log in ["plain.db", "a 'b' \"c\" $d.db", "-dash.db"] {
      let demo = try Command.run(
        ["demo", "--input", "it's in", "--log=\(log)"], folder: folder.url)
      #expect(demo.code == 0)
      let next = DemoOutput(text: demo.output).next
      #expect(next.count == 3)
      for line in next {
        let result = try Command.shell(line, folder: folder.url)
        #expect(result.code == 0, "\(line): \(result.errors)")
        #expect(result.errors == "")
        #expect(result.output.contains("b.bin") || result.output.contains("duration"))
      }
    }
  }

  @Test func `the log is --log, else TASKLOG_LOG, else tasklog.db`() throws {
    let folder = try TemporaryFolder()
    try folder.makeFolder("in")
    try folder.write("in/a.txt", "one two")
    let environment = ["TASKLOG_LOG": folder("env.db")]
    let demo = ["demo", "--input", "in"]
    func runs(_ arguments: [String], _ environment: [String: String]) throws -> Int {
      try Command.run(
        ["runs"] + arguments, environment: environment, folder: folder.url
      ).lines.count
    }
    #expect(try Command.run(demo, folder: folder.url).code == 0)
    #expect(folder.names.filter { $0.hasSuffix(".db") } == ["tasklog.db"])
    #expect(try Command.run(demo, environment: environment, folder: folder.url).code == 0)
    #expect(folder.names.filter { $0.hasSuffix(".db") } == ["env.db", "tasklog.db"])
    #expect(
      try Command.run(
        demo + ["--log", "given.db"], environment: environment, folder: folder.url
      ).code == 0)
    #expect(
      folder.names.filter { $0.hasSuffix(".db") } == ["env.db", "given.db", "tasklog.db"])
    #expect(try runs([], [:]) == 1)
    #expect(try runs([], environment) == 1)
    #expect(try runs(["--log", "given.db"], environment) == 1)
    #expect(try runs([], ["TASKLOG_LOG": ""]) == 1)
  }

  @Test func `with TASKLOG_DISABLED=1 the job runs and nothing is recorded`() throws {
    let folder = try DemoFolder(files: 30)
    let result = try Command.run(
      ["demo", "--input", folder.folder.path, "--log", folder.folder("tasklog.db")],
      environment: ["TASKLOG_DISABLED": "1"])
    #expect(result.code == 0)
    let output = DemoOutput(text: result.output)
    #expect(output.top == folder.top)
    #expect(output.errorLines.count == folder.bad.count)
    #expect(result.output.hasSuffix("\nNothing was recorded: TASKLOG_DISABLED is set.\n"))
    #expect(!folder.folder.exists("tasklog.db"))
  }

  @Test func `redaction and filters of the environment apply`() throws {
    let folder = try DemoFolder(files: 5)
    let log = folder.folder("tasklog.db")
    func demo(_ environment: [String: String]) throws -> Command.Result {
      try Command.run(
        ["demo", "--input", folder.folder.path, "--log", log], environment: environment)
    }
    #expect(
      try demo(["TASKLOG_EXCLUDE_KEYS": "top-20", "TASKLOG_REDACT": "typename"]).code == 0)
    let rows = try Command.run([
      "query", "--log", log, "--finish", "memory", "--columns", "args", "--format", "csv",
    ]).output
    #expect(rows.contains("redacted"))
    #expect(try Command.run(["query", "--log", log, "--key", "top-20"]).output == "")
    let misspelt = try demo(["TASKLOG_REDCAT": "typename"])
    #expect(misspelt.code == 0)
    #expect(
      misspelt.errors == "tasklog: unknown option 'TASKLOG_REDCAT' ignored\n")
    let wrong = try demo(["TASKLOG_ROTATE_SIZE": "huge"])
    #expect(wrong.code == 1)
    #expect(
      wrong.errors
        == "tasklog: TASKLOG_ROTATE_SIZE=huge: expected a size from 1 kiB to 16 TiB, "
        + "such as 64MiB\n")
  }

  @Test func `a folder with nothing but binary files has no words`() throws {
    let folder = try TemporaryFolder()
    try folder.write("a.bin", [0xFF, 0xFE])
    let result = try Command.run(
      ["demo", "--input", folder.path, "--log", folder("tasklog.db")])
    #expect(result.code == 0)
    #expect(result.output.contains("1 file in \(folder.path); 1 could not be counted:\n\n  none\n"))
  }

  @Test func `a log that is reached through a link is skipped, too`() throws {
    let folder = try TemporaryFolder()
    try folder.write("a.txt", "one two")
    try FileManager.default.createSymbolicLink(
      atPath: folder(".link.db"), withDestinationPath: folder("real.db"))
    let arguments = ["demo", "--input", folder.path, "--log", folder(".link.db")]
    for _ in 0..<2 {
      let result = try Command.run(arguments)
      #expect(result.code == 0)
      #expect(result.output.hasPrefix("The most frequent words of 1 file in "))
    }
  }

  @Test func `files whose names are not UTF-8 are counted separately`() throws {
    let folder = try TemporaryFolder()
    try folder.makeFolder("in")
    _ = try Command.shell(
      #"printf 'one' > "$(printf 'in/x\377')"; printf 'two' > "$(printf 'in/x\376')"#
        + #""; printf 'caf\303\251' > "$(printf 'in/\303\251\377.txt')""#, folder: folder.url)
    let result = try Command.run(["demo", "--input", "in"], folder: folder.url)
    #expect(DemoOutput(text: result.output).top == ["café 1", "one 1", "two 1"])
    let keys = try Command.run(
      ["query", "SELECT key FROM tasks WHERE key LIKE '(''count''%' ORDER BY key"]
        + ["--format", "csv"], folder: folder.url)
    #expect(
      keys.lines == [
        "key", #""('count', 'x\udcfe')""#, #""('count', 'x\udcff')""#,
        #""('count', 'é\udcff.txt')""#,
      ])
  }
}
