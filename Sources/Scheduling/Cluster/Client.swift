import Synchronization
import TaskLogPlugin

/// Submits tasks to a cluster and holds their futures: Dask's `Client`.
public final class Client: Sendable {
  public let id: String

  private enum Status {
    case pending
    case finished
    case erred(TaskError)
    case cancelled
  }

  private struct Entry {
    var status = Status.pending
    /// The graph that it came with. News from before are about a task that was released since.
    var graph: Int
    /// Futures of this key that are held.
    var holders = 0
    var waiting: [CheckedContinuation<Void, any Error>] = []
  }

  private struct State {
    var entries: [Key: Entry] = [:]
    var taskCount = 0
    var stimulusCount = 0
    var isClosed = false
  }

  /// What a task is submitted with beside its key and inputs.
  private struct Options {
    var priority: Double
    var retries: Int
    var workers: [String]
    var allowOtherWorkers: Bool
    var annotations: [Value.Entry]

    init(
      _ priority: Double, _ retries: Int, _ workers: [String], _ allowOtherWorkers: Bool,
      _ annotations: KeyValuePairs<String, Value>
    ) {
      self.priority = priority
      self.retries = retries
      self.workers = workers
      self.allowOtherWorkers = allowOtherWorkers
      self.annotations = annotations.map { .init(.string($0.key), $0.value) }
    }

    func task(_ key: Key, _ dependencies: [Key]) -> NewTask {
      NewTask(
        key: key, dependencies: dependencies, userPriority: priority, retries: retries,
        annotations: annotations, workers: workers, allowOtherWorkers: allowOtherWorkers)
    }
  }

  private let state = Mutex(State())
  private let scheduler: SchedulerServer
  private let registry: WorkerPluginRegistry
  /// Tells the keys of this client from those of others.
  private let token: String

  init(scheduler: SchedulerServer, registry: WorkerPluginRegistry) {
    id = makeID("Client")
    self.scheduler = scheduler
    self.registry = registry
    token = String(id.suffix(8))
  }

  // MARK: - Submitting

  /// Submits a task whose parameters are the results of others.
  ///
  ///     let sum = client.submit("add", a, b) { $0 + $1 }
  ///
  /// - Parameters:
  ///   - name: what it does; the beginning of its key.
  ///   - key: its key; by default made from the name, never the same twice. A key that is known
  ///     already gives a future of the task that has it.
  ///   - priority: higher runs first.
  ///   - retries: how often it may fail before it errs.
  ///   - workers: addresses of the workers that may run it; all may by default.
  ///   - allowOtherWorkers: others may as well when none of these is there.
  ///   - annotations: what plugins are to be told of it; Dask's `dask.annotate`.
  public func submit<each Input: Sendable, Output: Sendable>(
    _ name: String, _ inputs: repeat Future<each Input>, key: Key? = nil, priority: Double = 0,
    retries: Int = 0, workers: [String] = [], allowOtherWorkers: Bool = false,
    annotations: KeyValuePairs<String, Value> = [:], fileID: String = #fileID, line: Int = #line,
    _ run: @escaping @Sendable (repeat each Input) throws -> Output
  ) -> Future<Output> {
    var keys: [Key] = []
    for input in repeat each inputs { keys.append(input.key) }
    let inputKeys = keys
    let type = OutcomeType<Output>()
    return submit(
      key ?? makeKey(name), inputKeys,
      Options(priority, retries, workers, allowOtherWorkers, annotations),
      "\(fileID):\(line)"
    ) { values in
      var place = 0
      func next<Value>(_: Future<Value>.Type) throws -> Value {
        defer { place += 1 }
        return try Self.input(values, place, inputKeys)
      }
      return Outcome(try run(repeat try next(Future<each Input>.self)), type)
    }
  }

  /// Submits a task whose parameter is an array of the results of others.
  ///
  ///     let total = client.submit("sum", all: parts) { $0.reduce(0, +) }
  public func submit<Input: Sendable, Output: Sendable>(
    _ name: String, all inputs: [Future<Input>], key: Key? = nil, priority: Double = 0,
    retries: Int = 0, workers: [String] = [], allowOtherWorkers: Bool = false,
    annotations: KeyValuePairs<String, Value> = [:], fileID: String = #fileID, line: Int = #line,
    _ run: @escaping @Sendable ([Input]) throws -> Output
  ) -> Future<Output> {
    let keys = inputs.map(\.key)
    return submit(
      key ?? makeKey(name), keys,
      Options(priority, retries, workers, allowOtherWorkers, annotations),
      "\(fileID):\(line)", Self.spec(keys, OutcomeType(), run))
  }

  /// Submits a task for each value, all in one graph.
  ///
  ///     let sizes = client.map("size", paths) { try size(of: $0) }
  ///
  /// - Parameter keys: the key of each; by default made from the name and a number.
  public func map<Input: Sendable, Output: Sendable>(
    _ name: String, _ values: [Input], keys: [Key]? = nil, priority: Double = 0,
    retries: Int = 0, workers: [String] = [], allowOtherWorkers: Bool = false,
    annotations: KeyValuePairs<String, Value> = [:], fileID: String = #fileID, line: Int = #line,
    _ run: @escaping @Sendable (Input) throws -> Output
  ) -> [Future<Output>] {
    let options = Options(priority, retries, workers, allowOtherWorkers, annotations)
    let group = "\(name)-\(token)\(nextNumber())"
    var tasks: [NewTask] = []
    var specs: [TaskSpec] = []
    tasks.reserveCapacity(values.count)
    specs.reserveCapacity(values.count)
    let location = "\(fileID):\(line)"
    let type = OutcomeType<Output>()
    for (index, value) in values.enumerated() {
      let taskKey = keys.flatMap { index < $0.count ? $0[index] : nil } ?? Key(group, index)
      tasks.append(options.task(taskKey, []))
      specs.append(
        TaskSpec(inputs: [], run: { _ in Outcome(try run(value), type) }, location: location))
    }
    return submit(tasks, specs).map { Future(key: $0, client: self) }
  }

  /// Submits a task for each group of futures, all in one graph; its parameter is an array of their
  /// results.
  ///
  ///     let sums = client.map("sum", all: groups) { $0.reduce(0, +) }
  public func map<Input: Sendable, Output: Sendable>(
    _ name: String, all groups: [[Future<Input>]], priority: Double = 0, retries: Int = 0,
    fileID: String = #fileID, line: Int = #line,
    _ run: @escaping @Sendable ([Input]) throws -> Output
  ) -> [Future<Output>] {
    let group = "\(name)-\(token)\(nextNumber())"
    var tasks: [NewTask] = []
    var specs: [TaskSpec] = []
    tasks.reserveCapacity(groups.count)
    specs.reserveCapacity(groups.count)
    let location = "\(fileID):\(line)"
    let type = OutcomeType<Output>()
    for (index, inputs) in groups.enumerated() {
      let keys = inputs.map(\.key)
      tasks.append(
        NewTask(
          key: Key(group, index), dependencies: Self.distinct(keys), userPriority: priority,
          retries: retries))
      specs.append(TaskSpec(inputs: keys, run: Self.spec(keys, type, run), location: location))
    }
    return submit(tasks, specs).map { Future(key: $0, client: self) }
  }

  private static func spec<Input: Sendable, Output: Sendable>(
    _ keys: [Key], _ type: OutcomeType<Output>,
    _ run: @escaping @Sendable ([Input]) throws -> Output
  ) -> @Sendable ([any Sendable]) throws -> Outcome {
    { values in
      var inputs: [Input] = []
      inputs.reserveCapacity(values.count)
      for place in keys.indices { inputs.append(try input(values, place, keys)) }
      return Outcome(try run(inputs), type)
    }
  }

  private static func distinct(_ keys: [Key]) -> [Key] {
    guard keys.count > 8 else {
      var distinct: [Key] = []
      for key in keys where !distinct.contains(key) { distinct.append(key) }
      return distinct
    }
    var seen: Set<Key> = []
    return keys.filter { seen.insert($0).inserted }
  }

  private func submit<Output: Sendable>(
    _ key: Key, _ inputs: [Key], _ options: Options, _ location: String,
    _ run: @escaping @Sendable ([any Sendable]) throws -> Outcome
  ) -> Future<Output> {
    let task = options.task(key, Self.distinct(inputs))
    let spec = TaskSpec(inputs: inputs, run: run, location: location)
    submit([task], [spec])
    return Future(key: key, client: self)
  }

  @discardableResult
  private func submit(_ tasks: [NewTask], _ specs: [TaskSpec]) -> [Key] {
    let keys = tasks.map(\.key)
    state.withLock { state in
      state.stimulusCount += 1
      let number = state.stimulusCount
      if state.entries.isEmpty { state.entries.reserveCapacity(keys.count) }
      for key in keys {
        if case .cancelled? = state.entries[key]?.status {
          // It is wanted anew.
          state.entries[key]?.status = .pending
          state.entries[key]?.graph = number
        }
        state.entries[key, default: Entry(graph: number)].holders += 1
      }
      guard !state.isClosed else { return }
      // Sent under the lock, so that no release of the same key can overtake it.
      scheduler.send(
        .graph(
          client: id, number: number, tasks: tasks, specs: specs, keys: keys,
          stimulusID: "update-graph-\(token).\(number)"))
    }
    return keys
  }

  private static func input<Value>(
    _ values: [any Sendable], _ place: Int, _ keys: [Key]
  ) throws -> Value {
    guard place < values.count, let value = values[place] as? Value else {
      throw ClusterError.wrongType(
        key: keys[place], expected: String(describing: Value.self),
        found: place < values.count ? String(describing: type(of: values[place])) : "nothing")
    }
    return value
  }

  private func nextNumber() -> Int {
    state.withLock { state in
      state.taskCount += 1
      return state.taskCount
    }
  }

  private func makeKey(_ name: String) -> Key {
    Key("\(name)-\(token)\(nextNumber())")
  }

  // MARK: - Results

  /// The results of several tasks, in their order.
  ///
  /// - Throws: `TaskError` of the first that has failed, `ClusterError`.
  public func gather<Output: Sendable>(_ futures: [Future<Output>]) async throws -> [Output] {
    let values = try await values(futures.map(\.key))
    return try zip(futures, values).map { future, value in
      guard let output = value as? Output else {
        throw ClusterError.wrongType(
          key: future.key, expected: String(describing: Output.self),
          found: String(describing: type(of: value)))
      }
      return output
    }
  }

  func values(_ keys: [Key]) async throws -> [any Sendable] {
    var found: [Key: any Sendable] = [:]
    // A result can be lost between the news that it is there and the fetching of it.
    while true {
      let missing = keys.filter { found[$0] == nil }
      guard !missing.isEmpty else { break }
      for key in missing { try await wait(for: key, toFetch: true) }
      var byWorker: [(WorkerServer, [Key])] = []
      for (key, worker) in await scheduler.whoHas(missing) {
        if let place = byWorker.firstIndex(where: { $0.0 === worker }) {
          byWorker[place].1.append(key)
        } else {
          byWorker.append((worker, [key]))
        }
      }
      for (worker, keys) in byWorker {
        for (key, held) in await worker.values(keys) { found[key] = held.value }
      }
    }
    return keys.compactMap { found[$0] }
  }

  /// - Parameter toFetch: its result is wanted, which nobody holds once the cluster is closed.
  func wait(for key: Key, toFetch: Bool = false) async throws {
    if let answer = answer(for: key, toFetch) { return try answer.get() }
    try await withCheckedThrowingContinuation { continuation in
      if let answer = answer(for: key, toFetch, orTell: continuation) {
        continuation.resume(with: answer)
      }
    }
  }

  /// What has come of a task; nothing while it is pending, when the one who waits is told later.
  private func answer(
    for key: Key, _ toFetch: Bool, orTell waiting: CheckedContinuation<Void, any Error>? = nil
  ) -> Result<Void, any Error>? {
    state.withLock { state in
      guard let entry = state.entries[key] else {
        return .failure(ClusterError.unknownKey(key))
      }
      switch entry.status {
      case .finished where toFetch && state.isClosed:
        return .failure(ClusterError.closed(key: key))
      case .finished: return .success(())
      case .erred(let error): return .failure(error)
      case .cancelled: return .failure(ClusterError.cancelled(key: key))
      case .pending:
        if state.isClosed { return .failure(ClusterError.closed(key: key)) }
        if let waiting { state.entries[key]?.waiting.append(waiting) }
        return nil
      }
    }
  }

  // MARK: - News from the scheduler

  /// - Parameter graph: the graph of this client that the scheduler took in last.
  func finished(_ key: Key, asOf graph: Int) {
    settle(key, .finished, .success(()), graph)
  }

  func erred(_ error: TaskError, asOf graph: Int) {
    settle(error.key, .erred(error), .failure(error), graph)
  }

  func lost(_ key: Key) {
    state.withLock { $0.entries[key]?.status = .pending }
  }

  /// The scheduler has been restarted: what this client holds has come to nothing.
  func cancelAll() {
    let waiting = state.withLock { state in
      var waiting: [(Key, CheckedContinuation<Void, any Error>)] = []
      for (key, entry) in state.entries {
        waiting += entry.waiting.map { (key, $0) }
        state.entries[key]?.waiting = []
        state.entries[key]?.status = .cancelled
      }
      return waiting
    }
    for (key, continuation) in waiting {
      continuation.resume(throwing: ClusterError.cancelled(key: key))
    }
  }

  func cancelled(_ keys: [Key], asOf graph: Int) {
    for key in keys {
      settle(key, .cancelled, .failure(ClusterError.cancelled(key: key)), graph)
    }
  }

  private func settle(
    _ key: Key, _ status: Status, _ result: Result<Void, any Error>, _ graph: Int
  ) {
    let waiting = state.withLock { state in
      guard let place = state.entries.index(forKey: key),
        state.entries.values[place].graph <= graph
      else { return [CheckedContinuation<Void, any Error>]() }
      state.entries.values[place].status = status
      let waiting = state.entries.values[place].waiting
      if !waiting.isEmpty { state.entries.values[place].waiting = [] }
      return waiting
    }
    for continuation in waiting { continuation.resume(with: result) }
  }

  /// A future is held no more.
  func release(_ key: Key) {
    state.withLock { state in
      guard var entry = state.entries[key] else { return }
      entry.holders -= 1
      guard entry.holders == 0 else {
        state.entries[key] = entry
        return
      }
      state.entries[key] = nil
      guard !state.isClosed else { return }
      state.stimulusCount += 1
      scheduler.send(
        .stimulus(
          .clientReleasesKeys(client: id, keys: [key]),
          stimulusID: "client-releases-keys-\(token).\(state.stimulusCount)"))
    }
  }

  /// Stops tasks and what needs them: Dask's `Client.cancel`. Their futures fail with
  /// `ClusterError.cancelled`. A task that runs goes on until its end, and its result is dropped.
  ///
  /// - Parameter force: also when another client wants them.
  public func cancel<Output>(_ futures: [Future<Output>], force: Bool = false) {
    state.withLock { state in
      guard !state.isClosed else { return }
      state.stimulusCount += 1
      scheduler.send(
        .stimulus(
          .cancel(client: id, keys: futures.map(\.key), force: force),
          stimulusID: "cancel-key-\(token).\(state.stimulusCount)"))
    }
  }

  // MARK: - Plugins and life

  /// Registers a worker plugin: one instance for each worker, present and future. Dask's
  /// `Client.register_plugin`.
  public func registerPlugin(_ make: @escaping @Sendable () -> any WorkerPlugin) async {
    await registry.register(make)
  }

  /// Says goodbye to the scheduler; futures that are pending fail.
  func close() async {
    state.withLock { $0.isClosed = true }
    await scheduler.remove(self)
    let waiting = state.withLock { state in
      var waiting: [(Key, CheckedContinuation<Void, any Error>)] = []
      for (key, entry) in state.entries {
        waiting += entry.waiting.map { (key, $0) }
        state.entries[key]?.waiting = []
      }
      return waiting
    }
    for (key, continuation) in waiting {
      continuation.resume(throwing: ClusterError.closed(key: key))
    }
  }
}
