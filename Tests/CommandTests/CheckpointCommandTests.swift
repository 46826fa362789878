import Foundation
import TestTraits
import Testing

/// `tasklog replay` of a run that was replayed before.
@Suite(.exclusive(.commands)) struct CheckpointCommandTests {
  private let folder: PluginFolder

  init() throws { folder = try PluginFolder() }

  private func events(_ result: Command.Result) throws -> (all: Int, before: Int) {
    let line = try #require(result.lines.last, "\(result.errors)")
    let match = try #require(
      line.wholeMatch(
        of: /(\d+) events of run #1 replayed(?:, (\d+) of them in an earlier replay)?/))
    return (Int(match.1) ?? 0, match.2.flatMap { Int($0) } ?? 0)
  }

  @Test func `a second replay resumes where the first has ended, unless disabled`() throws {
    let plugins = ["--plugin", "counter", "--plugin", "errors", "--checkpoint-every", "20"]
    let first = try folder.replay(plugins)
    #expect(try events(first).before == 0)
    let second = try folder.replay(plugins)
    #expect(second.errors == "")
    #expect(try events(second) == (try events(first).all, try events(first).all))
    #expect(second.lines.dropLast() == first.lines.dropLast())
    #expect(try folder.replay(plugins + ["--no-checkpoint"]).output == first.output)
    let cache = folder("cache/tasklog/checkpoints")
    let attributes = try FileManager.default.attributesOfItem(atPath: cache)
    #expect(attributes[.posixPermissions] as? Int == 0o700)
    #expect(try FileManager.default.contentsOfDirectory(atPath: cache).count == 1)
  }

  @Test func `a short run is replayed completely and leaves no checkpoint`() throws {
    #expect(try folder.replay(["--plugin", "counter"]).code == 0)
    #expect(!FileManager.default.fileExists(atPath: folder("cache")))
  }

  @Test func `a plugin of a file is resumed only if its code is unchanged`() throws {
    func write(_ step: Int) throws {
      try folder.write(
        "Steps.swift",
        """
        import TaskLogPlugin
        final class Steps: SchedulerPlugin, Checkpointing {
          var steps = 0
          func transition(
            key: Key, start: State, finish: State, stimulusID: String, args: Args
          ) { steps += \(step) }
          func checkpoint() -> Value { .int(Int64(steps)) }
          func restore(_ checkpoint: Value) throws {
            guard let number = checkpoint.int else { throw CheckpointError.unknown }
            steps = Int(number)
          }
        }
        """)
    }
    let plugin = ["--plugin", "Steps.swift", "--checkpoint-every", "20"]
    try write(1)
    let first = try folder.replay(plugin)
    let second = try folder.replay(plugin)
    #expect(try events(second).before == (try events(first).all))
    #expect(second.lines.dropLast() == first.lines.dropLast())
    try write(2)
    let other = try folder.replay(plugin)
    #expect(try events(other).before == 0)
    #expect(other.lines[1] != first.lines[1])
  }

  @Test func `an unusable cache is reported, and the replay continues`() throws {
    let result = try folder.replay(
      ["--plugin", "counter", "--checkpoint-every", "20"],
      environment: ["XDG_CACHE_HOME": "/dev/null"])
    #expect(result.code == 0)
    #expect(result.errors.hasPrefix("tasklog: no checkpoints are saved: /dev/null/tasklog: "))
    let wrong = try folder.replay(["--plugin", "counter", "--checkpoint-every", "0"])
    #expect(wrong.code == 64)
    #expect(wrong.errors.contains("--checkpoint-every 0: expected 1 or more"), "\(wrong.errors)")
  }
}
