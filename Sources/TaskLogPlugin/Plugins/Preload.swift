/// Code that runs in the scheduler's process before anything arrives: Dask's preload modules, with
/// their `dask_setup` and `dask_teardown`.
///
///     final class Setup: Preload {
///       func setup(scheduler: Scheduler) {
///         scheduler.addPlugin(Failures())
///       }
///     }
///
/// Pass it to a cluster as `LocalCluster(preloads: [PreloadSpec(Setup.self)])`, and on the command
/// line as `--preload setup.swift`. A plugin can also be preloaded directly.
public protocol Preload: Plugin {
  /// Called when the scheduler is about to start: there is no worker yet, and no plugin has been
  /// started. An error is reported, and the scheduler starts anyway.
  nonisolated(nonsending) func setup(scheduler: Scheduler) async throws

  /// Called when the scheduler is about to close, after its plugins' `beforeClose`.
  nonisolated(nonsending) func teardown(scheduler: Scheduler) async throws
}

extension Preload {
  public nonisolated(nonsending) func setup(scheduler: Scheduler) async throws {}
  public nonisolated(nonsending) func teardown(scheduler: Scheduler) async throws {}
}

/// A class for a cluster to preload, and its options.
public struct PreloadSpec: Sendable {
  /// A class that is a `Preload`, a `SchedulerPlugin` or a `WorkerPlugin`, or several of them.
  public var type: any Plugin.Type
  /// Passed to its `init(options:)`.
  public var options: [String: String]

  public init(_ type: any Plugin.Type, options: [String: String] = [:]) {
    self.type = type
    self.options = options
  }
}
