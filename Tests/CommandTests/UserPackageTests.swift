import Foundation
import TestTraits
import Testing

/// A user's package: a library of plugins, a program that calls the library, and the error if the
/// wrong product was linked.
///
/// It depends on this checkout as on any package, and is built once for all of these tests.
@Suite(.exclusive(.commands), .serialized) struct UserPackageTests {
  private static let manifest = """
    // swift-tools-version: 6.2
    import PackageDescription

    let package = Package(
      name: "mine",
      products: [
        .library(name: "Mine", type: .dynamic, targets: ["Mine"]),
        .library(name: "Wrong", type: .dynamic, targets: ["Wrong"]),
      ],
      dependencies: [.package(path: "../tasklog")],
      targets: [
        .target(
          name: "Mine", dependencies: [.product(name: "TaskLogPluginDyn", package: "tasklog")]),
        .target(
          name: "Wrong", dependencies: [.product(name: "TaskLogKit", package: "tasklog")],
          // Debian's archive can be linked into a shared library only if its symbols are not
          // exported.
          linkerSettings: [.unsafeFlags(["-Xlinker", "--exclude-libs=libsqlite3.a"])]),
        .executableTarget(
          name: "tally", dependencies: [.product(name: "TaskLogKit", package: "tasklog")]),
      ]
    )
    """

  /// Spans two files, unlike a plugin in a single file.
  private static let mine = """
    import TaskLogPlugin

    public final class Mine: SchedulerPlugin {
      private var tally = Tally()
      public init() {}

      public func transition(
        key: Key, start: State, finish: State, stimulusID: String, args: Args
      ) {
        if start == .processing, finish == .memory { tally.count += 1 }
      }

      public func report() -> Value { .object(["counter": .int(Int64(tally.count))]) }
    }
    """

  /// As the article ReplayARun has it.
  private static let program = """
    import TaskLogKit

    final class Failures: SchedulerPlugin {
      var done = 0

      func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
        if start == .processing, finish == .memory { done += 1 }
      }
    }

    @main
    struct Tally {
      static func main() async throws {
        let reader = try LogReader(path: CommandLine.arguments[1])
        for run in try reader.runs(matching: "all") {
          let replayer = Replayer(reader: reader, run: run)
          replayer.add(Failures.self)
          replayer.add(Counter.self)
          let result = try await replayer.replay()
          for report in result.reports { print(report.plugin, report.report) }
        }
      }
    }
    """

  private static let built = Result { try PackageUnderTest() }

  private final class PackageUnderTest: Sendable {
    let folder: TemporaryFolder
    let products: URL

    init() throws {
      folder = try TemporaryFolder()
      let checkout = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
      // The name of a package is that of its folder.
      try FileManager.default.createSymbolicLink(
        atPath: folder("tasklog"), withDestinationPath: checkout.path)
      for name in ["Mine", "Wrong", "tally"] { try folder.makeFolder("mine/Sources/\(name)") }
      try folder.write("mine/Package.swift", manifest)
      try folder.write("mine/Sources/Mine/Mine.swift", mine)
      try folder.write("mine/Sources/Mine/Tally.swift", "struct Tally { var count = 0 }")
      try folder.write(
        "mine/Sources/Wrong/Wrong.swift",
        "import TaskLogPlugin\npublic final class Wrong: SchedulerPlugin { public init() {} }")
      try folder.write("mine/Sources/tally/Tally.swift", program)
      let build = try Command.shell(
        "swift build 2>&1 && swift build --show-bin-path",
        folder: URL(fileURLWithPath: folder("mine")))
      try #require(build.code == 0, "\(build.output)")
      products = URL(fileURLWithPath: try #require(build.lines.last))
    }
  }

  private let folder: PluginFolder
  private let package: PackageUnderTest

  init() throws {
    folder = try PluginFolder()
    package = try Self.built.get()
  }

  private func counter() throws -> String {
    let builtIn = try folder.replay(["--plugin", "counter"])
    return String(try #require(builtIn.output.firstMatch(of: /counter: \d+/)).output)
  }

  @Test func `a package that links TaskLogPluginDyn makes a loadable library`() throws {
    let library = package.products.appendingPathComponent("libMine.so").path
    let result = try folder.replay(["--plugin", library])
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.output.contains("Mine\n  \(try counter())\n"))
  }

  @Test func `a library that links TaskLogKit is refused with what to link`() throws {
    let library = package.products.appendingPathComponent("libWrong.so").path
    let result = try folder.replay(["--plugin", library])
    #expect(result.code == 1)
    #expect(
      result.errors == "tasklog: \(library): contains its own copy of TaskLogPlugin; link the "
        + "product TaskLogPluginDyn, not TaskLogKit\n")
    #expect(result.output.isEmpty)
  }

  @Test func `a user's program replays with its own class`() throws {
    let result = try Command.run(
      [folder.log], program: package.products.appendingPathComponent("tally"))
    #expect(result.code == 0, "\(result.errors)")
    let count = try counter().dropFirst("counter: ".count)
    #expect(result.output == "Failures {\"done\":\(count)}\nCounter {\"counter\":\(count)}\n")
  }
}
