import BuiltinPlugins
import Foundation
import PluginLoading
import TestTraits
import Testing

/// A user's plugins in files.
@Suite(.exclusive(.commands)) struct PluginLoadingTests {
  /// A folder with a small log and a separate cache for compiled plugins.
  private let folder: TemporaryFolder
  private let log: String

  private static let counter = """
    import TaskLogPlugin

    /// The example of Dask's documentation, in Swift.
    final class Tally: SchedulerPlugin {
      var counter = 0
      private var limit = Int.max

      init() {}

      init(options: [String: String]) throws {
        for (name, value) in options {
          guard name == "limit" else { throw PluginError.unknownOption(name, plugin: "Tally") }
          guard let number = Int(value) else {
            throw PluginError.badOption(name, value: value, expected: "a number")
          }
          limit = number
        }
      }

      func transition(
        key: Key, start: State, finish: State, stimulusID: String, args: Args
      ) {
        if start == .processing, finish == .memory, counter < limit { counter += 1 }
      }

      func report() -> Value { .int(Int64(counter)) }
    }
    """

  init() throws {
    folder = try TemporaryFolder()
    log = folder("run.db")
    try folder.makeFolder("texts")
    for number in 0..<6 { try folder.write("texts/\(number).txt", "one two three") }
    let demo = try Command.run(["demo", "--input", folder("texts"), "--log", log])
    try #require(demo.code == 0, "\(demo.errors)")
    try folder.write("Tally.swift", Self.counter)
  }

  private func replay(
    _ arguments: [String], environment: [String: String] = [:]
  ) throws -> Command.Result {
    let ours = ["XDG_CACHE_HOME": folder("cache")]
    return try Command.shell(
      "tasklog replay --log run.db " + arguments.map { "'\($0)'" }.joined(separator: " "),
      environment: ours.merging(environment) { $1 }, folder: folder.url)
  }

  private func expectFailure(
    _ arguments: [String], _ message: String, code: Int32 = 1,
    environment: [String: String] = [:], location: SourceLocation = #_sourceLocation
  ) throws {
    let result = try replay(arguments, environment: environment)
    #expect(result.code == code, sourceLocation: location)
    #expect(result.errors.contains(message), "\(result.errors)", sourceLocation: location)
    #expect(result.output.isEmpty, sourceLocation: location)
  }

  @Test func `a plugin in a Swift file reports the same as the built-in one`() throws {
    let built = try replay(["--plugin", "counter"])
    let number = try #require(built.output.firstMatch(of: /counter: (\d+)/)).1
    for _ in 0..<2 {
      let own = try replay(["--plugin", "./Tally.swift"])
      #expect(own.code == 0, "\(own.errors)")
      #expect(own.output.contains("Tally: \(number)") || own.output.contains("\(number)"))
    }
    // Compiled once.
    let cached = try FileManager.default.contentsOfDirectory(
      atPath: folder("cache/tasklog/plugins"))
    #expect(cached.filter { $0.hasSuffix(".so") }.count == 1)
    let limited = try replay(["--plugin", "Tally.swift", "--option", "limit=2"])
    #expect(limited.output.contains("2"))
    try expectFailure(
      ["--plugin", "Tally.swift", "--option", "limit=x"], "option limit=x: expected a number",
      code: 64)
    let library = try #require(cached.first { $0.hasSuffix(".so") })
    try FileManager.default.copyItem(
      atPath: folder("cache/tasklog/plugins/\(library)"), toPath: folder("libTally.so"))
    let loaded = try replay(["--plugin", "libTally.so:Tally"])
    #expect(loaded.output == (try replay(["--plugin", "./Tally.swift"])).output)
    // A library that was built against another API would crash: it is refused before it is loaded.
    var bytes = try Data(contentsOf: URL(fileURLWithPath: folder("libTally.so")))
    let mark = try #require(bytes.range(of: Data("TASKLOG_PLUGIN_ABI=1".utf8)))
    bytes[mark.upperBound - 1] = UInt8(ascii: "9")
    try bytes.write(to: URL(fileURLWithPath: folder("libOld.so")))
    try expectFailure(
      ["--plugin", "libOld.so"], "libOld.so: was built for TASKLOG_PLUGIN_ABI=9")
  }

  @Test func `an error of loading is one line that says what to do`() throws {
    try expectFailure(["--plugin", "none"], "unknown plugin; expected counter, errors", code: 64)
    try expectFailure(["--plugin", "none.swift"], "none.swift: no such file")
    try folder.write("Broken.swift", "import TaskLogPlugin\nfinal class A: SchedulerPlugin {")
    try expectFailure(["--plugin", "Broken.swift"], "Broken.swift: swiftc failed")
    try folder.write("Empty.swift", "import TaskLogPlugin\nstruct A {}")
    try expectFailure(
      ["--plugin", "Empty.swift"],
      "Empty.swift: has no plugin; write a class that conforms to SchedulerPlugin or WorkerPlugin")
    try folder.write(
      "Two.swift",
      "import TaskLogPlugin\nfinal class A: SchedulerPlugin {}\nfinal class B: WorkerPlugin {}")
    try expectFailure(
      ["--plugin", "Two.swift"], "choose one with Two.swift:A (A, B)", code: 64)
    #expect(try replay(["--plugin", "Two.swift:B"]).code == 0)
    try expectFailure(["--plugin", "Two.swift:C"], "no plugin 'C'; it has A, B", code: 64)
    try folder.write("text.so", "no library")
    try expectFailure(["--plugin", "text.so"], "text.so: not built against TaskLogPlugin")
    try expectFailure(["--plugin", "texts.so"], "texts.so: no such file")
    try folder.write(
      "Throws.swift",
      """
      import TaskLogPlugin
      struct Refusal: Error, CustomStringConvertible { var description: String { "not today" } }
      final class A: SchedulerPlugin {
        init() {}
        init(options: [String: String]) throws { throw Refusal() }
      }
      """)
    try expectFailure(["--plugin", "Throws.swift"], "not today")
  }

  @Test func `a program that contains Swift's runtime loads no plugins in Swift, and says so`()
    throws
  {
    let loader = PluginLoader(builtIn: BuiltinPlugins.all, hasStaticRuntime: true)
    let path = folder("Tally.swift")
    for text in [path, path + ":Tally"] {
      #expect(throws: LoadingError.staticRuntime(path: path)) { try loader.find(text) }
    }
    let message = "\(LoadingError.staticRuntime(path: "Tally.swift"))"
    #expect(!message.contains("\n") && message.contains("Sources/install"))
    #expect(try loader.factory(for: "counter").name == "counter")
    #expect(throws: LoadingError.missing(path: "none.swift")) { try loader.find("none.swift") }
  }

  @Test func `a method that is similar to a hook but no hook is refused`() throws {
    try folder.write(
      "Near.swift",
      """
      import TaskLogPlugin
      final class Near: WorkerPlugin {
        var count = 0
        func transition(key: String, start: State, finish: State, stimulusID: String, args: Args) {
          count += 1
        }
      }
      """)
    try expectFailure(
      ["--plugin", "Near.swift"],
      "the hook is transition(key: Key, start: State, finish: State, stimulusID: String, args: Args)"
    )
    // An overload in addition to the hook itself is allowed.
    try folder.write(
      "Beside.swift",
      """
      import TaskLogPlugin
      final class Beside: SchedulerPlugin {
        var count = 0
        func restart(scheduler: Scheduler) { restart(times: 1) }
        func restart(times: Int) { count += times }
      }
      """)
    #expect(try replay(["--plugin", "Beside.swift"]).code == 0)
  }

  @Test func `a missing compiler or module is reported`() throws {
    let program = Command.program.path
    try expectFailure(
      ["--plugin", "Tally.swift"], "swiftc is not on the PATH",
      environment: ["PATH": Command.program.deletingLastPathComponent().path + ":/nowhere"])
    let copy = folder("tasklog")
    // Copied by another process: what a test starts meanwhile would inherit the file that this process
    // is writing, and a file that is open for writing cannot be executed.
    #expect(try Command.run(program: URL(fileURLWithPath: "/bin/cp"), [program, copy]).code == 0)
    let result = try Command.run(
      ["replay", "--log", log, "--plugin", folder("Tally.swift")],
      program: URL(fileURLWithPath: copy))
    #expect(result.code == 1)
    #expect(result.errors.contains("TaskLogPlugin.swiftmodule"), "\(result.errors)")
    #expect(result.errors.contains("TASKLOG_MODULES"))
  }

  @Test func `plugins lists the plugins by name with their options`() throws {
    let result = try Command.run(["plugins"])
    #expect(result.code == 0)
    let words = result.lines.map { $0.split(separator: " ").prefix(2).joined(separator: " ") }
    #expect(
      words == [
        "counter counts", "--option prefix=<name>", "errors lists", "--option limit=<count>",
        "rabbitmq publishes", "--option url=<url>", "--option queue=<name>",
        "--option payload=<kind>", "--option batch=<count>", "--option passive=<yes|no>",
      ])
  }

  @Test func `the options of a built-in plugin work as documented`() throws {
    let all = try replay(["--plugin", "counter"])
    let some = try replay(["--plugin", "counter", "--option", "prefix=count"])
    #expect(some.output.contains("counter: 6\n"), "\(some.output)")
    #expect(all.output != some.output)
    try expectFailure(
      ["--plugin", "counter", "--option", "limit=1"], "plugin counter has no option 'limit'",
      code: 64)
    try expectFailure(
      ["--plugin", "errors", "--option", "limit=x"], "option limit=x: expected a number", code: 64)
  }
}
