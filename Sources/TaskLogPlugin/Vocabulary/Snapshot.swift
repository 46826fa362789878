/// The few facts about the task and the cluster at the moment of an event that a plugin could have
/// looked up and that the args do not determine.
public enum Snapshot: Sendable {
  case none
  /// The tasks that are new with a graph, in its order.
  case graph([GraphTask])
  /// The worker that joins, or that a plugin is set up on.
  case worker(WorkerFacts)
  case task(TaskFacts)
  /// A snapshot as it stands in a log; `decoded` says what it is.
  case encoded(EncodedJSON)
  /// A snapshot of a kind that this version does not know.
  case other(Value)

  /// The snapshot with its facts read.
  public var decoded: Snapshot {
    guard case .encoded(let json) = self else { return self }
    guard let value = try? json.value() else { return .other(.opaque("unreadable")) }
    return Snapshot(value)
  }

  /// The snapshot that stands in a log as this value.
  public init(_ value: Value) {
    if let tasks = value["graph"]?.elements {
      let facts = tasks.compactMap(GraphTask.init)
      self = facts.count == tasks.count ? .graph(facts) : .other(value)
    } else if let facts = value["worker"].flatMap(WorkerFacts.init) {
      self = .worker(facts)
    } else if let facts = value["task"].map(TaskFacts.init) {
      self = .task(facts)
    } else {
      self = .other(value)
    }
  }

  /// The value that stands in a log; nothing when there is no snapshot.
  public var value: Value? {
    switch self {
    case .none: nil
    case .graph(let tasks): .object(["graph": .list(tasks.map(\.value))])
    case .worker(let facts): .object(["worker": facts.value])
    case .task(let facts): .object(["task": facts.value])
    case .encoded(let json): (try? json.value()) ?? .opaque("unreadable")
    case .other(let value): value
    }
  }
}

extension Snapshot: Equatable {
  public static func == (a: Snapshot, b: Snapshot) -> Bool { a.value == b.value }
}

/// Collects the entries that are not at their default.
private struct Entries {
  var list: [Value.Entry] = []

  mutating func add(_ name: String, _ value: Value?) {
    if let value { list.append(.init(.string(name), value)) }
  }
}

extension GraphTask {
  init?(_ value: Value) {
    guard let key = value["key"].flatMap(Key.init) else { return nil }
    self.init(
      key: key, dependencies: (value["dependencies"]?.elements ?? []).compactMap(Key.init),
      priority: value["priority"].flatMap(Priority.init),
      retries: value["retries"]?.int.flatMap(Int.init(exactly:)) ?? 0,
      workerRestrictions: (value["workerRestrictions"]?.elements ?? []).compactMap(\.string),
      looseRestrictions: value["looseRestrictions"]?.bool ?? false)
    if case .dict(let entries)? = value["annotations"] { annotations = entries }
  }

  var value: Value {
    var entries = Entries()
    entries.add("key", key.value)
    if !dependencies.isEmpty { entries.add("dependencies", .list(dependencies.map(\.value))) }
    entries.add("priority", priority?.value)
    if !annotations.isEmpty { entries.add("annotations", .dict(annotations)) }
    if retries != 0 { entries.add("retries", .int(Int64(retries))) }
    if !workerRestrictions.isEmpty {
      entries.add("workerRestrictions", .list(workerRestrictions.map(Value.string)))
    }
    if looseRestrictions { entries.add("looseRestrictions", .bool(true)) }
    return .dict(entries.list)
  }
}

extension WorkerFacts {
  init?(_ value: Value) {
    guard let address = value["address"]?.string else { return nil }
    self.init(
      address: address, name: value["name"] ?? .null, serverID: value["serverID"]?.string ?? "",
      nthreads: value["nthreads"]?.int.flatMap(Int.init(exactly:)) ?? 0,
      memoryLimit: value["memoryLimit"]?.int ?? 0, pid: value["pid"]?.int ?? 0,
      host: value["host"]?.string ?? "")
  }

  var value: Value {
    .object([
      "address": .string(address), "name": name, "serverID": .string(serverID),
      "nthreads": .int(Int64(nthreads)), "memoryLimit": .int(memoryLimit), "pid": .int(pid),
      "host": .string(host),
    ])
  }
}

extension TaskFacts {
  init(_ value: Value) {
    self.init(
      nbytes: value["nbytes"]?.int, typeName: value["typeName"]?.string,
      exceptionText: value["exceptionText"]?.string,
      tracebackText: value["tracebackText"]?.string,
      startStops: (value["startStops"]?.elements ?? []).compactMap(StartStop.init),
      comingFrom: value["comingFrom"]?.string, cause: value["cause"].flatMap(Key.init),
      retries: value["retries"]?.int.flatMap(Int.init(exactly:)),
      suspicious: value["suspicious"]?.int.flatMap(Int.init(exactly:)),
      state: value["state"]?.string.map(State.init))
  }

  var value: Value {
    var entries = Entries()
    entries.add("nbytes", nbytes.map(Value.int))
    entries.add("typeName", typeName.map(Value.string))
    entries.add("exceptionText", exceptionText.map(Value.string))
    entries.add("tracebackText", tracebackText.map(Value.string))
    if !startStops.isEmpty { entries.add("startStops", .list(startStops.map(\.value))) }
    entries.add("comingFrom", comingFrom.map(Value.string))
    entries.add("cause", cause?.value)
    entries.add("retries", retries.map { .int(Int64($0)) })
    entries.add("suspicious", suspicious.map { .int(Int64($0)) })
    entries.add("state", state.map { .string($0.name) })
    return .dict(entries.list)
  }
}
