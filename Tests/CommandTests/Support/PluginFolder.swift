import Foundation
import Testing

/// A folder with the log of a small demo, the plugins of a test, and a separate cache.
struct PluginFolder {
  let folder: TemporaryFolder
  let log: String

  init() throws {
    folder = try TemporaryFolder()
    log = folder("run.db")
    try folder.makeFolder("texts")
    for number in 0..<6 { try folder.write("texts/\(number).txt", "one two three") }
    let demo = try Command.run(["demo", "--input", folder("texts"), "--log", log])
    try #require(demo.code == 0, "\(demo.errors)")
  }

  var environment: [String: String] { ["XDG_CACHE_HOME": folder("cache")] }

  func callAsFunction(_ name: String) -> String { folder(name) }

  func write(_ name: String, _ content: String) throws { try folder.write(name, content) }

  /// Runs a line of shell in the folder.
  func shell(_ line: String, environment: [String: String] = [:]) throws -> Command.Result {
    try Command.shell(
      line, environment: self.environment.merging(environment) { $1 }, folder: folder.url)
  }

  func replay(
    _ arguments: [String], environment: [String: String] = [:]
  ) throws -> Command.Result {
    let words = arguments.map { "'" + $0.replacingOccurrences(of: "'", with: "'\\''") + "'" }
    return try shell(
      "tasklog replay --log run.db " + words.joined(separator: " "), environment: environment)
  }
}
