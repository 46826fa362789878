/// The content of snapshots: state that a plugin could look up at that time and that the args do
/// not determine. Only values that differ from the default are stored.

/// A span of work on a worker: `compute`, `transfer`, …
public struct StartStop: Sendable, Hashable, FieldEncodable {
  public var action: String
  /// Seconds since 1970 UTC, by the worker's clock.
  public var start: Double
  /// Seconds since 1970 UTC, by the worker's clock.
  public var stop: Double
  /// The worker that a transfer came from.
  public var source: String?

  package init(action: String, start: Double, stop: Double, source: String? = nil) {
    self.action = action
    self.start = start
    self.stop = stop
    self.source = source
  }

  /// The dictionary that Dask passes in `startstops`.
  public var value: Value { fields }

  package func write<Sink: FieldEncoder & ~Copyable>(to sink: inout Sink) {
    sink.field(SpanField.action, action)
    sink.field(SpanField.start, start)
    sink.field(SpanField.stop, stop)
    if let source { sink.field(SpanField.source, source) }
  }

  public init?(_ value: Value) {
    guard let action = value[SpanField.action]?.string, let start = value[SpanField.start]?.number,
      let stop = value[SpanField.stop]?.number
    else { return nil }
    self.init(action: action, start: start, stop: stop, source: value[SpanField.source]?.string)
  }
}

/// An amount of a resource that workers have and running tasks use, with a name chosen by the user
/// (`GPU`, `MEMORY`).
public struct Resource: Sendable, Hashable {
  public var name: String
  public var amount: Double

  public init(_ name: String, _ amount: Double) {
    self.name = name
    self.amount = amount
  }

  /// Several resources as Dask's dictionary, whole amounts as integers.
  package static func value(_ resources: [Resource]) -> Value {
    .dict(
      resources.map { resource in
        let amount = Int64(exactly: resource.amount).map(Value.int) ?? .double(resource.amount)
        return Value.Entry(.string(resource.name), amount)
      })
  }

  /// The resources of such a dictionary.
  package static func list(_ value: Value?) -> [Resource] {
    guard case .dict(let entries)? = value else { return [] }
    return entries.compactMap { entry in
      guard let name = entry.key.string, let amount = entry.value.number else { return nil }
      return Resource(name, amount)
    }
  }
}

/// A task as it enters the scheduler with a graph.
public struct GraphTask: Sendable, Hashable {
  public var key: Key
  /// In the order of the graph.
  public var dependencies: [Key]
  public var priority: Priority?
  /// Annotations of this task by name.
  public var annotations: [Value.Entry]
  /// The number of failures after which the task errs.
  public var retries: Int
  /// Addresses of the workers that may run it; empty if all may.
  public var workerRestrictions: [String]
  /// Whether other workers may run it if none of these is available: Dask's `allow_other_workers`.
  public var looseRestrictions: Bool
  /// The resources that a worker must have to run it.
  public var resourceRestrictions: [Resource]

  package init(
    key: Key, dependencies: [Key] = [], priority: Priority? = nil,
    annotations: [Value.Entry] = [], retries: Int = 0, workerRestrictions: [String] = [],
    looseRestrictions: Bool = false, resourceRestrictions: [Resource] = []
  ) {
    self.key = key
    self.dependencies = dependencies
    self.priority = priority
    self.annotations = annotations
    self.retries = retries
    self.workerRestrictions = workerRestrictions
    self.looseRestrictions = looseRestrictions
    self.resourceRestrictions = resourceRestrictions
  }
}

/// A worker's identity as it joins.
public struct WorkerSnapshot: Sendable, Hashable {
  public var address: String
  public var name: Value
  /// The worker's source id.
  public var serverID: String
  public var nthreads: Int
  /// Bytes; 0 if unlimited.
  public var memoryLimit: Int64
  public var pid: Int64
  public var host: String
  /// The resources that its tasks can use.
  public var resources: [Resource]

  package init(
    address: String, name: Value, serverID: String, nthreads: Int, memoryLimit: Int64 = 0,
    pid: Int64 = 0, host: String = "", resources: [Resource] = []
  ) {
    self.address = address
    self.name = name
    self.serverID = serverID
    self.nthreads = nthreads
    self.memoryLimit = memoryLimit
    self.pid = pid
    self.host = host
    self.resources = resources
  }
}

/// The changes of a task by a transition, other than its state.
public struct TaskSnapshot: Sendable, Hashable {
  /// Size of the result in bytes.
  package var nbytes: Int64?
  package var typeName: String?
  package var exceptionText: String?
  package var tracebackText: String?
  package var startStops: [StartStop]
  /// The worker that a result is being fetched from.
  package var comingFrom: String?
  /// The task that a transfer was made for.
  package var cause: Key?
  package var retries: Int?
  package var suspicious: Int?
  /// The previous activity of a cancelled or resumed task, if it has changed.
  package var previous: State?
  /// The actual state of a worker's task, if the hook was called with another one.
  package var state: State?
  /// The number of transitions so far, if some of them were not reported.
  package var counter: Int64?

  package init(
    nbytes: Int64? = nil, typeName: String? = nil, exceptionText: String? = nil,
    tracebackText: String? = nil, startStops: [StartStop] = [], comingFrom: String? = nil,
    cause: Key? = nil, retries: Int? = nil, suspicious: Int? = nil, previous: State? = nil,
    state: State? = nil, counter: Int64? = nil
  ) {
    self.nbytes = nbytes
    self.typeName = typeName
    self.exceptionText = exceptionText
    self.tracebackText = tracebackText
    self.startStops = startStops
    self.comingFrom = comingFrom
    self.cause = cause
    self.retries = retries
    self.suspicious = suspicious
    self.previous = previous
    self.state = state
    self.counter = counter
  }
}
