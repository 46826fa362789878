/// The args that our own engine makes, as typed values.
///
/// Most of them are never read: when a plugin or recorder reads them, they are converted to
/// arguments with Dask's names. `apply(_:)` uses the typed values directly.

/// A worker's report of a task that it has run; in Dask's order, under Dask's names.
public struct RunReport: Sendable, FieldEncodable {
  public var worker: String
  public var nbytes: Int64
  /// The name of the result's type, with and without its module.
  public var type: String
  public var typeName: String
  public var thread: Int64
  public var startStops: [StartStop]

  package init(
    worker: String, nbytes: Int64, type: String, typeName: String, thread: Int64,
    startStops: [StartStop]
  ) {
    self.worker = worker
    self.nbytes = nbytes
    self.type = type
    self.typeName = typeName
    self.thread = thread
    self.startStops = startStops
  }

  /// The names of its fields.
  package static let fieldNames: [StaticString] = [
    "worker", "nbytes", "type", "typename", "thread", "metadata", "status", "startstops",
  ]

  package func write<Sink: FieldEncoder & ~Copyable>(to sink: inout Sink) {
    sink.field("worker", worker)
    sink.field("nbytes", nbytes)
    sink.field("type", type)
    sink.field("typename", typeName)
    sink.field("thread", thread)
    sink.field("metadata", .dict([]))
    sink.field("status", "OK" as String)
    sink.field("startstops", startStops)
  }
}

/// The request to a worker to run a task.
public struct ComputeRequest: Sendable, FieldEncodable {
  public var priority: Priority?
  /// The workers that hold each dependency, by address.
  public var whoHas: [(Key, [String])]
  public var annotations: [Value.Entry]?
  /// The resources that it uses while it runs.
  public var resourceRestrictions: [Resource]

  package init(
    priority: Priority?, whoHas: [(Key, [String])], annotations: [Value.Entry]?,
    resourceRestrictions: [Resource] = []
  ) {
    self.priority = priority
    self.whoHas = whoHas
    self.annotations = annotations
    self.resourceRestrictions = resourceRestrictions
  }

  package func write<Sink: FieldEncoder & ~Copyable>(to sink: inout Sink) {
    sink.field("op", "compute-task" as String)
    if let priority { sink.field("priority", priority) }
    if !whoHas.isEmpty { sink.field("who_has", whoHas) }
    if let annotations { sink.field("annotations", .dict(annotations)) }
    if !resourceRestrictions.isEmpty {
      sink.field("resource_restrictions", Resource.value(resourceRestrictions))
    }
  }

  /// Holders by key, in the form of Dask's messages.
  package static func value(_ whoHas: [(Key, [String])]) -> Value {
    .dict(
      whoHas.map { key, addresses in
        Value.Entry(key.value, .list(addresses.map(Value.string)))
      })
  }
}

/// A client's submission of a graph, as passed to hooks.
public struct GraphSubmission: Sendable, FieldEncodable {
  public var client: String
  /// The keys that the client wants to hold.
  public var keys: [Key]
  /// The tasks of the graph, and the known ones that they need.
  public var tasks: [Key]
  /// `{annotation: {key: value}}`.
  public var annotations: Value
  /// The new tasks, with their priority.
  public var added: [GraphTask]
  /// Keys and priorities of the tasks that were known before.
  public var known: [GraphTask]

  package init(
    client: String, keys: [Key], tasks: [Key], annotations: Value, added: [GraphTask],
    known: [GraphTask] = []
  ) {
    self.client = client
    self.keys = keys
    self.tasks = tasks
    self.annotations = annotations
    self.added = added
    self.known = known
  }

  package func write<Sink: FieldEncoder & ~Copyable>(to sink: inout Sink) {
    sink.field("client", client)
    sink.field("keys", set: keys)
    sink.field("tasks", list: tasks)
    sink.field("annotations", annotations)
    sink.field("priority", priorities: known.isEmpty ? added : added + known)
  }
}

/// A client and some of its keys.
package struct ClientKeys: Sendable, FieldEncodable {
  var client: String
  var keys: [Key]

  /// The names of its fields.
  package static let fieldNames: [StaticString] = ["client", "keys"]

  package func write<Sink: FieldEncoder & ~Copyable>(to sink: inout Sink) {
    sink.field("client", client)
    sink.field("keys", list: keys)
  }
}

extension Args {
  package static func run(_ report: RunReport) -> Args { Args(storage: .run(report)) }
  package static func compute(_ request: ComputeRequest) -> Args {
    Args(storage: .compute(request))
  }
  package static func graph(_ submission: GraphSubmission) -> Args {
    Args(storage: .graph(submission))
  }

  /// Args with a client and some of its keys.
  package static func keys(_ keys: [Key], of client: String) -> Args {
    Args(storage: .keys(ClientKeys(client: client, keys: keys)))
  }

  /// The worker that the args name.
  package var worker: String? {
    if case .run(let report) = storage { return report.worker }
    return self["worker"]?.string
  }

  /// The client and the keys that the args name.
  var clientAndKeys: (client: String, keys: [Key])? {
    switch storage {
    case .keys(let clientKeys): return (clientKeys.client, clientKeys.keys)
    case .graph(let submission): return (submission.client, submission.keys)
    case .encoded(let json):
      if let clientKeys = ClientKeys(fast: json) { return (clientKeys.client, clientKeys.keys) }
      fallthrough
    default:
      let content = content
      guard let client = content["client"]?.string else { return nil }
      return (client, (content["keys"]?.elements ?? []).compactMap(Key.init))
    }
  }
}
