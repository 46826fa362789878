//===----------------------------------------------------------------------===//
// TaskLogKit: what a Swift program imports.
//
//     import TaskLogKit
//
//     let cluster = try await LocalCluster(workers: 2, recorder: Recorder(log: "tasklog.db"))
//     await cluster.scheduler.addPlugin(Counter())
//     let squares = cluster.client.map("square", Array(1...10)) { $0 * $0 }
//     let total = cluster.client.submit("total", all: squares) { $0.reduce(0, +) }
//     print(try await total.result())
//     await cluster.close()
//===----------------------------------------------------------------------===//

@_exported import AMQP
@_exported import BuiltinPlugins
@_exported import ClusterService
@_exported import EventLog
@_exported import LogFormat
@_exported import PluginLoading
@_exported import Recording
@_exported import Replaying
@_exported import Scheduling
@_exported import TaskLogPlugin
