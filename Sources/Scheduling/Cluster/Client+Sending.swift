import TaskLogPlugin

/// The options a task is submitted with, in addition to its key and inputs.
struct SubmitOptions {
  var priority: Double
  var retries: Int
  var workers: [String]
  var allowOtherWorkers: Bool
  var resources: [Resource]
  var annotations: [Value.Entry]

  init(
    _ priority: Double, _ retries: Int, _ workers: [String], _ allowOtherWorkers: Bool,
    _ resources: KeyValuePairs<String, Double>, _ annotations: KeyValuePairs<String, Value>
  ) {
    self.priority = priority
    self.retries = retries
    self.workers = workers
    self.allowOtherWorkers = allowOtherWorkers
    self.resources = resources.map { Resource($0.key, $0.value) }
    // As in Dask, these options are also annotations of the task.
    var ownEntries: [Value.Entry] = []
    if priority != 0 {
      ownEntries.append(
        .init("priority", Int64(exactly: priority).map(Value.int) ?? .double(priority)))
    }
    if !workers.isEmpty { ownEntries.append(.init("workers", .list(workers.map(Value.string)))) }
    if retries != 0 { ownEntries.append(.init("retries", .int(Int64(retries)))) }
    if allowOtherWorkers { ownEntries.append(.init("allow_other_workers", .bool(true))) }
    if !resources.isEmpty { ownEntries.append(.init("resources", Resource.value(self.resources))) }
    self.annotations =
      annotations.map { .init(.string($0.key), $0.value) }.filter { entry in
        !ownEntries.contains { $0.key == entry.key }
      } + ownEntries
  }

  func task(_ key: Key, _ dependencies: [Key], _ spec: TaskSpec) -> NewTask {
    NewTask(
      key: key, dependencies: dependencies, userPriority: priority, retries: retries,
      annotations: annotations, workers: workers, allowOtherWorkers: allowOtherWorkers,
      resources: resources, runSpec: spec)
  }
}

/// Sends tasks from a client to the scheduler.
extension Client {
  /// Submits a task for each item, all in one graph.
  ///
  /// - Parameter spec: returns the inputs and the function of an item's task.
  func map<Item, Output: Sendable>(
    _ name: String, _ items: [Item], _ keys: [Key]?, _ options: SubmitOptions,
    _ location: String, _ spec: (Item) -> (inputs: [Key], run: TaskSpec.Run)
  ) -> [Future<Output>] {
    let group = "\(name)-\(token)\(nextNumber())"
    var tasks: [NewTask] = []
    tasks.reserveCapacity(items.count)
    for (index, item) in items.enumerated() {
      let key = keys.flatMap { index < $0.count ? $0[index] : nil } ?? Key(group, index)
      let (inputs, run) = spec(item)
      tasks.append(
        options.task(
          key, Self.distinct(inputs), TaskSpec(inputs: inputs, run: run, location: location)))
    }
    return submit(tasks).map { Future(key: $0, client: self) }
  }

  static func spec<Input: Sendable, Output: Sendable>(
    _ keys: [Key], _ type: OutcomeType<Output>,
    _ run: @escaping @Sendable ([Input]) throws -> Output
  ) -> TaskSpec.Run {
    .sync { values in
      var inputs = Inputs(values, keys)
      return Outcome(try run(try inputs.all()), type)
    }
  }

  static func asyncSpec<Input: Sendable, Output: Sendable>(
    _ keys: [Key], _ type: OutcomeType<Output>,
    _ run: @escaping @Sendable ([Input]) async throws -> Output
  ) -> TaskSpec.Run {
    .async { values in
      var inputs = Inputs(values, keys)
      return Outcome(try await run(try inputs.all()), type)
    }
  }

  static func distinct(_ keys: [Key]) -> [Key] {
    guard keys.count > 8 else {
      var distinct: [Key] = []
      for key in keys where !distinct.contains(key) { distinct.append(key) }
      return distinct
    }
    var seen: Set<Key> = []
    return keys.filter { seen.insert($0).inserted }
  }

  func submit<Output: Sendable>(
    _ key: Key, _ inputs: [Key], _ options: SubmitOptions, _ location: String,
    _ run: TaskSpec.Run
  ) -> Future<Output> {
    let spec = TaskSpec(inputs: inputs, run: run, location: location)
    submit([options.task(key, Self.distinct(inputs), spec)])
    return Future(key: key, client: self)
  }

  @discardableResult
  func submit(_ tasks: [NewTask]) -> [Key] {
    let keys = tasks.map { $0.key }
    let submittingTask = TaskContext.current?.key
    state.withLock { state in
      state.stimulusCount += 1
      let graphNumber = state.stimulusCount
      if state.entries.isEmpty { state.entries.reserveCapacity(keys.count) }
      for key in keys {
        state.entries[key, default: Entry(graph: graphNumber)].addHolder(graphNumber)
      }
      guard !state.isClosed else { return }
      // Sent under the lock, so that no release of the same key can overtake it.
      scheduler.send(
        .graph(
          NewGraph(client: id, tasks: tasks, keys: keys, submittingTask: submittingTask),
          number: graphNumber, stimulusID: "update-graph-\(token).\(graphNumber)"))
    }
    return keys
  }

  static func keys<each Input>(_ inputs: repeat Future<each Input>) -> [Key] {
    var keys: [Key] = []
    for input in repeat each inputs { keys.append(input.key) }
    return keys
  }
}

/// The inputs of a task run, each cast to the type of its parameter.
struct Inputs {
  private let values: [any Sendable]
  private let keys: [Key]
  private var index = 0

  init(_ values: [any Sendable], _ keys: [Key]) {
    self.values = values
    self.keys = keys
  }

  /// - Throws: `ClusterError.wrongType`.
  mutating func next<Value>(_: Future<Value>.Type) throws -> Value {
    defer { index += 1 }
    guard index < values.count, let value = values[index] as? Value else {
      throw ClusterError.wrongType(
        key: keys[index], expected: String(describing: Value.self),
        found: index < values.count ? String(describing: type(of: values[index])) : "nothing")
    }
    return value
  }

  /// All remaining inputs.
  ///
  /// - Throws: `ClusterError.wrongType`.
  mutating func all<Value: Sendable>() throws -> [Value] {
    var all: [Value] = []
    all.reserveCapacity(keys.count)
    for _ in keys { all.append(try next(Future<Value>.self)) }
    return all
  }
}
