import Foundation
import TestTraits
import Testing

@Suite(.blocking) struct HelpTests {
  /// Every command that exists, as the program itself lists them.
  static let commands: [String] = {
    struct Dump: Decodable {
      struct Command: Decodable {
        var commandName: String
        var subcommands: [Command]?
      }
      var command: Command
    }
    guard let text = try? Command.run(["--experimental-dump-help"]).output,
      let dump = try? JSONDecoder().decode(Dump.self, from: Data(text.utf8))
    else { return [] }
    return (dump.command.subcommands ?? []).map(\.commandName).filter { $0 != "help" }
  }()

  @Test func `every command has an expected help text, and every text a command`() throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("Help")
    let texts = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    #expect(Self.commands.count > 20)
    #expect(texts.sorted() == (["tasklog"] + Self.commands).map { $0 + ".txt" }.sorted())
  }

  /// The expected texts are in `Help/`, one file per command. After an intended change,
  /// `TASKLOG_WRITE_HELP=1 swift test --filter HelpTests` rewrites them.
  @Test(arguments: ["tasklog"] + commands)
  func `the help text is as expected`(command: String) throws {
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

  @Test func `help, --help and no command at all print the same`() throws {
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

  @Test func `--version prints a version`() throws {
    let result = try Command.run(["--version"])
    #expect(result.code == 0)
    #expect(result.output.contains(/^\d+\.\d+\.\d+\n$/))
  }

  /// `import` needs the spool of a killed worker, `record` needs a broker; these, the demo, the
  /// report and the plugins have their own tests.
  static let elsewhere = ["import", "record", "demo", "report", "plugins"]

  @Test(arguments: commands.filter { !elsewhere.contains($0) })
  func `the examples in the help work`(command: String) throws {
    let help = try Command.run([command, "--help"]).output
    let folder = try TemporaryFolder()
    let counter = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../Sources/BuiltinPlugins/Counter.swift")
    try FileManager.default.copyItem(atPath: counter.path, toPath: folder("Counter.swift"))
    // A run that died has unfinished tasks; all other examples run on one that has everything.
    let log = command == "open" ? SampleLog.path : try RecordedDemo.log
    for name in ["tasklog.db", "monday.db", "tuesday.db", "crashed.db"] {
      try FileManager.default.copyItem(atPath: log, toPath: folder(name))
    }
    if command == "compare" {
      try FileManager.default.copyItem(
        atPath: FrozenLogTests.path("v2-demo"), toPath: folder("older.db"))
    }
    let examples = help.split(separator: "\n").filter { $0.hasPrefix("  tasklog ") }
    #expect(!examples.isEmpty)
    for example in examples {
      let result = try Command.shell(String(example), folder: folder.url)
      #expect(result.code == 0, "\(example): \(result.errors)")
      // A command with filters prints how much of the run it shows.
      let errors = result.errors.replacing(/(?m)^tasklog: shows .* tasks .*\n/, with: "")
      #expect(errors == "" || log == SampleLog.path && errors == SampleLog.note)
      // The demo has none of the messages of Dask's loggers.
      let isQuiet = ["check", "index", "recover", "prune", "messages"].contains(command)
      #expect(!result.lines.isEmpty || isQuiet, "\(example)")
    }
  }

  @Test(arguments: ["bash", "zsh", "fish"])
  func `the completion of a shell knows every command and its options`(shell: String) throws {
    let script = try Command.run(["--generate-completion-script", shell])
    #expect(script.code == 0)
    #expect(script.errors == "")
    for word in [
      "query", "summary", "story", "errors", "slowest", "critical-path", "open", "workers", "time",
      "state", "compare", "inspect", "merge", "index", "after-cursor", "group-by", "export",
      "rectangles",
    ] {
      #expect(script.output.contains(word), "\(word)")
    }
  }

  /// The completions that a shell offers for a line, computed by the shell from the script.
  private static func offers(_ shell: String, _ line: String) throws -> Command.Result {
    let folder = try TemporaryFolder()
    try folder.write(
      "script", try Command.run(["--generate-completion-script", shell]).output)
    switch shell {
    case "bash":
      try folder.write(
        "drive",
        """
        . ./script
        COMP_WORDS=($1); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_LINE=$1; COMP_POINT=${#1}
        _tasklog tasklog "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\\n' "${COMPREPLY[@]}"
        """)
    case "fish":
      try folder.write("drive", "source script; complete -C $argv[1]")
    default:
      // Completion needs a terminal: a pseudo terminal in which a script presses the key, and which
      // then ends.
      try folder.write(
        "setup",
        """
        PROMPT=; autoload -U compinit; compinit -u -D; source ./script
        bindkey '^I' complete-word; zstyle ':completion:*' force-list always; LISTMAX=10000
        comppostfuncs=(exit); echo READ''Y
        """)
      try folder.write(
        "drive",
        """
        zmodload zsh/zpty
        zpty shell TERM=xterm zsh -f -i
        zpty -w shell 'source ./setup'
        while zpty -r shell text; do [[ $text == *READY* ]] && break; done
        zpty -n -w shell "$1"$'\\t'
        while zpty -r shell text; do print -r -- $text; done
        """)
    }
    let options = ["bash": "--norc", "fish": "--no-config", "zsh": "-f"][shell] ?? ""
    return try Command.shell("timeout 30 \(shell) \(options) drive '\(line)'", folder: folder.url)
  }

  @Test(arguments: ["bash", "zsh", "fish"].filter(Command.isInstalled))
  func `a shell completes commands, options and values`(shell: String) throws {
    for (line, offered) in [
      ("tasklog cri", "critical-path"), ("tasklog query --after", "--after-cursor"),
      ("tasklog summary --format mark", "markdown"),
      ("tasklog query --finish proc", "processing"), ("tasklog query --source sched", "scheduler"),
      ("tasklog query --hook addW", "addWorker"), ("tasklog runs --log scr", "script"),
    ] {
      let result = try Self.offers(shell, line)
      #expect(result.code == 0, "\(line): \(result.errors)")
      #expect(result.output.contains(offered), "\(line): \(result.output)")
    }
  }
}
