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
  package init(_ value: Value) {
    if let tasks = value["graph"]?.elements {
      let graphTasks = tasks.compactMap(GraphTask.init)
      self = graphTasks.count == tasks.count ? .graph(graphTasks) : .other(value)
    } else if let snapshot = value["worker"].flatMap(WorkerSnapshot.init) {
      self = .worker(snapshot)
    } else if let snapshot = value["task"].map(TaskSnapshot.init) {
      self = .task(snapshot)
    } else {
      self = .other(value)
    }
  }

  /// The value in a log; `nil` if there is no snapshot.
  package var value: Value? {
    switch self {
    case .none: nil
    case .graph(let tasks): .object(["graph": .list(tasks.map(\.fields))])
    case .worker(let snapshot): .object(["worker": snapshot.fields])
    case .task(let snapshot): .object(["task": snapshot.fields])
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
    guard let key = value["key"].flatMap(Key.init) else { return nil }
    self.init(
      key: key, dependencies: (value["dependencies"]?.elements ?? []).compactMap(Key.init),
      priority: value["priority"].flatMap(Priority.init),
      retries: value["retries"]?.int.flatMap(Int.init(exactly:)) ?? 0,
      workerRestrictions: (value["workerRestrictions"]?.elements ?? []).compactMap(\.string),
      looseRestrictions: value["looseRestrictions"]?.bool ?? false,
      resourceRestrictions: Resource.list(value["resourceRestrictions"]))
    if case .dict(let entries)? = value["annotations"] { annotations = entries }
  }

  package func write<Sink: FieldEncoder & ~Copyable>(to sink: inout Sink) {
    sink.field("key", key)
    if !dependencies.isEmpty { sink.field("dependencies", list: dependencies) }
    if let priority { sink.field("priority", priority) }
    if !annotations.isEmpty { sink.field("annotations", .dict(annotations)) }
    if retries != 0 { sink.field("retries", retries) }
    if !workerRestrictions.isEmpty {
      sink.field("workerRestrictions", .list(workerRestrictions.map(Value.string)))
    }
    if looseRestrictions { sink.field("looseRestrictions", .bool(true)) }
    if !resourceRestrictions.isEmpty {
      sink.field("resourceRestrictions", Resource.value(resourceRestrictions))
    }
  }
}

extension WorkerSnapshot: FieldEncodable {
  init?(_ value: Value) {
    guard let address = value["address"]?.string else { return nil }
    self.init(
      address: address, name: value["name"] ?? .null, serverID: value["serverID"]?.string ?? "",
      nthreads: value["nthreads"]?.int.flatMap(Int.init(exactly:)) ?? 0,
      memoryLimit: value["memoryLimit"]?.int ?? 0, pid: value["pid"]?.int ?? 0,
      host: value["host"]?.string ?? "", resources: Resource.list(value["resources"]))
  }

  package func write<Sink: FieldEncoder & ~Copyable>(to sink: inout Sink) {
    sink.field("address", address)
    sink.field("name", name)
    sink.field("serverID", serverID)
    sink.field("nthreads", nthreads)
    sink.field("memoryLimit", memoryLimit)
    sink.field("pid", pid)
    sink.field("host", host)
    if !resources.isEmpty { sink.field("resources", Resource.value(resources)) }
  }
}

extension TaskSnapshot: FieldEncodable {
  init(_ value: Value) {
    self.init(
      nbytes: value["nbytes"]?.int, typeName: value["typeName"]?.string,
      exceptionText: value["exceptionText"]?.string,
      tracebackText: value["tracebackText"]?.string,
      startStops: (value["startStops"]?.elements ?? []).compactMap(StartStop.init),
      comingFrom: value["comingFrom"]?.string, cause: value["cause"].flatMap(Key.init),
      retries: value["retries"]?.int.flatMap(Int.init(exactly:)),
      suspicious: value["suspicious"]?.int.flatMap(Int.init(exactly:)),
      previous: value["previous"]?.string.map { State($0) },
      state: value["state"]?.string.map { State($0) }, counter: value["counter"]?.int)
  }

  package func write<Sink: FieldEncoder & ~Copyable>(to sink: inout Sink) {
    if let nbytes { sink.field("nbytes", nbytes) }
    if let typeName { sink.field("typeName", typeName) }
    if let exceptionText { sink.field("exceptionText", exceptionText) }
    if let tracebackText { sink.field("tracebackText", tracebackText) }
    if !startStops.isEmpty { sink.field("startStops", startStops) }
    if let comingFrom { sink.field("comingFrom", comingFrom) }
    if let cause { sink.field("cause", cause) }
    if let retries { sink.field("retries", retries) }
    if let suspicious { sink.field("suspicious", suspicious) }
    if let previous { sink.field("previous", .string(previous.name)) }
    if let state { sink.field("state", state.name) }
    if let counter { sink.field("counter", counter) }
  }
}
