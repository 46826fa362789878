import EventLog
import Glibc
import LogFormat
import TaskLogPlugin

/// Runs any program as a plugin: it reads the events of a run from its standard input as lines of
/// JSON, in the format of `EventLine`, until end of file.
///
/// Its standard output and error are inherited from this process. If it ends before its input does,
/// code 0 means that it needs no more events; any other code, or a signal, is a failure. It finds
/// the ID of the run in `TASKLOG_RUN`, and each `--option name=value` in `TASKLOG_OPTION_NAME`.
public final class ProgramPlugin: ExternalPlugin {
  private static let bufferSize = 1 << 16

  package let name: String
  private let command: String
  private let options: [String: String]
  private let timeoutSeconds: Int?

  private var lines = EventLine()
  private var child: ChildProgram?
  /// The last event whose line has been sent, and the last one in the buffer.
  private var sent: Int64?
  private var buffered: Int64?
  private var isOver = false
  private var failure: ProgramError?

  /// - Parameters:
  ///   - command: a line for `/bin/sh`.
  ///   - timeoutSeconds: how long the program may read nothing, or continue after its input has
  ///     ended, before it counts as hung; unlimited by default.
  public init(
    command: String, name: String? = nil, options: [String: String] = [:],
    timeoutSeconds: Int? = nil
  ) {
    self.command = command
    self.name = name ?? "exec:" + command
    self.options = options
    self.timeoutSeconds = timeoutSeconds
  }

  deinit { child?.stop() }

  package var needsAll: Bool { false }

  package func begin(_ run: RunInfo, sources: [SourceInfo]) throws {
    for source in sources { lines.join(source) }
    var environment = [EnvironmentVariable.run.rawValue: run.id]
    for (name, value) in options {
      let letters = name.uppercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" }
      environment[EnvironmentVariable.pluginOption + String(letters)] = value
    }
    do {
      child = try ChildProgram(command: command, environment: environment)
    } catch {
      throw ProgramError.cannotStart(plugin: name, reason: error.reason)
    }
  }

  package func join(_ source: SourceInfo) throws { lines.join(source) }

  /// A failure of the program does not affect other plugins: it receives no further events, and the
  /// failure is reported at the end.
  package func process(_ recorded: RecordedEvent, isSelected: Bool) -> Bool {
    if isOver { return false }
    lines.append(recorded)
    buffered = recorded.seq
    if lines.output.count >= Self.bufferSize { flush() }
    return !isOver
  }

  package func flush() {
    guard !isOver, let child, !lines.output.isEmpty else { return }
    switch child.write(lines.output, timeoutSeconds: timeoutSeconds) {
    case .written: sent = buffered
    case .closed: end(child)
    case .timedOut: isHung(child, after: sent)
    }
    lines.removeAll()
  }

  package var failureCount: Int { failure == nil ? 0 : 1 }

  package func finish() -> ExternalResult {
    flush()
    if let child, !isOver {
      child.closeInput()
      end(child)
    }
    var result = ExternalResult(failureCount: failureCount)
    if let failure { result.notices.append(failure.description) }
    if lines.unreadableCount > 0 {
      result.notices.append(
        "plugin '\(name)': \(lines.unreadableCount) args or snapshots are invalid JSON, passed as "
          + "unreadable")
    }
    return result
  }

  /// Evaluates the exit code of a program that has closed its input or received all events.
  private func end(_ child: ChildProgram) {
    isOver = true
    switch child.wait(timeoutSeconds: timeoutSeconds) {
    case .exited(0): break
    case .exited(let code): failure = .exited(plugin: name, code: code, seq: buffered)
    case .signalled(let signal): failure = .signalled(plugin: name, signal: signal, seq: buffered)
    case .timedOut: isHung(child, after: buffered)
    }
  }

  private func isHung(_ child: ChildProgram, after seq: Int64?) {
    isOver = true
    child.stop()
    failure = .hung(plugin: name, seconds: timeoutSeconds ?? 0, seq: seq)
  }
}

/// Errors of a program that reads events.
public enum ProgramError: Error, Sendable, Equatable, CustomStringConvertible {
  case cannotStart(plugin: String, reason: String)
  case exited(plugin: String, code: Int32, seq: Int64?)
  case signalled(plugin: String, signal: Int32, seq: Int64?)
  case hung(plugin: String, seconds: Int, seq: Int64?)

  public var description: String {
    switch self {
    case .cannotStart(let plugin, let reason):
      "plugin '\(plugin)' cannot be started: \(reason)"
    case .exited(let plugin, let code, let seq):
      "plugin '\(plugin)' ended with code \(code) \(Self.position(seq))"
        + (code == 127 ? "; the shell did not find the program" : "")
    case .signalled(let plugin, let signal, let seq):
      "plugin '\(plugin)' was ended by signal \(signal) (\(String(cString: strsignal(signal)))) "
        + Self.position(seq)
    case .hung(let plugin, let seconds, let seq):
      "plugin '\(plugin)' made no progress for \(seconds) s \(Self.position(seq)); raise the limit "
        + "with --timeout"
    }
  }

  private static func position(_ seq: Int64?) -> String {
    seq.map { "after receiving the events up to seq \($0)" } ?? "before its first event"
  }
}
