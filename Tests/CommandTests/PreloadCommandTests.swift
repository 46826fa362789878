import Foundation
import TestTraits
import Testing

/// `tasklog demo --preload`.
@Suite(.exclusive(.commands)) struct PreloadCommandTests {
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
    try folder.makeFolder("texts")
    for number in 0..<6 { try folder.write("texts/\(number).txt", "one two three") }
    try folder.write("texts/bad.txt", [0xFF, 0])
    try folder.write(
      "Setup.swift",
      """
      import TaskLogPlugin

      final class Failures: SchedulerPlugin {
        var count = 0
        func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
          if finish == .erred { count += 1 }
        }
      }

      final class Setup: Preload {
        private let greeting: String
        init() { greeting = "hello" }
        init(options: [String: String]) { greeting = options["greeting"] ?? "hello" }

        func setup(scheduler: Scheduler) {
          print("\\(greeting) beside \\(scheduler.workers.count) workers")
          scheduler.addPlugin(Failures())
        }
        func teardown(scheduler: Scheduler) { print("goodbye") }
      }
      """)
  }

  private func demo(_ arguments: [String]) throws -> Command.Result {
    try Command.run(
      ["demo", "--input", folder("texts"), "--log", folder("run.db"), "--workers", "2"] + arguments,
      environment: ["XDG_CACHE_HOME": folder("cache")], folder: folder.url)
  }

  @Test func `a file with a Preload is set up, and the plugin that it adds reports`() throws {
    let result = try demo([
      "--preload", "Setup.swift", "--preload-argument", "greeting=good day",
    ])
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.errors == "")
    #expect(result.output.contains("good day beside 0 workers\n"))
    #expect(result.output.contains("goodbye\n"))
    #expect(result.output.contains("\nFailures\n  count: 1\n"))
  }

  @Test func `a plugin of a file is preloaded on the scheduler or on each worker`() throws {
    let scheduler = try demo(["--preload", "Setup.swift:Failures"])
    #expect(scheduler.code == 0, "\(scheduler.errors)")
    #expect(!scheduler.output.contains("hello"))
    #expect(scheduler.output.contains("\nFailures\n  count: 1\n"))
    try folder.write(
      "Mine.swift",
      """
      import TaskLogPlugin
      final class Mine: WorkerPlugin {
        var name = "mine"
        var place = ""
        func setup(worker: Worker) { place = "worker \\(worker.name)" }
      }
      """)
    let worker = try demo(["--preload", "./Mine.swift"])
    #expect(worker.code == 0, "\(worker.errors)")
    #expect(worker.output.contains("place: worker 0"))
    #expect(worker.output.contains("place: worker 1"))
  }

  @Test func `an invalid preload is reported in one line before anything is recorded`() throws {
    func expectFailure(
      _ arguments: [String], _ message: String, code: Int32 = 1,
      location: SourceLocation = #_sourceLocation
    ) throws {
      let result = try demo(arguments)
      #expect(result.code == code, sourceLocation: location)
      #expect(result.errors.contains(message), "\(result.errors)", sourceLocation: location)
      #expect(result.output == "", sourceLocation: location)
      #expect(!folder.exists("run.db"), sourceLocation: location)
    }
    try expectFailure(["--preload", "none"], "--preload none: unknown plugin", code: 64)
    try expectFailure(["--preload", "none.swift"], "none.swift: no such file")
    try expectFailure(
      ["--preload-argument", "a=b"], "--preload-argument a=b: requires --preload", code: 64)
    try expectFailure(
      ["--preload", "Setup.swift", "--preload-argument", "a"], "expected name=value", code: 64)
    try folder.write(
      "Empty.swift", "import TaskLogPlugin\nfinal class A {}")
    try expectFailure(["--preload", "Empty.swift"], "Empty.swift: has nothing to preload")
    try folder.write(
      "Near.swift",
      """
      import TaskLogPlugin
      final class Near: Preload {
        func setup(worker: Worker) {}
      }
      """)
    try expectFailure(["--preload", "Near.swift"], "the hook is setup(scheduler: Scheduler)")
  }

  @Test func `a preload whose initializer throws ends the demo`() throws {
    try folder.write(
      "Throws.swift",
      """
      import TaskLogPlugin
      struct Refusal: Error, CustomStringConvertible { var description: String { "not today" } }
      final class A: Preload {
        init() {}
        init(options: [String: String]) throws { throw Refusal() }
      }
      """)
    let result = try demo(["--preload", "Throws.swift"])
    #expect(result.code == 1)
    #expect(result.errors == "tasklog: cannot start the cluster: not today\n")
  }
}
