/// The scheduler as a plugin sees it, live or in a replay.
///
/// In a replay the state is built when a plugin first looks at it, from then on with every event.
public final class Scheduler {
  /// The scheduler's source id.
  public let id: String
  private let look: () -> SchedulerState
  private let actions: (any SchedulerActions)?

  /// - Parameters:
  ///   - id: the scheduler's source id.
  ///   - actions: what plugins may do to the scheduler; nothing in a replay.
  ///   - look: gives the state as of the present event.
  public init(
    id: String, actions: (any SchedulerActions)? = nil, look: @escaping () -> SchedulerState
  ) {
    self.id = id
    self.actions = actions
    self.look = look
  }

  public var state: SchedulerState { look() }
  /// Every task that is known, the one that is being forgotten included.
  public var tasks: OrderedMap<Key, TaskState> { look().tasks }
  /// By address.
  public var workers: OrderedMap<String, WorkerInfo> { look().workers }
  /// By client id.
  public var clients: OrderedMap<String, ClientInfo> { look().clients }
  public var groups: OrderedMap<String, TaskGroup> { look().groups }
  public var prefixes: OrderedMap<String, TaskPrefix> { look().prefixes }

  /// Adds a plugin once the present hook has returned; its `start` is awaited. Dask's
  /// `scheduler.add_plugin`. Does nothing in a replay.
  public func addPlugin(_ plugin: any SchedulerPlugin) {
    actions?.add(plugin)
  }

  /// Notes something under a topic; plugins are told by `logEvent`. Does nothing in a replay.
  public func logEvent(topic: String, message: Value) {
    actions?.logEvent(topic: topic, message: message)
  }

  /// Lets go of keys in the name of a client: Dask's `client_releases_keys`. Does nothing in a
  /// replay.
  public func release(keys: [Key], client: String) {
    actions?.release(keys: keys, client: client)
  }

  /// Cancels tasks in the name of a client, and what needs them: Dask's `stimulus_cancel`. One that
  /// another client holds too goes on, unless it is forced. Does nothing in a replay.
  public func cancel(keys: [Key], client: String, force: Bool = false) {
    actions?.cancel(keys: keys, client: client, force: force)
  }

  /// Sends workers away once their results are with others: Dask's `retire_workers`. Does nothing in
  /// a replay.
  public func retire(workers: [String]) {
    actions?.retire(workers: workers)
  }
}

/// What a plugin may do to a live scheduler. Carried out after the present event.
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
  /// The name that it was given, mostly a number.
  public let name: Value
  private let look: () -> WorkerState

  /// - Parameters:
  ///   - id: the worker's source id.
  ///   - address: where it is reached.
  ///   - name: the name that it was given.
  ///   - look: gives the state as of the present event.
  public init(id: String, address: String, name: Value, look: @escaping () -> WorkerState) {
    self.id = id
    self.address = address
    self.name = name
    self.look = look
  }

  public var state: WorkerState { look() }
  /// Every task that is known here, the one that is being forgotten included.
  public var tasks: OrderedMap<Key, WorkerTaskState> { look().tasks }
}
