import TaskLogPlugin

/// Submits tasks to a cluster and holds their futures: Dask's `Client`.
public final class Client: Sendable {
  public let id: String

  enum Status {
    case pending
    case finished
    indirect case erred(TaskError)
    case cancelled
  }

  /// The client's view of a key.
  struct Entry {
    var status = Status.pending
    /// The graph the key was submitted with. Notifications as of an earlier graph are about a task
    /// that has been released since.
    var graph: Int
    /// The number of live futures of this key.
    var holders = 0
    var waiting: [CheckedContinuation<Void, any Error>] = []

    /// Adds a future, created by the graph with this number.
    mutating func addHolder(_ graph: Int) {
      if case .cancelled = status {
        // The key is wanted again.
        status = .pending
        self.graph = graph
      }
      holders += 1
    }
  }

  struct State {
    var entries = OrderedMap<Key, Entry>()
    var taskCount = 0
    var stimulusCount = 0
    var isClosed = false
  }

  let state = Lock(State())
  let scheduler: SchedulerServer
  let registry: WorkerPluginRegistry
  /// Distinguishes the keys of this client from those of others.
  let token: String

  init(scheduler: SchedulerServer, registry: WorkerPluginRegistry) {
    id = makeID("Client")
    self.scheduler = scheduler
    self.registry = registry
    token = String(id.suffix(8))
  }

  func nextNumber() -> Int {
    state.withLock { state in
      state.taskCount += 1
      return state.taskCount
    }
  }

  func makeKey(_ name: String) -> Key {
    Key("\(name)-\(token)\(nextNumber())")
  }

  /// Sends a stimulus to the scheduler, after everything sent before.
  func send(_ stimulus: SchedulerStimulus, _ name: String, _ state: inout State) {
    state.stimulusCount += 1
    scheduler.send(.stimulus(stimulus, stimulusID: "\(name)-\(token).\(state.stimulusCount)"))
  }

  // MARK: - Plugins and life cycle

  /// Registers a worker plugin: one instance per worker, present and future. Dask's
  /// `Client.register_plugin`.
  ///
  /// A plugin with the same name replaces the first, which is torn down, unless it is idempotent:
  /// then it is ignored.
  ///
  /// - Parameter name: by default the plugin's own.
  public func registerPlugin(
    name: String? = nil, _ make: @escaping @Sendable () -> any WorkerPlugin
  ) async {
    await registry.register(name, make)
  }

  /// Removes a worker plugin from all workers, present and future, and tears it down: Dask's
  /// `Client.unregister_worker_plugin`.
  ///
  /// - Throws: `ClusterError.unknownPlugin`.
  public func unregisterWorkerPlugin(_ name: String) async throws {
    try await registry.unregister(name)
  }

  /// Disconnects from the scheduler; pending futures fail.
  func close() async {
    state.withLock { $0.isClosed = true }
    await scheduler.remove(self)
    let waiting = state.withLock { state in
      var waiting: [(Key, CheckedContinuation<Void, any Error>)] = []
      for (key, entry) in state.entries { waiting += entry.waiting.map { (key, $0) } }
      for (key, _) in waiting { state.entries[key]?.waiting = [] }
      return waiting
    }
    for (key, continuation) in waiting {
      continuation.resume(throwing: ClusterError.closed(key: key))
    }
  }
}
