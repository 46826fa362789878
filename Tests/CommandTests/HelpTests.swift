import Foundation
import Testing

@Suite struct HelpTests {
  /// The texts lie in `Help/`, one file a command. After a change that is meant,
  /// `TASKLOG_WRITE_HELP=1 swift test --filter HelpTests` writes them anew.
  @Test(arguments: [
    "tasklog", "query", "summary", "story", "errors", "slowest", "critical-path", "open",
    "workers", "state", "diff", "replay", "runs", "inspect", "merge", "index", "recover",
    "import", "demo", "export",
  ])
  func `help reads as it was written down`(command: String) throws {
    let arguments = command == "tasklog" ? ["--help"] : [command, "--help"]
    let result = try Command.run(arguments, environment: ["COLUMNS": "80"])
    #expect(result.code == 0)
    #expect(result.errors == "")
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("Help/\(command).txt")
    if ProcessInfo.processInfo.environment["TASKLOG_WRITE_HELP"] == "1" {
      try result.output.write(to: file, atomically: true, encoding: .utf8)
    }
    #expect(try String(contentsOf: file, encoding: .utf8) == result.output)
  }

  @Test func `help, --help and no command at all say the same`() throws {
    let help = try Command.run(["--help"])
    for arguments in [["help"], []] {
      let result = try Command.run(arguments)
      #expect(result.output == help.output)
      #expect(result.errors == "")
      #expect(result.code == 0)
    }
    #expect(
      try Command.run(["help", "query"]).output == Command.run(["query", "--help"]).output)
  }

  @Test func `--version is a version`() throws {
    let result = try Command.run(["--version"])
    #expect(result.code == 0)
    #expect(result.output.contains(/^\d+\.\d+\.\d+\n$/))
  }

  @Test(arguments: ["query", "replay", "export"])
  func `the examples in the help work`(command: String) throws {
    let help = try Command.run([command, "--help"]).output
    let folder = try TemporaryFolder()
    let counter = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../Sources/BuiltinPlugins/Counter.swift")
    try FileManager.default.copyItem(atPath: counter.path, toPath: folder("Counter.swift"))
    let examples = help.split(separator: "\n").filter { $0.hasPrefix("  tasklog ") }
    #expect(!examples.isEmpty)
    for example in examples {
      let result = try Command.shell(
        String(example), environment: ["TASKLOG_LOG": try RecordedDemo.log],
        folder: folder.url)
      #expect(result.code == 0, "\(example): \(result.errors)")
      #expect(result.errors == "")
      #expect(!result.lines.isEmpty, "\(example)")
    }
  }

  @Test(arguments: ["bash", "zsh", "fish"])
  func `a shell's completion knows every command and its options`(shell: String) throws {
    let script = try Command.run(["--generate-completion-script", shell])
    #expect(script.code == 0)
    #expect(script.errors == "")
    for word in [
      "query", "summary", "story", "errors", "slowest", "critical-path", "open", "workers",
      "state", "diff", "inspect", "merge", "index", "after-cursor", "group-by", "export",
      "rectangles",
    ] {
      #expect(script.output.contains(word), "\(word)")
    }
    guard Command.isInstalled(shell) else { return }
    let folder = try TemporaryFolder()
    try folder.write("script", script.output)
    let check = try Command.shell("\(shell) -n script", folder: folder.url)
    #expect(check.code == 0, "\(check.errors)")
  }
}
