//===----------------------------------------------------------------------===//
// ClusterService: a cluster among the services of a server.
//
// What it does: runs a cluster in a `ServiceGroup` and shuts it down gracefully with the others;
// tells a metrics backend how many tasks are in each state.
//
// What it may import: Scheduling, TaskLogPlugin, ServiceLifecycle and CoreMetrics. The engine itself
// needs neither of the two, and so does not link them.
//
// What it promises: when shutdown is asked for, tasks that run may end for as long as is allowed,
// then the cluster is closed, and with it its recorder.
//===----------------------------------------------------------------------===//

import Scheduling
import ServiceLifecycle
import TaskLogPlugin

/// Runs a cluster beside the other services of a server.
///
///     let cluster = try await LocalCluster(workers: 4, logger: logger)
///     let group = ServiceGroup(
///       services: [ClusterService(cluster), server], gracefulShutdownSignals: [.sigterm],
///       logger: logger)
///     try await group.run()
public struct ClusterService: Service {
  private let cluster: LocalCluster
  private let patience: Duration

  /// - Parameter patience: how long tasks that run or wait may go on after shutdown was asked for.
  public init(_ cluster: LocalCluster, patience: Duration = .seconds(10)) {
    self.cluster = cluster
    self.patience = patience
  }

  /// Ends when shutdown was asked for, or the task was cancelled, and the cluster is closed.
  public func run() async throws {
    do {
      try await gracefulShutdown()
      await letTasksEnd()
    } catch is CancellationError {
      // There is no time to wait for tasks.
    }
    await cluster.close()
  }

  private func letTasksEnd() async {
    let (scheduler, patience) = (cluster.scheduler, patience)
    // Whichever comes first; to be idle cannot be cancelled, but closing the cluster ends it.
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
