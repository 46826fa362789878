import Replaying

/// A program that reads lines of JSON: `exec:` and a shell command.
enum ProgramPluginKind: PluginKind {
  private static let start = "exec:"

  static func isNamed(by text: String) -> Bool { text.hasPrefix(start) }

  static func plugin(_ text: String, _ request: PluginRequest) throws -> ChosenPlugin {
    let command = String(text.dropFirst(start.count))
    guard command.contains(where: { !$0.isWhitespace }) else {
      throw Failure.usage("--plugin \(text): expected a program, as in exec:'jq .key'")
    }
    return .outside {
      ProgramPlugin(
        command: command, name: text, options: request.options,
        timeoutSeconds: request.timeoutSeconds == 0 ? nil : request.timeoutSeconds)
    }
  }
}
