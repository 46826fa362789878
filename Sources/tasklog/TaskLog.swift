import ArgumentParser
import EventLog
import LogAnalysis
import LogFormat
import LogMaintenance
import PluginLoading
import Querying
import Recording
import Replaying
import Reporting
import TaskLogPlugin

/// The command line.
@main
struct TaskLog: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tasklog",
    abstract: "A flight recorder for task schedulers.",
    discussion: """
      A log is a SQLite file with every transition of every task of one or many runs. Name it with \
      --log or TASKLOG_LOG; by default it is tasklog.db in the working folder. Begin with \
      'tasklog summary'; 'tasklog errors' shows what failed and why.
      """,
    version: taskLogVersion,
    groupedSubcommands: [
      CommandGroup(
        name: "Look",
        subcommands: [
          RunsCommand.self, SummaryCommand.self, QueryCommand.self, StoryCommand.self,
          WorkersCommand.self, JobsCommand.self, TimeCommand.self, MessagesCommand.self,
          StateCommand.self,
          ReportCommand.self, InspectCommand.self,
        ]),
      CommandGroup(
        name: "Explain",
        subcommands: [
          ErrorsCommand.self, AdviceCommand.self, ExplainCommand.self, SlowestCommand.self,
          CriticalPathCommand.self, OpenCommand.self, SizingCommand.self, CompareCommand.self,
          TrendCommand.self,
        ]),
      CommandGroup(name: "Replay", subcommands: [ReplayCommand.self, PluginsCommand.self]),
      CommandGroup(name: "Export", subcommands: [ExportCommand.self]),
      CommandGroup(
        name: "Operate",
        subcommands: [
          RecordCommand.self, StatusCommand.self, CheckCommand.self, RecoverCommand.self,
          ImportCommand.self,
          MergeCommand.self, AnonymizeCommand.self, PruneCommand.self, IndexCommand.self,
          MigrateCommand.self,
          DemoCommand.self,
        ]),
    ])

  /// Former names of commands, and their names now.
  private static let renamedCommands = ["diff": "compare"]

  static func main() async {
    Passwords.hideFromOthers()
    if let former = CommandLine.arguments.dropFirst().first, let name = renamedCommands[former] {
      fail("\(former): unknown command; did you mean '\(name)'?", Failure.usageCode)
    }
    do {
      var command = try parseAsRoot()
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
      Console.exitIfOmitted()
    } catch let failure as Failure {
      fail(failure.message, failure.code)
    } catch let error as any ExplainedError {
      fail(error.description, error.isUsage ? Failure.usageCode : Failure.runCode)
    } catch let code as ExitCode {
      exit(withError: code)
    } catch {
      let code = exitCode(for: error)
      // Help and the version are errors, too.
      if code.isSuccess { exit(withError: error) }
      fail(parserMessage(error), code.rawValue)
    }
  }

  private static func fail(_ message: String, _ code: Int32) -> Never {
    Console.warn(message)
    exit(withError: ExitCode(code))
  }

  /// The parser's message in one line, with a hint.
  private static func parserMessage(_ error: any Error) -> String {
    let message = message(for: error)
    let lines = message.split(whereSeparator: \.isNewline).map(String.init)
    var first = lines.first ?? message
    // A long list of allowed values has one line per value.
    let values = lines.dropFirst().prefix { $0.hasPrefix("  - ") }.map { "'\($0.dropFirst(4))'" }
    if let last = values.last, first.hasSuffix("one of the following:") {
      first = first.replacing(
        "one of the following:",
        with: "one of \(values.dropLast().joined(separator: ", ")) or \(last)")
    }
    for (sentence, clause) in [
      (". Did you mean ", "; did you mean "), (". Please provide ", "; please provide "),
    ] where first.contains(sentence) {
      return lowercasedStart(first.replacing(sentence, with: clause))
    }
    return lowercasedStart(first) + "; see 'tasklog help'"
  }

  private static func lowercasedStart(_ sentence: String) -> String {
    let words = sentence.hasSuffix(".") ? String(sentence.dropLast()) : sentence
    return words.prefix(1).lowercased() + words.dropFirst()
  }
}

/// An error with a one-line message and an exit code.
struct Failure: Error {
  var message: String
  var code: Int32

  /// EX_USAGE of `sysexits.h`.
  static let usageCode: Int32 = 64
  static let runCode: Int32 = 1
  /// The answer of a check is no: `check` has findings, a report differs from the live one.
  static let answerCode: Int32 = 2
  /// A replay whose rebuilt state did not match the recording.
  static let driftCode: Int32 = 3

  /// An error in the use of the command.
  static func usage(_ message: String) -> Failure { Failure(message: message, code: usageCode) }
  static func run(_ message: String) -> Failure { Failure(message: message, code: runCode) }
}

/// A library error whose description is shown to users as it is.
protocol ExplainedError: Error, CustomStringConvertible {
  var isUsage: Bool { get }
}

extension LogError: ExplainedError {
  var isUsage: Bool { false }
}

extension LogSetError: ExplainedError {
  var isUsage: Bool {
    switch self {
    case .severalRunsToFollow, .cannotFollow: true
    case .cannotMerge, .noLogs, .noRuns: false
    }
  }
}

extension RunExpressionError: ExplainedError {
  var isUsage: Bool { true }
}

extension MeasureError: ExplainedError {
  var isUsage: Bool { !isUnknown }
}

extension ReportingError: ExplainedError {
  var isUsage: Bool { false }
}

extension WorkerSpoolError: ExplainedError {
  var isUsage: Bool { false }
}

extension ManagerReportError: ExplainedError {
  var isUsage: Bool { true }
}

extension ScopeError: ExplainedError {
  var isUsage: Bool { false }
}

extension UserSQLError: ExplainedError {
  var isUsage: Bool { false }
}

extension FilterError: ExplainedError {
  var isUsage: Bool { true }
}

extension EventQueryError: ExplainedError {
  var isUsage: Bool {
    switch self {
    case .cursorCount: true
    case .unknownCursor: false
    }
  }
}

extension LoadingError: ExplainedError {
  var isUsage: Bool {
    switch self {
    case .unknown, .several, .noSuchType: true
    default: false
    }
  }
}

extension PythonError: ExplainedError {
  var isUsage: Bool { false }
}

extension ProgramError: ExplainedError {
  var isUsage: Bool { false }
}

extension PluginError: ExplainedError {
  var isUsage: Bool { true }
}
