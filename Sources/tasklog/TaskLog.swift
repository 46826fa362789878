import ArgumentParser
import EventLog
import Filters
import LogFormat
import PluginLoading
import Recording
import Replaying
import Reporting
import TaskLogPlugin

/// The command line.
@main
struct TaskLog: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tasklog",
    abstract: "The flight recorder of task schedulers.",
    discussion: """
      A log is a SQLite file that holds every transition of every task of one or many runs. It is \
      named by --log, else by TASKLOG_LOG, else it is tasklog.db in the working folder.
      """,
    version: taskLogVersion,
    groupedSubcommands: [
      CommandGroup(
        name: "Ask a log",
        subcommands: [
          QueryCommand.self, SummaryCommand.self, StoryCommand.self, ErrorsCommand.self,
          SlowestCommand.self, CriticalPathCommand.self, OpenCommand.self, WorkersCommand.self,
          StateCommand.self, DiffCommand.self,
        ]),
      CommandGroup(name: "See it", subcommands: [ReportCommand.self]),
      CommandGroup(name: "Replay it", subcommands: [ReplayCommand.self, PluginsCommand.self]),
      CommandGroup(name: "Hand it on", subcommands: [ExportCommand.self]),
      CommandGroup(name: "Record from elsewhere", subcommands: [RecordCommand.self]),
      CommandGroup(
        name: "Look after it",
        subcommands: [
          RunsCommand.self, InspectCommand.self, CheckCommand.self, MergeCommand.self,
          IndexCommand.self,
          RecoverCommand.self, MigrateCommand.self, ImportCommand.self, PruneCommand.self,
        ]),
      CommandGroup(name: "Try it", subcommands: [DemoCommand.self]),
    ])

  static func main() async {
    Passwords.hideFromOthers()
    do {
      var command = try parseAsRoot()
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
    } catch let failure as Failure {
      fail(failure.message, failure.code)
    } catch let error as any ExplainedError {
      fail(error.description, error.isUsage ? Failure.usageCode : Failure.runCode)
    } catch let code as ExitCode {
      exit(withError: code)
    } catch {
      let code = exitCode(for: error)
      // Help and the version come as errors, too.
      if code.isSuccess { exit(withError: error) }
      fail(parserMessage(error), code.rawValue)
    }
  }

  private static func fail(_ message: String, _ code: Int32) -> Never {
    Console.complain(message)
    exit(withError: ExitCode(code))
  }

  /// What the parser has to say, in one line and with our way out.
  private static func parserMessage(_ error: any Error) -> String {
    let message = message(for: error)
    let lines = message.split(whereSeparator: \.isNewline).map(String.init)
    var first = lines.first ?? message
    // With many values to choose from each has a line of its own.
    let values = lines.dropFirst().prefix { $0.hasPrefix("  - ") }.map { "'\($0.dropFirst(4))'" }
    if let last = values.last, first.hasSuffix("one of the following:") {
      first = first.replacing(
        "one of the following:",
        with: "one of \(values.dropLast().joined(separator: ", ")) or \(last)")
    }
    for (sentence, clause) in [
      (". Did you mean ", "; did you mean "), (". Please provide ", "; please provide "),
    ] where first.contains(sentence) {
      return lowered(first.replacing(sentence, with: clause))
    }
    return lowered(first) + "; 'tasklog help' shows what there is"
  }

  private static func lowered(_ sentence: String) -> String {
    let words = sentence.hasSuffix(".") ? String(sentence.dropLast()) : sentence
    return words.prefix(1).lowercased() + words.dropFirst()
  }
}

/// Something went wrong, said in one line.
struct Failure: Error {
  var message: String
  var code: Int32

  /// EX_USAGE of `sysexits.h`.
  static let usageCode: Int32 = 64
  static let runCode: Int32 = 1
  /// A replay in which the rebuilt state did not fit the recording.
  static let driftCode: Int32 = 3

  /// The command itself is wrong.
  static func usage(_ message: String) -> Failure { Failure(message: message, code: usageCode) }
  static func run(_ message: String) -> Failure { Failure(message: message, code: runCode) }
}

/// Errors of the library whose description says all that a user needs.
protocol ExplainedError: Error, CustomStringConvertible {
  var isUsage: Bool { get }
}

extension LogError: ExplainedError {
  var isUsage: Bool { false }
}

extension ReportingError: ExplainedError {
  var isUsage: Bool { false }
}

extension WorkerSpoolError: ExplainedError {
  var isUsage: Bool { false }
}

extension UserSQLError: ExplainedError {
  var isUsage: Bool { false }
}

extension FilterError: ExplainedError {
  var isUsage: Bool { true }
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
