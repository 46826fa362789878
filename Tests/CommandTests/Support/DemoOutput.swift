import Foundation
import Testing

/// The parts of the output of `tasklog demo` and `tasklog replay`.
struct DemoOutput {
  let text: String

  /// `word count` of the top 20.
  var top: [String] {
    text.split(separator: "\n").filter { $0.hasPrefix("  ") && $0.contains(/^ +\d+  \S+ +\d+$/) }
      .map { $0.split(separator: " ").dropFirst().joined(separator: " ") }
  }

  /// The reports of the plugins.
  var plugins: String {
    let start = text.range(of: "Reports of the live plugins:\n\n")?.upperBound ?? text.startIndex
    let end = text.range(of: /\n(Recorded .*\.|Nothing was recorded.*|\d+ events? of run .*)\n/)
    return String(text[start..<(end?.lowerBound ?? text.endIndex)])
  }

  /// The suggested commands.
  var next: [String] {
    guard let start = text.range(of: "\nNext:\n")?.upperBound else { return [] }
    return text[start...].split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
  }

  var errorLines: [String] {
    plugins.split(separator: "\n").filter { $0.hasPrefix("  Task '") }.map(String.init)
  }
}

extension StringProtocol {
  fileprivate func range(of regex: Regex<(Substring, Substring)>) -> Range<String.Index>? {
    String(self).firstMatch(of: regex)?.range
  }
}

/// One demo whose log many tests read. It is made once.
enum RecordedDemo {
  struct Content {
    var folder: DemoFolder
    var log: String
    var output: DemoOutput
  }

  static let content: Swift.Result<Content, any Error> = Swift.Result {
    let folder = try DemoFolder(files: 120)
    path = folder.folder.path
    atexit { try? FileManager.default.removeItem(atPath: RecordedDemo.path) }
    let log = folder.folder("demo.db")
    let result = try Command.run(
      ["demo", "--input", folder.folder.path, "--log", log, "--workers", "2"])
    try #require(result.code == 0, "\(result.errors)")
    return Content(folder: folder, log: log, output: DemoOutput(text: result.output))
  }

  static var log: String { get throws { try content.get().log } }

  /// The folder, which is removed when the tests end. Written once, before it is read.
  nonisolated(unsafe) private static var path = ""
}
