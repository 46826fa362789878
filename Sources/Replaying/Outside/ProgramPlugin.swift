import EventLog
import Glibc
import LogFormat
import TaskLogPlugin

/// Any program, as a plugin: it reads the events of a run as lines of JSON from its standard input,
/// each as `EventLine` says, until that ends.
///
/// What it writes to its standard output and error goes where that of this process goes. When it
/// ends before its input does, with code 0, it wanted no more; any other code, and a signal, are a
/// failure. It finds the id of the run in `TASKLOG_RUN`, and what was given as `--option name=value`
/// in `TASKLOG_OPTION_NAME`.
public final class ProgramPlugin: ExternalPlugin {
  private static let bufferSize = 1 << 16

  public let name: String
  private let command: String
  private let options: [String: String]
  private let timeoutSeconds: Int?

  private var lines = EventLine()
  private var child: ChildProgram?
  /// The last event whose line has been handed over, and the last that lies in the buffer.
  private var sent: Int64?
  private var buffered: Int64?
  private var isOver = false
  private var failure: ProgramError?

  /// - Parameters:
  ///   - command: a line for `/bin/sh`.
  ///   - timeoutSeconds: how long the program may read nothing, or go on after its input has ended,
  ///     before it is taken for hung; for ever by default.
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

  public var needsAll: Bool { false }

  public func begin(_ run: RunInfo, sources: [SourceInfo]) throws {
    for source in sources { lines.join(source) }
    var environment = ["TASKLOG_RUN": run.id]
    for (name, value) in options {
      let letters = name.uppercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" }
      environment["TASKLOG_OPTION_" + String(letters)] = value
    }
    do {
      child = try ChildProgram(command: command, environment: environment)
    } catch {
      throw ProgramError.cannotStart(plugin: name, reason: error.reason)
    }
  }

  public func join(_ source: SourceInfo) throws { lines.join(source) }

  /// What has gone wrong with the program, if anything, does not disturb other plugins: it wants no
  /// more, and is told of at the end.
  public func take(_ recorded: RecordedEvent, isSelected: Bool) -> Bool {
    if isOver { return false }
    lines.append(recorded)
    buffered = recorded.seq
    if lines.output.count >= Self.bufferSize { flush() }
    return !isOver
  }

  public func flush() {
    guard !isOver, let child, !lines.output.isEmpty else { return }
    switch child.write(lines.output, timeoutSeconds: timeoutSeconds) {
    case .written: sent = buffered
    case .closed: end(child)
    case .timedOut: isHung(child, after: sent)
    }
    lines.removeAll()
  }

  public var failureCount: Int { failure == nil ? 0 : 1 }

  public func finish() -> ExternalResult {
    flush()
    if let child, !isOver {
      child.closeInput()
      end(child)
    }
    var result = ExternalResult(failureCount: failureCount)
    if let failure { result.notices.append(failure.description) }
    if lines.unreadableCount > 0 {
      result.notices.append(
        "plugin '\(name)': \(lines.unreadableCount) args or snapshots are no JSON and were given as "
          + "unreadable")
    }
    return result
  }

  /// The program has closed its input, or has been given everything: its code says what came of it.
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

/// What can be wrong with a program that reads events.
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
      "plugin '\(plugin)' ended with code \(code) \(Self.place(seq))"
        + (code == 127 ? "; the shell has not found a program" : "")
    case .signalled(let plugin, let signal, let seq):
      "plugin '\(plugin)' was ended by signal \(signal) (\(String(cString: strsignal(signal)))) "
        + Self.place(seq)
    case .hung(let plugin, let seconds, let seq):
      "plugin '\(plugin)' has not gone on for \(seconds) s \(Self.place(seq)); --timeout gives it "
        + "more"
    }
  }

  private static func place(_ seq: Int64?) -> String {
    seq.map { "after it was given the events up to seq \($0)" } ?? "before its first event"
  }
}
