/// The scheduler as a plugin sees it, live or in a replay.
///
/// In a replay the state is built when a plugin first reads it, and updated with every event from
/// then on.
public final class Scheduler {
  /// The scheduler's source id.
  public let id: String
  private let readState: () -> SchedulerState
  private let actions: (any SchedulerActions)?

  /// - Parameters:
  ///   - id: the scheduler's source id.
  ///   - actions: what plugins may do to the scheduler; `nil` in a replay.
  ///   - readState: returns the state as of the current event.
  package init(
    id: String, actions: (any SchedulerActions)? = nil, readState: @escaping () -> SchedulerState
  ) {
    self.id = id
    self.actions = actions
    self.readState = readState
  }

  public var state: SchedulerState { readState() }
  /// Every known task, including the one that is being forgotten.
  public var tasks: OrderedMap<Key, TaskState> { readState().tasks }
  /// By address.
  public var workers: OrderedMap<String, WorkerInfo> { readState().workers }
  /// By client id.
  public var clients: OrderedMap<String, ClientInfo> { readState().clients }
  public var groups: OrderedMap<String, TaskGroup> { readState().groups }
  public var prefixes: OrderedMap<String, TaskPrefix> { readState().prefixes }

  /// Adds a plugin once the current hook has returned; its `start` is awaited. Dask's
  /// `scheduler.add_plugin`. Does nothing in a replay.
  public func addPlugin(_ plugin: any SchedulerPlugin) {
    actions?.add(plugin)
  }

  /// Logs a message under a topic; plugins receive it in `logEvent`. Does nothing in a replay.
  public func logEvent(topic: String, message: Value) {
    actions?.logEvent(topic: topic, message: message)
  }

  /// Releases keys on behalf of a client: Dask's `client_releases_keys`. Does nothing in a replay.
  public func release(keys: [Key], client: String) {
    actions?.release(keys: keys, client: client)
  }

  /// Cancels tasks, and the tasks that need them, on behalf of a client: Dask's `stimulus_cancel`.
  /// A task that another client holds too continues, unless it is forced. Does nothing in a replay.
  public func cancel(keys: [Key], client: String, force: Bool = false) {
    actions?.cancel(keys: keys, client: client, force: force)
  }

  /// Retires workers after their results have been moved to others: Dask's `retire_workers`. Does
  /// nothing in a replay.
  public func retire(workers: [String]) {
    actions?.retire(workers: workers)
  }
}

/// The actions of a plugin on a live scheduler. Executed after the current event.
public protocol SchedulerActions: AnyObject {
  func add(_ plugin: any SchedulerPlugin)
  func logEvent(topic: String, message: Value)
  func release(keys: [Key], client: String)
  func cancel(keys: [Key], client: String, force: Bool)
  func retire(workers: [String])
}

/// A worker as a plugin on it sees it, live or in a replay.
public final class Worker {
  /// The worker's source id.
  public let id: String
  public let address: String
  /// The worker's name, usually a number.
  public let name: Value
  private let readState: () -> WorkerState

  /// - Parameters:
  ///   - id: the worker's source id.
  ///   - address: the worker's address.
  ///   - name: the worker's name.
  ///   - readState: returns the state as of the current event.
  package init(id: String, address: String, name: Value, readState: @escaping () -> WorkerState) {
    self.id = id
    self.address = address
    self.name = name
    self.readState = readState
  }

  public var state: WorkerState { readState() }
  /// Every task known to the worker, including the one that is being forgotten.
  public var tasks: OrderedMap<Key, WorkerTaskState> { readState().tasks }
}
