//===----------------------------------------------------------------------===//
// ClusterService: a cluster as a service of a server.
//
// What it does: runs a cluster in a `ServiceGroup` and shuts it down gracefully with the other
// services; reports the number of tasks in each state to a metrics backend.
//
// What it may import: Scheduling, TaskLogPlugin, ServiceLifecycle and CoreMetrics. The engine
// itself needs neither of the latter two, and so does not link them.
//
// What it promises: on graceful shutdown, running tasks may finish within the allowed time, then
// the cluster is closed, and with it its recorder.
//===----------------------------------------------------------------------===//

import Scheduling
import ServiceLifecycle
import TaskLogPlugin

/// Runs a cluster next to the other services of a server.
///
///     let cluster = try await LocalCluster(workers: 4, logger: logger)
///     let group = ServiceGroup(
///       services: [ClusterService(cluster), server], gracefulShutdownSignals: [.sigterm],
///       logger: logger)
///     try await group.run()
public struct ClusterService: Service {
  private let cluster: LocalCluster
  private let patience: Duration

  /// - Parameter patience: how long running and waiting tasks may continue after a shutdown
  ///   request.
  public init(_ cluster: LocalCluster, patience: Duration = .seconds(10)) {
    self.cluster = cluster
    self.patience = patience
  }

  /// Ends after a shutdown request or cancellation of the task, once the cluster is closed.
  public func run() async throws {
    do {
      try await gracefulShutdown()
      await waitForTasks()
    } catch is CancellationError {
      // There is no time to wait for tasks.
    }
    await cluster.close()
  }

  private func waitForTasks() async {
    let (scheduler, patience) = (cluster.scheduler, patience)
    // Whichever comes first; waiting for idle cannot be cancelled, but closing the cluster ends it.
    let (ends, end) = AsyncStream.makeStream(of: Void.self)
    let idle = Task {
      await scheduler.idle()
      end.yield()
    }
    let late = Task {
      try await Task.sleep(for: patience)
      end.yield()
    }
    for await _ in ends { break }
    idle.cancel()
    late.cancel()
  }
}
