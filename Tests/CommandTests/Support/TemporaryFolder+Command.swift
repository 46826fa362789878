import TestSupport
import Testing

extension TemporaryFolder {
  /// Runs the command in this folder, whose subfolder `cache` is the user's cache folder; by default it
  /// reads the subfolder `logs`.
  func tasklog(
    _ arguments: [String], code: Int32 = 0, _ location: SourceLocation = #_sourceLocation
  ) throws -> Command.Result {
    let result = try Command.run(
      arguments, environment: ["XDG_CACHE_HOME": self("cache"), "TASKLOG_LOG": "logs"],
      folder: url)
    #expect(result.code == code, "\(result.output)\(result.errors)", sourceLocation: location)
    return result
  }
}
