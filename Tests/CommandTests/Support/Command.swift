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
    let process = Process()
    process.executableURL = program
    process.arguments = arguments
    process.currentDirectoryURL = folder
    var variables = ProcessInfo.processInfo.environment
    for name in ["TASKLOG_LOG", "TASKLOG_DISABLED", "NO_COLOR", "COLUMNS"] {
      variables[name] = nil
    }
    process.environment = variables.merging(environment) { $1 }
    let output = Pipe()
    let errors = Pipe()
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    // Both are read at once, so that neither pipe fills up while the other is waited for.
    nonisolated(unsafe) var errorData = Data()
    let done = DispatchSemaphore(value: 0)
    let thread = Thread {
      errorData = errors.fileHandleForReading.readDataToEndOfFile()
      done.signal()
    }
    thread.start()
    let outputData = output.fileHandleForReading.readDataToEndOfFile()
    done.wait()
    process.waitUntilExit()
    return Result(
      output: String(decoding: outputData, as: UTF8.self),
      errors: String(decoding: errorData, as: UTF8.self), code: process.terminationStatus)
  }
}
