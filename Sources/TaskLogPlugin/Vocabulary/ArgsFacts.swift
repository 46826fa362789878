/// The args that our own engine makes, as the facts that they are made of.
///
/// Most of them nobody looks at: a plugin or recorder that does finds them under Dask's names, made
/// when it looks. `apply(_:)` takes the facts as they are.

/// What a worker tells of a task that it has run; in Dask's order, under Dask's names.
public struct RunReport: Sendable, FieldEncodable {
  public var worker: String
  public var nbytes: Int64
  /// The name of the result's type, with its module and without.
  public var type: String
  public var typeName: String
  public var thread: Int64
  public var startStops: [StartStop]

  public init(
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

/// What a worker is told of a task that it is to run.
public struct ComputeRequest: Sendable, FieldEncodable {
  public var priority: Priority?
  /// The workers that hold each dependency, by address.
  public var whoHas: [(Key, [String])]
  public var annotations: [Value.Entry]?
  /// What it takes up while it runs.
  public var resourceRestrictions: [Resource]

  public init(
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

  /// Holders by key, as Dask's messages have them.
  public static func value(_ whoHas: [(Key, [String])]) -> Value {
    .dict(
      whoHas.map { key, addresses in
        Value.Entry(key.value, .list(addresses.map(Value.string)))
      })
  }
}

/// What a client submits, as far as a hook is told of it.
public struct GraphSubmission: Sendable, FieldEncodable {
  public var client: String
  /// What the client wants to hold.
  public var keys: [Key]
  /// Its tasks, and the known ones that they need.
  public var tasks: [Key]
  /// `{annotation: {key: value}}`.
  public var annotations: Value
  /// The tasks that are new, with their priority.
  public var added: [GraphTask]
  /// Keys and priorities of those that were known before.
  public var known: [GraphTask]

  public init(
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

/// A client and keys of its.
package struct ClientKeys: Sendable, FieldEncodable {
  var client: String
  var keys: [Key]

  package func write<Sink: FieldEncoder & ~Copyable>(to sink: inout Sink) {
    sink.field("client", client)
    sink.field("keys", list: keys)
  }
}

extension Args {
  public static func run(_ facts: RunReport) -> Args { Args(storage: .run(facts)) }
  public static func compute(_ facts: ComputeRequest) -> Args { Args(storage: .compute(facts)) }
  public static func graph(_ facts: GraphSubmission) -> Args { Args(storage: .graph(facts)) }

  /// A client and keys of its.
  public static func keys(_ keys: [Key], of client: String) -> Args {
    Args(storage: .keys(ClientKeys(client: client, keys: keys)))
  }

  /// The worker that they name.
  public var worker: String? {
    if case .run(let facts) = storage { return facts.worker }
    return self["worker"]?.string
  }

  /// The client and the keys that they name.
  var clientAndKeys: (client: String, keys: [Key])? {
    switch storage {
    case .keys(let facts): return (facts.client, facts.keys)
    case .graph(let facts): return (facts.client, facts.keys)
    case .encoded(let json):
      if let facts = ClientKeys(quickly: json) { return (facts.client, facts.keys) }
      fallthrough
    default:
      let content = content
      guard let client = content["client"]?.string else { return nil }
      return (client, (content["keys"]?.elements ?? []).compactMap(Key.init))
    }
  }
}
