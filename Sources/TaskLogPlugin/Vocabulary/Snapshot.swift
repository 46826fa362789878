/// State of the task and the cluster at the time of an event that a plugin could have looked up and
/// that the args do not determine.
public indirect enum Snapshot: Sendable {
  // Indirect, so that an event without one, as most are, is small.
  case none
  /// The new tasks of a graph, in its order.
  case graph([GraphTask])
  /// The worker that joins, or on which a plugin is set up.
  case worker(WorkerSnapshot)
  case task(TaskSnapshot)
  /// A snapshot as encoded in a log; see `decoded`.
  case encoded(EncodedJSON)
  /// A snapshot of a kind that this version does not know.
  case other(Value)

  /// The decoded snapshot.
  package var decoded: Snapshot {
    guard case .encoded(let json) = self else { return self }
    if let snapshot = Snapshot(fast: json) { return snapshot }
    guard let value = try? json.value() else { return .other(.opaque("unreadable")) }
    return Snapshot(value)
  }

  /// The snapshot with this value in a log.
  public init(_ value: Value) {
    if let tasks = value[SnapshotKind.graph]?.elements {
      let graphTasks = tasks.compactMap(GraphTask.init)
      self = graphTasks.count == tasks.count ? .graph(graphTasks) : .other(value)
    } else if let snapshot = value[SnapshotKind.worker].flatMap(WorkerSnapshot.init) {
      self = .worker(snapshot)
    } else if let snapshot = value[SnapshotKind.task].map(TaskSnapshot.init) {
      self = .task(snapshot)
    } else {
      self = .other(value)
    }
  }

  /// The value in a log; `nil` if there is no snapshot.
  package var value: Value? {
    switch self {
    case .none: nil
    case .graph(let tasks): .object([SnapshotKind.graph.description: .list(tasks.map(\.fields))])
    case .worker(let snapshot): .object([SnapshotKind.worker.description: snapshot.fields])
    case .task(let snapshot): .object([SnapshotKind.task.description: snapshot.fields])
    case .encoded(let json): (try? json.value()) ?? .opaque("unreadable")
    case .other(let value): value
    }
  }
}

extension Snapshot: Equatable {
  public static func == (a: Snapshot, b: Snapshot) -> Bool { a.value == b.value }
}

extension GraphTask: FieldEncodable {
  init?(_ value: Value) {
    guard let key = value[GraphTaskField.key].flatMap(Key.init) else { return nil }
    self.init(
      key: key,
      dependencies: (value[GraphTaskField.dependencies]?.elements ?? []).compactMap(Key.init),
      priority: value[GraphTaskField.priority].flatMap(Priority.init),
      retries: value[GraphTaskField.retries]?.int.flatMap(Int.init(exactly:)) ?? 0,
      workerRestrictions: (value[GraphTaskField.workerRestrictions]?.elements ?? []).compactMap(
        \.string),
      looseRestrictions: value[GraphTaskField.looseRestrictions]?.bool ?? false,
      resourceRestrictions: Resource.list(value[GraphTaskField.resourceRestrictions]))
    if case .dict(let entries)? = value[GraphTaskField.annotations] { annotations = entries }
  }

  package func write<Sink: FieldEncoder & ~Copyable>(to sink: inout Sink) {
    sink.field(GraphTaskField.key, key)
    if !dependencies.isEmpty { sink.field(GraphTaskField.dependencies, list: dependencies) }
    if let priority { sink.field(GraphTaskField.priority, priority) }
    if !annotations.isEmpty { sink.field(GraphTaskField.annotations, .dict(annotations)) }
    if retries != 0 { sink.field(GraphTaskField.retries, retries) }
    if !workerRestrictions.isEmpty {
      sink.field(GraphTaskField.workerRestrictions, .list(workerRestrictions.map(Value.string)))
    }
    if looseRestrictions { sink.field(GraphTaskField.looseRestrictions, .bool(true)) }
    if !resourceRestrictions.isEmpty {
      sink.field(GraphTaskField.resourceRestrictions, Resource.value(resourceRestrictions))
    }
  }
}

extension WorkerSnapshot: FieldEncodable {
  init?(_ value: Value) {
    guard let address = value[WorkerField.address]?.string else { return nil }
    self.init(
      address: address, name: value[WorkerField.name] ?? .null,
      serverID: value[WorkerField.serverID]?.string ?? "",
      nthreads: value[WorkerField.nthreads]?.int.flatMap(Int.init(exactly:)) ?? 0,
      memoryLimit: value[WorkerField.memoryLimit]?.int ?? 0, pid: value[WorkerField.pid]?.int ?? 0,
      host: value[WorkerField.host]?.string ?? "",
      resources: Resource.list(value[WorkerField.resources]))
  }

  package func write<Sink: FieldEncoder & ~Copyable>(to sink: inout Sink) {
    sink.field(WorkerField.address, address)
    sink.field(WorkerField.name, name)
    sink.field(WorkerField.serverID, serverID)
    sink.field(WorkerField.nthreads, nthreads)
    sink.field(WorkerField.memoryLimit, memoryLimit)
    sink.field(WorkerField.pid, pid)
    sink.field(WorkerField.host, host)
    if !resources.isEmpty { sink.field(WorkerField.resources, Resource.value(resources)) }
  }
}

extension TaskSnapshot: FieldEncodable {
  init(_ value: Value) {
    self.init(
      nbytes: value[TaskField.nbytes]?.int, typeName: value[TaskField.typeName]?.string,
      exceptionText: value[TaskField.exceptionText]?.string,
      tracebackText: value[TaskField.tracebackText]?.string,
      startStops: (value[TaskField.startStops]?.elements ?? []).compactMap(StartStop.init),
      comingFrom: value[TaskField.comingFrom]?.string,
      cause: value[TaskField.cause].flatMap(Key.init),
      retries: value[TaskField.retries]?.int.flatMap(Int.init(exactly:)),
      suspicious: value[TaskField.suspicious]?.int.flatMap(Int.init(exactly:)),
      previous: value[TaskField.previous]?.string.map { State($0) },
      state: value[TaskField.state]?.string.map { State($0) },
      counter: value[TaskField.counter]?.int)
  }

  package func write<Sink: FieldEncoder & ~Copyable>(to sink: inout Sink) {
    if let nbytes { sink.field(TaskField.nbytes, nbytes) }
    if let typeName { sink.field(TaskField.typeName, typeName) }
    if let exceptionText { sink.field(TaskField.exceptionText, exceptionText) }
    if let tracebackText { sink.field(TaskField.tracebackText, tracebackText) }
    if !startStops.isEmpty { sink.field(TaskField.startStops, startStops) }
    if let comingFrom { sink.field(TaskField.comingFrom, comingFrom) }
    if let cause { sink.field(TaskField.cause, cause) }
    if let retries { sink.field(TaskField.retries, retries) }
    if let suspicious { sink.field(TaskField.suspicious, suspicious) }
    if let previous { sink.field(TaskField.previous, .string(previous.name)) }
    if let state { sink.field(TaskField.state, state.name) }
    if let counter { sink.field(TaskField.counter, counter) }
  }
}
