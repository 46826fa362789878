import Glibc
import LogFormat
import Replaying
import Reporting
import TaskLogPlugin

/// What the replay of one run gave.
struct BacktestResult: Sendable {
  /// From best to worst.
  enum Outcome: Int, Comparable, CaseIterable, Sendable {
    case exact
    /// A report differs from the live one.
    case differs
    /// Plugins may have seen a state that differs from the live one.
    case drifted
    /// A plugin has failed, or the result is incomplete.
    case failed

    init(exitCode: Int32) {
      self = Self.allCases.first { ($0.exitCode ?? 0) == exitCode } ?? .failed
    }

    static func < (a: Outcome, b: Outcome) -> Bool { a.rawValue < b.rawValue }

    var name: String {
      switch self {
      case .exact: "ok"
      case .differs: "differs"
      case .drifted: "drifted"
      case .failed: "failed"
      }
    }

    var exitCode: Int32? {
      switch self {
      case .exact: nil
      case .differs: Failure.answerCode
      case .drifted: Failure.driftCode
      case .failed: Failure.runCode
      }
    }
  }

  struct PluginReport: Sendable {
    var plugin: String?
    var worker: String?
    var report: Value?
  }

  /// The ID of the run.
  var id = ""
  var outcome = Outcome.exact
  /// How the run had ended, and its number of events, when it was replayed.
  var extent = ""
  var reports: [PluginReport] = []
  var events: Int64?
  var seconds = 0.0
  var error: String?

  // MARK: - JSON

  /// What a process for one run has written; empty if it wrote nothing.
  init(file: String) {
    guard let text = try? InputFile.text(file), let value = try? JSONReader.value(text) else {
      return
    }
    read(value)
  }

  init?(_ value: Value) {
    guard let id = value["id"]?.string, let code = value["code"]?.int else { return nil }
    self.id = id
    outcome = Outcome(exitCode: Int32(truncatingIfNeeded: code))
    seconds = value["seconds"]?.number ?? 0
    extent = value["extent"]?.string ?? ""
    read(value)
  }

  private mutating func read(_ value: Value) {
    events = value["events"]?.int
    error = value["error"]?.string
    for row in value["reports"]?.elements ?? [] {
      reports.append(
        PluginReport(
          plugin: row["plugin"]?.string, worker: row["worker"]?.string, report: row["report"]))
    }
  }

  var value: Value {
    .object([
      "id": .string(id), "extent": .string(extent), "code": .int(Int64(outcome.exitCode ?? 0)),
      "seconds": .double(seconds),
      "error": error.map { .string($0) } ?? .null, "events": events.map { .int($0) } ?? .null,
      "reports": Self.value(of: reports),
    ])
  }

  private static func value(of reports: [PluginReport]) -> Value {
    .list(
      reports.map {
        .object([
          "plugin": $0.plugin.map { .string($0) } ?? .null,
          "worker": $0.worker.map { .string($0) } ?? .null, "report": $0.report ?? .null,
        ])
      })
  }

  /// Writes what a process for one run has found.
  static func write(_ result: Replayer.Result, to path: String) throws {
    var reports = result.reports.map {
      PluginReport(plugin: $0.plugin, worker: $0.worker, report: $0.report)
    }
    reports += result.lines.map { PluginReport(report: .string($0)) }
    let error = result.failures.first.map { Value.string(ReplayText.line($0)) }
    let value = Value.object([
      "events": .int(result.events), "reports": Self.value(of: reports), "error": error ?? .null,
    ])
    let file = try OutputFile(path: path)
    try file.write(JSONWriter.text(value))
    try file.commit()
  }
}

/// The results of earlier replays of many runs, in a file to which each new one is added.
final class BacktestResults {
  private let path: String
  private let descriptor: Int32
  /// By run; those that failed are replayed again.
  private(set) var succeeded: [String: BacktestResult] = [:]

  /// - Parameter arguments: of the replay; a file of another one is refused.
  /// - Throws: `Failure`.
  init(path: String, _ arguments: [String]) throws {
    self.path = path
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND, 0o600)
    guard descriptor >= 0 else {
      throw Failure.run("--resume \(path): cannot be opened: \(String(cString: strerror(errno)))")
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw Failure.run("--resume \(path): is not a regular file")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      throw Failure.run("--resume \(path): another replay is using it")
    }
    let lines: [Substring]
    do {
      lines = try InputFile.text(of: descriptor, path).split(separator: "\n")
    } catch {
      close(descriptor)
      throw Failure.run("--resume \(path): cannot be read")
    }
    let head = JSONWriter.text(
      .object([
        "replay": .list(arguments.map { .string($0) }),
        "files": .list(arguments.flatMap(Self.stamps)),
      ]))
    guard let first = lines.first else {
      try append(head)
      return
    }
    guard first == head else {
      close(descriptor)
      throw Failure.usage(
        "--resume \(path): has results of another command or of an older plugin; name another file, "
          + "or delete it")
    }
    for line in lines.dropFirst() {
      // The last line of a replay that was killed may be incomplete: its run is replayed again.
      guard let value = try? JSONReader.value(String(line)), let result = BacktestResult(value)
      else { continue }
      succeeded[result.id] = result.outcome == .failed ? nil : result
    }
  }

  deinit { close(descriptor) }

  /// What changes with the files that an argument names: those of `plugin.py:Class` and of
  /// `exec:program file`, too.
  private static func stamps(_ argument: String) -> [Value] {
    argument.split { " :='\"".contains($0) }.compactMap { word in
      let file = String(word)
      var status = stat()
      guard stat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
      return .list([
        .string(file), .int(Int64(status.st_size)), .int(Int64(status.st_mtim.tv_sec)),
        .int(Int64(status.st_mtim.tv_nsec)),
      ])
    }
  }

  /// - Throws: `Failure`.
  func add(_ result: BacktestResult) throws {
    try append(JSONWriter.text(result.value))
  }

  private func append(_ line: String) throws {
    // What a killed replay has left of its last line is ended first.
    let bytes = Array((endsWithinLine ? "\n" : "").utf8) + Array((line + "\n").utf8)
    guard write(descriptor, bytes, bytes.count) == bytes.count else {
      throw Failure.run("--resume \(path): cannot be written: \(String(cString: strerror(errno)))")
    }
  }

  private var endsWithinLine: Bool {
    let size = lseek(descriptor, 0, SEEK_END)
    var last: UInt8 = 0
    return size > 0 && pread(descriptor, &last, 1, size - 1) == 1 && last != UInt8(ascii: "\n")
  }
}
