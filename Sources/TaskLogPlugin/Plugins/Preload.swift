/// Code that is run in the scheduler's process before anything comes in: Dask's preload modules, with
/// their `dask_setup` and `dask_teardown`.
///
///     final class Setup: Preload {
///       func setup(scheduler: Scheduler) {
///         scheduler.addPlugin(Failures())
///       }
///     }
///
/// A cluster is given it as `LocalCluster(preloads: [PreloadSpec(Setup.self)])`, the command line as
/// `--preload setup.swift`. A plugin can be preloaded as it is, without one of these around it.
public protocol Preload: Plugin {
  /// The scheduler is about to start: there is no worker yet, and no plugin has been started. An
  /// error is told, and the scheduler starts all the same.
  nonisolated(nonsending) func setup(scheduler: Scheduler) async throws

  /// The scheduler is about to close; its plugins have heard `beforeClose`.
  nonisolated(nonsending) func teardown(scheduler: Scheduler) async throws
}

extension Preload {
  public nonisolated(nonsending) func setup(scheduler: Scheduler) async throws {}
  public nonisolated(nonsending) func teardown(scheduler: Scheduler) async throws {}
}

/// What a cluster is to preload, and what it is made with.
public struct PreloadSpec: Sendable {
  /// A class that is a `Preload`, a `SchedulerPlugin` or a `WorkerPlugin`, or several of them.
  public var type: any Plugin.Type
  /// What goes to its `init(options:)`.
  public var options: [String: String]

  public init(_ type: any Plugin.Type, options: [String: String] = [:]) {
    self.type = type
    self.options = options
  }
}
