import Foundation
import TestSupport
import Testing

/// Runs the real `tasklog` in a separate process.
enum Command {
  struct Result {
    var output: String
    var errors: String
    var code: Int32

    var lines: [String] { output.split(whereSeparator: \.isNewline).map(String.init) }
  }

  /// The program is in the same folder as the test bundle.
  static var program: URL { URL(fileURLWithPath: Programs.path("tasklog")) }

  /// Runs a line of shell with the real `tasklog` first on the path.
  static func shell(_ line: String, path: String, folder: URL) throws -> Result {
    let inherited = ProcessInfo.processInfo.environment["PATH"] ?? ""
    return try run(
      ["-c", line], program: URL(fileURLWithPath: "/bin/sh"),
      environment: ["PATH": "\(path):\(inherited)"], folder: folder)
  }

  static func run(
    _ arguments: [String], program: URL = Command.program, environment: [String: String] = [:],
    folder: URL? = nil
  ) throws -> Result {
    try run(program: program, arguments, environment: environment, folder: folder)
  }

  /// Runs a line in a shell that finds `tasklog`.
  static func shell(
    _ line: String, environment: [String: String] = [:], folder: URL? = nil
  ) throws -> Result {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
    let ours = ["PATH": program.deletingLastPathComponent().path + ":" + path]
    return try run(
      program: URL(fileURLWithPath: "/bin/sh"), ["-c", line],
      environment: ours.merging(environment) { $1 }, folder: folder)
  }

  /// Whether a program is installed.
  static func isInstalled(_ name: String) -> Bool {
    (try? shell("command -v \(name)"))?.code == 0
  }

  static func run(
    program: URL, _ arguments: [String], environment: [String: String] = [:], folder: URL? = nil
  ) throws -> Result {
    let removed: [String: String?] = [
      "TASKLOG_LOG": nil, "TASKLOG_DISABLED": nil, "NO_COLOR": nil, "COLUMNS": nil,
    ]
    let outcome = try Child.run(
      [program.path] + arguments, environment: removed.merging(environment) { $1 },
      folder: folder?.path)
    return Result(
      output: String(decoding: outcome.output, as: UTF8.self),
      errors: String(decoding: outcome.errors, as: UTF8.self), code: abs(outcome.code))
  }
}
