// swift-tools-version: 6.2
import PackageDescription

/// The copy of SQLite that is linked in is ours alone: no library that comes into the process with
/// another one may call into it, nor may it call into theirs.
let hidesSQLite: [LinkerSetting] = [
  .unsafeFlags(["-Xlinker", "--exclude-libs=libsqlite3.a"], .when(platforms: [.linux]))
]

/// Plugins that are loaded at run time find the plugin API in the program that loads them.
let exportsSymbols: [LinkerSetting] =
  [.unsafeFlags(["-Xlinker", "--export-dynamic"], .when(platforms: [.linux]))] + hidesSQLite

let package = Package(
  name: "tasklog",
  products: [
    .library(
      name: "TaskLogKit", type: .static, targets: ["TaskLogKit", "TaskLogPlugin"]),
    .library(name: "TaskLogPluginDyn", type: .dynamic, targets: ["TaskLogPlugin"]),
    .library(name: "TaskLogC", type: .dynamic, targets: ["TaskLogC"]),
    .executable(name: "tasklog", targets: ["tasklog"]),
  ],
  traits: [
    .trait(
      name: "RabbitMQ",
      description: "Publishing to RabbitMQ and recording from it; needs librabbitmq-dev.")
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.5.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0"),
  ],
  targets: [
    // The one place where SQLite is linked: `libsqlite3.a` of libsqlite3-dev, a copy of our own.
    .target(
      name: "CSQLite", linkerSettings: [.linkedLibrary(":libsqlite3.a"), .linkedLibrary("m")]),
    .target(name: "CReading", dependencies: ["CSQLite"]),
    .target(
      name: "Migrations", path: "Migrations",
      resources: [
        .embedInCode("v0001_initial.sql"), .embedInCode("v0002_format_2.sql"),
        .embedInCode("reader_views.sql"),
      ]),
    .target(name: "CSupport"),
    .target(name: "TaskLogPlugin"),
    .target(
      name: "LogFormat",
      dependencies: ["CSQLite", "CSupport", "Migrations", "TaskLogPlugin"]),
    .target(
      name: "EventLog",
      dependencies: ["CSQLite", "LogFormat", "Migrations", "TaskLogPlugin"]),
    .target(name: "BrokerMessages", dependencies: ["EventLog", "LogFormat", "TaskLogPlugin"]),
    .target(name: "LogAnalysis", dependencies: ["EventLog", "LogFormat", "TaskLogPlugin"]),
    .target(
      name: "LogMaintenance",
      dependencies: [
        "BrokerMessages", "CSQLite", "CSupport", "EventLog", "LogAnalysis", "LogFormat",
        "Migrations", "TaskLogPlugin",
      ]),
    .target(
      name: "Scheduling",
      dependencies: ["TaskLogPlugin", .product(name: "Logging", package: "swift-log")]),
    .target(
      name: "ClusterService",
      dependencies: [
        "Scheduling", "TaskLogPlugin", .product(name: "CoreMetrics", package: "swift-metrics"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ]),
    .target(name: "CImages"),
    .target(name: "PluginLoading", dependencies: ["CImages", "LogFormat", "TaskLogPlugin"]),
    .target(
      name: "Recording",
      dependencies: [
        "BrokerMessages", "CSupport", "EventLog", "LogFormat", "LogMaintenance", "TaskLogPlugin",
      ]),
    .systemLibrary(
      name: "CRabbitMQ", pkgConfig: "librabbitmq", providers: [.apt(["librabbitmq-dev"])]),
    .target(
      name: "AMQP",
      dependencies: [
        "BrokerMessages", "EventLog", "Recording", "TaskLogPlugin",
        .target(name: "CRabbitMQ", condition: .when(traits: ["RabbitMQ"])),
      ]),
    .target(
      name: "TaskLogC",
      dependencies: [
        "AMQP", "CReading", "CSQLite", "CSupport", "EventLog", "LogFormat", "LogMaintenance",
        "Recording", "TaskLogPlugin",
      ],
      exclude: ["tasklog.h"], linkerSettings: hidesSQLite),
    .target(
      name: "Querying",
      dependencies: [
        "BrokerMessages", "EventLog", "LogAnalysis", "LogFormat", "LogMaintenance", "TaskLogPlugin",
      ]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .target(name: "CReportPage", exclude: ["Page"]),
    .target(
      name: "Reporting",
      dependencies: [
        "CReportPage", "CZlib", "EventLog", "LogAnalysis", "LogFormat", "Querying", "TaskLogPlugin",
      ]),
    .target(
      name: "Replaying",
      dependencies: ["BrokerMessages", "EventLog", "LogAnalysis", "LogFormat", "TaskLogPlugin"]),
    .target(
      name: "Explaining",
      dependencies: [
        "CSupport", "EventLog", "LogAnalysis", "LogFormat", "Querying", "Replaying", "Scheduling",
        "TaskLogPlugin",
      ]),
    .target(name: "BuiltinPlugins", dependencies: ["TaskLogPlugin"]),
    .target(
      name: "TaskLogKit",
      dependencies: [
        "AMQP", "BuiltinPlugins", "ClusterService", "EventLog", "LogFormat", "PluginLoading",
        "Recording", "Replaying", "Scheduling", "TaskLogPlugin",
      ]),
    .executableTarget(
      name: "tasklog",
      dependencies: [
        "AMQP", "BrokerMessages", "BuiltinPlugins", "CSupport", "EventLog", "Explaining",
        "LogAnalysis", "LogFormat", "LogMaintenance", "PluginLoading", "Querying", "Recording",
        "Replaying",
        "Reporting", "Scheduling", "TaskLogPlugin",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      linkerSettings: exportsSymbols),
    .target(
      name: "Benchmarks",
      dependencies: [
        "AMQP", "BuiltinPlugins", "CSQLite", "EventLog", "LogAnalysis", "LogFormat",
        "PluginLoading", "Recording", "Replaying", "Scheduling", "TaskLogPlugin", "TestSupport",
      ],
      path: "Tests/Benchmarks",
      exclude: ["Program", "README.md", "documented_pika.py", "engine_dask.py"]),
    // No product of the package: its users do not see it. It depends on the `tasklog` that it
    // measures, and so on ArgumentParser; `swift package generate-manual` runs every program of which
    // that is true, but only if it is in Swift.
    .executableTarget(
      name: "tasklog-bench", dependencies: ["Benchmarks", "tasklog"],
      path: "Tests/Benchmarks/Program", linkerSettings: exportsSymbols),
    .target(name: "CTestSupport", path: "Tests/CTestSupport"),
    .target(
      name: "TestSupport", dependencies: ["CTestSupport", "TaskLogPlugin"],
      path: "Tests/TestSupport"),
    // Apart from TestSupport, which programs link that have no Swift Testing.
    .target(name: "TestTraits", path: "Tests/TestTraits"),
    .testTarget(
      name: "TaskLogPluginTests", dependencies: ["TaskLogPlugin", "TestSupport"],
      linkerSettings: exportsSymbols),
    .testTarget(
      name: "EventLogTests",
      dependencies: [
        "BrokerMessages", "EventLog", "Explaining", "LogAnalysis", "LogFormat", "LogMaintenance",
        "Migrations", "Scheduling", "TaskLogPlugin", "TestSupport",
      ],
      linkerSettings: exportsSymbols),
    .testTarget(
      name: "SchedulingTests",
      dependencies: [
        "ClusterService", "Scheduling", "TaskLogPlugin", "TestSupport", "TestTraits",
        .product(name: "InMemoryLogging", package: "swift-log"),
        .product(name: "MetricsTestKit", package: "swift-metrics"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "ServiceLifecycleTestKit", package: "swift-service-lifecycle"),
      ],
      exclude: ["Differential/dask_side.py", "Differential/graphs.json"],
      linkerSettings: exportsSymbols),
    // A process that records until it is killed.
    .executableTarget(
      name: "recording-victim",
      dependencies: ["AMQP", "CSupport", "EventLog", "Migrations", "Recording", "TaskLogPlugin"],
      path: "Tests/Victim"),
    .target(
      name: "Soak",
      dependencies: [
        "EventLog", "LogFormat", "LogMaintenance", "Recording", "TaskLogPlugin", "TestSupport",
      ],
      path: "Tests/Soak", exclude: ["Program"]),
    .executableTarget(
      name: "tasklog-soak", dependencies: ["Soak", "tasklog"], path: "Tests/Soak/Program",
      linkerSettings: exportsSymbols),
    // Counts the allocations of a process, from C.
    .target(name: "ProbeSupport", path: "Tests/ProbeSupport"),
    // A process in which a test looks at one thing: allocations, or the child of a fork.
    .executableTarget(
      name: "recording-probe", dependencies: ["ProbeSupport", "Recording", "TaskLogPlugin"],
      path: "Tests/Probe", linkerSettings: exportsSymbols),
    .testTarget(
      name: "RecordingTests",
      dependencies: [
        "CSupport", "EventLog", "LogFormat", "LogMaintenance", "Migrations", "Recording",
        "recording-victim", "TaskLogKit", "TestSupport", "TestTraits",
      ],
      linkerSettings: exportsSymbols),
    .testTarget(
      name: "SituationTests",
      dependencies: [
        "EventLog", "Explaining", "LogAnalysis", "LogFormat", "Recording", "Scheduling",
        "TaskLogPlugin", "TestSupport",
      ],
      linkerSettings: exportsSymbols),
    .testTarget(
      name: "QueryingTests",
      dependencies: [
        "BrokerMessages", "EventLog", "LogAnalysis", "LogFormat", "LogMaintenance", "Querying",
        "TaskLogPlugin", "TestSupport",
      ],
      linkerSettings: exportsSymbols),
    .testTarget(
      name: "ReportingTests",
      dependencies: [
        "EventLog", "LogAnalysis", "LogFormat", "Reporting", "TaskLogPlugin", "TestSupport",
      ],
      linkerSettings: exportsSymbols),
    .testTarget(
      name: "ReplayingTests",
      dependencies: [
        "EventLog", "LogFormat", "Replaying", "TaskLogKit", "TaskLogPlugin", "TestSupport",
        "TestTraits",
      ],
      linkerSettings: exportsSymbols),
    .testTarget(
      name: "CheckingTests",
      dependencies: [
        "EventLog", "LogFormat", "LogMaintenance", "TaskLogKit", "TaskLogPlugin", "TestSupport",
        "TestTraits",
      ],
      linkerSettings: exportsSymbols),
    .testTarget(
      name: "AMQPTests",
      dependencies: [
        "AMQP", "BrokerMessages", "LogMaintenance", "recording-victim", "tasklog", "TaskLogKit",
        "TestSupport", "TestTraits",
      ],
      exclude: ["documented.py"], linkerSettings: exportsSymbols),
    .testTarget(
      name: "CommandTests",
      dependencies: [
        "BuiltinPlugins", "EventLog", "LogAnalysis", "LogFormat", "LogMaintenance", "Migrations",
        "PluginLoading", "Querying", "recording-victim", "tasklog", "TaskLogKit", "TaskLogPlugin",
        "TestSupport", "TestTraits",
      ],
      exclude: ["Frozen", "Help", "Logs", "Outputs", "Python"],
      linkerSettings: exportsSymbols),
  ],
  swiftLanguageModes: [.v6]
)
