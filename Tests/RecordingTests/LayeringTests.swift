import Foundation
import Testing

/// The layers of the modules, checked on the source and on the compiled objects.
@Suite struct LayeringTests {
  private static let sources = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Sources")

  /// The modules of this package that each module may import.
  private static let allowed: [String: Set<String>] = [
    "TaskLogPlugin": [],
    "LogFormat": ["CSQLite", "CSupport", "Migrations", "TaskLogPlugin"],
    "EventLog": ["CSQLite", "LogFormat", "Migrations", "TaskLogPlugin"],
    "BrokerMessages": ["EventLog", "LogFormat", "TaskLogPlugin"],
    "LogAnalysis": ["EventLog", "LogFormat", "TaskLogPlugin"],
    "LogMaintenance": [
      "BrokerMessages", "CSQLite", "CSupport", "EventLog", "LogAnalysis", "LogFormat",
      "Migrations", "TaskLogPlugin",
    ],
    "PluginLoading": ["CImages", "LogFormat", "TaskLogPlugin"],
    "Scheduling": ["Logging", "TaskLogPlugin"],
    "ClusterService": ["CoreMetrics", "Scheduling", "ServiceLifecycle", "TaskLogPlugin"],
    "Recording": [
      "BrokerMessages", "CSupport", "EventLog", "LogFormat", "LogMaintenance", "TaskLogPlugin",
    ],
    "AMQP": ["BrokerMessages", "CRabbitMQ", "EventLog", "Recording", "TaskLogPlugin"],
    "TaskLogC": [
      "AMQP", "CReading", "CSQLite", "CSupport", "EventLog", "LogFormat", "LogMaintenance",
      "Recording", "TaskLogPlugin",
    ],
    "Querying": [
      "BrokerMessages", "EventLog", "LogAnalysis", "LogFormat", "LogMaintenance", "TaskLogPlugin",
    ],
    "Replaying": ["BrokerMessages", "EventLog", "LogAnalysis", "LogFormat", "TaskLogPlugin"],
    "Explaining": [
      "CSupport", "EventLog", "LogAnalysis", "LogFormat", "Querying", "Replaying", "Scheduling",
      "TaskLogPlugin",
    ],
    "BuiltinPlugins": ["TaskLogPlugin"],
  ]

  private static let system: Set<String> = ["Glibc", "Synchronization"]

  private static func swiftFiles(_ module: String) throws -> [URL] {
    let folder = sources.appendingPathComponent(module)
    let paths = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
    return paths.filter { $0.hasSuffix(".swift") }.map { folder.appendingPathComponent($0) }
  }

  @Test(arguments: allowed.keys.sorted())
  func `a module imports only modules below it`(module: String) throws {
    let files = try Self.swiftFiles(module)
    #expect(!files.isEmpty)
    // The vocabulary imports nothing at all, so that its one module file is enough for a plugin.
    let system = module == "TaskLogPlugin" ? [] : Self.system
    for file in files {
      let text = try String(contentsOf: file, encoding: .utf8)
      for match in text.matches(of: /(?m)^(?:@\w+ )?import (?:\w+ )?(\w+)/) {
        let name = String(match.1)
        #expect(
          Self.allowed[module]?.contains(name) == true || system.contains(name),
          "\(file.lastPathComponent) imports \(name)")
      }
    }
  }

  /// The object files that were linked into this test.
  private static func objects(_ module: String) throws -> [Data] {
    let products = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
      .deletingLastPathComponent()
    let folder = products.appendingPathComponent("\(module).build")
    let paths = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
    return try paths.filter { $0.hasSuffix(".o") }
      .map { try Data(contentsOf: folder.appendingPathComponent($0)) }
  }

  private static let links = Data("-lFoundation".utf8)

  @Test(arguments: allowed.keys.sorted() + ["Migrations"])
  func `no module from Recording down asks the linker for Foundation`(module: String) throws {
    let objects = try Self.objects(module)
    #expect(!objects.isEmpty)
    for object in objects { #expect(object.range(of: Self.links) == nil) }
  }

  @Test func `a module that uses Foundation is recognized`() throws {
    let objects = try Self.objects("RecordingTests")
    #expect(objects.contains { $0.range(of: Self.links) != nil })
  }
}
